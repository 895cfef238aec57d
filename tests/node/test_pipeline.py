"""What comes out of the whole way of an image: SEG and SR, decoded again from their bytes."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    Comprehensive3DSRStorage,
    ComputedRadiographyImageStorage,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
    generate_uid,
)

from ai.errors import NotAChestError, RadiographError
from ai.labels import LABELS
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from node import codes
from node.conformance import violations
from node.drawings import Points, figures
from node.errors import RefusedImageError, ResultError, UndecodableError
from node.options import OutputOptions
from node.orientation import frontal_orientation
from node.pipeline import Processed, process, write

MakeDx = Callable[..., Dataset]

SHIMMED = OutputOptions(orientation_shim=True)

TYPE_2 = ("PatientID", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyDate")


def _bytes(dataset: Dataset) -> BytesIO:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return content


def _process(dataset: Dataset, options: OutputOptions | None = None) -> Processed:
    return process(_bytes(dataset), StandInSegmenter(), options or SHIMMED)


def _again(processed: Processed, kind: str) -> Dataset:
    """Return a result as somebody reads it who was sent its bytes."""
    (result,) = (result for result in processed.results if result.kind == kind)
    content = BytesIO()
    result.dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return dcmread(content)


def _without(dataset: Dataset, keywords: Sequence[str]) -> Dataset:
    for keyword in keywords:
        delattr(dataset, keyword)
    return dataset


def _items(item: Dataset, value_type: str) -> list[Dataset]:
    found = []
    for child in item.get("ContentSequence", []):
        found += [child] if child.ValueType == value_type else []
        found += _items(child, value_type)
    return found


def _dciodvfy_errors(dataset: Dataset, folder: Path) -> list[str]:
    """Return what dciodvfy (dicom3tools) finds, and nothing where it is not installed."""
    program = shutil.which("dciodvfy")
    if program is None:
        return []
    path = folder / "result.dcm"
    dataset.save_as(path, enforce_file_format=True)
    done = subprocess.run([program, str(path)], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line.startswith(("Error", "Abort"))]


SOURCES: dict[str, Callable[[MakeDx], Dataset]] = {
    "dx": lambda make: make(),
    "monochrome1": lambda make: make(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "cr": lambda make: make(SOPClassUID=ComputedRadiographyImageStorage, Modality="CR"),
    "sc": lambda make: make(SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", BodyPartExamined=""),
    "no type 2": lambda make: _without(make(), TYPE_2),
    "no spacing": lambda make: _without(make(), ["ImagerPixelSpacing"]),
    "odd size": lambda make: make(rows=251, columns=223),
    "mirrored": lambda make: make(PatientOrientation=["R", "F"]),
    "frame of reference": lambda make: make(FrameOfReferenceUID=generate_uid()),
    "no orientation": lambda make: _without(make(), ["PatientOrientation", "ViewPosition"]),
    "japanese": lambda make: make(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"
    ),
}


@pytest.fixture(scope="module", params=SOURCES)
def processed(request: pytest.FixtureRequest, make_dx: MakeDx) -> Processed:
    return _process(SOURCES[request.param](make_dx))


def test_results_conform(processed: Processed, tmp_path: Path) -> None:
    assert [result.kind for result in processed.results] == ["SEG", "SR"]
    for kind in ("SEG", "SR"):
        again = _again(processed, kind)
        assert violations(again) == []
        assert _dciodvfy_errors(again, tmp_path) == []


def test_results_belong_to_the_study_of_the_source(processed: Processed) -> None:
    for kind in ("SEG", "SR"):
        again = _again(processed, kind)
        for keyword in (*TYPE_2, "StudyInstanceUID", "PatientName", "PatientSex", "StudyTime"):
            assert again.get(keyword) == processed.source.identity.get(keyword)
        assert again.SeriesInstanceUID != processed.source.dataset.SeriesInstanceUID
        assert again.ContentQualification == "RESEARCH"


def test_every_seg_pixel_is_the_pixel_of_its_mask(processed: Processed) -> None:
    seg = _again(processed, "SEG")
    frames = seg.pixel_array
    masks = processed.segmentation.masks
    assert [segment.SegmentLabel for segment in seg.SegmentSequence] == list(masks)
    for frame, mask in zip(frames, masks.values(), strict=True):
        dense = processed.source.stored_mask(mask).dense(processed.source.shape)
        assert np.array_equal(frame != 0, dense)


def test_every_drawing_lies_inside_its_image_and_every_group_has_one(processed: Processed) -> None:
    report = _again(processed, "SR")
    rows, columns = processed.source.shape
    drawn = _items(report, "SCOORD")
    groups = [
        item
        for item in _items(report, "CONTAINER")
        if item.ConceptNameCodeSequence[0].CodeValue == codes.MEASUREMENT_GROUP.value
    ]
    assert len(drawn) == len(groups) > 0
    for item in drawn:
        points = np.reshape(item.GraphicData, (-1, 2))
        assert points.min() >= 0
        assert (points.max(axis=0) <= (columns, rows)).all()
        assert len(points) not in {4, 5}


def test_every_value_and_every_reason_is_in_the_report(processed: Processed) -> None:
    report = _again(processed, "SR")
    values = sorted(float(item.MeasuredValueSequence[0].NumericValue) for item in _items(report, "NUM"))
    assert values == pytest.approx(sorted(each.rounded for each in processed.measurements.computed), abs=1e-6)
    texts = [item.TextValue for item in _items(report, "TEXT")]
    for missing in processed.measurements.not_computed:
        assert f"{missing.name}: {missing.reason}" in texts
    for note in processed.source.radiograph.notes:
        assert note in texts


def test_highdicom_reads_both_results(make_dx: MakeDx) -> None:
    processed = _process(make_dx())
    seg = hd.seg.Segmentation.from_dataset(_again(processed, "SEG"))
    assert seg.number_of_segments == len(processed.segmentation.masks)
    source = [(processed.source.dataset.SOPInstanceUID, 1)]
    assert seg.segmentation_type.value == "BINARY"
    pixels = seg.get_pixels_by_source_instance([source[0][0]])
    heart = list(processed.segmentation.masks).index("heart")
    assert np.array_equal(
        pixels[0, :, :, heart] != 0, processed.segmentation.masks["heart"].dense(processed.source.shape)
    )
    report = hd.sr.Comprehensive3DSR.from_dataset(_again(processed, "SR"))
    content = report.content
    assert isinstance(content, hd.sr.MeasurementReport)
    assert content.get_planar_roi_measurement_groups()


def test_a_segment_carries_its_own_codes_colour_and_identity(make_dx: MakeDx) -> None:
    seg = _again(_process(make_dx()), "SEG")
    by_name = {label.name: label for label in LABELS}
    for segment in seg.SegmentSequence:
        label = by_name[segment.SegmentLabel]
        property_type = segment.SegmentedPropertyTypeCodeSequence[0]
        assert property_type.CodeValue == label.type.value
        modifiers = property_type.get("SegmentedPropertyTypeModifierCodeSequence", [])
        assert [code.CodeValue for code in modifiers] == [code.value for code in label.modifiers]
    assert len({segment.TrackingUID for segment in seg.SegmentSequence}) == len(seg.SegmentSequence)
    colours = {tuple(segment.RecommendedDisplayCIELabValue) for segment in seg.SegmentSequence}
    assert len(colours) == len(seg.SegmentSequence)
    assert seg.SegmentsOverlap == "YES"


def test_an_odd_size_takes_a_byte_a_pixel_and_an_even_one_a_bit(make_dx: MakeDx) -> None:
    odd, even = _again(_process(make_dx(rows=251, columns=223)), "SEG"), _again(_process(make_dx()), "SEG")
    assert (odd.SegmentationType, odd.file_meta.TransferSyntaxUID) == ("FRACTIONAL", RLELossless)
    assert (even.SegmentationType, even.BitsAllocated) == ("BINARY", 1)


def test_a_mirrored_source_has_its_right_lung_on_its_right(make_dx: MakeDx) -> None:
    usual, mirrored = _process(make_dx()), make_dx(PatientOrientation=["R", "F"])
    mirrored.PixelData = mirrored.pixel_array[:, ::-1].tobytes()
    turned = _process(mirrored)
    frames = [_again(each, "SEG").pixel_array for each in (usual, turned)]
    assert np.array_equal(frames[0][:, :, ::-1], frames[1])
    assert _again(turned, "SEG").PatientOrientation == ["R", "F"]
    assert turned.measurements == usual.measurements


def test_without_the_shim_no_orientation_is_invented(make_dx: MakeDx) -> None:
    seg = _again(_process(make_dx(), OutputOptions(orientation_shim=False)), "SEG")
    assert "PlaneOrientationSequence" not in seg.SharedFunctionalGroupsSequence[0]
    assert "FrameOfReferenceUID" not in seg
    bare = _process(_without(make_dx(), ["ImagerPixelSpacing"]), OutputOptions(orientation_shim=False))
    assert len(_again(bare, "SEG").SharedFunctionalGroupsSequence[0]) == 0


def test_lossy_compression_of_the_source_is_carried_over(make_dx: MakeDx) -> None:
    dataset = make_dx(LossyImageCompression="01")
    dataset.compress(JPEGLSNearLossless, jls_error=2, generate_instance_uid=False)
    seg = _again(_process(dataset), "SEG")
    assert (seg.LossyImageCompression, seg.LossyImageCompressionMethod) == ("01", "ISO_14495_1")
    assert float(seg.LossyImageCompressionRatio) > 1


def test_the_same_image_gives_the_same_uids_and_other_options_other_ones(make_dx: MakeDx) -> None:
    dataset = make_dx()
    first, second = _process(dataset), _process(dataset)
    other = _process(dataset, OutputOptions(content_qualification="PRODUCT"))

    def uids(processed: Processed) -> list[str]:
        return [result.dataset.SOPInstanceUID for result in processed.results]

    assert uids(first) == uids(second)
    assert not set(uids(first)) & set(uids(other))


@pytest.mark.parametrize(("seg", "sr"), [(True, False), (False, True), (False, False)])
def test_only_what_is_asked_for_is_written(make_dx: MakeDx, seg: bool, sr: bool) -> None:
    options = OutputOptions(seg="binary" if seg else "none", report="comprehensive-3d" if sr else "none")
    results = _process(make_dx(), options).results
    assert [result.dataset.SOPClassUID for result in results] == [
        *([SegmentationStorage] if seg else []),
        *([Comprehensive3DSRStorage] if sr else []),
    ]
    for result in results:
        assert violations(result.dataset) == []


def test_stages_are_timed_and_told(dx_file: Path) -> None:
    told: list[str] = []
    processed = process(
        dx_file, StandInSegmenter(), OutputOptions(), lambda stage, seconds: told.append(stage)
    )
    assert told == list(processed.timings) == ["read", "segment", "measure", "write"]


class _Failing(StandInSegmenter):
    def __init__(self, error: RadiographError) -> None:
        self._error = error

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        raise self._error


@pytest.mark.parametrize(
    ("error", "wanted"),
    [(NotAChestError("a hand"), RefusedImageError), (RadiographError("no image"), UndecodableError)],
)
def test_the_segmenters_errors_become_the_nodes(
    dx_file: Path, error: RadiographError, wanted: type[Exception]
) -> None:
    with pytest.raises(wanted, match=str(error)):
        process(dx_file, _Failing(error), OutputOptions())


class _Finding(StandInSegmenter):
    """Finds only the structures that are named."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        (found,) = super().segment(radiographs)
        return [replace(found, masks={name: found.masks[name] for name in self._names})]


