"""The own labeller learns what it is shown, is silent on what it is not told, and goes on after a stop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_training.errors import LabellerError, TrainingError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.own_input import lung_box, positions
from pipeline_training.labelling.own_labeller import Axis, OwnLabeller, upsampled
from pipeline_training.labelling.own_training import (
    LabellerOptions,
    Lesson,
    classes_of,
    draw_patch,
    make_lesson,
    marginal_loss,
    read_labeller,
    train_labeller,
)
from pipeline_training.volumes import LabelMap

KEPT = ("lung_upper_lobe_left", "lung_upper_lobe_right", "sternum")
TINY = (8, 8)
SPACING = 4.0
SHAPE = (40, 24, 44)
LUNGS = {"lung_upper_lobe_right": slice(4, 18), "lung_upper_lobe_left": slice(26, 40)}


@pytest.fixture(scope="module")
def volume() -> LabelMap:
    """A block of soft tissue with two equal blocks of air, told apart by their side alone, and some bone."""
    hu, labels = np.full(SHAPE, 40, np.int16), np.zeros(SHAPE, np.uint8)
    for number, name in enumerate(KEPT, start=1):
        where = (
            (slice(4, 36), slice(5, 21), LUNGS[name]) if name in LUNGS else (slice(8, 32), 2, slice(18, 26))
        )
        hu[where] = -850 if name in LUNGS else 600
        labels[where] = number
    names = dict(enumerate(KEPT, start=1))
    return LabelMap("body", labels, names, hu, SPACING, vocabulary=frozenset(KEPT))


@pytest.fixture(scope="module")
def lesson(volume: LabelMap) -> Lesson:
    return make_lesson(volume, classes_of([volume]), seed=1)


def _options(out: Path, steps: int) -> LabellerOptions:
    return LabellerOptions(
        out, steps, patch=(16, 16, 24), learning_rate=2e-2, widths=TINY, checkpoint_every=2
    )


def test_box_of_the_lungs_is_found_without_labels(volume: LabelMap) -> None:
    assert volume.hu is not None
    box = lung_box(volume.hu, SPACING)
    assert (box.low, box.high) == ((4, 5, 4), (36, 21, 40))
    where = positions((10, 12, 11), SHAPE, box)  # cells of 4, 2 and 4 voxels
    np.testing.assert_allclose(where[:, 0, 0, 0], [(2 - 4) / 32, (1 - 5) / 16, (2 - 4) / 36], rtol=1e-6)
    np.testing.assert_allclose(where[:, -1, -1, -1], [(38 - 4) / 32, (23 - 5) / 16, (42 - 4) / 36], rtol=1e-6)


def test_volume_without_lungs_is_refused_by_name() -> None:
    solid = CtVolume("stone", np.full((30, 30, 30), 40, np.int16), 4.0)
    with pytest.raises(LabellerError, match="stone: no lungs: less than 400 ml"):
        lung_box(solid.hu, solid.spacing_mm, solid.case)


def test_unknown_classes_are_neither_rewarded_nor_punished() -> None:
    logits = torch.randn(4, 2, 2, 2, requires_grad=True, generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(2, 2, 2, dtype=torch.long)
    labels[0] = 1
    known = torch.tensor([True, True, False, True])
    before = marginal_loss(logits, labels, known)
    moved = logits.detach().clone()
    both = torch.logsumexp(moved[[0, 2]], dim=0)
    moved[2] = both - 0.1  # what the background and the unknown class share, shared otherwise
    moved[0] = torch.log(torch.exp(both) - torch.exp(moved[2]))
    assert float(marginal_loss(moved, labels, known)) == pytest.approx(float(before.detach()), abs=1e-5)
    moved[3] += 2.0
    assert float(marginal_loss(moved, labels, known)) > float(before.detach())


def test_labels_move_with_the_picture(lesson: Lesson, tmp_path: Path) -> None:
    for step in range(4):
        volume, labels, _ = draw_patch([lesson], _options(tmp_path, 1), step)
        lungs = labels == 1 + KEPT.index("lung_upper_lobe_left")
        if lungs.sum() > 50:
            assert float(volume[0][lungs].median()) < -0.5
            return
    pytest.fail("no patch showed the lung")


def test_it_learns_the_body_that_it_is_shown(volume: LabelMap, lesson: Lesson, tmp_path: Path) -> None:
    classes = classes_of([volume])
    labeller = OwnLabeller(train_labeller([lesson], classes, _options(tmp_path, 40)))
    assert volume.hu is not None
    vote = labeller.label(CtVolume("body", volume.hu, SPACING))
    for name in LUNGS:
        truth, found = volume.mask(name), vote.mask(name)
        assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.8, name
    scores = torch.load(tmp_path / "labeller.pt")["scores"]
    assert vote.vocabulary == {name for name in KEPT if scores[name] >= 0.5}
    assert set(vote.names.values()) <= vote.vocabulary
    assert vote.confidence is not None
    assert 0 < vote.confidence.min() <= vote.confidence.max() <= 1


def test_run_that_was_stopped_ends_as_one_that_was_not(
    volume: LabelMap, lesson: Lesson, tmp_path: Path
) -> None:
    classes = classes_of([volume])
    whole = read_labeller(train_labeller([lesson], classes, _options(tmp_path / "whole", 5)))
    stopped = _options(tmp_path / "stopped", 5)
    with pytest.raises(KeyboardInterrupt):
        train_labeller(_Interrupted([lesson], 3), classes, stopped)
    resumed = read_labeller(train_labeller([lesson], classes, stopped))
    for name, weights in whole["network"].items():
        assert torch.equal(weights, resumed["network"][name]), name


class _Interrupted(list[Lesson]):
    """Lessons that end the run when they are taken the n-th time."""

    def __init__(self, lessons: list[Lesson], uses: int) -> None:
        super().__init__(lessons)
        self._left = uses

    def __getitem__(self, index: object) -> Lesson:  # type: ignore[override]
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt
        return super().__getitem__(index)  # type: ignore[call-overload, no-any-return]


def test_checkpoint_of_another_run_is_refused(volume: LabelMap, lesson: Lesson, tmp_path: Path) -> None:
    classes = classes_of([volume])
    train_labeller([lesson], classes, _options(tmp_path, 1))
    with pytest.raises(TrainingError, match="was trained with steps 1, not 2"):
        train_labeller([lesson], classes, _options(tmp_path, 2))
    with pytest.raises(TrainingError, match="for other structures"):
        train_labeller([lesson], [*classes[:-1], "ulna"], _options(tmp_path, 1))


def test_file_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labeller.pt").write_bytes(b"no weights")
    with pytest.raises(LabellerError, match=r"labeller\.pt is no checkpoint"):
        OwnLabeller(tmp_path / "labeller.pt")


def test_vote_outside_its_vocabulary_is_refused(volume: LabelMap) -> None:
    with pytest.raises(LabellerError, match="which is not in its vocabulary"):
        LabelVote("x", volume.labels, volume.names, frozenset({"ulna"}))
    with pytest.raises(LabellerError, match="differ in shape"):
        replace(
            LabelVote("x", volume.labels, volume.names, frozenset(KEPT)),
            confidence=np.zeros((1, 1, 1), np.float32),
        )


def test_a_share_is_interpolated_as_torch_does_it() -> None:
    share = np.random.default_rng(0).random((5, 4, 7)).astype(np.float32)
    shape = (13, 11, 16)
    whole = upsampled(share, [Axis.between(c, f) for c, f in zip(share.shape, shape, strict=True)])
    truth = torch.nn.functional.interpolate(torch.from_numpy(share)[None, None], size=shape, mode="trilinear")
    np.testing.assert_allclose(whole, truth[0, 0], atol=1e-6)
    part = Axis.between(5, 13, (1, 3))
    axes = [part, *(Axis.between(c, f) for c, f in zip(share.shape[1:], shape[1:], strict=True))]
    np.testing.assert_array_equal(upsampled(share, axes), whole[part.first : part.first + len(part.weight)])


def test_class_that_was_not_learned_is_not_in_the_vocabulary(
    volume: LabelMap, lesson: Lesson, tmp_path: Path
) -> None:
    path = train_labeller([lesson], classes_of([volume]), _options(tmp_path, 1))
    stored = torch.load(path)
    stored["scores"] = dict.fromkeys(KEPT, 0.2) | {"sternum": 0.9}
    torch.save(stored, path)
    assert volume.hu is not None
    vote = OwnLabeller(path).label(CtVolume("body", volume.hu, SPACING))
    assert vote.vocabulary == {"sternum"}
    assert set(vote.names.values()) <= {"sternum"}


def test_training_that_has_not_ended_labels_nothing(volume: LabelMap, lesson: Lesson, tmp_path: Path) -> None:
    path = train_labeller([lesson], classes_of([volume]), _options(tmp_path, 1))
    stored = torch.load(path)
    del stored["scores"]
    torch.save(stored, path)
    with pytest.raises(LabellerError, match="has not come to an end"):
        OwnLabeller(path)
