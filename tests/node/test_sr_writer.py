"""The report as a reader of its bytes sees it; what the whole way shows is in test_pipeline.py."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import DataElement, Dataset, dcmread

from ai.labels import Code, label
from ai.measure import measure
from ai.measurement import Drawing, Measurement, Measurements, Unit
from ai.stand_in import StandInSegmenter
from node import codes
from node.conformance import violations
from node.options import OutputOptions
from node.read_results import read_measurements
from node.reader import read_radiograph
from node.report_frame import ReportFrame
from node.seg_writer import write_segmentations
from node.sr_writer import write_report

MakeDx = Callable[..., Dataset]
OPTIONS = OutputOptions()


def _through_bytes(dataset: Dataset) -> BytesIO:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return content


class Written:
    """A report on an image, its Segmentation, and what both were made of."""

    def __init__(self, dataset: Dataset, with_seg: bool = True, finds: bool = True) -> None:
        self.source = read_radiograph(_through_bytes(dataset))
        segmentation = StandInSegmenter().segment([self.source.radiograph])[0]
        self.segmentation = segmentation if finds else replace(segmentation, masks={})
        self.measurements = measure(self.source.radiograph, self.segmentation)
        segs = write_segmentations(self.source, self.segmentation, OPTIONS) if with_seg else []
        self.segs = [seg for _, seg in segs]
        self.report = self.again()

    def again(self) -> Dataset:
        made = write_report(
            ReportFrame(self.source, self.segmentation, self.segs, OPTIONS), self.measurements
        )
        return dcmread(_through_bytes(made))


@pytest.fixture(scope="module")
def written(make_dx: MakeDx) -> Written:
    return Written(make_dx())


def _content(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        yield child
        yield from _content(child)


def _named(item: Dataset, code: Code) -> list[Dataset]:
    return [child for child in _content(item) if _name(child) == (code.value, code.scheme)]


def _name(item: Dataset) -> tuple[str, str]:
    (name,) = item.get("ConceptNameCodeSequence") or [Dataset()]
    return str(name.get("CodeValue", "")), str(name.get("CodingSchemeDesignator", ""))


def _groups(report: Dataset) -> list[Dataset]:
    return _named(report, codes.MEASUREMENT_GROUP)


def _of_type(item: Dataset, value_type: str) -> list[Dataset]:
    return [child for child in _content(item) if child.ValueType == value_type]


def test_a_value_refers_to_the_segments_of_its_structures(written: Written) -> None:
    (seg,) = written.segs
    labels = {segment.SegmentNumber: segment.SegmentLabel for segment in seg.SegmentSequence}
    structures = sorted(
        (each.rounded, sorted(set(each.structures) & set(labels.values())))
        for each in written.measurements.computed
    )
    told = []
    for item in _of_type(written.report, "NUM"):
        (reference,) = _named(item, codes.SOURCE_OF_MEASUREMENT)
        (target,) = reference.ReferencedSOPSequence
        assert target.ReferencedSOPInstanceUID == seg.SOPInstanceUID
        stated = np.atleast_1d(target.ReferencedSegmentNumber)
        value = float(item.MeasuredValueSequence[0].NumericValue)
        told.append((value, sorted(labels[int(number)] for number in stated)))
    assert sorted(told) == structures != []


def test_without_a_segmentation_no_value_refers_to_one(make_dx: MakeDx) -> None:
    report = Written(make_dx(), with_seg=False).report
    assert _named(report, codes.SOURCE_OF_MEASUREMENT) == []
    assert _of_type(report, "NUM")
    assert violations(report) == []


def test_every_group_has_one_drawing_on_the_source_image_and_no_line_is_drawn_twice(
    written: Written,
) -> None:
    groups = _groups(written.report)
    drawn = []
    for group in groups:
        (scoord,) = _of_type(group, "SCOORD")
        (image,) = _of_type(scoord, "IMAGE")
        target = image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        assert target == written.source.dataset.SOPInstanceUID
        drawn.append(tuple(scoord.GraphicData))
    assert len(set(drawn)) == len(groups) > 0


def test_lines_of_a_mirrored_source_are_mirrored_back(make_dx: MakeDx, written: Written) -> None:
    mirrored = make_dx(PatientOrientation=["R", "F"])
    mirrored.PixelData = mirrored.pixel_array[:, ::-1].tobytes()
    columns = mirrored.Columns
    both = (_of_type(Written(mirrored).report, "SCOORD"), _of_type(written.report, "SCOORD"))
    for turned, usual in zip(*both, strict=True):
        points = np.reshape(usual.GraphicData, (-1, 2))
        assert np.reshape(turned.GraphicData, (-1, 2)) == pytest.approx(
            np.column_stack([columns - points[:, 0], points[:, 1]]), abs=1e-3
        )


def test_what_was_not_computed_stands_as_text_with_its_reason_and_as_no_number(make_dx: MakeDx) -> None:
    dataset = make_dx()
    del dataset.ImagerPixelSpacing
    without = Written(dataset)
    missing = without.measurements.not_computed
    assert "heart width" in {each.name for each in missing}
    texts = [item.TextValue for item in _named(without.report, codes.NOT_COMPUTED)]
    assert texts == [f"{each.name}: {each.reason}" for each in missing]
    assert _named(without.report, codes.WIDTH) == _named(without.report, codes.AREA) == []


def test_remarks_stand_in_the_qualitative_evaluations_under_their_codes(make_dx: MakeDx) -> None:
    report = Written(make_dx(ViewPosition="AP", PatientAge="007Y")).report
    (container,) = _named(report, codes.QUALITATIVE_EVALUATIONS)
    notes = [item.TextValue for item in _named(container, codes.SOURCE_NOTE)]
    assert any("child" in note for note in notes)
    assert any("AP" in item.TextValue for item in _named(container, codes.MEASUREMENT_NOTE))


def test_signs_and_counts_survive_and_have_names_of_their_own(make_dx: MakeDx) -> None:
    signed = Written(make_dx())
    line = Drawing("a line", ((10.0, 20.0), (30.0, 20.0)))
    measured = (
        Measurement("tracheal deviation", -12.34, Unit.MILLIMETRE, (line,), ("heart",)),
        Measurement("posterior ribs above the diaphragm", 9.0, Unit.COUNT, (line,), ("heart",)),
        Measurement("clavicle asymmetry", -7.1, Unit.PERCENT, (line,), ("heart",)),
    )
    signed.measurements = Measurements(measured)
    report = signed.again()
    assert violations(report) == []
    units = {
        item.ConceptNameCodeSequence[0].CodeValue: (
            float(item.MeasuredValueSequence[0].NumericValue),
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for item in _of_type(report, "NUM")
    }
    assert units == {
        "TRACHEAL-DEV": (-12.3, "mm"),
        "RIBS-POSTERIOR": (9, "{counts}"),
        "CLAVICLE-ASYM": (-7.1, "%"),
    }
    again = read_measurements(report).computed
    assert [each.text for each in again] == ["-12.3 mm", "9", "-7.1 %"]


def test_what_the_picture_shows_is_answered_with_yes_and_no_as_codes(written: Written) -> None:
    found = written.measurements.findings
    assert found
    assert {each.name for each in found} == set(codes.FINDINGS)
    for each in found:
        (item,) = _named(written.report, codes.FINDINGS[each.name])
        answer = codes.YES if each.holds else codes.NO
        assert (item.ValueType, item.ConceptCodeSequence[0].CodeValue) == ("CODE", answer.value)


def test_what_cannot_be_told_of_the_picture_stands_as_text_with_its_reason(make_dx: MakeDx) -> None:
    report = Written(make_dx(), finds=False)
    texts = [item.TextValue for item in _named(report.report, codes.FIELD)]
    assert texts == [f"{each.name}: {each.text}" for each in report.measurements.findings]


def test_a_report_on_an_image_in_which_nothing_was_found_has_no_group_and_every_reason(
    make_dx: MakeDx,
) -> None:
    empty = Written(make_dx(), finds=False)
    assert _groups(empty.report) == _of_type(empty.report, "NUM") == []
    assert len(_named(empty.report, codes.NOT_COMPUTED)) == len(empty.measurements.results)
    assert violations(empty.report) == []


def test_finding_sites_carry_the_side_of_what_was_measured(written: Written) -> None:
    areas = {
        str(site.ConceptCodeSequence[0].CodeValue): {
            child.ConceptCodeSequence[0].CodeValue for child in site.get("ContentSequence", [])
        }
        for group in _groups(written.report)
        for number in _named(group, codes.AREA)
        for site in number.ContentSequence
        if _name(site) == ("363698007", "SCT")
    }
    lung, heart = label("right lung").type.value, label("heart").type.value
    assert areas[heart] == set()
    assert areas[lung] & {codes.LEFT.value, codes.RIGHT.value}


def test_the_observer_is_a_device_with_the_model_in_its_name(written: Written) -> None:
    model = written.segmentation.model
    (name,) = [item for item in _content(written.report) if _name(item) == ("121015", "DCM")]
    assert model.id in name.TextValue
    assert model.sha256[:12] in name.TextValue
    assert written.report.VerificationFlag == "UNVERIFIED"


def test_the_private_scheme_is_identified(written: Written) -> None:
    (scheme,) = written.report.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == codes.PRIVATE_SCHEME
    assert (scheme.CodingSchemeName, scheme.CodingSchemeResponsibleOrganization) == (
        codes.SCHEME_NAME,
        codes.SCHEME_ORGANIZATION,
    )


def test_all_but_dates_and_times_is_the_same_in_two_runs(written: Written) -> None:
    first, second = written.again(), written.again()
    for dataset in (first, second):
        dataset.walk(_without_time)
    assert str(first) == str(second)


def _without_time(dataset: Dataset, element: DataElement) -> None:
    if element.VR in {"DA", "TM", "DT"}:
        element.value = ""


def test_two_images_have_one_device_and_reports_of_their_own(make_dx: MakeDx, written: Written) -> None:
    other = Written(make_dx(SOPInstanceUID="2.25.77"))
    device, others = (
        _named(each.report, Code("121012", "DCM", "Device Observer UID"))[0].UID for each in (written, other)
    )
    assert device == others
    assert written.report.SOPInstanceUID != other.report.SOPInstanceUID


def test_report_holds_the_digits_that_picture_and_terminal_show(written: Written) -> None:
    again = {each.name: each for each in read_measurements(written.report).computed}
    for measured in written.measurements.computed:
        assert again[measured.name].value == measured.rounded
        assert again[measured.name].text == measured.text


def test_remarks_of_earlier_reports_are_read_under_their_code(written: Written) -> None:
    earlier = deepcopy(written.report)
    notes = _named(earlier, codes.MEASUREMENT_NOTE)
    assert notes
    for item in notes:
        item.ConceptNameCodeSequence[0].CodeValue = codes.LIMITATION.value
    remarks = [each.remarks for each in read_measurements(written.report).computed]
    assert any(remarks)
    assert [each.remarks for each in read_measurements(earlier).computed] == remarks
