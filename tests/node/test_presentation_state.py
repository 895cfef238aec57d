"""The presentation state as a reader of its bytes sees it, and as other programs show the image with it."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw
from pydicom import Dataset, dcmread
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from ai.appearance import Presentation
from ai.film import Film
from ai.measure import measure
from ai.measurement import Measurements
from ai.overlay import readable_subset
from ai.segmentation import Mask, Segmentation
from ai.stand_in import StandInSegmenter
from ai.upright import corrected
from node.drawings import Points
from node.options import OutputOptions
from node.orientation import frontal_orientation
from node.presentation_state import can_be_presented, write_presentation_state
from node.reader import Source, read_radiograph
from node.report_frame import ReportFrame
from node.seg_writer import write_segmentations
from node.sr_writer import write_report

MakeDx = Callable[..., Dataset]
OPTIONS = OutputOptions()
TYPE_2 = ("PatientID", "PatientBirthDate", "AccessionNumber", "StudyID", "StudyDate")
ORIENTATIONS = ["LF", "RF", "LH", "RH", "FL", "FR", "HL", "HR"]


def _through_bytes(dataset: Dataset) -> BytesIO:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return content


class Written:
    """A presentation state, and what it was made of."""

    def __init__(self, dataset: Dataset, **masks: Mask) -> None:
        self.source: Source = read_radiograph(_through_bytes(dataset))
        found = StandInSegmenter().segment([self.source.radiograph])[0]
        self.segmentation: Segmentation = replace(found, masks=masks) if masks else found
        self.measurements: Measurements = measure(self.source.radiograph, self.segmentation)
        self.state = dcmread(_through_bytes(self.write()))

    def write(self, options: OutputOptions = OPTIONS) -> Dataset:
        return write_presentation_state(self.source, self.segmentation, self.measurements, options)

    def on(self, layer: str) -> Dataset:
        items: list[Dataset] = list(self.state.GraphicAnnotationSequence)
        (item,) = (item for item in items if item.GraphicLayer == layer)
        return item

    def outlines(self, name: str) -> list[npt.NDArray[np.float64]]:
        items = self.on("BONES" if name.startswith(("vertebrae", "clavicle")) else "ANATOMY")
        return [_points(each) for each in items.GraphicObjectSequence if each.TrackingID == name]

    def texts(self) -> list[Dataset]:
        return list(self.on("MEASUREMENTS").TextObjectSequence)


def _points(graphic: Dataset) -> npt.NDArray[np.float64]:
    return np.reshape(np.array(graphic.GraphicData, np.float64), (-1, 2))


def _graphics(state: Dataset) -> list[Dataset]:
    return [g for item in state.GraphicAnnotationSequence for g in item.get("GraphicObjectSequence", [])]


def _without(dataset: Dataset, keywords: Sequence[str]) -> Dataset:
    for keyword in keywords:
        delattr(dataset, keyword)
    return dataset


@pytest.fixture(scope="module")
def written(make_dx: MakeDx) -> Written:
    return Written(make_dx())


SOURCES: dict[str, Callable[[MakeDx], Dataset]] = {
    "dx": lambda make: make(),
    "monochrome1": lambda make: make(PhotometricInterpretation="MONOCHROME1", PresentationLUTShape="INVERSE"),
    "cr": lambda make: _without(
        make(SOPClassUID=ComputedRadiographyImageStorage, Modality="CR"), ["RescaleSlope", "RescaleIntercept"]
    ),
    "sc": lambda make: make(SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", BodyPartExamined=""),
    "sc monochrome1": lambda make: _without(
        make(SOPClassUID=SecondaryCaptureImageStorage, PhotometricInterpretation="MONOCHROME1"),
        ["PresentationLUTShape", "WindowCenter", "WindowWidth"],
    ),
    "no type 2": lambda make: _without(make(), TYPE_2),
    "no spacing": lambda make: _without(make(), ["ImagerPixelSpacing"]),
    "impossible spacing": lambda make: make(PixelSpacing=[0, 0], ImagerPixelSpacing=[0, 0]),
    "odd size": lambda make: make(rows=251, columns=223),
    "mirrored": lambda make: make(PatientOrientation=["R", "F"]),
    "turned": lambda make: make(PatientOrientation=["F", "L"]),
    "for processing": lambda make: _without(
        make(SOPClassUID=DigitalXRayImageStorageForProcessing, PresentationIntentType="FOR PROCESSING"),
        ["WindowCenter", "WindowWidth"],
    ),
    "frame of reference": lambda make: make(FrameOfReferenceUID=generate_uid()),
    "no orientation": lambda make: _without(make(), ["PatientOrientation", "ViewPosition"]),
    "shutter": lambda make: make(
        ShutterShape=["RECTANGULAR"],
        ShutterLeftVerticalEdge=3,
        ShutterRightVerticalEdge=220,
        ShutterUpperHorizontalEdge=4,
        ShutterLowerHorizontalEdge=250,
    ),
    "japanese": lambda make: make(
        SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName="Yamada^Tarou=山田^太郎"
    ),
}


def _said_by(program: str, path: Path) -> list[str]:
    """Return what a checker says; nothing where it is not installed."""
    found = shutil.which(program)
    if found is None:
        return []
    done = subprocess.run([found, str(path)], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("name", SOURCES)
def test_a_presentation_state_conforms(make_dx: MakeDx, tmp_path: Path, name: str) -> None:
    path = tmp_path / "state.dcm"
    Written(SOURCES[name](make_dx)).state.save_as(path, enforce_file_format=True)
    errors = [line for line in _said_by("dciodvfy", path) if line.startswith(("Error", "Abort"))]
    assert errors == []
    complaints = [line for line in _said_by("dcmpschk", path) if "Test" not in line]
    assert [line for line in complaints if "absent or empty" not in line] == []  # it refuses an empty type 2


def test_it_belongs_to_the_study_and_names_its_image(written: Written) -> None:
    state, dataset = written.state, written.source.dataset
    assert (state.Modality, state.SeriesNumber) == ("PR", OPTIONS.series_number_base + 3)
    assert (state.StudyInstanceUID, state.PatientID) == (dataset.StudyInstanceUID, dataset.PatientID)
    (series,) = state.ReferencedSeriesSequence
    (image,) = series.ReferencedImageSequence
    assert series.SeriesInstanceUID == dataset.SeriesInstanceUID != state.SeriesInstanceUID
    assert image.ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    assert not {"ContentDate", "ContentTime", "ContentQualification"} & set(state.dir())  # not of its IOD


def test_the_same_image_gives_the_same_uids_and_other_options_other_ones(written: Written) -> None:
    assert written.write().SOPInstanceUID == written.state.SOPInstanceUID
    other = written.write(OutputOptions(content_qualification="PRODUCT"))
    assert other.SOPInstanceUID != written.state.SOPInstanceUID


def _at_the_edge(points: npt.NDArray[np.float64], dense: npt.NDArray[np.bool_]) -> Iterator[bool]:
    """Yield of each point whether the pixels around it are partly inside the mask and partly outside."""
    padded = np.pad(dense, 2)
    for column, row in points:
        left, top = int(np.floor(column - 0.5)) + 2, int(np.floor(row - 0.5)) + 2
        around = padded[top - 1 : top + 3, left - 1 : left + 3]
        yield bool(around.any() and not around.all())


@pytest.mark.parametrize("lies", ["LF", "RF", "LH", "FL", "HR"])
def test_outlines_lie_on_the_edges_of_the_stored_masks(make_dx: MakeDx, lies: str) -> None:
    orientation = frontal_orientation(*lies)
    assert orientation is not None
    stored = orientation.to_stored(make_dx(251, 223).pixel_array)
    turned = make_dx(*stored.shape, PatientOrientation=list(lies), PixelData=stored.tobytes())
    written = Written(turned)
    shown = readable_subset(written.segmentation)
    assert len(shown) > 5
    for item in shown:
        dense = written.source.stored_mask(written.segmentation.masks[item.name]).dense(stored.shape)
        canvas = Image.new("1", (8 * stored.shape[1], 8 * stored.shape[0]))
        for points in written.outlines(item.name):
            assert all(_at_the_edge(points, dense))
            ImageDraw.Draw(canvas).polygon([(8 * x, 8 * y) for x, y in points.tolist()], fill=1)
        inside = np.asarray(canvas)[4::8, 4::8]
        assert np.count_nonzero(inside != dense) <= 0.03 * np.count_nonzero(dense) + 4


def _points_as_stored(points: Points, lies: str, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """Return (column, row) of the usual grid in one that lies so; written apart from `node.orientation`."""
    to_left, to_feet = np.transpose(points)
    along = {"L": to_left, "R": columns - to_left, "F": to_feet, "H": rows - to_feet}
    return np.column_stack([along[lies[0]], along[lies[1]]])


@pytest.mark.parametrize("lies", ORIENTATIONS)
def test_points_lie_on_the_same_anatomy_however_it_is_stored(
    make_dx: MakeDx, written: Written, lies: str
) -> None:
    orientation = frontal_orientation(*lies)
    assert orientation is not None
    stored = orientation.to_stored(make_dx().pixel_array)
    attributes = {"PatientOrientation": list(lies), "PixelData": stored.tobytes()}
    turned = Written(make_dx(*stored.shape, ImagerPixelSpacing=[350 / 256, 350 / 256], **attributes))
    usual = [_points(graphic) for graphic in _graphics(written.state)]
    for found, points in zip(_graphics(turned.state), usual, strict=True):
        wanted = _points_as_stored(tuple(map(tuple, points.tolist())), lies, 256, 224)
        assert _points(found) == pytest.approx(wanted, abs=1e-3)


def test_nothing_lies_outside_the_image(make_dx: MakeDx) -> None:
    full = Written(make_dx(), heart=Mask(np.ones((256, 224), np.bool_), 0, 0))
    for graphic in _graphics(full.state):
        assert (_points(graphic) >= 0).all()
        assert (_points(graphic) <= (224, 256)).all()
    (outline,) = full.outlines("heart")
    assert (outline.min(), *outline.max(axis=0)) == (0, 224, 256)


def test_every_piece_and_every_hole_has_its_ring(make_dx: MakeDx) -> None:
    pixels = np.zeros((90, 60), np.bool_)
    pixels[:50, :50] = pixels[60:80, 10:30] = True
    pixels[10:30, 10:30] = False
    written = Written(make_dx(), heart=Mask(pixels, 100, 80))
    outlines = written.outlines("heart")
    assert sorted(tuple(outline.min(axis=0)) for outline in outlines) == [(80, 100), (90, 110), (90, 160)]
    assert len({graphic.TrackingUID for graphic in _graphics(written.state)}) == 1


def test_polylines_are_closed_and_not_filled_or_lines(written: Written) -> None:
    for graphic in _graphics(written.state):
        points = _points(graphic)
        closed = bool((points[0] == points[-1]).all())
        assert (graphic.GraphicType, graphic.GraphicAnnotationUnits) == ("POLYLINE", "PIXEL")
        assert graphic.NumberOfGraphicPoints == len(points) >= 2
        assert graphic.get("GraphicFilled") == ("N" if closed else None)
    anatomy = [g for layer in ("ANATOMY", "BONES") for g in written.on(layer).GraphicObjectSequence]
    assert all(graphic.GraphicData[:2] == graphic.GraphicData[-2:] for graphic in anatomy)


def test_layers_are_ordered_and_everything_lies_on_one_of_them(written: Written) -> None:
    layers = {layer.GraphicLayer: layer.GraphicLayerOrder for layer in written.state.GraphicLayerSequence}
    assert sorted(layers, key=lambda name: layers[name]) == ["ANATOMY", "BONES", "MEASUREMENTS", "MARK"]
    assert [item.GraphicLayer for item in written.state.GraphicAnnotationSequence] == list(layers)
    colours = {
        tuple(layer.GraphicLayerRecommendedDisplayCIELabValue) for layer in written.state.GraphicLayerSequence
    }
    assert len(colours) == len(layers)


def test_structures_keep_the_colours_and_identities_of_the_segmentation(written: Written) -> None:
    ((_, seg),) = write_segmentations(written.source, written.segmentation, OPTIONS)
    segments = {segment.TrackingUID: segment for segment in seg.SegmentSequence}
    graphics = [g for layer in ("ANATOMY", "BONES") for g in written.on(layer).GraphicObjectSequence]
    for graphic in graphics:
        segment = segments[graphic.TrackingUID]
        assert graphic.TrackingID == segment.SegmentLabel
        (style,) = graphic.LineStyleSequence
        assert style.PatternOnColorCIELabValue == segment.RecommendedDisplayCIELabValue


def _tracked(item: Dataset) -> Iterator[str]:
    for child in item.get("ContentSequence", []):
        if child.ValueType == "UIDREF":
            yield child.UID
        yield from _tracked(child)


def test_lines_have_the_identities_of_the_report_and_areas_no_second_outline(written: Written) -> None:
    frame = ReportFrame(written.source, written.segmentation, [], OPTIONS)
    report = write_report(frame, written.measurements)
    lines = written.on("MEASUREMENTS").GraphicObjectSequence
    assert {line.TrackingUID for line in lines} < set(_tracked(report))
    assert not any(line.TrackingID.startswith("right lung area") for line in lines)


def test_every_value_is_written_inside_the_image_and_none_over_another(written: Written) -> None:
    rows, columns = written.source.shape
    texts = written.texts()
    values = ((each.name, written.measurements.marked(each)) for each in written.measurements.computed)
    wanted = {f"{name} {value.replace('²', '2').replace('°', ' deg')}" for name, value in values}
    assert {text.UnformattedTextValue for text in texts} == wanted
    assert any(word.startswith("cardiothoracic ratio 0.") for word in wanted)
    boxes = [(*text.BoundingBoxTopLeftHandCorner, *text.BoundingBoxBottomRightHandCorner) for text in texts]
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= columns
        assert 0 <= top < bottom <= rows
    for one, other in combinations(boxes, 2):
        apart = (
            one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] + 0.01 or other[3] <= one[1] + 0.01
        )
        assert apart


def test_a_value_is_anchored_at_its_line(written: Written) -> None:
    lines = {g.TrackingID: _points(g) for g in written.on("MEASUREMENTS").GraphicObjectSequence}
    (ratio,) = [t for t in written.texts() if t.UnformattedTextValue.startswith("cardiothoracic ratio")]
    (line,) = [points for name, points in lines.items() if "cardiothoracic ratio" in name.split(", ")]
    assert list(ratio.AnchorPoint) in line.tolist()
    assert ratio.AnchorPointAnnotationUnits == "PIXEL"


@pytest.mark.parametrize("qualification", ["RESEARCH", "PRODUCT"])
def test_the_mark_says_what_made_it(written: Written, qualification: str) -> None:
    state = written.write(OutputOptions(content_qualification=qualification))
    (mark,) = [item for item in state.GraphicAnnotationSequence if item.GraphicLayer == "MARK"]
    *remarks, text = mark.TextObjectSequence
    assert tuple(remark.UnformattedTextValue for remark in remarks) == written.measurements.legend != ()
    model = written.segmentation.model
    assert text.UnformattedTextValue == f"AI, {qualification}: stand-in 1 ({model.sha256[:12]})"
    assert text.BoundingBoxAnnotationUnits == "DISPLAY"


def test_the_whole_image_is_shown_with_its_spacing(make_dx: MakeDx) -> None:
    (area,) = Written(make_dx(ImagerPixelSpacing=[1.5, 1.25])).state.DisplayedAreaSelectionSequence
    assert list(area.DisplayedAreaTopLeftHandCorner) == [1, 1]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [224, 256]
    assert area.PresentationSizeMode == "SCALE TO FIT"
    assert [float(value) for value in area.PresentationPixelSpacing] == [1.5, 1.25]
    sideways = Written(make_dx(ImagerPixelSpacing=[1.5, 1.25], PatientOrientation=["F", "L"]))
    (area,) = sideways.state.DisplayedAreaSelectionSequence
    assert [float(value) for value in area.PresentationPixelSpacing] == [1.5, 1.25]


@pytest.mark.parametrize(("stated", "wanted"), [([4, 3], [4, 3]), ([0, 0], [1, 1]), (None, [1, 1])])
def test_without_a_spacing_the_shape_of_the_pixels_is_told(
    make_dx: MakeDx, stated: list[int] | None, wanted: list[int]
) -> None:
    source = _without(make_dx(PixelAspectRatio=stated), ["ImagerPixelSpacing"])
    (area,) = Written(source).state.DisplayedAreaSelectionSequence
    assert "PresentationPixelSpacing" not in area
    assert list(area.PresentationPixelAspectRatio) == wanted


def test_without_structures_the_mark_remains(written: Written) -> None:
    nothing = replace(written.segmentation, masks={})
    state = write_presentation_state(written.source, nothing, Measurements(()), OPTIONS)
    assert [item.GraphicLayer for item in state.GraphicAnnotationSequence] == ["MARK"]
    assert [layer.GraphicLayer for layer in state.GraphicLayerSequence] == ["MARK"]


def test_overlay_planes_of_the_image_stay_visible(make_dx: MakeDx, tmp_path: Path) -> None:
    dataset = make_dx()
    for element, vr, value in (
        (0x0010, "US", 256),
        (0x0011, "US", 224),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", bytes(256 * 224 // 8)),
    ):
        dataset.add_new((0x6002, element), vr, value)
    state = Written(dataset).state
    assert state[0x6002, 0x1001].value == "OVERLAYS"
    assert "OVERLAYS" in [layer.GraphicLayer for layer in state.GraphicLayerSequence]
    assert "OVERLAYS" not in [item.GraphicLayer for item in state.GraphicAnnotationSequence]
    assert (0x6000, 0x1001) not in state
    path = tmp_path / "state.dcm"
    state.save_as(path, enforce_file_format=True)
    assert not [line for line in _said_by("dciodvfy", path) if line.startswith("Error")]
    assert not [line for line in _said_by("dcmpschk", path) if "Test" not in line]


def test_a_picture_that_was_put_right_is_shown_as_its_tags_have_it(make_dx: MakeDx, written: Written) -> None:
    film = Film(written.source.radiograph, written.source.orientation)
    film = corrected(film, Presentation(turn=180, inverted=True), (), "")
    put_right = replace(written.source, radiograph=film.radiograph, orientation=film.orientation)
    state = write_presentation_state(put_right, written.segmentation, written.measurements, OPTIONS)
    assert state.PresentationLUTShape == written.state.PresentationLUTShape == "IDENTITY"
    for turned, usual in zip(_graphics(state), _graphics(written.state), strict=True):
        assert _points(turned) == pytest.approx(np.array([224, 256]) - _points(usual), abs=1e-3)


def test_a_picture_in_colour_is_not_presented(make_dx: MakeDx) -> None:
    grey = np.repeat((make_dx().pixel_array // 16).astype(np.uint8)[..., None], 3, axis=2)
    attributes = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    attributes |= {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": grey.tobytes()}
    dataset = make_dx(SOPClassUID=SecondaryCaptureImageStorage, **attributes)
    source = read_radiograph(_through_bytes(_without(dataset, ["WindowCenter", "WindowWidth"])))
    assert not can_be_presented(source)
    found = StandInSegmenter().segment([source.radiograph])[0]
    with pytest.raises(ValueError, match="Samples per Pixel 3"):
        write_presentation_state(source, found, Measurements(()), OPTIONS)


def test_a_large_film_makes_a_light_object(make_dx: MakeDx) -> None:
    written = Written(make_dx(rows=1500, columns=1300))
    assert len(_through_bytes(written.state).getvalue()) < 200_000
