"""What requests about images have in common: numbers in paths, and what is written down of them."""

from hashlib import sha256
from typing import Annotated

from fastapi import Path, Query, Request
from pydantic import BeforeValidator

from node.errors import NotThereError, TransitionError
from node.jobs import Job
from node.states import State
from node.study_view import JobView
from node.web.deeds import Act
from node.web.desk import Desk, address_of
from node.web.job_list import JobList
from node.web.job_orders import ACTS, Asked, carry_out
from node.web.sessions import Visitor

LARGEST = 2**31 - 1
"""A number of a job has 32 bits in the database."""

JobNumber = Annotated[int, Path(ge=1, le=LARGEST, description="The number of a job.")]
MaskLabel = Annotated[str, Path(max_length=64, description="The label of a structure.")]
MaskVersion = Annotated[
    str,
    Query(
        min_length=1,
        max_length=64,
        description="The version of the results, as in the list of the masks: 409 where they have changed.",
    ),
]
Words = Annotated[
    str,
    Query(
        max_length=200,
        description="An Accession Number, Patient ID, Study or SOP Instance UID, or a sender's AE title.",
    ),
]
MaybeVersion = Annotated[
    str, Query(max_length=64, description="The version of what the page shows beside; empty: any.")
]
AnyState = Annotated[
    State | None,
    BeforeValidator(lambda value: value or None),
    Query(description="Only images in this state."),
]
Before = Annotated[int, Query(ge=0, le=LARGEST, description="Only jobs with lower numbers; 0: all.")]


def about(job: Job) -> str:
    """Return how a job is named among the deeds."""
    return f"job {job.id}, study {job.study_instance_uid or 'unknown'}"


def note_search(desk: Desk, request: Request, visitor: Visitor, words: str, found: JobList) -> None:
    """Write down that somebody looked for images, and how many were shown; not for what.

    The same search by the same person is one deed for some minutes, while it shows the same images.
    """
    kind = "by words" if words.strip() else "all"
    more = ", there are more" if found.before else ""
    detail = f"{kind}: {len(found.lines)} found{more}"
    search = (visitor.name, address_of(request), words.strip(), *(line.job for line in found.lines))
    look = sha256(repr(search).encode()).digest()  # what was searched for is not kept
    desk.looks.note(look, lambda: desk.note(request, visitor, Act.SEARCH, detail=detail), is_part=True)


def note_look(desk: Desk, request: Request, visitor: Visitor, job_id: int, *, is_part: bool = False) -> None:
    """Write down that somebody looks at an image.

    Args:
        desk: The node's.
        request: What came.
        visitor: Who looks.
        job_id: The number of the image's job.
        is_part: Whether it is a picture, or a list of them, which belongs to the look of the last minutes.

    Raises:
        NotThereError: There is no such job.
    """
    job = desk.store.job(job_id)
    if job is None:
        raise NotThereError(f"there is no job {job_id}")
    look = (visitor.name, address_of(request), job_id)
    desk.looks.note(look, lambda: desk.note(request, visitor, Act.LOOK, about(job)), is_part=is_part)


def note_and_carry_out(desk: Desk, request: Request, visitor: Visitor, view: JobView, asked: Asked) -> Job:
    """Write down what somebody asks of a job, do it, and write down how that ended.

    Raises:
        TransitionError: As in `node.web.job_orders.carry_out`.
    """
    known = {each.delivery.destination for each in view.deliveries}
    to = f"to {asked.destination}" if asked.destination in known else ""
    with desk.noting(request, visitor, ACTS[asked.order], about(view.job), to) as ending:
        try:
            return carry_out(desk.store, view.job.id, asked, desk.destinations)
        except TransitionError:  # its words may hold what somebody typed
            present = desk.store.job(view.job.id) or view.job
            ending.words = f"refused: the job is {present.state.value}"
            raise
