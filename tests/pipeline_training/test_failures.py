"""The worst looks are shown, with what is true, what was found, and whether the model knew."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ai.bundle import Bundle
from ai.uncertainty import Reliability, Trust
from pipeline_training.cli import main
from pipeline_training.dataset import LATERAL, Source, read_sources
from pipeline_training.errors import EvaluationError
from pipeline_training.failures import (
    ACROSS,
    CAPTION,
    FOUND_COLOUR,
    TILE,
    TRUTH_COLOUR,
    Outcome,
    failure_page,
    failure_sheet,
    failures,
)
from pipeline_training.spoil import SPOILERS

SURE = Reliability(bar=0.85, intercept=5.0, expected=0.0, agreement=0.0)


@pytest.fixture
def sure(tiny_bundle: Callable[[], Path]) -> Bundle:
    """A network that draws the same heart on every picture, and is sure of it."""
    bundle = Bundle.load(tiny_bundle())
    return replace(bundle, manifest=replace(bundle.manifest, reliability={"heart": SURE}))


def test_each_way_shows_its_worst_look(sure: Bundle, sources: list[Source]) -> None:
    few, more = failures(sure, sources[:1], looks=1), failures(sure, sources[:1], looks=9)
    assert [each.how for each in more] == ["", *SPOILERS]
    assert all(len(each.outcomes) == 1 for each in more), "of the lungs nothing is known"
    dice = {a.how: (a.outcomes[0].dice, b.outcomes[0].dice) for a, b in zip(more, few, strict=True)}
    assert all(worst <= first for worst, first in dice.values())
    assert all(dice[how][0] < dice[how][1] for how in ("crop", "rotation")), "these move what is true"


def test_a_wrong_mask_that_is_trusted_is_called_unnoticed(sure: Bundle, sources: list[Source]) -> None:
    (outcome,) = failures(sure, sources, looks=3)[0].outcomes
    assert outcome.dice < SURE.bar
    assert outcome.is_unnoticed
    assert not Outcome("heart", 0.5, Trust(0.4, 0.85)).is_unnoticed, "the node would not measure on it"
    assert not Outcome("heart", 0.9, Trust(0.9, 0.85)).is_unnoticed
    assert not Outcome("heart", 0.0, None).is_unnoticed, "it was not found"


def test_picture_shows_what_is_true_and_what_was_found(sure: Bundle, sources: list[Source]) -> None:
    found = failures(sure, sources, looks=2)
    for each in found:
        assert each.picture.shape == (TILE, TILE, 3)
        for colour in (TRUTH_COLOUR, FOUND_COLOUR):
            assert (each.picture == colour).all(axis=2).any() or each.how == "crop"
    sheet = failure_sheet(found)
    assert sheet.shape == (2 * (CAPTION + TILE), ACROSS * TILE, 3)
    second = sheet[CAPTION : CAPTION + TILE, TILE : 2 * TILE]
    assert np.array_equal(second, found[1].picture)


def test_page_names_bar_probability_and_what_was_not_noticed(sure: Bundle, sources: list[Source]) -> None:
    found = failures(sure, sources, looks=1)
    outcome = found[0].outcomes[0]
    page = failure_page(sure, found, 1, "sheet.png", ("one (CC BY 4.0)", "two"))
    assert "\n\nBodies: one (CC BY 4.0); two.\n\nProbability" in page
    labels = sure.manifest.labels
    unjudged = replace(
        sure, manifest=replace(sure.manifest, reliability={name: SURE for name in labels if name != "heart"})
    )
    told = failure_page(unjudged, failures(unjudged, sources, looks=1), 1, "sheet.png")
    assert f"| heart | {outcome.dice:.2f} | - | - | not judged |" in told
    assert "Bodies" not in failure_page(sure, found, 1, "sheet.png")
    assert "](sheet.png)" in page
    assert f"| heart | {outcome.dice:.2f} | 0.85 | 0.99 | **unnoticed** |" in page


def test_without_frontal_pictures_or_anything_to_show_there_is_no_page(
    sure: Bundle, sources: list[Source]
) -> None:
    with pytest.raises(EvaluationError, match="no frontal projection"):
        failures(sure, [replace(each, view=LATERAL) for each in sources], looks=1)
    unknown = [replace(each, known=each.known[:0], coverage=each.coverage[:0]) for each in sources]
    with pytest.raises(EvaluationError, match="no look shows any of"):
        failures(sure, unknown, looks=1)


def test_command_writes_page_and_picture(
    sure: Bundle, projections: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_sources(projections, ())
    sure.save(tmp_path / "sure")
    page = tmp_path / "failures.md"
    asked = ["failures", "--projections", projections, "--page", page, "--bundle", tmp_path / "sure"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, asked), "--looks", "2"])
    assert ended.value.code == 0, capsys.readouterr().err
    assert "](failures.png)" in page.read_text()
    with Image.open(tmp_path / "failures.png") as picture:
        assert picture.size == (ACROSS * TILE, 2 * (CAPTION + TILE))
