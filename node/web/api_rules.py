"""`/api/v1/rules`: what becomes of images, and what would become of one."""

from fastapi import APIRouter, Request

from node.web.access import TheDesk, Viewer
from node.web.rule_flow import Flow, TrialShown, flow_of
from node.web.trying import try_upload
from node.web.upload import FORM, Uploaded

router = APIRouter(tags=["rules"])


@router.get("/rules")
def rules(desk: TheDesk, visitor: Viewer) -> Flow:
    """Return the rules in words, in the order in which they are asked."""
    return flow_of(desk.settings)


@router.post("/rules/try", openapi_extra=FORM)
def try_rules(request: Request, desk: TheDesk, upload: Uploaded) -> TrialShown:
    """Return which rule decides about a DICOM file and why, and what the node would do; nothing is kept.

    The answer holds values of the file, and those may be a patient's.
    """
    return try_upload(request, desk, upload)
