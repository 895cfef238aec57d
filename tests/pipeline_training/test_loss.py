from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_training.batches import Batch
from pipeline_training.loss import loss_of, plain_sums
from pipeline_training.network import Outputs
from pipeline_training.projections import NAMES
from pipeline_training.train import weights_of
from pipeline_training.train_options import TrainOptions


def batch_of(image: torch.Tensor, target: torch.Tensor, known: torch.Tensor, told: torch.Tensor) -> Batch:
    """Return a batch of frontal views of which all structures are told in the same cells (n, g, g)."""
    views, place = torch.zeros(len(image)).long(), torch.zeros_like(known, dtype=torch.long)
    return Batch(image, target, known, views, told[:, None], place)


def partly_known() -> tuple[torch.Tensor, Batch]:
    """Return logits and a batch of three samples, of which all, two and none of four structures are known."""
    torch.manual_seed(0)
    known = torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    told = torch.rand(3, 4, 5, 6) > 0.3
    target = torch.rand(3, 4, 5, 6, dtype=torch.float64)
    logits = 3 * torch.randn(3, 4, 5, 6, dtype=torch.float64)
    place = torch.tensor([[0, 2, 0, 3], [1, 1, 3, 0], [2, 2, 2, 2]])
    return logits, Batch(torch.zeros(3, 1, 10, 12), target, known, torch.zeros(3).long(), told, place)


def test_sums_are_those_of_the_formulas() -> None:
    logits, batch = partly_known()
    told = batch.told[torch.arange(3)[:, None], batch.place] * batch.known[:, :, None, None]
    found, truth = torch.sigmoid(logits) * told, batch.target * told
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch.target, reduction="none")
    sums = plain_sums(logits, batch)
    torch.testing.assert_close(sums.entropy, (entropy * told).sum((2, 3)))
    torch.testing.assert_close(sums.below, (found + truth).sum((2, 3)))
    torch.testing.assert_close(sums.truth, truth.sum((2, 3)))
    torch.testing.assert_close(sums.above, (found + truth - 2 * found * truth).sum((2, 3)))


def test_half_precision_changes_sums_and_slopes_by_rounding_alone() -> None:
    logits, batch = partly_known()
    half = replace(batch, target=batch.target.half())
    exact, rounded = logits.requires_grad_(), logits.detach().bfloat16().requires_grad_()
    sums, near = torch.stack(plain_sums(exact, batch)[:3]), torch.stack(plain_sums(rounded, half)[:3])
    torch.testing.assert_close(near.double(), sums, rtol=0.01, atol=0.01)
    (slope,), (nearly,) = torch.autograd.grad(sums.sum(), exact), torch.autograd.grad(near.sum(), rounded)
    assert nearly.dtype == torch.bfloat16
    torch.testing.assert_close(nearly.double(), slope, rtol=0.05, atol=0.02)


def test_slopes_are_those_of_the_sums() -> None:
    """Against finite differences, in double precision."""
    logits, batch = partly_known()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda each: plain_sums(each, batch)[:3], (logits,))
    assert not plain_sums(logits, batch).truth.requires_grad


def test_the_greatest_logits_give_finite_slopes() -> None:
    logits, batch = partly_known()
    logits = (200 * logits.sign()).requires_grad_()
    sums = plain_sums(logits, batch)
    (slope,) = torch.autograd.grad(torch.stack(sums[:3]).sum(), logits)
    assert torch.isfinite(slope).all()
    assert all(torch.isfinite(each).all() for each in sums)


def test_unknown_structures_do_not_change_the_loss() -> None:
    known = torch.tensor([[True, False], [True, False]])
    target = torch.zeros(2, 2, 4, 4)
    target[:, 0, :2] = 1
    logits = torch.zeros(2, 2, 4, 4)
    other = logits.clone()
    other[:, 1] = 9
    losses = [
        loss_of(
            Outputs(each, torch.zeros(2, 2)),
            batch_of(torch.zeros(2, 1, 8, 8), target, known, torch.ones(2, 4, 4) > 0),
        )
        for each in (logits, other)
    ]
    assert torch.equal(losses[0][0], losses[1][0])
    assert losses[0][1]["entropy"] == pytest.approx(np.log(2))


def test_a_sample_weighs_the_same_however_little_is_known_of_it() -> None:
    """Nine structures are known of the first sample, one of the second: their slopes are of one size."""
    known = torch.ones(2, 9) > 0
    known[1, 1:] = False
    logits = torch.zeros(2, 9, 8, 8, requires_grad=True)
    target = torch.zeros(2, 9, 8, 8)
    target[:, :, :4] = 1
    batch = batch_of(torch.zeros(2, 1, 16, 16), target, known, torch.ones(2, 8, 8) > 0)
    loss, _ = loss_of(Outputs(logits, torch.zeros(2, 2)), batch)
    (slope,) = torch.autograd.grad(loss, logits)
    first, second = slope.abs().sum(dim=(1, 2, 3))
    assert first == pytest.approx(second.item(), rel=1e-5)
    assert slope[1, 1:].abs().max() == 0


