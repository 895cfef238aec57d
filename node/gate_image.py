"""Rules of presentation states (PS3.3 A.33.1, C.10, C.11) and of secondary captures (PS3.3 A.8.1)."""

from collections.abc import Iterator

from pydicom import Dataset

from node.gate import Violation, missing

PR_TYPE_1 = (
    *("InstanceNumber", "ContentLabel", "PresentationCreationDate", "PresentationCreationTime"),
    *("ReferencedSeriesSequence", "DisplayedAreaSelectionSequence", "GraphicAnnotationSequence"),
    *("GraphicLayerSequence", "PresentationLUTShape"),
)
SC_TYPE_1 = (
    *("ConversionType", "ImageType", "Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "PixelData", "SourceImageSequence", "LossyImageCompression"),
)
LUT_SHAPES = ("IDENTITY", "INVERSE")
SHORTEST_LINE = 2
MOST_BYTES = 65_534
"""Of Graphic Data in explicit VR (PS3.5 7.1.2)."""

FLOAT_BYTES = 4


def presentation_state(state: Dataset) -> Iterator[Violation]:
    """Yield what is wrong with a Grayscale Softcopy Presentation State."""
    absent = list(missing(state, PR_TYPE_1))
    yield from absent
    if absent:
        return
    yield from _references(state)
    if state.PresentationLUTShape not in LUT_SHAPES:
        yield Violation("PR-GRAYSCALE", f"Presentation LUT Shape is {state.PresentationLUTShape}")
    layers = [layer.get("GraphicLayer") for layer in state.GraphicLayerSequence]
    if len(set(layers)) != len(layers):
        yield Violation("PR-LAYER", "two layers have one name")
    for annotation in state.GraphicAnnotationSequence:
        if annotation.get("GraphicLayer") not in layers:
            yield Violation("PR-LAYER", f"layer {annotation.get('GraphicLayer')!s} is not described")
        yield from _graphics(annotation, _corner(state))


def _references(state: Dataset) -> Iterator[Violation]:
    shown = {
        image.ReferencedSOPInstanceUID
        for series in state.ReferencedSeriesSequence
        for image in series.get("ReferencedImageSequence") or []
    }
    if len(shown) != 1:
        yield Violation("PR-REFERENCE", f"{len(shown)} images are referred to, not one")
    for annotation in state.GraphicAnnotationSequence:
        images = annotation.get("ReferencedImageSequence") or []
        if not {image.ReferencedSOPInstanceUID for image in images} <= shown:
            yield Violation("PR-REFERENCE", "a graphic refers to another image than the one that is shown")


def _corner(state: Dataset) -> tuple[float, float]:
    """Return (columns, rows) of the image: its whole is displayed."""
    columns, rows = state.DisplayedAreaSelectionSequence[0].DisplayedAreaBottomRightHandCorner
    return float(columns), float(rows)


def _graphics(annotation: Dataset, corner: tuple[float, float]) -> Iterator[Violation]:
    graphics = annotation.get("GraphicObjectSequence") or []
    texts = annotation.get("TextObjectSequence") or []
    if not graphics and not texts:
        yield Violation("PR-GRAPHIC", "an annotation has neither a graphic nor a text")
    yield from (
        Violation("PR-GRAPHIC", "a text has no words") for item in texts if not item.UnformattedTextValue
    )
    for graphic in graphics:
        data = [float(value) for value in graphic.GraphicData]
        points = graphic.NumberOfGraphicPoints
        if points < SHORTEST_LINE or len(data) != 2 * points or len(data) * FLOAT_BYTES > MOST_BYTES:
            yield Violation("PR-GRAPHIC", f"{len(data)} coordinates for {points} points")
        elif min(data) < 0 or max(data[::2]) > corner[0] or max(data[1::2]) > corner[1]:
            yield Violation("PR-GRAPHIC", "a graphic reaches beyond the image")


def secondary_capture(capture: Dataset) -> Iterator[Violation]:
    """Yield what is wrong with a Secondary Capture."""
    absent = list(missing(capture, SC_TYPE_1))
    yield from absent
    if absent:
        return
    wanted = capture.Rows * capture.Columns * capture.SamplesPerPixel * capture.BitsAllocated // 8
    if len(capture.PixelData) != wanted + wanted % 2:
        words = f"Pixel Data has {len(capture.PixelData)} bytes, {wanted + wanted % 2} belong there"
        yield Violation("SC-PIXELS", words)
    elif capture.PixelData.count(capture.PixelData[:1]) == len(capture.PixelData):
        yield Violation("SC-PIXELS", "every pixel has one value")
    if list(capture.ImageType)[:2] != ["DERIVED", "SECONDARY"]:
        yield Violation("SC-MARK", f"Image Type is {capture.ImageType}")
    if any(keyword in capture for keyword in ("PixelSpacing", "ImagerPixelSpacing")):
        yield Violation(
            "SC-MARK", "a pixel spacing is stated, and lines in the picture are not the patient's"
        )
    if not capture.SourceImageSequence[0].get("ReferencedSOPInstanceUID"):
        yield Violation("SC-SOURCE", "the radiograph that it was made of is not named")