@pytest.mark.parametrize("names", [(), ("clavicle right",), ("right lung",)])
def test_a_report_of_which_nothing_can_be_computed_conforms_and_holds_every_reason(
    make_dx: MakeDx, tmp_path: Path, names: tuple[str, ...]
) -> None:
    content = _bytes(_without(make_dx(), ["ImagerPixelSpacing"]))
    processed = process(content, _Finding(*names), OutputOptions())
    assert [result.kind for result in processed.results] == [*(["SEG"] if names else []), "SR"]
    report = _again(processed, "SR")
    assert _items(report, "NUM") == []
    assert len(processed.measurements.not_computed) == len(processed.measurements.results)
    texts = {item.TextValue for item in _items(report, "TEXT")}
    assert texts >= {f"{each.name}: {each.reason}" for each in processed.measurements.not_computed}
    for result in processed.results:
        assert violations(_again(processed, result.kind)) == []
        assert _dciodvfy_errors(_again(processed, result.kind), tmp_path) == []


def test_a_result_that_the_libraries_cannot_make_is_a_result_error(make_dx: MakeDx) -> None:
    processed = _process(make_dx())
    nameless = replace(processed.segmentation.model, id=None)  # type: ignore[arg-type]
    unknown = replace(processed, segmentation=replace(processed.segmentation, model=nameless))
    with pytest.raises(ResultError, match="cannot be made"):
        write(unknown, SHIMMED)


