"""`/api/v1/jobs`: the images, what became of them, their pictures, and what may be done with them."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from pydantic import StringConstraints

from node.states import State
from node.study_view import job_view
from node.web.access import Operator, TheDesk, Viewer
from node.web.asking import (
    AnyState,
    Before,
    JobNumber,
    MaskLabel,
    MaskVersion,
    Words,
    note_and_carry_out,
    note_look,
    note_search,
)
from node.web.desk import Desk
from node.web.image_shown import Shown
from node.web.job_details import JobDetails, job_details
from node.web.job_drawn import Structures, structures_of
from node.web.job_list import JobList, job_list
from node.web.job_orders import Asked, Order
from node.web.sessions import Visitor


@dataclass(frozen=True)
class To:
    """To whom results are sent again: the name of a destination; empty: to everybody who was to have them."""

    destination: Annotated[str, StringConstraints(max_length=64)] = ""


@dataclass(frozen=True)
class Why:
    """Why an image is let go, for whoever looks at it later."""

    reason: Annotated[str, StringConstraints(max_length=200)] = ""


@dataclass(frozen=True)
class Stands:
    """Where a job stands after what was asked."""

    job: int
    state: State


PNG = "image/png"
PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {PNG: {}}, "description": "A PNG."}}

router = APIRouter(tags=["images"])


@router.get("/jobs")
def list_jobs(
    request: Request,
    desk: TheDesk,
    visitor: Viewer,
    q: Words = "",
    state: AnyState = None,
    before: Before = 0,
) -> JobList:
    """Return the newest images that a text means, all where it is empty, a page at a time."""
    found = job_list(desk, q, state, before)
    note_search(desk, request, visitor, q, found)
    return found


@router.get("/jobs/{job}")
def show_job(request: Request, desk: TheDesk, shown: Shown, visitor: Viewer, job: JobNumber) -> JobDetails:
    """Return an image with its timeline, deliveries, proofs and measurements."""
    note_look(desk, request, visitor, job)
    return job_details(desk, shown, job)


@router.get("/jobs/{job}/masks")
def list_masks(request: Request, desk: TheDesk, shown: Shown, visitor: Viewer, job: JobNumber) -> Structures:
    """Return the structures that were found, each with the path of its mask."""
    note_look(desk, request, visitor, job, is_part=True)
    return structures_of(shown.masks(job), f"/api/v1/jobs/{job}")


@router.get("/jobs/{job}/picture.png", responses=PICTURE)
def show_picture(request: Request, desk: TheDesk, shown: Shown, visitor: Viewer, job: JobNumber) -> Response:
    """Return the radiograph: bone is bright, at most 1024 pixels a side, as its stored pixels lie."""
    note_look(desk, request, visitor, job, is_part=True)
    return Response(shown.picture(job).png, media_type=PNG)


@router.get("/jobs/{job}/masks/{label}.png", responses=PICTURE)
def show_mask(
    request: Request,
    desk: TheDesk,
    shown: Shown,
    visitor: Viewer,
    job: JobNumber,
    label: MaskLabel,
    of: MaskVersion,
) -> Response:
    """Return the mask of a structure, as large as the radiograph's picture, transparent where it is not."""
    note_look(desk, request, visitor, job, is_part=True)
    return Response(shown.mask(job, label, of).png, media_type=PNG)


@router.post("/jobs/{job}/retry")
def retry(request: Request, desk: TheDesk, visitor: Operator, job: JobNumber) -> Stands:
    """Queue an image again that was put aside, or send now what waits or is parked."""
    return _do(request, desk, visitor, job, Asked(Order.RETRY))


@router.post("/jobs/{job}/rerun")
def rerun(request: Request, desk: TheDesk, visitor: Operator, job: JobNumber) -> Stands:
    """Queue an image again that has results, for another model or other settings."""
    return _do(request, desk, visitor, job, Asked(Order.RERUN))


@router.post("/jobs/{job}/resend")
def resend(
    request: Request, desk: TheDesk, visitor: Operator, job: JobNumber, to: To | None = None
) -> Stands:
    """Send results again, also those that were delivered: byte for byte the same objects.

    Destinations that the settings do not have any more are left out.
    """
    return _do(request, desk, visitor, job, Asked(Order.RESEND, "" if to is None else to.destination))


@router.post("/jobs/{job}/cancel")
def cancel(
    request: Request, desk: TheDesk, visitor: Operator, job: JobNumber, why: Why | None = None
) -> Stands:
    """Let an image go that waits for a worker."""
    return _do(request, desk, visitor, job, Asked(Order.CANCEL, reason="" if why is None else why.reason))


def _do(request: Request, desk: Desk, visitor: Visitor, job_id: int, asked: Asked) -> Stands:
    after = note_and_carry_out(desk, request, visitor, job_view(desk.store, job_id), asked)
    return Stands(after.id, after.state)
