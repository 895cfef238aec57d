"""The Segmentation as a reader of its bytes sees it; what the whole way shows is in test_pipeline.py."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from ai.labels import Code, label
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from node.encoding import file_bytes
from node.implicit_vr import to_implicit_vr
from node.options import OutputOptions
from node.reader import Source, read_radiograph
from node.seg_writer import write_segmentations

MakeDx = Callable[..., Dataset]
Found = tuple[Source, Segmentation]
RIGHT, LEFT = "24028007", "7771000"
ORIENTATIONS = [
    ["L", "F"],
    ["R", "F"],
    ["L", "H"],
    ["R", "H"],
    ["F", "L"],
    ["F", "R"],
    ["H", "L"],
    ["H", "R"],
]


def _through_bytes(dataset: Dataset) -> BytesIO:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return content


def _found(dataset: Dataset) -> Found:
    source = read_radiograph(_through_bytes(dataset))
    return source, StandInSegmenter().segment([source.radiograph])[0]


def _seg(found: Found, options: OutputOptions | None = None) -> Dataset:
    ((_, seg),) = write_segmentations(*found, options or OutputOptions(orientation_shim=True))
    return dcmread(_through_bytes(seg))


def _only(found: Found, names: Iterable[str]) -> Found:
    source, segmentation = found
    return source, replace(segmentation, masks={name: segmentation.masks[name] for name in names})


@pytest.fixture(scope="module")
def found(make_dx: MakeDx) -> Found:
    return _found(make_dx(rows=128, columns=96))


@pytest.fixture(scope="module")
def seg(found: Found) -> Dataset:
    return _seg(found)


def test_what_segmentations_share_is_not_changed_by_writing_one(found: Found) -> None:
    ((_, seg),) = write_segmentations(*found, OutputOptions())
    before = str(seg.SegmentSequence)
    to_implicit_vr(dcmread(BytesIO(file_bytes(seg))))
    seg.save_as(BytesIO(), enforce_file_format=True)
    ((_, again),) = write_segmentations(*found, OutputOptions())
    assert (str(seg.SegmentSequence), str(again.SegmentSequence)) == (before, before)


def _codes(items: Iterable[Dataset]) -> list[Code]:
    return [Code(item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning) for item in items]


def test_each_segment_has_the_codes_of_the_label_table(seg: Dataset) -> None:
    for segment in seg.SegmentSequence:
        row = label(segment.SegmentLabel)
        (property_type,) = segment.SegmentedPropertyTypeCodeSequence
        assert _codes(segment.SegmentedPropertyCategoryCodeSequence) == [row.category]
        assert _codes([property_type]) == [row.type]
        modifiers = property_type.get("SegmentedPropertyTypeModifierCodeSequence", [])
        assert _codes(modifiers) == list(row.modifiers)


@pytest.mark.parametrize(("name", "side"), [("right lung", RIGHT), ("left lung", LEFT), ("heart", None)])
def test_a_paired_structure_carries_its_side_and_a_single_one_none(
    seg: Dataset, name: str, side: str | None
) -> None:
    (segment,) = [each for each in seg.SegmentSequence if each.SegmentLabel == name]
    modifiers = segment.SegmentedPropertyTypeCodeSequence[0].get(
        "SegmentedPropertyTypeModifierCodeSequence", []
    )
    assert [code.CodeValue for code in modifiers if code.CodeValue in {RIGHT, LEFT}] == [side] * bool(side)


def test_frames_and_segments_correspond_one_to_one(seg: Dataset) -> None:
    numbers = list(range(1, len(seg.SegmentSequence) + 1))
    frames = seg.PerFrameFunctionalGroupsSequence
    assert [segment.SegmentNumber for segment in seg.SegmentSequence] == numbers
    assert [frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber for frame in frames] == numbers
    assert [frame.FrameContentSequence[0].DimensionIndexValues for frame in frames] == numbers


def test_every_frame_names_its_source_image(found: Found, seg: Dataset) -> None:
    dataset = found[0].dataset
    for frame in seg.PerFrameFunctionalGroupsSequence:
        (image,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert image.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
        assert image.SpatialLocationsPreserved == "YES"
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == dataset.SeriesInstanceUID


def test_tracking_uids_are_stable_between_runs_and_differ_between_images(
    make_dx: MakeDx, found: Found, seg: Dataset
) -> None:
    def uids(dataset: Dataset) -> list[str]:
        return [segment.TrackingUID for segment in dataset.SegmentSequence]

    assert uids(_seg(found)) == uids(seg)
    assert not set(uids(_seg(_found(make_dx(rows=128, columns=96))))) & set(uids(seg))


@pytest.mark.parametrize("lies", ORIENTATIONS, ids="".join)
def test_masks_lie_on_the_stored_grid_however_the_source_lies(
    make_dx: MakeDx, found: Found, seg: Dataset, lies: list[str]
) -> None:
    orientation = read_radiograph(
        _through_bytes(make_dx(rows=128, columns=96, PatientOrientation=lies))
    ).orientation
    stored = orientation.to_stored(make_dx(rows=128, columns=96).pixel_array)
    turned = make_dx(rows=stored.shape[0], columns=stored.shape[1], PatientOrientation=lies)
    turned.PixelData = stored.tobytes()
    again = _seg(_found(turned))
    assert (again.Rows, again.Columns) == stored.shape
    assert list(again.PatientOrientation) == lies
    for frame, usual in zip(again.pixel_array, seg.pixel_array, strict=True):
        assert np.array_equal(orientation.to_usual(frame), usual)


def test_a_turned_source_keeps_its_own_row_and_column_spacing(make_dx: MakeDx) -> None:
    spacing = [3.0, 2.5]
    again = _seg(
        _found(make_dx(rows=128, columns=96, PatientOrientation=["F", "L"], ImagerPixelSpacing=spacing))
    )
    (measures,) = again.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert [float(value) for value in measures.PixelSpacing] == spacing


def test_a_single_segment_of_an_odd_size_is_one_bit_a_pixel(make_dx: MakeDx) -> None:
    found = _only(_found(make_dx(rows=101, columns=97)), ["heart"])
    again = _seg(found)
    assert (again.SegmentationType, again.BitsAllocated) == ("BINARY", 1)
    assert again.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(again.pixel_array != 0, found[1].masks["heart"].dense((101, 97)))


def test_a_fractional_pixel_is_all_in_or_all_out(make_dx: MakeDx) -> None:
    again = _seg(_found(make_dx(rows=101, columns=97)))
    assert (again.SegmentationFractionalType, again.MaximumFractionalValue) == ("OCCUPANCY", 255)
    assert set(np.unique(again.pixel_array)) == {0, 255}


def test_without_a_spacing_none_is_written(make_dx: MakeDx) -> None:
    dataset = make_dx(rows=128, columns=96)
    del dataset.ImagerPixelSpacing
    (measures,) = _seg(_found(dataset)).SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert "PixelSpacing" not in measures
    assert measures.SliceThickness == 1


def test_the_frame_of_reference_is_that_of_the_source_or_none(make_dx: MakeDx, seg: Dataset) -> None:
    found = _found(make_dx(rows=128, columns=96, FrameOfReferenceUID="1.2.3.4"))
    assert _seg(found, OutputOptions()).FrameOfReferenceUID == "1.2.3.4"
    assert "FrameOfReferenceUID" not in seg


def test_the_neutral_orientation_stands_in_no_frame_of_reference(make_dx: MakeDx) -> None:
    found = _found(make_dx(rows=128, columns=96, FrameOfReferenceUID="1.2.3.4"))
    shimmed = _seg(found, OutputOptions(orientation_shim=True))
    assert "PlaneOrientationSequence" in shimmed.SharedFunctionalGroupsSequence[0]
    assert "FrameOfReferenceUID" not in shimmed


@pytest.mark.parametrize("stated", [["A", "F"], ["L", "R"], ["", ""]])
def test_orientation_that_was_judged_wrong_is_not_passed_on(make_dx: MakeDx, stated: list[str]) -> None:
    seg = _seg(_found(make_dx(rows=128, columns=96, PatientOrientation=stated)))
    assert list(seg.PatientOrientation) == ["L", "F"]
