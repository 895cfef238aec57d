"""Destinations and peers, and the doctor."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from node.web.access import Operator, TheDesk, Viewer
from node.web.errors import ConflictError
from node.web.peers import examined, peers_of
from node.web.rendering import page

router = APIRouter()


@router.get("/peers")
def peers(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """Show whom the node reaches."""
    return page(request, "peers.html", visitor, peers=peers_of(desk), found=(), problem="")


@router.post("/peers/examine")
def examine(
    request: Request, desk: TheDesk, visitor: Operator, name: Annotated[str, Form()] = ""
) -> Response:
    """Show what the doctor finds with one of them."""
    known = peers_of(desk)
    try:
        found = examined(desk, request, visitor, name)
    except ConflictError as error:
        return page(request, "peers.html", visitor, 409, peers=known, found=(), problem=str(error))
    return page(request, "peers.html", visitor, peers=known, found=found, problem="")
