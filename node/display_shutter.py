"""The source's Display Shutter, carried into a presentation state (PS3.3 C.7.6.11, C.11.12).

A viewer that applies a presentation state ignores the shutter of the image itself (PS3.4 N.2.4): without it
the bright edge around a collimated field would come back.
"""

from pydicom import Dataset

from node.attributes import numbers, texts
from node.limits import MAX_SHUTTER_VALUES

SHAPES = {
    "RECTANGULAR": {
        "ShutterLeftVerticalEdge": 1,
        "ShutterRightVerticalEdge": 1,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": 1,
    },
    "CIRCULAR": {"CenterOfCircularShutter": 2, "RadiusOfCircularShutter": 1},
    "POLYGONAL": {"VerticesOfThePolygonalShutter": 6},
}
"""What each Shutter Shape needs, and how many values of it at least; all of them are IS."""

BLACK = 0
"""Shutter Presentation Value where the source states none: a P-Value."""

MAX_VALUE = 0xFFFF


def write_display_shutter(result: Dataset, source: Dataset) -> None:
    """Write the shutter shapes that the source describes completely; nothing where there is none."""
    shapes = [shape for shape in dict.fromkeys(texts(source, "ShutterShape")) if _is_complete(source, shape)]
    if not shapes:
        return
    result.ShutterShape = shapes
    for keyword in (keyword for shape in shapes for keyword in SHAPES[shape]):
        setattr(result, keyword, [round(value) for value in numbers(source, keyword)])
    stated = next(iter(numbers(source, "ShutterPresentationValue")), BLACK)
    result.ShutterPresentationValue = round(stated) if 0 <= stated <= MAX_VALUE else BLACK


def _is_complete(source: Dataset, shape: str) -> bool:
    needed = SHAPES.get(shape, {})
    found = {keyword: len(numbers(source, keyword)) for keyword in needed}
    if any(count > MAX_SHUTTER_VALUES for count in found.values()):
        return False
    if shape == "POLYGONAL":  # pairs, as many as there are
        return all(count >= needed[keyword] and count % 2 == 0 for keyword, count in found.items())
    return bool(needed) and found == needed
