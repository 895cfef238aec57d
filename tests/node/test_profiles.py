"""What each destination profile writes, decoded by other people's code from the bytes of the objects."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from highdicom.color import CIELabColor
from pydicom import Dataset, dcmread
from pydicom.uid import (
    GrayscaleSoftcopyPresentationStateStorage,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from ai.anatomy import group_of
from ai.labels import Code, label
from config.profiles import shipped_profiles
from tests.node.written_profiles import CASES, FORMS, LABEL_MAP_STORAGE, SEG, Case


@pytest.fixture(params=CASES, ids=[f"{source}, {form}" for source, form in CASES])
def case(request: pytest.FixtureRequest, cases: Callable[[str, str], Case]) -> Case:
    return cases(*request.param)


def test_every_shipped_profile_is_tried() -> None:
    assert set(FORMS) >= set(shipped_profiles())


def test_a_profile_writes_its_kinds_of_object_and_no_other(case: Case) -> None:
    form, classes = case.form, [str(each.SOPClassUID) for each in case.objects.values()]
    reports = [form.report_class] * (1 + form.structures)
    gsps = [str(GrayscaleSoftcopyPresentationStateStorage)] * form.gsps
    capture = [str(SecondaryCaptureImageStorage)] * form.capture
    segs = classes[: len(case.segs)]
    assert set(segs) == ({form.seg_class} if form.seg_class else set())
    assert classes[len(segs) :] == [*reports, *gsps, *capture]
    if form.seg_class == SEG:
        assert len(segs) == (8 if form.grouped else 1)
    assert len({each.SOPInstanceUID for each in case.objects.values()}) == len(classes)
    assert len({each.SeriesInstanceUID for each in case.objects.values()}) == len(classes)
    assert {each.StudyInstanceUID for each in case.objects.values()} == {case.dataset.StudyInstanceUID}


def test_every_structure_is_sent_once_with_its_mask_on_the_stored_pixels(case: Case) -> None:
    if case.form.seg_class is None:
        return
    by_highdicom: dict[str, npt.NDArray[Any]] = {}
    by_pydicom: dict[str, npt.NDArray[Any]] = {}
    for kind, seg in zip(case.objects, case.segs, strict=False):
        names = [seg.get_segment_description(number).segment_label for number in seg.segment_numbers]
        frames = seg.get_pixels_by_source_instance(
            [case.dataset.SOPInstanceUID], ignore_spatial_locations=True, skip_overlap_checks=True
        )
        assert frames.shape[-1] == len(names)
        for place, name in enumerate(names):
            assert name not in by_highdicom
            by_highdicom[name] = frames[0, :, :, place]
        by_pydicom |= _frames(case.objects[kind])
    assert set(by_highdicom) == set(by_pydicom) == set(case.masks)
    for name, mask in case.masks.items():
        assert np.array_equal(by_highdicom[name], mask), name
        assert np.array_equal(by_pydicom[name], mask), name


def _frames(seg: Dataset) -> dict[str, npt.NDArray[np.uint8]]:
    """Return the frames by Segment Label as 0 and 1, by the numbers that frames and pixels state."""
    names = {segment.SegmentNumber: segment.SegmentLabel for segment in seg.SegmentSequence}
    pixels = seg.pixel_array
    if seg.SegmentationType == "LABELMAP":
        assert set(np.unique(pixels)) - {0} == set(names)  # no item for the background
        return {name: (pixels == number).astype(np.uint8) for number, name in names.items()}
    full = seg.get("MaximumFractionalValue", 1)
    assert set(np.unique(pixels)) <= {0, full}
    stated = [
        groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for groups in seg.PerFrameFunctionalGroupsSequence
    ]
    frames = pixels.reshape(-1, seg.Rows, seg.Columns)
    return {names[number]: frame // full for number, frame in zip(stated, frames, strict=True)}


def test_segments_have_their_numbers_codes_sides_and_colours(case: Case) -> None:
    for seg in case.segs:
        assert list(seg.segment_numbers) == list(range(1, len(seg.SegmentSequence) + 1))
        for number in seg.segment_numbers:
            segment = seg.get_segment_description(number)
            item = label(segment.segment_label)
            assert _code(segment.segmented_property_category) == item.category
            assert _code(segment.segmented_property_type) == item.type
            modifiers = segment.SegmentedPropertyTypeCodeSequence[0].get(
                "SegmentedPropertyTypeModifierCodeSequence", []
            )
            assert [(each.CodeValue, each.CodeMeaning) for each in modifiers] == [
                (each.value, each.meaning) for each in item.modifiers
            ]
            rgb = CIELabColor.from_dicom_value(segment.RecommendedDisplayCIELabValue).to_rgb(clip=True)
            assert np.abs(np.subtract(rgb, item.colour)).max() <= 1


def _code(code: Any) -> Code:
    return Code(str(code.value), str(code.scheme_designator), str(code.meaning))


def test_each_segmentation_of_a_grouped_profile_has_a_group_of_its_own_and_label_maps_do_not_overlap(
    case: Case,
) -> None:
    groups = [{group_of(segment.SegmentLabel) for segment in seg.SegmentSequence} for seg in case.segs]
    if case.form.grouped:
        assert all(len(group) == 1 for group in groups)
        assert len(set.union(*groups)) == 8
    elif case.segs and case.form.profile.name != "minimal":
        assert max(map(len, groups)) > 1
    for seg in case.segs:
        is_map = seg.SOPClassUID == LABEL_MAP_STORAGE
        assert (seg.SegmentsOverlap, int(seg.NumberOfFrames) == 1) == (
            ("NO", True) if is_map else ("YES", len(seg.SegmentSequence) == 1)
        )


def test_a_segmentation_lies_as_its_source_does_with_its_spacing_or_none(case: Case) -> None:
    for seg in (each for kind, each in case.objects.items() if kind.startswith("SEG")):
        (shared,) = seg.SharedFunctionalGroupsSequence
        assert list(seg.PatientOrientation) == list(case.dataset.PatientOrientation)
        assert (seg.Rows, seg.Columns) == (case.dataset.Rows, case.dataset.Columns)
        orientation = [each.ImageOrientationPatient for each in shared.get("PlaneOrientationSequence", [])]
        assert orientation == [[1, 0, 0, 0, 1, 0]] * case.form.shim
        spacing = [
            each.PixelSpacing for each in shared.get("PixelMeasuresSequence", []) if "PixelSpacing" in each
        ]
        assert spacing == ([case.dataset.ImagerPixelSpacing] if "ImagerPixelSpacing" in case.dataset else [])
        sources = [
            image.ReferencedSOPInstanceUID
            for frame in seg.PerFrameFunctionalGroupsSequence
            for image in frame.DerivationImageSequence[0].SourceImageSequence
        ]
        assert sources == [case.dataset.SOPInstanceUID] * int(seg.NumberOfFrames)


def test_outlines_of_a_presentation_state_enclose_their_masks_on_the_stored_pixels(case: Case) -> None:
    if not case.form.gsps:
        assert "PR" not in case.objects
        return
    state = case.objects["PR"]
    (image,) = state.ReferencedSeriesSequence[0].ReferencedImageSequence
    assert image.ReferencedSOPInstanceUID == case.dataset.SOPInstanceUID
    drawn: dict[str, list[npt.NDArray[np.float64]]] = {}
    for annotation in state.GraphicAnnotationSequence:
        for graphic in annotation.get("GraphicObjectSequence", []):
            drawn.setdefault(graphic.get("TrackingID", ""), []).append(
                np.reshape(graphic.GraphicData, (-1, 2))
            )
    outlined = [name for name in case.masks if name in drawn]
    assert {"heart", "visible lung right", "visible lung left"} <= set(outlined)
    for name in outlined:
        points, (rows, columns) = np.concatenate(drawn[name]), np.nonzero(case.masks[name])
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert [*points.min(axis=0), *points.max(axis=0)] == pytest.approx(edges, abs=0.51), name


def test_a_secondary_capture_is_an_upright_colour_picture(case: Case) -> None:
    if not case.form.capture:
        assert "SC" not in case.objects
        return
    capture, sideways = case.objects["SC"], case.lies[0] in "FH"
    pixels = capture.pixel_array
    assert pixels.shape == (capture.Rows, capture.Columns, 3)
    assert len({tuple(pixel) for pixel in pixels.reshape(-1, 3)[::50]}) > 50
    assert (capture.Rows > capture.Columns) == ((case.dataset.Rows > case.dataset.Columns) != sideways)
    assert capture.SourceImageSequence[0].ReferencedSOPInstanceUID == case.dataset.SOPInstanceUID


@pytest.mark.parametrize("form", ["ohif", "grouped label maps", "fractional"])
def test_dcmtk_writes_the_same_masks_in_another_transfer_syntax(
    cases: Callable[[str, str], Case], tmp_path: Path, form: str
) -> None:
    if shutil.which("dcmconv") is None or shutil.which("dcmdrle") is None:
        return
    case = cases("a quarter turn", form)
    decoded: dict[str, npt.NDArray[Any]] = {}
    for kind, content in case.files.items():
        if kind.startswith("SEG"):
            is_rle = case.objects[kind].file_meta.TransferSyntaxUID.is_encapsulated
            (tmp_path / "in.dcm").write_bytes(content)
            command = ["dcmdrle", "in.dcm", "plain.dcm"] if is_rle else ["dcmconv", "in.dcm", "plain.dcm"]
            subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
            subprocess.run(
                ["dcmconv", "+ti", "plain.dcm", "out.dcm"], cwd=tmp_path, check=True, capture_output=True
            )
            seg = dcmread(tmp_path / "out.dcm")
            assert seg.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
            decoded |= _frames(seg)
    assert set(decoded) == set(case.masks)
    assert all(np.array_equal(decoded[name], mask) for name, mask in case.masks.items())
