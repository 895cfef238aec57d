"""Films in, analyses out; the default bundle is tried in docs/python.md, which is run by a test."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import ai
from ai.errors import BundleError, NotAChestError, RadiographError
from ai.film import Film
from ai.judge import Judge
from ai.measurement import Measurement
from ai.model import Analysis, Model, load_model
from ai.onnx_segmenter import MAX_BATCH
from ai.pictures import film_from_array
from ai.radiograph import Radiograph, View
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from ai.upright import Rules

MakeJudge = Callable[..., bytes]


@pytest.fixture(scope="module")
def pixels() -> npt.NDArray[np.uint8]:
    return np.add.outer(np.arange(160), np.arange(128)).astype(np.uint8)


class _Counting(StandInSegmenter):
    """Says how many radiographs it was given at a time."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        self.batches.append(len(radiographs))
        return super().segment(radiographs)


def judged(make_judge: MakeJudge, rules: Rules | None = None, **logits: Any) -> Model:
    return Model(StandInSegmenter(), Judge(make_judge(**logits), 64), rules)


def computed(analysis: Analysis, name: str) -> Measurement:
    result = analysis.measurements[name]
    assert isinstance(result, Measurement)
    return result


def test_film_is_segmented_and_measured(pixels: npt.NDArray[np.uint8]) -> None:
    analysis = Model(StandInSegmenter()).analyse(film_from_array(pixels, spacing_mm=2.0))
    heart = analysis.masks["heart"].dense(pixels.shape)

    assert heart.shape == pixels.shape
    assert heart.sum() == analysis.masks["heart"].area
    assert computed(analysis, "cardiothoracic ratio").text.startswith("0.")
    assert computed(analysis, "heart width").unit == "mm"
    assert analysis.appearance is None


def test_lengths_are_not_computed_without_spacing(pixels: npt.NDArray[np.uint8]) -> None:
    analysis = Model(StandInSegmenter()).analyse(film_from_array(pixels))

    assert {result.reason for result in analysis.measurements.not_computed} >= {"no pixel spacing"}
    assert "the picture states no pixel spacing" in analysis.notes


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned_film_is_put_right_and_results_lie_on_it_as_it_was_given(
    pixels: npt.NDArray[np.uint8], make_judge: MakeJudge, turn: int
) -> None:
    upright = Model(StandInSegmenter()).analyse(film_from_array(pixels, 2.0))
    logits = [0.0] * 4
    logits[turn] = 9.0
    shown = np.rot90(pixels, turn)  # counter-clockwise, so that `turn` quarters clockwise put it right
    analysis = judged(make_judge, turn=tuple(logits)).analyse(film_from_array(shown, 2.0))

    assert analysis.segmentation.shape == shown.shape
    assert analysis.measured == upright.measured
    for name, mask in analysis.masks.items():
        expected = np.rot90(upright.masks[name].dense((160, 128)), turn)
        assert np.array_equal(mask.dense((shown.shape[0], shown.shape[1])), expected), name
    line, before = (computed(each, "heart width").drawings[0].points[0] for each in (analysis, upright))
    assert line != before
    assert line == analysis.film.orientation.point_to_stored(before, (160, 128))
    assert np.array_equal(analysis.overlay(), upright.overlay())
    assert any("rotated by" in note for note in analysis.notes)
    assert analysis.appearance is not None


def test_inverted_film_is_turned_over(pixels: npt.NDArray[np.uint8], make_judge: MakeJudge) -> None:
    film = film_from_array(pixels)
    analysis = judged(make_judge, inverted=(9.0,)).analyse(film)

    assert analysis.film.radiograph.pixels == pytest.approx(1 - film.radiograph.pixels)


def test_rules_say_what_is_refused(pixels: npt.NDArray[np.uint8], make_judge: MakeJudge) -> None:
    film = film_from_array(pixels)
    with pytest.raises(NotAChestError, match="the rule mirrored refuses it"):
        judged(make_judge, mirrored=(9.0,)).analyse(film)
    analysis = judged(make_judge, Rules(mirrored="note"), mirrored=(9.0,)).analyse(film)

    assert any("nothing was changed" in note for note in analysis.notes)


def test_film_that_is_refused_stops_no_other(pixels: npt.NDArray[np.uint8]) -> None:
    good, lateral = film_from_array(pixels), film_from_array(pixels, view=View.LEFT_LATERAL)
    results = list(Model(StandInSegmenter()).analyse_all([good, lateral, good]))

    assert [type(result) for result in results] == [Analysis, NotAChestError, Analysis]


def test_film_that_the_judge_refuses_stops_no_other(
    pixels: npt.NDArray[np.uint8], make_judge: MakeJudge
) -> None:
    results = list(judged(make_judge, kind=(0, 0, 9)).analyse_all([film_from_array(pixels)] * 2))

    assert [type(result) for result in results] == [NotAChestError] * 2


def test_films_are_taken_a_batch_at_a_time(pixels: npt.NDArray[np.uint8]) -> None:
    taken: list[int] = []

    def films() -> Any:
        for number in range(MAX_BATCH + 2):
            taken.append(number)
            yield film_from_array(pixels)

    segmenter = _Counting()
    results = Model(segmenter).analyse_all(films())
    next(results)

    assert len(taken) == MAX_BATCH
    assert len(list(results)) == MAX_BATCH + 1
    assert segmenter.batches == [MAX_BATCH, 2]


def test_a_bundle_that_is_not_there_is_an_error() -> None:
    with pytest.raises(BundleError, match="nowhere"):
        load_model("nowhere")


def test_names_for_users_are_all_there() -> None:
    assert ai.load_model is load_model
    assert ai.Film is Film
    for name in ai.__all__:
        assert getattr(ai, name).__name__ == name
    with pytest.raises(AttributeError, match="load_modle"):
        getattr(ai, "load_modle")  # noqa: B009 - mypy knows that it is not there


def test_reading_pictures_starts_no_onnx_runtime() -> None:
    code = "import sys, ai; ai.read_picture; ai.Rules; sys.exit('onnxruntime' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_any_error_of_a_film_is_one_that_a_caller_can_name() -> None:
    with pytest.raises(RadiographError):
        film_from_array(np.zeros((80, 80)))
