"""Paired differences find what unpaired means hide, and say nothing where nothing was shown."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ai.segmentation import ModelIdentity
from pipeline_training.compare import Finding, compare, comparison_table
from pipeline_training.errors import EvaluationError
from pipeline_training.evaluation_report import (
    Evaluation,
    RatioResult,
    RatioScore,
    Refusal,
    Score,
    SetResult,
    StructureResult,
)


def _evaluation(
    dice: dict[str, float], ratios: dict[str, float | None] | None = None, name: str = "set"
) -> Evaluation:
    scores = tuple(Score(image, value, value / 2, 10 * (1 - value)) for image, value in dice.items())
    structure = StructureResult("heart", ("heart",), (), "", None, None, scores)
    ratio = (
        RatioResult(None, 0, tuple(RatioScore(image, 0.5, found) for image, found in ratios.items()))
        if ratios
        else None
    )
    model = ModelIdentity("model", "1", "0" * 64)
    return Evaluation(model, 500, 0, (SetResult(name, len(dice), (), (structure,), ratio),))


HARD_TO_EASY = {f"{n}.png": 0.3 + 0.03 * n for n in range(20)}


def test_small_gain_on_every_image_is_found_though_images_differ_much_more() -> None:
    better = {image: value + 0.01 + 0.002 * (i % 3) for i, (image, value) in enumerate(HARD_TO_EASY.items())}
    (row,) = compare(_evaluation(HARD_TO_EASY), _evaluation(better)).structures
    assert row.finding is Finding.BETTER
    assert row.dice.mean == pytest.approx(0.0119)
    assert 0.01 < row.dice.low < row.dice.mean < row.dice.high < 0.014
    assert row.hausdorff95_px is not None
    assert row.hausdorff95_px.mean == pytest.approx(-0.119)
    (back,) = compare(_evaluation(better), _evaluation(HARD_TO_EASY)).structures
    assert back.finding is Finding.WORSE


def test_gain_and_loss_in_turn_show_no_difference() -> None:
    generator = np.random.default_rng(0)
    other = {image: value + generator.normal(0, 0.05) for image, value in HARD_TO_EASY.items()}
    (row,) = compare(_evaluation(HARD_TO_EASY), _evaluation(other)).structures
    assert row.finding is Finding.UNDECIDED


def test_images_of_one_model_only_do_not_count() -> None:
    some = {image: HARD_TO_EASY[image] for image in list(HARD_TO_EASY)[:5]}
    (row,) = compare(_evaluation(HARD_TO_EASY), _evaluation({**some, "other.png": 1.0})).structures
    assert row.n == 5
    assert row.dice.mean == 0


def test_errors_of_the_ratio_are_compared_where_both_have_one() -> None:
    first = _evaluation(HARD_TO_EASY, {"0.png": 0.6, "1.png": 0.44, "2.png": None})
    second = _evaluation(HARD_TO_EASY, {"0.png": 0.52, "1.png": 0.49, "2.png": 0.5})
    (row,) = compare(first, second).ratios
    assert (row.n, row.finding) == (2, Finding.TOO_FEW)
    assert row.absolute_error.mean == pytest.approx(((0.02 - 0.1) + (0.01 - 0.06)) / 2)


def test_nothing_in_common_is_refused() -> None:
    with pytest.raises(EvaluationError, match="nothing to compare"):
        compare(_evaluation(HARD_TO_EASY, name="a"), _evaluation(HARD_TO_EASY, name="b"))


def test_comparison_is_told_as_json_and_as_a_table(tmp_path: Path) -> None:
    found = compare(_evaluation(HARD_TO_EASY), _evaluation(HARD_TO_EASY))
    content = json.loads(found.to_json())
    assert content["structures"][0]["finding"] == "no difference shown"
    assert comparison_table(found).row_count == 1


def test_what_one_model_invents_and_the_other_rightly_does_not_counts() -> None:
    right = dict.fromkeys(list(HARD_TO_EASY)[:10], 0.9)
    first = _evaluation(right)
    (found,) = first.sets
    empty = replace(found.structures[0], empty=tuple(list(HARD_TO_EASY)[10:]))
    first = replace(first, sets=(replace(found, structures=(empty,)),))
    second = _evaluation({image: right.get(image, 0.0) for image in HARD_TO_EASY})
    (row,) = compare(first, second).structures
    assert (row.n, row.hausdorff95_n, row.finding) == (20, 10, Finding.WORSE)
    assert row.dice.mean == pytest.approx(-0.5)


@pytest.mark.parametrize(("patients", "finding"), [(14, Finding.TOO_FEW), (15, Finding.BETTER)])
def test_patients_are_counted_and_few_of_them_show_nothing(patients: int, finding: Finding) -> None:
    better = _evaluation({image: value + 0.01 for image, value in HARD_TO_EASY.items()})
    numbers = {image: n % patients for n, image in enumerate(HARD_TO_EASY)}
    told = replace(better, sets=(replace(better.sets[0], patients=numbers),))
    (row,) = compare(_evaluation(HARD_TO_EASY), told).structures
    assert (row.n, row.units, row.finding) == (20, patients, finding)


def test_refusals_are_told_and_have_no_distance() -> None:
    first = _evaluation(HARD_TO_EASY)
    (found,) = first.sets
    scores = tuple(
        replace(s, dice=0.0, hausdorff95_px=700.0, refused=True) for s in found.structures[0].images
    )
    structures = (replace(found.structures[0], images=scores),)
    refusals = tuple(Refusal(score.image, "lateral") for score in scores)
    second = replace(first, sets=(replace(found, structures=structures, refusals=refusals),))
    compared = compare(first, second)
    (row,) = compared.structures
    assert (row.refused, row.hausdorff95_px, row.hausdorff95_n) == ((0, 20), None, 0)
    assert json.loads(compared.to_json())["structures"][0]["refused"] == [0, 20]
    assert list(comparison_table(compared).columns[4].cells) == ["0 then 20"]
