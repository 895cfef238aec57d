from collections.abc import Callable
from copy import deepcopy
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation

from ai.stand_in import StandInSegmenter
from node.conformance import check_conformance, encoded, violations
from node.errors import ResultError
from node.gate import RULES, Violation
from node.mask_encoding import RLE_HEADER
from node.options import OutputOptions
from node.pipeline import process

MakeDx = Callable[..., Dataset]
Break = Callable[[Dataset], object]

ITEM_HEADER = 8
"""Bytes of an item's tag and length in encapsulated Pixel Data (PS3.5 A.4)."""


EVERYTHING = OutputOptions(
    orientation_shim=True, structure_report=True, presentation_state=True, secondary_capture=True
)


@pytest.fixture(scope="module")
def results(make_dx: MakeDx) -> dict[str, Dataset]:
    """One object of every kind, by kind; "MAP" is a label map and "BYTES" a fractional Segmentation."""
    found: dict[str, Dataset] = {}
    for name, options in (
        ("", EVERYTHING),
        ("MAP", OutputOptions(seg="labelmap", report="none")),
        ("BYTES", OutputOptions(seg="fractional", report="none")),
    ):
        content = BytesIO()
        make_dx().save_as(content, enforce_file_format=True)
        content.seek(0)
        for result in process(content, StandInSegmenter(), options).results:
            found.setdefault(name or result.kind, result.dataset)
    return found


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


def _drop_first_drawing(report: Dataset) -> None:
    groups = [item for item in _items(report, "CONTAINER") if _items(item, "SCOORD")]
    first = groups[-1]  # the outermost containers come first
    first.ContentSequence = [item for item in first.ContentSequence if item.ValueType != "SCOORD"]


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


def _swap_pixels(seg: Dataset, before: int, after: int) -> None:
    """Give every pixel of one value in our coder's first frame another one."""
    start = seg.PixelData.index(RLE_HEADER) + len(RLE_HEADER)
    end = seg.PixelData.find(RLE_HEADER, start) - ITEM_HEADER if seg.NumberOfFrames > 1 else None
    body = np.frombuffer(seg.PixelData[start:end], np.uint8).copy()
    values = body[1::2]
    values[values == before] = after
    rest = seg.PixelData[end:] if end is not None else b""
    seg.PixelData = seg.PixelData[:start] + body.tobytes() + rest


def _literal_run(seg: Dataset) -> None:
    """Let the first run of our coder be a literal one of six bytes, as another coder may write it."""
    start = seg.PixelData.index(RLE_HEADER) + len(RLE_HEADER)
    seg.PixelData = seg.PixelData[:start] + b"\x05" + seg.PixelData[start + 1 :]


def _outside(group: Dataset) -> None:
    group.GraphicAnnotationSequence[0].GraphicObjectSequence[0].GraphicData[0] = -1.0


def _self_made(report: Dataset) -> None:
    study, series, sop = Dataset(), Dataset(), Dataset()
    sop.ReferencedSOPInstanceUID = report.SOPInstanceUID
    series.ReferencedSOPSequence = [sop]
    study.ReferencedSeriesSequence = [series]
    report.PredecessorDocumentsSequence = [study]


def _rectangle(report: Dataset) -> None:
    line = _items(report, "SCOORD")[0]
    line.GraphicData = [1.0] * 8


def _negative(report: Dataset) -> None:
    _items(report, "SCOORD")[0].GraphicData[0] = -0.5


def _background(seg: Dataset) -> None:
    seg.SegmentSequence[0].SegmentNumber = 0


