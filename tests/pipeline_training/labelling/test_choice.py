"""Labellers are made from what a user wrote; what is wrong is told in one line."""

from pathlib import Path

import pytest

from pipeline_training.errors import LabellerError
from pipeline_training.labelling.choice import KINDS, labellers_of
from pipeline_training.labelling.totalsegmentator import TotalSegmentatorLabeller


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that can be imported, and does nothing."""
    packages = tmp_path / "packages" / "totalsegmentator"
    packages.mkdir(parents=True)
    (packages / "__init__.py").touch()
    monkeypatch.syspath_prepend(packages.parent)


def test_several_labellers_keep_the_order_they_were_named_in(tmp_path: Path, library: None) -> None:
    made = labellers_of([f"totalsegmentator-fast={tmp_path}", "rules"])
    assert [labeller.name for labeller in made] == ["TotalSegmentator", "rules"]
    assert isinstance(made[0], TotalSegmentatorLabeller)


def test_without_a_name_there_is_no_labeller() -> None:
    with pytest.raises(LabellerError, match="name at least one labeller"):
        labellers_of([])


@pytest.mark.parametrize("word", ["nnnet=/tmp", "rules=/tmp", "labeller.pt", "own", ""])
def test_unknown_labeller_is_answered_with_the_known_ones(word: str) -> None:
    with pytest.raises(
        LabellerError, match=r"is no labeller; known are rules, own=PATH, atlas=PATH, nnunet=PATH.*cads=PATH$"
    ):
        labellers_of([word])


def test_labeller_without_its_path_is_told() -> None:
    with pytest.raises(LabellerError, match="'own=' names no path"):
        labellers_of(["own="])


@pytest.mark.parametrize("kind", KINDS)
def test_path_that_is_not_there_is_told_first(kind: str, tmp_path: Path) -> None:
    with pytest.raises(LabellerError, match=f"is missing: {tmp_path}/gone; it was named in '{kind}="):
        labellers_of([f"{kind}={tmp_path}/gone"])


@pytest.mark.parametrize(
    ("kind", "module", "words"),
    [
        ("nnunet", "nnunetv2", "pip install nnunetv2"),
        ("monai", "monai", "pip install monai"),
        ("totalsegmentator", "totalsegmentator", "pip install TotalSegmentator"),
        ("cads", "cads", "clone .*CADS"),
    ],
)
def test_library_that_is_not_installed_is_told_with_how_to_get_it(
    kind: str, module: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(LabellerError, match=f"^{module} cannot be loaded .*{words}[^\n]*$"):
        labellers_of([f"{kind}={tmp_path}"])


def test_checkpoint_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "labeller.pt").write_text("nothing")
    with pytest.raises(LabellerError, match=r"labeller.pt is no checkpoint of [^\n]*$"):
        labellers_of([f"own={tmp_path / 'labeller.pt'}"])
