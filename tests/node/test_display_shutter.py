import pytest
from pydicom import Dataset

from node.display_shutter import write_display_shutter

RECTANGLE = {
    "ShutterLeftVerticalEdge": 10,
    "ShutterRightVerticalEdge": 500,
    "ShutterUpperHorizontalEdge": 20,
    "ShutterLowerHorizontalEdge": 600,
}


def _carried(**attributes: object) -> Dataset:
    source, result = Dataset(), Dataset()
    for keyword, value in attributes.items():
        setattr(source, keyword, value)
    write_display_shutter(result, source)
    return result


def test_a_complete_shutter_is_carried_over_and_black() -> None:
    result = _carried(ShutterShape="RECTANGULAR", **RECTANGLE)
    assert result.ShutterShape == "RECTANGULAR"
    assert {keyword: result[keyword].value for keyword in RECTANGLE} == RECTANGLE
    assert result.ShutterPresentationValue == 0


def test_every_shape_is_carried_over_with_its_own_value() -> None:
    result = _carried(
        ShutterShape=["CIRCULAR", "POLYGONAL"],
        CenterOfCircularShutter=[300, 250],
        RadiusOfCircularShutter=200,
        VerticesOfThePolygonalShutter=[1, 1, 1, 500, 600, 500],
        ShutterPresentationValue=1234,
    )
    assert list(result.ShutterShape) == ["CIRCULAR", "POLYGONAL"]
    assert list(result.VerticesOfThePolygonalShutter) == [1, 1, 1, 500, 600, 500]
    assert (list(result.CenterOfCircularShutter), result.RadiusOfCircularShutter) == ([300, 250], 200)
    assert result.ShutterPresentationValue == 1234


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "RECTANGULAR", **RECTANGLE, "ShutterLeftVerticalEdge": None},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [5], "RadiusOfCircularShutter": 9},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 1, 500]},
        {"ShutterShape": "BITMAP"},
    ],
)
def test_an_incomplete_shutter_is_left_out(attributes: dict[str, object]) -> None:
    assert len(_carried(**attributes)) == 0


def test_a_shutter_of_very_many_vertices_is_not_carried_over() -> None:
    vertices = [number % 500 for number in range(2_000)]
    few = _carried(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=vertices)
    many = _carried(ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[*vertices, 1, 1])
    assert (len(few.VerticesOfThePolygonalShutter), "ShutterShape" in many) == (2_000, False)
