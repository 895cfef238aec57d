"""`/api/v1/peers`: whom the node reaches, and the doctor."""

from fastapi import APIRouter, Request

from node.doctor_steps import Examination
from node.web.access import Operator, TheDesk, Viewer
from node.web.peers import PeerShown, examined, peers_of

router = APIRouter(tags=["peers"])


@router.get("/peers")
def peers(desk: TheDesk, visitor: Viewer) -> tuple[PeerShown, ...]:
    """Return this node, every destination and every peer, in the order of the settings."""
    return peers_of(desk)


@router.post("/peers/{name}/examine")
def examine(request: Request, desk: TheDesk, visitor: Operator, name: str) -> tuple[Examination, ...]:
    """Try one of them step by step; it may take a minute. 409 while another examination is under way."""
    return examined(desk, request, visitor, name)
