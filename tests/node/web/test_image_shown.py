"""Masks and values of a page are those of one run, whatever is worked on meanwhile."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from pydicom import Dataset

from config.settings import Settings
from node.errors import NotThereError
from node.job_rows import utc_now
from node.meters import Meters
from node.study_pictures import lines_of
from node.study_reading import Reading
from node.text_layout import Box
from node.watched import Parts, Watched
from node.web.desk import desk_for
from node.web.errors import ConflictError
from node.web.image_shown import ShownImages
from node.web.job_details import film_of, job_details, measured_of
from node.web.job_drawn import Label, drawn_lines, label_size, structures_of
from tests.node.worked_study import JOB, WorkedStudy
from tests.node.written_profiles import SOURCES

FOR = {"standard": ("pacs",)}


@pytest.fixture
def study(tmp_path: Path, make_dx: Callable[..., Dataset]) -> WorkedStudy:
    return WorkedStudy(tmp_path, make_dx(**SOURCES["aligned"]))


def test_mask_of_results_that_have_changed_is_never_another_one(study: WorkedStudy) -> None:
    study.work(FOR)
    shown = ShownImages(study.store, study.spool)
    before, version = shown.masks(JOB), shown.reading(JOB).version
    assert version == before.version
    assert shown.mask(JOB, "heart", version).label == "heart"

    study.work_again(FOR, weights="2")  # which find no heart: each mask behind it has another number

    assert len(shown.masks(JOB).pictures) < len(before.pictures)
    for picture in before.pictures:
        with pytest.raises(ConflictError, match="the results of job 1 have changed; load the page again"):
            shown.mask(JOB, picture.label, version)
    now = shown.reading(JOB).version
    assert now == shown.masks(JOB).version != version
    with pytest.raises(NotThereError, match="no mask of that name"):
        shown.mask(JOB, "heart", now)


def test_same_results_made_again_have_the_same_version(study: WorkedStudy) -> None:
    study.work(FOR)
    shown = ShownImages(study.store, study.spool)
    version = shown.masks(JOB).version
    study.store.rerun(JOB)
    assert shown.masks(JOB, version).pictures

    study.work(FOR)

    assert shown.masks(JOB, version).pictures


def test_structure_has_the_path_of_its_mask(study: WorkedStudy) -> None:
    study.work(FOR)
    masks = ShownImages(study.store, study.spool).masks(JOB)
    found = structures_of(masks, "/jobs/1")
    paths = {each.label: each.mask for group in found.groups for each in group.structures}

    assert paths["heart"] == f"/jobs/1/masks/heart.png?of={masks.version}"
    assert paths["visible lung right"].startswith("/jobs/1/masks/visible%20lung%20right.png?of=")


def test_lung_that_is_measured_is_listed_before_the_whole_one_and_says_so(study: WorkedStudy) -> None:
    study.work(FOR)
    found = structures_of(ShownImages(study.store, study.spool).masks(JOB), "/jobs/1")
    [lungs] = [group for group in found.groups if group.name == "lungs and airways"]
    labels, notes = zip(*((each.label, each.note) for each in lungs.structures), strict=True)

    assert labels[:4] == ("visible lung right", "visible lung left", "right lung", "left lung")
    assert ["measured" in note for note in notes[:4]] == [True, True, False, False]
    assert not any(notes[4:])
    assert list(labels[4:]) == sorted(labels[4:])


class WorkedOnMeanwhile(ShownImages):
    """An image that finds no heart any more whenever somebody has just read what was measured."""

    def __init__(self, study: WorkedStudy) -> None:
        super().__init__(study.store, study.spool)
        self._study = study

    def reading(self, job_id: int) -> Reading:
        found = super().reading(job_id)
        self._study.work_again(FOR, weights="2")
        return found


def test_lines_and_values_are_of_one_run_though_another_ends_meanwhile(study: WorkedStudy) -> None:
    study.work(FOR)
    first = ShownImages(study.store, study.spool).reading(JOB)
    shown = WorkedOnMeanwhile(study)
    watched = Watched(Settings, Parts, study.store.engine, study.spool, utc_now, Meters())

    details = job_details(desk_for(watched, study.store, None), shown, JOB)

    assert details.measured == measured_of(first)
    assert details.film.lines == lines_of(first, shown.canvas(JOB))
    assert any("heart" in name for line in details.film.lines for name in line.names)


def test_labels_of_all_lines_leave_each_other_room(study: WorkedStudy) -> None:
    study.work(FOR)
    shown = ShownImages(study.store, study.spool)
    reading = shown.reading(JOB)
    film, measured = film_of(shown, JOB, reading), measured_of(reading)
    drawn = drawn_lines(film, measured)
    boxes = [box for line in drawn for label in line.labels for box in [_box(label, label_size(film))]]

    assert len(boxes) > 5
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    texts = {value.name: value.text for value in measured.values}
    assert all(texts[name] == text for line in drawn for name, text in line.values)
    assert [label.text for line in drawn for label in line.labels] == [
        " ".join(value) for line in drawn for value in line.values
    ]


def _box(label: Label, size: float) -> Box:
    """Return what letters of a common font cover: half as wide as high."""
    width = 0.5 * size * len(label.text)
    left = label.x - width if label.anchor == "end" else label.x
    return Box(left, label.y - 0.75 * size, left + width, label.y + 0.25 * size)
