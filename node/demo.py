"""The demonstration: a radiograph goes through a node on this machine, and what an archive received is shown.

Everything is real: the node, its database, the archive, the C-STORE on loopback ports. What is printed and
drawn is read from the objects that the archive received.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import Image
from pydicom import dcmread
from pydicom.errors import BytesLengthException, InvalidDicomError
from rich.console import Console

from ai.measure import measure
from ai.measurement import Measurement, Measurements
from ai.overlay import draw_overlay
from config.settings import Destination, load_settings
from node.appearance import Examiner, examiner_of
from node.archive import Archive
from node.assembly import build_node
from node.attributes import CONVERSION_ERRORS
from node.demo_report import print_measurements, print_segments, print_times
from node.errors import DeliveryError, UndecodableError
from node.job_store import JobStore
from node.jobs import Job
from node.logs import configure_logs
from node.model import load_segmenter
from node.outcome import Verdict
from node.read_results import Received, read_results
from node.reader import read_radiograph
from node.segment_files import PREFIX
from node.stage_times import StageTimes
from node.states import PUT_ASIDE, State
from node.transport import DimseTransport, Outgoing

SAMPLE = Path(__file__).parent / "sample" / "radiograph.dcm"
"""Projected from a CT; the README beside it tells which one, and its licence."""

DEADLINE_S = 180.0
"""The longest that the demonstration waits for the results; a laptop needs a tenth of it."""

ENDED = frozenset({State.DONE, *PUT_ASIDE})
LOOPBACK = "127.0.0.1"
POLL_S = 0.05

SETTINGS = """\
# The settings of this demonstration; docs/configuration.md has all there are.
[web]
enabled = false

[node]
host = {host}
port = 0
data_dir = {data_dir}
disk_reserve_mb = 100

[model]
bundle = {bundle}

[delivery]
first_retry_s = 1.0

[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = {host}
port = {port}
"""


@dataclass(frozen=True)
class Running:
    """A running node with an archive as its only destination.

    Attributes:
        node: Where to send to.
        store: The node's jobs.
        archive: What receives its results.
        profile: Times of the network's stages.
        examiner: What looks at pictures first; None where the bundle holds no judge.
    """

    node: Destination
    store: JobStore
    archive: Archive
    times: StageTimes
    examiner: Examiner | None


def run_demo(radiograph: Path | None, folder: Path, bundle: str = "") -> bool:
    """Send a radiograph through a node and print what came back; return whether results came.

    Args:
        radiograph: A DICOM file; None takes the sample that is installed with the node.
        folder: Everything is written into a new folder in it, named by the time.
        bundle: Model bundle, as in the settings; empty: the default one.

    Raises:
        UndecodableError: The file is no DICOM file.
        DeliveryError: The node did not take it.
    """
    console = Console()
    image = radiograph or SAMPLE
    folder = (folder / datetime.now().strftime("%Y-%m-%d-%H%M%S")).resolve()
    uid = _uid_of(image)
    with running_node(folder, bundle) as running:
        console.rule("paxnode demonstration: for research only")
        console.print(f"node      PAXNODE on {LOOPBACK}:{running.node.port}", highlight=False)
        console.print(f"archive   ARCHIVE on {LOOPBACK}:{running.archive.port}", highlight=False)
        console.print(f"C-STORE   {image}: {_send(running, image, uid)}", highlight=False, soft_wrap=True)
        with console.status("the node is working"):
            job = _wait(running.store)
        if job.state is not State.DONE:
            _explain(console, job)
            return False
        _show(console, image, running, job, folder)
    return True


@contextmanager
def running_node(folder: Path, bundle: str = "") -> Iterator[Running]:
    """Start an archive and a node that sends to it, both on free loopback ports, and stop them at the end.

    Args:
        folder: Where the settings, the log, the node's data and the archive's files go; made if missing.
        bundle: Model bundle, as in the settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "node.log").open("w", encoding="utf-8") as log, Archive(folder / "archive") as archive:
        configure_logs("INFO", "json", log)
        path = folder / "node.toml"
        values = {"host": LOOPBACK, "data_dir": str(folder / "data"), "bundle": bundle, "port": archive.port}
        text = SETTINGS.format(**{key: json.dumps(value) for key, value in values.items()})
        path.write_text(text, encoding="utf-8")
        settings = load_settings(path)
        times = StageTimes()
        segmenter = load_segmenter(settings.model, times.observe)
        examiner = examiner_of(segmenter, settings.appearance)
        node = build_node(settings, segmenter)
        node.start()
        try:
            ae_title = settings.node.ae_title
            address = Destination(name="node", ae_title=ae_title, host=LOOPBACK, port=node.port)
            yield Running(address, JobStore(node.engine), archive, times, examiner)
        finally:
            node.stop()


def _uid_of(image: Path) -> str:
    try:
        return str(dcmread(image, stop_before_pixels=True, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)
    except InvalidDicomError as error:
        why = f"bytes 129 to 132 of a DICOM file are {PREFIX.decode()!r}, and of this one they are not"
        raise UndecodableError(f"{image} is not a DICOM file: {why}") from error
    except (*CONVERSION_ERRORS, BytesLengthException) as error:
        why = "its SOP Instance UID (0008,0018) is missing or cannot be read"
        raise UndecodableError(f"{image} is not a DICOM file that can be sent: {why}") from error
    except OSError as error:
        raise UndecodableError(f"{image} cannot be read: {error.strerror}") from error


def _send(running: Running, image: Path, uid: str) -> str:
    outcomes = DimseTransport("DEMO").send(running.node, [Outgoing(uid, image)])
    outcome = next(iter(outcomes))
    if outcome.verdict is not Verdict.STORED:
        raise DeliveryError(f"the node did not take {image}: {outcome.reason}")
    return outcome.reason


def _wait(store: JobStore) -> Job:
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        job = store.jobs(limit=1)[0]
        if job.state in ENDED:
            return job
        time.sleep(POLL_S)
    return job


def _explain(console: Console, job: Job) -> None:
    words = {
        State.REFUSED: "The node refused the image",
        State.QUARANTINED: "The node put the image into quarantine",
        State.FAILED: "The node failed",
    }.get(job.state, f"No result within {DEADLINE_S:g} s; the job is {job.state}")
    console.print(f"[bold red]{words}[/]: ", end="", soft_wrap=True)
    console.print(job.reason or "see node.log", markup=False, highlight=False, soft_wrap=True)


def _show(console: Console, image: Path, running: Running, job: Job, folder: Path) -> None:
    files = sorted((folder / "archive").glob("*.dcm"))
    received = read_results(files)
    picture = folder / "overlay.png"
    _draw(image, received, picture, running.examiner)
    print_segments(console, received)
    print_measurements(console, received)
    print_times(console, running.store.history(job.id), job.created_at, running.times)
    for file in files:
        console.print(f"received  {_shown(file)}", highlight=False, soft_wrap=True)
    console.print(f"[bold]picture   {_shown(picture)}[/]", highlight=False, soft_wrap=True)


def _shown(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _draw(image: Path, received: Received, picture: Path, examiner: Examiner | None) -> None:
    """Draw what was received: its masks, and the lines that measuring them again gives."""
    source = read_radiograph(image, guess_polarity=examiner is None)
    source = source if examiner is None else examiner.examine(source)
    segmentation = received.segmentation(source.orientation)
    again = measure(source.radiograph, segmentation)
    shown = (again[r.name] if isinstance(r, Measurement) else r for r in received.measurements)
    overlay = draw_overlay(source.radiograph, segmentation, Measurements(tuple(shown)))
    Image.fromarray(overlay).save(picture)
