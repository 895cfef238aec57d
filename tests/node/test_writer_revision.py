"""Whoever changes what is read, measured or written raises WRITER_REVISION: results get other UIDs."""

import hashlib
import re
from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
import pytest
from pydicom import DataElement, Dataset

from ai.measure import measure
from ai.measurement import Drawing, Finding, Measurement, Measurements, NotComputed, Unit
from ai.segmentation import Mask, ModelIdentity, Segmentation
from ai.stand_in import StandInSegmenter
from node.options import WRITER_REVISION, OutputOptions
from node.presentation_state import write_presentation_state
from node.reader import read_radiograph
from node.report_frame import ReportFrame
from node.result_header import software_version
from node.secondary_capture import write_secondary_capture
from node.seg_writer import write_segmentations
from node.sr_writer import write_report
from node.structure_report import write_structure_report

MakeDx = Callable[..., Dataset]

GOLDEN = {
    7: {"SEG": "5bdaa56ca56a70a3", "SR": "34004c7b28ae05f4"},
    8: {
        "SEG": "bab974ef0a0c9163",
        "SR": "ab5cedd50bf7533c",
        "SR structures": "f897ec9cc649b3e8",
        "PR": "cc9feb2460341e24",
        "SC": "ae1b9853c5777e6a",
    },
    9: {
        "SEG": "bab974ef0a0c9163",
        "SR": "8c5afbcf989fda7b",
        "SR structures": "70753942bc0126cb",
        "PR": "cc9feb2460341e24",
        "SC": "ae1b9853c5777e6a",
    },
    10: {
        "SEG": "bab974ef0a0c9163",
        "SR": "8c5afbcf989fda7b",
        "SR structures": "70753942bc0126cb",
        "PR": "cc9feb2460341e24",
        "SC": "ae1b9853c5777e6a",
    },
    11: {
        "SEG": "bab974ef0a0c9163",
        "SR": "8c5afbcf989fda7b",
        "SR structures": "c2e5d6d1edbb317f",
        "PR": "259ab6a817adbadd",
        "SC": "ae1b9853c5777e6a",
        "read": "f3306bfc69743ef2",
        "measured": "6c65b5189333399e",
    },
}
"""By revision, the digests of what is written for the input below. A new revision gets a new line here."""

DICOM_UID = re.compile(r"1\.2\.840\.10008\.[0-9.]+")  # of the Standard: says what something is
MOMENTS = frozenset({"DA", "TM", "DT"})


def _written(make_dx: MakeDx) -> dict[str, Dataset]:
    """Return what the writers make of a few boxes and values that no model and no measure has a hand in."""
    content = BytesIO()
    make_dx().save_as(content, enforce_file_format=True)
    content.seek(0)
    source = read_radiograph(content)
    box = np.ones((40, 30), np.bool_)
    masks = {"heart": Mask(box, 50, 60), "aorta": Mask(box, 20, 70), "visible lung right": Mask(box, 30, 10)}
    shape = (source.radiograph.rows, source.radiograph.columns)
    model = ModelIdentity("golden", "1", "0" * 64)
    found = Segmentation(shape, masks, model, repairs=("heart: a hole was closed",))
    line = Drawing("heart width", ((60.0, 70.0), (90.0, 70.0)))
    outline = Drawing("outline of heart", ((60.0, 50.0), (90.0, 50.0), (90.0, 90.0)), closed=True)
    values = Measurements(
        (
            Measurement("heart width", 12.34, Unit.MILLIMETRE, (line,), ("heart",), ("a remark",)),
            Measurement("heart area", 1.26, Unit.SQUARE_CENTIMETRE, (outline,), ("heart",)),
            NotComputed("spine angle", "a reason"),
        ),
        (
            Finding("left apex inside the picture", True),
            Finding("right side inside the picture", None, "why"),
        ),
    )
    options = OutputOptions()
    ((_, seg),) = write_segmentations(source, found, options)
    frame = ReportFrame(source, found, [seg], options)
    shown = (source, found, values, options)
    capture = write_secondary_capture(*shown)
    del capture.PixelData  # letters look otherwise with another version of Pillow
    return {
        "SEG": seg,
        "SR": write_report(frame, values),
        "SR structures": write_structure_report(frame),
        "PR": write_presentation_state(*shown),
        "SC": capture,
    }


def _read_and_measured(make_dx: MakeDx) -> dict[str, str]:
    """Return digests of what is read of a source, and of what is measured on masks that no model made.

    Numbers are compared as they are told to people: the last bits are the processor's.
    """
    content = BytesIO()
    make_dx(ViewPosition="AP", ImagerPixelSpacing=[1.4, 1.4]).save_as(content, enforce_file_format=True)
    content.seek(0)
    film = read_radiograph(content).radiograph
    values = np.round(film.pixels[::16, ::16], 2).tolist()
    found = StandInSegmenter().segment([film])[0]
    told = measure(film, found)
    results = [(each.name, each.text, each.remarks if isinstance(each, Measurement) else ()) for each in told]
    answers = [(each.name, each.text) for each in told.findings]
    return {
        "read": _short(f"{values} {film.spacing} {film.view} {film.notes} {film.why_no_spacing}"),
        "measured": _short(f"{results} {answers}"),
    }


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lines(dataset: Dataset, depth: int = 0) -> Iterator[str]:
    for element in dataset:
        if element.VR == "SQ":
            yield f"{depth} {element.tag}"
            for item in element.value:
                yield f"{depth} item"
                yield from _lines(item, depth + 1)
        else:
            yield f"{depth} {element.tag} {_lasting(element)}"


def _lasting(element: DataElement) -> str:
    """Return a value without what differs from day to day, from image to image or between versions."""
    values = element.value if element.VM > 1 else [element.value]
    if element.VR in MOMENTS:
        return "a moment"
    if element.VR == "UI":
        return " ".join(uid if DICOM_UID.fullmatch(str(uid)) else "a uid" for uid in map(str, values))
    if isinstance(element.value, bytes):
        return hashlib.sha256(element.value).hexdigest()
    return str(element.value).replace(software_version(), "a version")


def _digest(dataset: Dataset) -> str:
    return _short("\n".join(_lines(dataset)))


def test_writers_write_what_their_revision_wrote(make_dx: MakeDx) -> None:
    found = {kind: _digest(dataset) for kind, dataset in _written(make_dx).items()}
    found |= _read_and_measured(make_dx)
    assert found == GOLDEN.get(WRITER_REVISION), (
        "what is read, measured or written has changed: raise WRITER_REVISION in node/options.py and add "
        "its digests to GOLDEN"
    )


@pytest.mark.parametrize("kind", ["SEG", "SR", "SR structures", "PR", "SC"])
def test_digest_notices_a_change_and_not_another_day(make_dx: MakeDx, kind: str) -> None:
    made, again = _written(make_dx)[kind], _written(make_dx)[kind]
    again.InstanceCreationDate, again.SOPInstanceUID = "19000101", "2.25.1"
    assert _digest(made) == _digest(again)
    again.SeriesDescription = "changed"
    assert _digest(made) != _digest(again)
