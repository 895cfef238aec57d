"""One image and everything that is known of it, as its page shows it and programs are told."""

from dataclasses import dataclass

from pydicom.uid import UID

from ai.measurement import Measurement, Measurements
from node.errors import NodeError
from node.jobs import Job
from node.states import State
from node.study_pictures import Line, lines_of
from node.study_reading import Reading
from node.study_view import JobView, job_view
from node.web.desk import Desk
from node.web.image_shown import ShownImages
from node.web.job_orders import Order, possible_orders, recipients_of
from node.web.waits import Wait, waits_of


@dataclass(frozen=True)
class Value:
    """A measurement, or why it was not made.

    Attributes:
        name: As in docs/measurements.md.
        value: Rounded as it is told to anybody; None: it was not computed.
        unit: UCUM; empty without a value.
        text: The value and its unit for a person, or "not computed" and why.
        remarks: What limits it, a sentence each.
    """

    name: str
    value: float | None
    unit: str
    text: str
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What was asked about the picture, and the answer in words: "yes", "no", or why it cannot be told."""

    name: str
    text: str


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Attributes:
        values: In a fixed order.
        answers: About the picture.
        notes: What was odd about the image, and what was repaired in the masks.
        missing: Why there is nothing of all this; empty: there is.
        version: Of the results; masks of another one do not belong to these values. Empty: it is not known.
    """

    values: tuple[Value, ...]
    answers: tuple[Answer, ...]
    notes: tuple[str, ...]
    missing: str
    version: str


@dataclass(frozen=True)
class Film:
    """The picture of the radiograph, which has an address of its own.

    Attributes:
        width: In pixels, 0 where there is none.
        height: Likewise.
        lines: Of what was measured, in its pixels.
        missing: Why there is none; empty: there is, unless its pixels cannot be decoded.
    """

    width: int
    height: int
    lines: tuple[Line, ...]
    missing: str


@dataclass(frozen=True)
class Sibling:
    """Another image of the same study."""

    job: int
    state: State
    sop_instance_uid: str


@dataclass(frozen=True)
class JobDetails:
    """An image.

    Attributes:
        view: Its job, timeline, results and deliveries.
        sop_class: The name of its SOP Class.
        siblings: The other images of its study, the oldest first.
        orders: What its state allows a person to ask.
        recipients: To whom results may be sent again: who was to have any, and is in the settings still.
        measured: What was measured.
        film: Its picture.
        waits: The destinations that lack results, with why and until when.
    """

    view: JobView
    sop_class: str
    siblings: tuple[Sibling, ...]
    orders: tuple[Order, ...]
    recipients: tuple[str, ...]
    measured: Measured
    film: Film
    waits: tuple[Wait, ...]


def job_details(desk: Desk, shown: ShownImages, job_id: int) -> JobDetails:
    """Return what is known of a job; what cannot be read is told in its place.

    Args:
        desk: The node's.
        shown: Gives what was measured, and how the picture is scaled.
        job_id: Which.

    Raises:
        NotThereError: There is no such job.
    """
    store, known = desk.store, desk.destinations
    view = job_view(store, job_id)
    deliveries = [each.delivery for each in view.deliveries]
    reading = _reading(shown, job_id)
    return JobDetails(
        view=view,
        sop_class=UID(view.job.sop_class_uid).name,
        siblings=tuple(_sibling(job) for job in store.study(view.job.study_instance_uid) if job.id != job_id),
        orders=possible_orders(view, known),
        recipients=recipients_of(view, known),
        measured=measured_of(reading),
        film=film_of(shown, job_id, reading),
        waits=waits_of(deliveries, desk.failures, desk.watched.clock()),
    )


def _reading(shown: ShownImages, job_id: int) -> Reading:
    try:
        return shown.reading(job_id)
    except NodeError as error:
        return Reading(missing=str(error))


def _sibling(job: Job) -> Sibling:
    return Sibling(job.id, job.state, job.sop_instance_uid)


def measured_of(reading: Reading) -> Measured:
    """Return what a report says, as it is shown."""
    answers = tuple(Answer(each.name, each.text) for each in reading.measurements.findings)
    return Measured(_values(reading.measurements), answers, reading.notes, reading.missing, reading.version)


def _values(measurements: Measurements) -> tuple[Value, ...]:
    return tuple(
        Value(each.name, each.rounded, str(each.unit), each.text, each.remarks)
        if isinstance(each, Measurement)
        else Value(each.name, None, "", each.text, ())
        for each in measurements
    )


def film_of(shown: ShownImages, job_id: int, reading: Reading) -> Film:
    """Return the picture of a job's image with the lines of a reading; why there is none in its place."""
    try:
        canvas = shown.canvas(job_id)
    except NodeError as error:
        return Film(0, 0, (), str(error))
    width, height = canvas.size
    return Film(width, height, lines_of(reading, canvas), "")
