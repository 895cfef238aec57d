from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ai.bundle import Bundle
from ai.stand_in import StandInSegmenter
from pipeline_training.accuracy_page import ANCHORS, accuracy_page
from pipeline_training.cli import main
from pipeline_training.compared import compared_of
from pipeline_training.evaluate import EvaluateOptions, chosen_sets, evaluate_sets
from pipeline_training.evaluation_report import Evaluation
from pipeline_training.radiograph_folders import PROTOCOLS, Structure


@pytest.fixture
def evaluation(make_reader_set: Callable[..., Path]) -> Evaluation:
    folder = make_reader_set("jsrt", structures=("heart", "right_lung"))
    options = EvaluateOptions(folder, resamples=50)
    return evaluate_sets(StandInSegmenter(), chosen_sets(options), options)


def test_every_structure_has_its_row_with_what_others_reached(evaluation: Evaluation) -> None:
    rows = [line for line in accuracy_page(evaluation).splitlines() if line.startswith("| jsrt |")]
    rows = [row for row in rows if row.count("|") == 9]
    heart = next(row for row in rows if "| heart |" in row)
    (scores,) = (each.with_refusals for each in evaluation.sets[0].structures if each.structure == "heart")
    assert scores is not None
    assert f"| heart | 3 | 0 | {scores.dice.mean:.3f} [" in heart
    assert "second reader .935" in heart
    assert len(rows) == 2


def test_sets_that_the_model_was_trained_on_are_named(evaluation: Evaluation) -> None:
    assert "| jsrt (trained on) | heart |" in accuracy_page(evaluation, ("jsrt",))
    assert "(trained on)" not in accuracy_page(evaluation, ("wingspan",))


def test_dice_without_the_cut_stands_beside(make_reader_set: Callable[..., Path]) -> None:
    drawn = ("left_clavicle", "right_clavicle")
    options = EvaluateOptions(make_reader_set("jsrt", structures=drawn), resamples=50)
    page = accuracy_page(evaluate_sets(StandInSegmenter(), chosen_sets(options), options))
    row = next(line for line in page.splitlines() if line.startswith("| jsrt | both clavicles"))
    assert "; not cut 1.000 |" in row
    assert "second reader .945 (their masks not cut)" in row


def test_views_of_the_sets_are_told(evaluation: Evaluation) -> None:
    lines = accuracy_page(evaluation).splitlines()
    assert "| jsrt | PA | adults |" in lines
    assert not any(line.startswith("| wingspan") for line in lines)


def test_anchors_are_of_structures_that_are_compared() -> None:
    for name, structure in ANCHORS:
        drawn = [Structure(folder, labels) for folder, labels in PROTOCOLS[name].items()]
        assert structure in {each.name for each in compared_of(drawn)}


def test_command_writes_the_page(
    make_reader_set: Callable[..., Path],
    tiny_bundle: Callable[[], Path],
    make_judge: Callable[..., bytes],
    tmp_path: Path,
) -> None:
    page, folder = tmp_path / "docs" / "accuracy.md", make_reader_set("jsrt")
    bundle, made = tiny_bundle(), tmp_path / "made"
    Bundle.load(bundle).with_judge(make_judge()).save(bundle)
    asked = ["accuracy", "--data", folder, "--page", page, "--bundle", bundle, "--trained-on", "jsrt"]
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in [*asked, "--into", made]])
    assert ended.value.code == 0
    assert "| jsrt (trained on) | heart | 3 |" in page.read_text()
    before, after = Bundle.load(bundle), Bundle.load(made)
    (jsrt,) = after.manifest.metrics["sets"]
    assert (jsrt["name"], jsrt["structures"][0]["images"]) == ("jsrt", 3)
    assert replace(after.manifest, metrics=before.manifest.metrics) == before.manifest
    assert (after.onnx_bytes, after.judge_bytes) == (before.onnx_bytes, before.judge_bytes)
    assert "| jsrt | heart | 3 |" in (made / "MODEL_CARD.md").read_text()
