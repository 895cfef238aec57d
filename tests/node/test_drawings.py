from itertools import pairwise

from ai.measurement import Drawing, Measurement, Unit
from node.drawings import MAX_POINTS, RECTANGLE_POINTS, figures, no_rectangle, thinned

RIGHT = Drawing("right part", ((10.0, 50.0), (40.0, 50.0)))
LEFT = Drawing("left part", ((40.0, 60.0), (80.0, 60.0)))
THORAX = Drawing("thorax", ((0.0, 70.0), (100.0, 70.0)))


def _measurement(name: str, *drawings: Drawing) -> Measurement:
    return Measurement(name, 1.0, Unit.RATIO, drawings, ("heart",))


def test_lines_that_meet_on_a_column_become_one_stepped_line() -> None:
    (figure,) = figures([_measurement("heart width", RIGHT, LEFT)])
    assert figure.names == ["right part", "left part"]
    assert set(RIGHT.points + LEFT.points) <= set(figure.points)
    assert len(figure.points) not in RECTANGLE_POINTS


def test_lines_that_meet_between_columns_become_one_stepped_line_too() -> None:
    middle = 531.7795174349023  # has more decimals than Graphic Data keeps
    right = Drawing("right part", ((380.0, 509.0), (middle, 509.0)))
    left = Drawing("left part", ((middle, 583.5), (845.0, 583.5)))

    (figure,) = figures([_measurement("heart width", right, left)])

    assert (figure.points[0], figure.points[-1]) == ((380.0, 509.0), (845.0, 583.5))
    assert len(figure.measurements) == 1


def test_a_line_that_several_measurements_share_is_drawn_once_with_all_their_values() -> None:
    ratio = _measurement("ratio", RIGHT, LEFT, THORAX)
    found = figures([ratio, _measurement("heart width", RIGHT, LEFT), _measurement("thoracic width", THORAX)])
    assert len(found) == 2
    assert sorted(each.name for figure in found for each in figure.measurements) == [
        "heart width",
        "ratio",
        "thoracic width",
    ]


def test_a_line_without_a_value_of_its_own_is_drawn_all_the_same() -> None:
    found = figures([_measurement("ratio", RIGHT, LEFT, THORAX)])
    assert [len(figure.measurements) for figure in found] == [1, 0]


def test_lines_that_differ_by_rounding_only_are_one() -> None:
    nearly = Drawing("thorax", ((0.0, 70.0 + 1e-9), (100.0, 70.0)))
    assert len(figures([_measurement("one", THORAX), _measurement("other", nearly)])) == 1


def test_an_outline_ends_where_it_begins() -> None:
    outline = Drawing("outline", ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0)), closed=True)
    (figure,) = figures([_measurement("area", outline)])
    assert figure.points[0] == figure.points[-1]


def test_no_line_has_the_points_of_a_rectangle_and_none_moves() -> None:
    corners = ((0.0, 0.0), (8.0, 0.0), (8.0, 4.0), (0.0, 4.0), (0.0, 0.0))
    points = no_rectangle(corners)
    assert len(points) == 6
    assert [point for point in points if point in corners] == list(corners)
    assert sum(abs(b[0] - a[0]) + abs(b[1] - a[1]) for a, b in pairwise(points)) == 24


def test_a_long_outline_is_thinned_and_keeps_its_ends() -> None:
    points = tuple((float(index), 0.0) for index in range(5000))
    short = thinned(points)
    assert len(short) == MAX_POINTS
    assert (short[0], short[-1]) == (points[0], points[-1])


def test_values_of_an_outline_in_pieces_stand_at_the_largest_piece() -> None:
    large = Drawing("outline of lung", ((0.0, 0.0), (50.0, 0.0), (50.0, 90.0)), closed=True)
    sliver = Drawing("outline of lung", ((0.0, 95.0), (9.0, 95.0), (9.0, 99.0)), closed=True)
    other = Drawing("outline of other", ((60.0, 0.0), (90.0, 0.0), (90.0, 90.0)), closed=True)
    area, ratio = _measurement("area", large, sliver), _measurement("ratio", large, sliver, other)
    found = {each.names[0]: each for each in figures([area, ratio]) if each.measurements}
    assert not [each for each in found.values() if max(row for _, row in each.points) > 90]
