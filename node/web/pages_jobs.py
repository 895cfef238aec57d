"""The images: looking for them, one of them with everything about it, and what may be done with it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from node.errors import NodeError, TransitionError
from node.states import State
from node.study_masks import Masks
from node.study_view import job_view
from node.web.access import Operator, TheDesk, Viewer
from node.web.asking import (
    AnyState,
    Before,
    JobNumber,
    MaskLabel,
    MaskVersion,
    MaybeVersion,
    Words,
    note_and_carry_out,
    note_look,
    note_search,
)
from node.web.desk import Desk
from node.web.image_shown import Shown, ShownImages
from node.web.job_details import job_details
from node.web.job_drawn import drawn_lines, label_size, structures_of
from node.web.job_list import MEANINGS, job_list
from node.web.job_orders import DONE, Asked, Order
from node.web.rendering import page
from node.web.sessions import Visitor

router = APIRouter()

PNG = "image/png"


@router.get("/jobs")
def jobs(
    request: Request,
    desk: TheDesk,
    visitor: Viewer,
    q: Words = "",
    state: AnyState = None,
    before: Before = 0,
) -> Response:
    """Show the images that somebody looks for."""
    found = job_list(desk, q, state, before)
    note_search(desk, request, visitor, q, found)
    asked = {"q": q, "state": state or "", "before": before}
    return page(request, "jobs.html", visitor, found=found, asked=asked, states=tuple(State))


@router.get("/jobs/{job}")
def job(
    request: Request, desk: TheDesk, shown: Shown, visitor: Viewer, job: JobNumber, done: str = ""
) -> Response:
    """Show one image."""
    note_look(desk, request, visitor, job)
    return _page(request, desk, shown, visitor, job, done=done)


@router.get("/jobs/{job}/structures")
def structures(
    request: Request, desk: TheDesk, shown: Shown, visitor: Viewer, job: JobNumber, of: MaybeVersion = ""
) -> Response:
    """Show what may be laid over the radiograph, for the page to put in its place."""
    try:
        note_look(desk, request, visitor, job, is_part=True)
        masks = shown.masks(job, of)
    except NodeError as error:
        masks = Masks((), str(error))
    return page(request, "job_structures.html", visitor, found=structures_of(masks, f"/jobs/{job}"))


@router.get("/jobs/{job}/picture.png")
def picture(request: Request, desk: TheDesk, shown: Shown, visitor: Viewer, job: JobNumber) -> Response:
    """Show the radiograph."""
    note_look(desk, request, visitor, job, is_part=True)
    return Response(shown.picture(job).png, media_type=PNG)


@router.get("/jobs/{job}/masks/{label}.png")
def mask(
    request: Request,
    desk: TheDesk,
    shown: Shown,
    visitor: Viewer,
    job: JobNumber,
    label: MaskLabel,
    of: MaskVersion,
) -> Response:
    """Show the mask of a structure."""
    note_look(desk, request, visitor, job, is_part=True)
    return Response(shown.mask(job, label, of).png, media_type=PNG)


def asked_of(
    order: Order,
    to: Annotated[str, Form(max_length=64)] = "",
    why: Annotated[str, Form(max_length=200)] = "",
) -> Asked:
    """Return what a form asks; a dependency."""
    return Asked(order, to, why)


@router.post("/jobs/{job}/{order}")
def act(
    request: Request,
    desk: TheDesk,
    shown: Shown,
    visitor: Operator,
    job: JobNumber,
    asked: Annotated[Asked, Depends(asked_of)],
) -> Response:
    """Do what is asked of an image, and show it again."""
    try:
        note_and_carry_out(desk, request, visitor, job_view(desk.store, job), asked)
    except TransitionError as error:
        return _page(request, desk, shown, visitor, job, problem=str(error))
    return RedirectResponse(f"/jobs/{job}?done={asked.order}", 303)


def _page(
    request: Request,
    desk: Desk,
    shown: ShownImages,
    visitor: Visitor,
    job_id: int,
    *,
    done: str = "",
    problem: str = "",
) -> Response:
    details = job_details(desk, shown, job_id)
    told = DONE[Order(done)] if done in set(Order) else ""
    words = {"done": told, "problem": problem, "meaning": MEANINGS[details.view.job.state]}
    drawn = {"lines": drawn_lines(details.film, details.measured), "label_size": label_size(details.film)}
    status, now = 409 if problem else 200, desk.watched.clock()
    return page(request, "job.html", visitor, status, here=details, now=now, Order=Order, **words, **drawn)
