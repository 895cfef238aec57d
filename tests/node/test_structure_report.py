"""The second report: no number of a structure on which nothing would be measured."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset

from ai.labels import Code
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from ai.uncertainty import Trust
from node import codes
from node.options import OutputOptions
from node.reader import Source, read_radiograph
from node.report_frame import ReportFrame
from node.seg_writer import write_segmentations
from node.structure_report import write_structure_report

MakeDx = Callable[..., Dataset]


@pytest.fixture
def source(make_dx: MakeDx) -> Source:
    content = BytesIO()
    make_dx(ImagerPixelSpacing=[1.5, 1.5]).save_as(content, enforce_file_format=True)
    content.seek(0)
    return read_radiograph(content)


@pytest.fixture
def found(source: Source) -> Segmentation:
    return StandInSegmenter().segment([source.radiograph])[0]


def _report(source: Source, found: Segmentation) -> Dataset:
    segs = [seg for _, seg in write_segmentations(source, found, OutputOptions())]
    return write_structure_report(ReportFrame(source, found, segs, OutputOptions()))


def _content(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", ()):
        yield child
        yield from _content(child)


def _numbers(report: Dataset, code: Code) -> dict[str, float]:
    """Return the values of one concept by the structure whose group they stand in."""
    told = {}
    for group in _content(report):
        name = [each.TextValue for each in group.get("ContentSequence", ()) if "TextValue" in each]
        for each in group.get("ContentSequence", ()):
            if each.ValueType == "NUM" and each.ConceptNameCodeSequence[0].CodeValue == code.value:
                told[name[0]] = float(each.MeasuredValueSequence[0].NumericValue)
    return told


def _reasons(report: Dataset) -> list[str]:
    return [
        each.TextValue
        for each in _content(report)
        if each.ValueType == "TEXT" and each.ConceptNameCodeSequence[0].CodeValue == codes.NOT_COMPUTED.value
    ]


def test_areas_are_those_of_the_masks(source: Source, found: Segmentation) -> None:
    told = _numbers(_report(source, found), codes.AREA)
    for name in ("heart", "visible lung right"):
        assert told[name] == pytest.approx(found.masks[name].area * 0.0225, abs=0.06)


def test_a_structure_that_is_not_trusted_keeps_its_probability_and_gets_no_area(
    source: Source, found: Segmentation
) -> None:
    doubted = replace(found, trust={"heart": Trust(0.31, 0.85), "visible lung left": Trust(0.9, 0.9)})
    report = _report(source, doubted)
    assert _numbers(report, codes.TRUST) == {"heart": 0.31, "visible lung left": 0.9}
    areas = _numbers(report, codes.AREA)
    assert "heart" not in areas
    assert "visible lung left" in areas
    assert any(reason.startswith("area of heart: heart cannot be told") for reason in _reasons(report))


def test_a_spacing_that_makes_no_adult_gives_no_area_at_all_and_says_so_once(
    make_dx: MakeDx, found: Segmentation
) -> None:
    content = BytesIO()
    make_dx(ImagerPixelSpacing=[3.9, 3.9]).save_as(content, enforce_file_format=True)
    content.seek(0)
    report = _report(read_radiograph(content), found)
    assert _numbers(report, codes.AREA) == {}
    about_the_thorax = [reason for reason in _reasons(report) if "mm wide" in reason]
    assert len(about_the_thorax) == 1


def test_a_doubt_about_the_sides_leaves_no_area(source: Source, found: Segmentation) -> None:
    doubt = "left and right may be exchanged (probability 0.85)"
    doubtful = replace(source, radiograph=replace(source.radiograph, why_unmeasured=doubt))
    report = _report(doubtful, found)
    assert _numbers(report, codes.AREA) == {}
    assert _reasons(report) == [f"area: {doubt}"]