BROKEN: list[tuple[str, Break, str]] = [
    ("SEG", _set("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"), "GEN-CLASS SOP Class"),
    ("SEG", _delete("Manufacturer"), "GEN-TYPE-1 Manufacturer is missing"),
    ("SEG", _delete("AccessionNumber"), "GEN-TYPE-2 AccessionNumber is missing"),
    ("SEG", _set("SOPInstanceUID", "1.2.x"), "GEN-UID SOPInstanceUID is no valid UID"),
    ("SEG", _set("SOPInstanceUID", "1.2.3"), "GEN-META the file meta information names another"),
    (
        "SEG",
        lambda d: delattr(d.file_meta, "TransferSyntaxUID"),
        "GEN-META the file meta",
    ),
    ("SEG", lambda d: _relabel(d, "x" * 65), "GEN-VALUE SegmentLabel does not fit LO"),
    ("SR", _delete("CodingSchemeIdentificationSequence"), "GEN-SCHEME 99PAXNODE"),
    (
        "SEG",
        lambda d: setattr(d.SegmentSequence[0].SegmentedPropertyTypeCodeSequence[0], "CodeMeaning", ""),
        "GEN-CODE code",
    ),
    ("SEG", _delete("ReferencedSeriesSequence"), "ReferencedSeriesSequence is missing"),
    ("SEG", lambda d: setattr(d.SegmentSequence[0], "SegmentNumber", 9), "SEG-NUMBERS"),
    ("SEG", lambda d: delattr(d.SegmentSequence[0], "TrackingUID"), "segment 1: TrackingUID"),
    ("SEG", _set("NumberOfFrames", 3), "SEG-FRAMES Number of Frames 3 differs"),
    ("SEG", lambda d: d.SegmentSequence.pop(), "SEG-FRAMES segments and frames do not correspond"),
    (
        "SEG",
        lambda d: delattr(d.PerFrameFunctionalGroupsSequence[0], "DerivationImageSequence"),
        "SEG-SOURCE",
    ),
    ("SEG", _odd_size, "SEG-ALIGNED"),
    ("SEG", lambda d: setattr(d, "PixelData", d.PixelData[:-2]), "SEG-LENGTH Pixel Data has"),
    ("BYTES", _set("NumberOfFrames", 3), "SEG-LENGTH Pixel Data holds"),
    ("BYTES", _set("Rows", 3), "SEG-LENGTH frame 1 holds"),
    ("BYTES", _literal_run, "SEG-LENGTH frame 1: this is no frame of our coder"),
    ("SEG", _empty_frame, "SEG-EMPTY frame 1 is empty"),
    ("BYTES", lambda d: _swap_pixels(d, 255, 0), "SEG-EMPTY frame"),
    ("BYTES", _set("BitsAllocated", 1), "SEG-ENCAPSULATED"),
    ("SEG", _oblique, "SEG-ORIENTATION"),
    ("SEG", _set("FrameOfReferenceUID", "1.2.3"), "SEG-ORIENTATION"),
    ("SEG", _delete("SegmentsOverlap"), "SEG-OVERLAP"),
    ("MAP", _set("SegmentsOverlap", "YES"), "SEG-OVERLAP"),
    ("MAP", _background, "SEG-BACKGROUND"),
    ("MAP", lambda d: _swap_pixels(d, 1, 200), "SEG-PIXELS"),
    ("SR", _set("VerificationFlag", "VERIFIED"), "SR-VERIFIED"),
    ("SR", _drop_drawings, "SR-DRAWING"),
    ("SR", _drop_first_drawing, "SR-DRAWING a measurement group has no drawing, and others have"),
    ("SR", _rectangle, "SR-RECTANGLE"),
    ("SR", _negative, "SR-BOUNDS"),
    ("SR", lambda d: delattr(_items(d, "NUM")[0], "MeasuredValueSequence"), "SR-VALUE"),
    ("SR", lambda d: setattr(_items(d, "TEXT")[0], "TextValue", ""), "TextValue is missing"),
    ("SR", _other_image, "SR-EVIDENCE"),
    ("SR", _frame_and_segment, "SR-REFERENCE"),
    ("SR", _self_made, "SR-PREDECESSOR"),
    ("SR structures", _other_image, "SR-EVIDENCE"),
    ("PR", lambda d: d.ReferencedSeriesSequence[0].ReferencedImageSequence.clear(), "PR-REFERENCE 0 images"),
    ("PR", lambda d: d.GraphicLayerSequence.pop(0), "PR-LAYER"),
    ("PR", _outside, "PR-GRAPHIC a graphic reaches beyond"),
    ("PR", _set("PresentationLUTShape", "LIN OD"), "PR-GRAYSCALE"),
    ("SC", lambda d: setattr(d, "PixelData", d.PixelData[:-2]), "SC-PIXELS Pixel Data has"),
    ("SC", lambda d: setattr(d, "PixelData", bytes(len(d.PixelData))), "SC-PIXELS every pixel"),
    ("SC", lambda d: delattr(d.SourceImageSequence[0], "ReferencedSOPInstanceUID"), "SC-SOURCE"),
    ("SC", _set("ImageType", ["ORIGINAL", "PRIMARY"]), "SC-MARK Image Type"),
    ("SC", _set("PixelSpacing", [1, 1]), "SC-MARK a pixel spacing"),
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


def test_what_cannot_be_encoded_does_not_leave(results: dict[str, Dataset]) -> None:
    broken = deepcopy(results["SEG"])
    broken.add_new(0x00280011, "US", 70_000)
    with pytest.raises(ResultError, match="GEN-ENCODE it cannot be encoded"):
        encoded(broken)


def test_every_rule_is_broken_once() -> None:
    told = " ".join([*(sentence for _, _, sentence in BROKEN), "GEN-ENCODE"])
    assert [code for code in RULES if code not in told] == []


def test_a_violation_has_a_code_that_is_known() -> None:
    with pytest.raises(ValueError, match="SEG-NONSENSE"):
        Violation("SEG-NONSENSE", "no such rule")


def test_every_code_is_told_where_much_is_wrong(results: dict[str, Dataset]) -> None:
    broken = deepcopy(results["SEG"])
    for frame in broken.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence
    for segment in broken.SegmentSequence:
        segment.SegmentedPropertyTypeCodeSequence[0].CodeMeaning = ""
    with pytest.raises(ResultError, match=r"SEG-SOURCE .*; also GEN-CODE, GEN-CODE"):
        check_conformance(broken)


@pytest.mark.parametrize("kind", ["SEG", "MAP", "BYTES", "SR", "SR structures", "PR", "SC"])
def test_a_right_result_leaves(results: dict[str, Dataset], kind: str) -> None:
    check_conformance(results[kind])
