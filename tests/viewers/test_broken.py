"""Segmentations that are wrong on purpose are wrong in the one way that is meant, and read by all."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from tests.viewers.broken import BREAKS
from tests.viewers.films import results_of, small_film


@pytest.fixture(scope="module")
def seg(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    film = small_film(Path(tmp_path_factory.mktemp("film")))
    return next(result for result in results_of("one", film) if result.Modality == "SEG")


@pytest.mark.parametrize("name", ["shifted", "mirrored"])
def test_pixels_are_moved_and_names_are_not(seg: Dataset, name: str) -> None:
    broken = BREAKS[name](seg)
    assert not np.array_equal(broken.pixel_array, seg.pixel_array)
    assert np.array_equal(broken.pixel_array.sum(axis=(1, 2)), seg.pixel_array.sum(axis=(1, 2)))
    assert broken.SegmentSequence == seg.SegmentSequence


def test_a_mirrored_one_is_mirrored(seg: Dataset) -> None:
    assert np.array_equal(BREAKS["mirrored"](seg).pixel_array, seg.pixel_array[:, :, ::-1])


def test_colours_go_round(seg: Dataset) -> None:
    broken = BREAKS["recoloured"](seg)
    colours = [list(segment.RecommendedDisplayCIELabValue) for segment in seg.SegmentSequence]
    changed = [list(segment.RecommendedDisplayCIELabValue) for segment in broken.SegmentSequence]
    assert changed == colours[1:] + colours[:1]
    assert broken.PixelData == seg.PixelData


def test_right_becomes_left(seg: Dataset) -> None:
    names = [segment.SegmentLabel for segment in BREAKS["renamed"](seg).SegmentSequence]
    old = [segment.SegmentLabel for segment in seg.SegmentSequence]
    assert names[old.index("right lung")] == "left lung"
    assert names[old.index("clavicle left")] == "clavicle right"
    assert names[old.index("heart")] == "heart"
