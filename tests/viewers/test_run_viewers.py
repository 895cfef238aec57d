"""What is wrong on purpose counts as found only where its pixels told and the right one had no fault."""

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from pydicom import Dataset

from tests.viewers.check_results import Finding
from tests.viewers.films import Film, small_film
from tests.viewers.overlay_pixels import Comparison
from tests.viewers.run_viewers import Run, are_found, finding_of, see_films

RIGHT = Comparison("heart", pixels=5000, iou=1.0, filled=1.0, outside=0.0, colour_distance=0.0)
WRONG = replace(RIGHT, iou=0.2)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    return small_film(Path(tmp_path_factory.mktemp("film")))


class _Viewer:
    """What a viewer would have shown, by the name under which it was sent."""

    def __init__(self, **shown: Comparison) -> None:
        self.shown = shown
        self.seen: list[Dataset] = []

    def see(self, film: Film, name: str, segs: list[Dataset]) -> list[Finding]:
        self.seen += segs
        comparisons = [self.shown[name]] if name in self.shown else []
        faults = [fault for each in comparisons for fault in each.faults] or ["it did not appear"]
        return [
            Finding(film.name, name, "SEG", comparisons=comparisons, faults=faults if name != "right" else [])
        ]


ALL_WRONG = dict.fromkeys(("shifted", "mirrored", "recoloured", "renamed"), WRONG)


def test_all_that_is_wrong_must_be_found(film: Film) -> None:
    viewer = _Viewer(right=RIGHT, **ALL_WRONG)
    assert are_found(film, "standard", viewer.see)
    assert len(viewer.seen) == 5
    assert all("PlaneOrientationSequence" not in seg.SharedFunctionalGroupsSequence[0] for seg in viewer.seen)


@pytest.mark.parametrize("name", ALL_WRONG)
def test_one_that_is_shown_as_if_it_were_right_is_told(film: Film, name: str) -> None:
    assert not are_found(film, "standard", _Viewer(right=RIGHT, **{**ALL_WRONG, name: RIGHT}).see)


def test_one_that_does_not_come_up_has_found_nothing(film: Film) -> None:
    shown = {name: one for name, one in ALL_WRONG.items() if name != "shifted"}
    assert not are_found(film, "standard", _Viewer(right=RIGHT, **shown).see)


class _Run:
    """A run in which OHIF shows nothing of one modality, and AMI everything."""

    def __init__(self, modality: str) -> None:
        self._modality = modality

    def see(self, film: Film, profile: str, results: list[Dataset]) -> list[Finding]:
        seen = [finding_of(film, profile, each.Modality, "") for each in results]
        for each, result in zip(seen, results, strict=True):
            each.faults += ["it did not appear"] if result.Modality == self._modality else []
        return seen

    def see_in_ami(self, film: Film, profile: str, segs: list[Dataset]) -> list[Finding]:
        return []


@pytest.mark.parametrize(
    ("profile", "modality", "holds"),
    [("standard", "SEG", True), ("standard", "SR", False), ("weasis", "SR", False), ("ohif", "SEG", False)],
)
def test_only_segmentations_without_an_orientation_may_stay_away_from_ohif(
    film: Film, profile: str, modality: str, holds: bool
) -> None:
    assert see_films(cast(Run, _Run(modality)), [profile], iter([film])) == holds
