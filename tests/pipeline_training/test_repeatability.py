"""Of shapes that stand still in the picture the spread is that of the pixel spacing, which is known."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from ai.errors import NotAChestError
from ai.radiograph import PixelSpacing, Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from pipeline_training.commands.repeatability import repeatability as command
from pipeline_training.errors import EvaluationError
from pipeline_training.radiograph_folders import read_set
from pipeline_training.repeatability import (
    MAX_DEGREES,
    MAX_SHIFT,
    SCALES,
    ImageSpread,
    Move,
    draw_moves,
    moved,
    repeatability,
    repeatability_table,
)

STILL = Move(across=0.0, down=0.0, degrees=0.0, scale=1.0)


class SometimesRefuses(StandInSegmenter):
    """The stand-in, which refuses every second picture."""

    def __init__(self) -> None:
        self._asked = 0

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        self._asked += 1
        if self._asked % 2 == 0:
            raise NotAChestError("every second one")
        return super().segment(radiographs)


class Refuses(StandInSegmenter):
    """The stand-in, which refuses all."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        raise NotAChestError("none")


def spot(row: int = 100, column: int = 140) -> Radiograph:
    """A soft spot around a place on a dark picture 200 pixels high and 240 wide, of 1 mm pixels."""
    pixels = np.zeros((200, 240), np.float32)
    pixels[row, column] = 1
    soft = ndimage.gaussian_filter(pixels, 4)
    return Radiograph(soft / soft.max(), PixelSpacing(1.0, 1.0, "Pixel Spacing", calibrated=True))


def place(radiograph: Radiograph) -> tuple[float, float]:
    """Return (column, row) of the spot, counted from the picture's middle."""
    row, column = ndimage.center_of_mass(radiograph.pixels)
    return column - 119.5, row - 99.5


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        (STILL, (20.5, 0.5)),
        (replace(STILL, across=0.02), (20.5 + 4.8, 0.5)),
        (replace(STILL, down=-0.02), (20.5, 0.5 - 4.8)),
        (replace(STILL, scale=1.03), (20.5 * 1.03, 0.5 * 1.03)),
        (replace(STILL, degrees=90.0), (-0.5, 20.5)),
    ],
)
def test_picture_is_moved_as_told(move: Move, expected: tuple[float, float]) -> None:
    assert place(moved(spot(), move)) == pytest.approx(expected, abs=0.05)


def test_pixel_spacing_follows_the_scale() -> None:
    larger = moved(spot(), replace(STILL, scale=1.25))
    assert larger.spacing is not None
    assert (larger.spacing.row_mm, larger.spacing.column_mm) == (0.8, 0.8)
    assert moved(replace(spot(), spacing=None), STILL).spacing is None


def test_moves_are_a_function_of_the_seed_and_small() -> None:
    moves = draw_moves(100, seed=3)
    assert moves == draw_moves(100, seed=3) != draw_moves(100, seed=4)
    assert all(max(abs(m.across), abs(m.down)) <= MAX_SHIFT and abs(m.degrees) <= MAX_DEGREES for m in moves)
    assert all(SCALES[0] <= move.scale <= SCALES[1] for move in moves)
    assert max(abs(move.degrees) for move in moves) > 0.9 * MAX_DEGREES
    with pytest.raises(EvaluationError, match="needs 2 moves or more, found 1"):
        draw_moves(1, seed=0)


def test_lengths_of_shapes_that_stand_still_spread_as_the_spacing_does(
    make_reader_set: Callable[..., Path],
) -> None:
    images = read_set(make_reader_set("jsrt", images=2))
    found = repeatability(StandInSegmenter(), [images], seed=1, width_mm=400, moves=3)
    by_name = {summary.name: summary for summary in found.summaries}
    scales = np.array([1.0, *(move.scale for move in found.moves)])
    width = by_name["thoracic width"]
    first = next(each for each in found.images if each.name == "thoracic width")
    assert first.unmoved is not None
    assert width.within_sd == pytest.approx(first.unmoved * np.std(1 / scales, ddof=1))
    assert width.limit == pytest.approx(1.96 * width.within_sd)
    assert (width.images, width.unit, width.not_computed) == (2, "mm", 0)
    assert by_name["heart area"].within_sd > 0
    assert by_name["cardiothoracic ratio"].within_sd == pytest.approx(0, abs=1e-12)
    assert "posterior ribs above the diaphragm" not in by_name


def test_without_a_width_no_length_is_measured(make_reader_set: Callable[..., Path]) -> None:
    found = repeatability(StandInSegmenter(), [read_set(make_reader_set("jsrt", images=1))], moves=2)
    assert {"cardiothoracic ratio", "lung height ratio"} <= {summary.name for summary in found.summaries}
    assert {summary.unit for summary in found.summaries} <= {"1", "%", "deg"}


def test_looks_that_are_refused_are_counted(make_reader_set: Callable[..., Path]) -> None:
    found = repeatability(SometimesRefuses(), [read_set(make_reader_set("jsrt", images=1))], moves=5)
    ratio = next(each for each in found.images if each.name == "cardiothoracic ratio")
    assert [value is None for value in ratio.moved] == [True, False, True, False, True]
    assert next(each for each in found.summaries if each.name == ratio.name).not_computed == 0.5


def test_nothing_measured_is_refused(make_reader_set: Callable[..., Path]) -> None:
    with pytest.raises(EvaluationError, match="nothing could be measured"):
        repeatability(Refuses(), [read_set(make_reader_set("jsrt", images=1))])


def test_spread_of_an_image_is_its_standard_deviation_and_limits() -> None:
    spread = ImageSpread("set", "a.png", "heart width", "mm", 100.0, (98.0, None, 102.0))
    assert spread.sd == pytest.approx(2)
    assert spread.limits == pytest.approx((100 - 3.92, 100 + 3.92))
    few = replace(spread, moved=(98.0, None, None))
    assert (few.sd, few.limits) == (None, None)


def test_figures_are_told_as_json_and_as_a_table(make_reader_set: Callable[..., Path]) -> None:
    found = repeatability(StandInSegmenter(), [read_set(make_reader_set("jsrt", images=1))], moves=3)
    content = json.loads(found.to_json())
    assert len(content["moves"]) == 3
    assert content["refused"] == []
    assert {each["name"] for each in content["measurements"]} == {each["name"] for each in content["images"]}
    assert repeatability_table(found).row_count == len(content["measurements"])


def test_command_refuses_a_model_that_measures_nothing(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[[], Path]
) -> None:
    data = make_reader_set("jsrt", images=1)
    with pytest.raises(EvaluationError, match="nothing could be measured"):
        command(data=data, bundle=tiny_bundle())
