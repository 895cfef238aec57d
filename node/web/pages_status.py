"""The first page: what the node does now."""

from fastapi import APIRouter, Request, Response

from node.web.access import TheDesk, Viewer
from node.web.rendering import page
from node.web.status import status_of

router = APIRouter()


@router.get("/")
def status(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """Show what waits, for how long, and who is away."""
    return page(request, "status.html", visitor, now=status_of(desk.watched))


@router.get("/status")
def status_part(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """Show the changing part of the first page, for the page to put in its place."""
    return page(request, "status_part.html", visitor, now=status_of(desk.watched))
