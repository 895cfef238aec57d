from collections.abc import Callable
from copy import deepcopy
from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation

from ai.stand_in import StandInSegmenter
from node.conformance import check_conformance, violations
from node.errors import ResultError
from node.options import OutputOptions
from node.pipeline import process

MakeDx = Callable[..., Dataset]
Break = Callable[[Dataset], object]


@pytest.fixture(scope="module")
def results(make_dx: MakeDx) -> dict[str, Dataset]:
    content = BytesIO()
    make_dx().save_as(content, enforce_file_format=True)
    content.seek(0)
    processed = process(content, StandInSegmenter(), OutputOptions(orientation_shim=True))
    return {result.kind: result.dataset for result in processed.results}


def _set(keyword: str, value: object) -> Break:
    return lambda dataset: setattr(dataset, keyword, value)


def _delete(keyword: str) -> Break:
    return lambda dataset: delattr(dataset, keyword)


def _items(dataset: Dataset, value_type: str) -> list[Dataset]:
    found = []
    for item in dataset.get("ContentSequence", []):
        found += [item] if item.ValueType == value_type else []
        found += _items(item, value_type)
    return found


def _drop_drawings(report: Dataset) -> None:
    for group in _items(report, "CONTAINER"):
        group.ContentSequence = [item for item in group.ContentSequence if item.ValueType != "SCOORD"]


def _frame_and_segment(report: Dataset) -> None:
    _items(report, "IMAGE")[0].ReferencedSOPSequence[0].ReferencedFrameNumber = 1
    _items(report, "IMAGE")[0].ReferencedSOPSequence[0].ReferencedSegmentNumber = 1


def _other_image(report: Dataset) -> None:
    _items(report, "IMAGE")[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID = "1.2.3"


def _empty_frame(seg: Dataset) -> None:
    frame = seg.Rows * seg.Columns // 8
    seg.PixelData = bytes(frame) + seg.PixelData[frame:]


def _odd_size(seg: Dataset) -> None:
    seg.Rows, seg.Columns = 251, 223


def _oblique(seg: Dataset) -> None:
    orientation = seg.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


def _relabel(seg: Dataset, label: str) -> None:
    with disable_value_validation():
        seg.SegmentSequence[0].SegmentLabel = label


BROKEN: list[tuple[str, Break, str]] = [
    ("SEG", _delete("Manufacturer"), "Manufacturer is missing"),
    ("SEG", _delete("AccessionNumber"), "AccessionNumber is missing"),
    ("SEG", _set("SOPInstanceUID", "1.2.x"), "SOPInstanceUID is no valid UID"),
    ("SEG", _set("SOPInstanceUID", "1.2.3"), "names another SOP Instance UID"),
    ("SEG", lambda d: delattr(d.file_meta, "TransferSyntaxUID"), "names no transfer syntax"),
    ("SEG", _set("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"), "GEN-CLASS"),
    ("SEG", _delete("ReferencedSeriesSequence"), "ReferencedSeriesSequence is missing"),
    ("SEG", lambda d: setattr(d.SegmentSequence[0], "SegmentNumber", 9), "do not run from 1"),
    ("SEG", lambda d: _relabel(d, "x" * 65), "GEN-VALUE SegmentLabel does not fit LO"),
    ("SEG", lambda d: delattr(d.SegmentSequence[0], "TrackingUID"), "segment 1: TrackingUID"),
    (
        "SEG",
        lambda d: setattr(d.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0], "CodeMeaning", ""),
        "GEN-CODE code",
    ),
    ("SEG", _set("NumberOfFrames", 3), "Number of Frames 3 differs"),
    ("SEG", lambda d: d.SegmentSequence.pop(), "segments and frames do not correspond"),
    (
        "SEG",
        lambda d: delattr(d.PerFrameFunctionalGroupsSequence[0], "DerivationImageSequence"),
        "does not name its source image",
    ),
    ("SEG", _odd_size, "do not begin with a byte"),
    ("SEG", lambda d: setattr(d, "PixelData", d.PixelData[:-2]), "bytes, "),
    ("SEG", _empty_frame, "frame 1 is empty"),
    ("SEG", _oblique, "an orientation in space is stated"),
    ("SR", _set("VerificationFlag", "VERIFIED"), "nobody has verified it"),
    ("SR", _drop_drawings, "no drawing"),
    ("SR", lambda d: delattr(_items(d, "NUM")[0], "MeasuredValueSequence"), "NumericValue is missing"),
    ("SR", lambda d: setattr(_items(d, "TEXT")[0], "TextValue", ""), "TextValue is missing"),
    ("SR", _other_image, "not in the evidence"),
    ("SR", _frame_and_segment, "a frame and a segment at once"),
]


@pytest.mark.parametrize(("kind", "break_it", "sentence"), BROKEN)
def test_a_broken_result_is_told_and_does_not_leave(
    results: dict[str, Dataset], kind: str, break_it: Break, sentence: str
) -> None:
    broken = deepcopy(results[kind])
    break_it(broken)
    assert any(sentence in str(found) for found in violations(broken)), violations(broken)
    with pytest.raises(ResultError, match="does not conform"):
        check_conformance(broken)


@pytest.mark.parametrize("kind", ["SEG", "SR"])
def test_a_right_result_leaves(results: dict[str, Dataset], kind: str) -> None:
    check_conformance(results[kind])
