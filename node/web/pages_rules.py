"""The rules, and trying them on a file."""

from fastapi import APIRouter, Request, Response

from node.errors import NodeError
from node.web.access import TheDesk, Viewer
from node.web.desk import Desk
from node.web.rendering import page
from node.web.rule_flow import TrialShown, flow_of
from node.web.trying import try_upload
from node.web.upload import Upload, Uploaded

router = APIRouter()


@router.get("/rules")
def rules(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """Show what becomes of an image."""
    return _page(request, desk, Upload(visitor, None, "", "", ""))


@router.post("/rules/try")
def try_rules(request: Request, desk: TheDesk, upload: Uploaded) -> Response:
    """Show what would become of a file."""
    try:
        return _page(request, desk, upload, trial=try_upload(request, desk, upload))
    except NodeError as error:
        return _page(request, desk, upload, problem=str(error))


def _page(
    request: Request, desk: Desk, upload: Upload, trial: TrialShown | None = None, problem: str = ""
) -> Response:
    values = {
        "flow": flow_of(desk.settings) if trial is None else trial.flow,
        "trial": trial,
        "problem": problem,
        "calling": upload.calling,
        "called": upload.called,
        "own_title": desk.settings.node.ae_title,
    }
    return page(request, "rules.html", upload.visitor, 422 if problem else 200, **values)