def test_emphasised_structures_weigh_more() -> None:
    options = TrainOptions(Path(), Path(), emphasised=("heart",), emphasis=3.0)
    weights = weights_of(options, [NAMES.index("heart"), NAMES.index("aorta")])
    logits = torch.zeros(1, 2, 4, 4, requires_grad=True)
    told = torch.ones(1, 4, 4) > 0
    batch = batch_of(torch.zeros(1, 1, 8, 8), torch.ones(1, 2, 4, 4), torch.ones(1, 2) > 0, told)
    loss, parts = loss_of(Outputs(logits, torch.zeros(1, 2)), batch, weights=weights)
    (slope,) = torch.autograd.grad(loss, logits)
    heart, aorta = slope.abs().sum(dim=(0, 2, 3))
    assert heart == pytest.approx(3 * aorta.item(), rel=1e-5)
    assert parts["entropy"] == pytest.approx(np.log(2)), "a mean: alike structures give what one gives"


def test_untold_places_do_not_change_the_loss() -> None:
    told = torch.ones(1, 4, 4) > 0
    told[:, 2:] = False
    batch = batch_of(torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 4, 4), torch.tensor([[True]]), told)
    plain, other = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    other[:, :, 2:] = 9
    for robust in (False, True):
        losses = [loss_of(Outputs(each, torch.zeros(1, 2)), batch, robust)[0] for each in (plain, other)]
        assert torch.equal(losses[0], losses[1])


def test_robust_loss_learns_truer_shapes_from_labels_that_err_over_stretches_of_an_edge() -> None:
    """A toy: discs in noise; most labels bulge by up to 4 cells on one side. Dice with the true discs."""
    plain, robust = (np.mean([_toy_dice(robust, seed) for seed in (0, 1)]) for robust in (False, True))
    assert robust > plain + 0.02


def _toy_dice(robust: bool, seed: int) -> float:
    torch.manual_seed(seed)
    generator = np.random.default_rng(seed)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 5, padding=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 8, 5, padding=2),
        torch.nn.ReLU(), torch.nn.Conv2d(8, 1, 1),
    )  # fmt: skip
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(120):
        image, _, label = _toy(generator, 8)
        known, told = torch.ones(8, 1) > 0, label[:, 0] >= 0
        outputs = Outputs(network(image), torch.zeros(8, 2))
        loss, _ = loss_of(outputs, batch_of(image, label, known, told), robust)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    image, truth, _ = _toy(np.random.default_rng(99), 64)
    found = (network(image) > 0).float()
    return float(2 * (found * truth).sum() / (found.sum() + truth.sum()))


def _toy(generator: np.random.Generator, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return images, true discs and labels (count, 1, 24, 24)."""
    rows, columns = np.mgrid[:24, :24]
    images, truths, labels = [], [], []
    for _ in range(count):
        centre, radius, side = (
            generator.uniform(9, 15, 2),
            generator.uniform(4, 7),
            generator.uniform(0, 6.28),
        )
        way = np.arctan2(rows - centre[0], columns - centre[1])
        away = np.hypot(rows - centre[0], columns - centre[1])
        bulge = (generator.random() < 0.6) * 4.0 * np.maximum(np.cos(way - side), -0.2)
        images.append((away < radius) + generator.normal(0, 0.5, away.shape))
        truths.append(away < radius)
        labels.append(away < radius + bulge)
    stacks = (np.stack(each)[:, None].astype(np.float32) for each in (images, truths, labels))
    image, truth, label = (torch.from_numpy(stack) for stack in stacks)
    return image, truth, label


@pytest.mark.parametrize("robust", [False, True])
def test_dice_says_nothing_of_what_a_look_does_not_show(robust: bool) -> None:
    """The second of two structures lies where the look does not reach; only cross-entropy speaks of it."""
    target = torch.zeros(1, 2, 8, 8)
    target[:, 0, :4] = 1
    logits = torch.zeros(1, 2, 8, 8)
    known, told = torch.ones(1, 2) > 0, torch.ones(1, 8, 8) > 0
    batch = batch_of(torch.zeros(1, 1, 16, 16), target, known, told)
    _, parts = loss_of(Outputs(logits, torch.zeros(1, 2)), batch, robust)
    first = replace(batch, target=target[:, :1], known=known[:, :1], place=batch.place[:, :1])
    _, alone = loss_of(Outputs(logits[:, :1], torch.zeros(1, 2)), first, robust)
    assert alone["dice"] > 0.2
    assert parts["dice"] == pytest.approx(alone["dice"] / 2)
    assert parts["entropy"] == pytest.approx(alone["entropy"])
