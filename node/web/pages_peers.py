"""Destinations and peers, and the doctor."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response

from node.doctor_steps import Examination
from node.web.access import Operator, TheDesk, Viewer
from node.web.desk import Desk
from node.web.errors import ConflictError
from node.web.peers import examined, peers_of
from node.web.rendering import page
from node.web.sessions import Visitor

router = APIRouter()


@router.get("/peers")
def peers(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """Show whom the node reaches."""
    return _page(request, desk, visitor)


@router.post("/peers/examine")
def examine(
    request: Request, desk: TheDesk, visitor: Operator, name: Annotated[str, Form()] = ""
) -> Response:
    """Show what the doctor finds with one of them."""
    try:
        return _page(request, desk, visitor, examined(desk, request, visitor, name))
    except ConflictError as error:
        return _page(request, desk, visitor, problem=str(error))


def _page(
    request: Request, desk: Desk, visitor: Visitor, found: tuple[Examination, ...] = (), problem: str = ""
) -> Response:
    values = {"peers": peers_of(desk), "now": desk.watched.clock(), "found": found, "problem": problem}
    return page(request, "peers.html", visitor, 409 if problem else 200, **values)
