"""Probabilities that hold have no error, and those that do not have theirs."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ai.bundle import Bundle
from ai.onnx_segmenter import OnnxSegmenter
from pipeline_training.calibration import BINS, Tally, calibrate, calibration_table
from pipeline_training.errors import EvaluationError
from pipeline_training.radiograph_folders import read_set


def _tally(probability: float, share: float) -> Tally:
    tally = Tally()
    inside = np.zeros(10_000, np.bool_)
    inside[: round(share * inside.size)] = True
    tally.add(np.full(inside.size, probability, np.float32), inside)
    return tally


@pytest.mark.parametrize(("probability", "share"), [(0.8, 0.8), (0.1, 0.1), (0.5, 0.5)])
def test_probabilities_that_hold_have_no_error(probability: float, share: float) -> None:
    found = _tally(probability, share).reliability("set", "heart")
    assert found.expected_error == pytest.approx(0, abs=1e-6)
    assert found.brier == pytest.approx(probability * (1 - probability), abs=1e-6)


def test_error_is_how_far_probabilities_are_off() -> None:
    found = _tally(0.9, 0.6).reliability("set", "heart")
    assert found.expected_error == pytest.approx(0.3, abs=1e-6)
    assert found.pixels[int(0.9 * BINS)] == 10_000
    assert found.share[int(0.9 * BINS)] == pytest.approx(0.6)
    assert sum(found.pixels) == 10_000


def test_bins_are_weighted_by_their_pixels() -> None:
    tally = _tally(0.9, 0.6)
    tally.add(np.full(30_000, 0.2, np.float32), np.arange(30_000) < 6_000)
    assert tally.reliability("set", "heart").expected_error == pytest.approx(0.3 / 4, abs=1e-6)


def test_model_of_hard_squares_is_calibrated_against_a_reader(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[[], Path]
) -> None:
    images = read_set(make_reader_set("jsrt", images=2, structures=("heart", "lungs")))
    found = calibrate(OnnxSegmenter(Bundle.load(tiny_bundle())), [images])
    (row,) = found.structures
    assert (row.structure, row.images) == ("heart", 2), "lungs stand for two structures"
    assert 0 < row.expected_error < 1
    assert json.loads(found.to_json())["structures"][0]["expected_error"] == row.expected_error
    assert calibration_table(found).row_count == 1


def test_nothing_to_calibrate_is_refused(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[[], Path]
) -> None:
    images = read_set(make_reader_set("jsrt", images=1, structures=("lungs",)))
    with pytest.raises(EvaluationError, match="exactly one structure"):
        calibrate(OnnxSegmenter(Bundle.load(tiny_bundle())), [images])


def test_structure_found_where_the_reader_has_none_counts(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[[], Path]
) -> None:
    folder = make_reader_set("jsrt", images=2, structures=("heart",))
    segmenter = OnnxSegmenter(Bundle.load(tiny_bundle()))
    (before,) = calibrate(segmenter, [read_set(folder)]).structures
    for mask in (folder / "masks" / "heart").iterdir():
        with Image.open(mask) as drawn:
            Image.new("L", drawn.size).save(mask)
    (row,) = calibrate(segmenter, [read_set(folder)]).structures
    assert (row.images, row.empty) == (2, 0)
    assert row.expected_error > before.expected_error
    assert all(share == 0 for share in row.share)
