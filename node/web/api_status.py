"""`/api/v1/status`: what the node does now."""

from fastapi import APIRouter

from node.web.access import TheDesk, Viewer
from node.web.status import Status, status_of

router = APIRouter(tags=["status"])


@router.get("/status")
def status(desk: TheDesk, visitor: Viewer) -> Status:
    """Return what waits, for how long, who is away, and what the node runs on."""
    return status_of(desk.watched)