ORIENTATIONS = ["LF", "RF", "LH", "RH", "FL", "FR", "HL", "HR"]
ROW_MM, COLUMN_MM = 1.5, 1.25
"""Of the stored pixels."""


def _points_as_stored(points: Points, lies: str, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return (column, row) of the usual grid in one that lies so; written apart from `node.orientation`."""
    to_left, to_feet = np.transpose(points)
    along = {"L": to_left, "R": columns - to_left, "F": to_feet, "H": rows - to_feet}
    return np.column_stack([along[lies[0]], along[lies[1]]])


@pytest.mark.parametrize("lies", ORIENTATIONS)
def test_results_lie_on_the_stored_pixels_however_they_lie(make_dx: MakeDx, lies: str) -> None:
    usual = make_dx(rows=256, columns=224)
    orientation = frontal_orientation(*lies)
    assert orientation is not None
    stored = orientation.to_stored(usual.pixel_array)
    turned = make_dx(*stored.shape, PatientOrientation=list(lies), ImagerPixelSpacing=[ROW_MM, COLUMN_MM])
    turned.PixelData = stored.tobytes()
    processed = _process(turned)

    (measures,) = _again(processed, "SEG").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    assert [float(value) for value in measures.PixelSpacing] == [ROW_MM, COLUMN_MM]
    spacing = processed.source.radiograph.spacing
    assert spacing is not None
    sideways = lies[0] in "FH"
    assert (spacing.row_mm, spacing.column_mm) == ((COLUMN_MM, ROW_MM) if sideways else (ROW_MM, COLUMN_MM))

    drawn = [np.reshape(item.GraphicData, (-1, 2)) for item in _items(_again(processed, "SR"), "SCOORD")]
    expected = [
        _points_as_stored(figure.points, lies, 256, 224)
        for figure in figures(processed.measurements.computed)
    ]
    assert len(drawn) == len(expected) > 3
    for found, wanted in zip(drawn, expected, strict=True):
        assert found == pytest.approx(wanted, abs=1e-3)
