"""What the network is told of its answers: cross-entropy and Dice over what is known, nothing elsewhere."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from pipeline_training.batches import Batch
from pipeline_training.network import Outputs
from pipeline_training.ranks import summed

VIEW_WEIGHT = 0.1
ENTROPY_WEIGHT = 4.0
DICE_SMOOTHING = 10.0
"""Grid cells added to both sides of the Dice ratio, so that slivers at a look's edge pull little (V-Net,
smoothed)."""

LEAST_SHOWN = 5.0
"""Grid cells of a structure that a look must show for its Dice to count. Of what is not shown, the Dice's
pull on a small probability is ten times that of the looks that do show it, the other way: what only some
looks show was learned as nothing. Cross-entropy tells what is absent."""

ROBUST_POWER = 1.5
"""Gamma of the noise-robust Dice: 2 is the squared error, 1 the absolute one, which outliers pull less.
Source: Wang et al., IEEE TMI 39(8):2653 (2020), who recommend 1.5."""

ROBUST_ORDER = 0.7
"""q of the generalised cross-entropy: 0 is cross-entropy, 1 the absolute error. What lies far off pulls less,
so that labels which err over whole stretches of an edge, as those of models do, are outvoted. Source: Zhang
and Sabuncu, NeurIPS 2018, whose q this is."""

LEAST_PROBABILITY = 1e-6

CELLS = (2, 3)
"""Axes of a structure's cells: rows and columns."""


def loss_of(
    outputs: Outputs,
    batch: Batch,
    robust: bool = False,
    drawn: torch.Tensor | None = None,
    weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of a whole batch, of which this rank may hold a share, and its parts.

    Of each sample: the weighted mean over its known structures of cross-entropy plus soft Dice, where each is
    told; Dice counts as 0 where a look does not show the structure. Of the
    batch: the mean over samples, plus the view's cross-entropy. So a radiograph of which three structures are
    known weighs what a projection of which all are known does; were structures averaged over the whole batch,
    real masks would be a fiftieth of the loss. Every rank gets the same loss.

    Soft Dice suits targets that are shares of a cell, nearly all 0 or 1. Against a probability p it is least
    at 0 or 1, not at p; cross-entropy is least at p. So what another network tells is left out of `drawn`;
    its Dice counts as 0, so that a structure weighs the same however few are drawn.

    Args:
        outputs: Of this rank's samples.
        batch: This rank's samples.
        robust: Whether labels may be wrong, as those of models are along edges: see `ROBUST_ORDER` and
            `ROBUST_POWER`.
        drawn: bool (n, labels): the known structures that Dice is taken over; None takes all of them.
        weights: float (labels,), above 0, of the structures; None weighs them alike.
    """
    entropy, above, below, truth = (robust_sums if robust else plain_sums)(outputs.logits, batch)
    told = batch.told.sum(dim=CELLS).gather(1, batch.place)
    entropy = entropy / told.clamp_min(1)
    dice = above / (below + DICE_SMOOTHING) * (truth >= LEAST_SHOWN)
    share = batch.known.float() if weights is None else batch.known * weights
    share = share / share.sum(dim=1, keepdim=True).clamp_min(LEAST_PROBABILITY)
    view = nn.functional.cross_entropy(outputs.view.float(), batch.view, reduction="sum")
    count = torch.tensor(float(len(batch.view)), device=view.device)
    dice = dice if drawn is None else dice * drawn
    sums = summed(torch.stack([(entropy * share).sum(), (dice * share).sum(), view, count]))
    entropy, dice, view = sums[:-1] / sums[-1]
    loss = ENTROPY_WEIGHT * entropy + dice + VIEW_WEIGHT * view
    return loss, {"entropy": entropy.item(), "dice": dice.item(), "view": view.item()}


class Sums(NamedTuple):
    """What is summed over the cells where known structures are told: (n, labels), else 0.

    Attributes:
        entropy: Cross-entropy.
        above: Over the line of 1 - Dice.
        below: Under it, smoothing left out.
        truth: The targets; nothing is learned through it.
    """

    entropy: torch.Tensor
    above: torch.Tensor
    below: torch.Tensor
    truth: torch.Tensor


def plain_sums(logits: torch.Tensor, batch: Batch) -> Sums:
    """Return the sums of cross-entropy and soft Dice.

    Written as a chain of operations on all logits, 150 structures' losses and their derivatives took as long
    as the network on a CPU; this goes through known structures only, and its derivative is written out.
    """
    apply: Any = _PlainSums.apply  # it has no type hints
    told = batch.told.to(torch.promote_types(logits.dtype, torch.float32))
    entropy, overlap, total, truth = apply(logits, batch.target, told, batch.known, batch.place)
    return Sums(entropy, total - 2 * overlap, total, truth)


class _PlainSums(torch.autograd.Function):
    """Sums of cross-entropy, of p t, of p + t and of t: p the probabilities, t the targets.

    Logits and targets may be of half precision; sums and slopes are worked out in that of `told`.
    """

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        target: torch.Tensor,
        told: torch.Tensor,
        known: torch.Tensor,
        place: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        ctx.save_for_backward(logits, target, told, known, place)
        sums = told.new_zeros((4, *known.shape))
        for i, rows, places in _at_places(told, known, place):
            logit, truth, cells = (
                logits[i, rows].flatten(1).to(told.dtype),
                target[i, rows].flatten(1).to(told.dtype),
                places.flatten(),
            )
            found = torch.sigmoid(logit)
            sums[0, i, rows] = (nn.functional.softplus(logit) - logit * truth) @ cells
            sums[1, i, rows] = (found * truth) @ cells
            sums[3, i, rows] = truth @ cells
            sums[2, i, rows] = found @ cells + sums[3, i, rows]
        ctx.mark_non_differentiable(shown := sums[3])
        return sums[0], sums[1], sums[2], shown

    @staticmethod
    def backward(ctx: Any, *slopes: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """With slopes e, o and s of the sums: e (p - t) + (o t + s) p (1 - p), at told cells."""
        logits, target, told, known, place = ctx.saved_tensors
        slope = torch.zeros_like(logits)
        for i, rows, places in _at_places(told, known, place):
            found, truth = torch.sigmoid(logits[i, rows].to(told.dtype)), target[i, rows].to(told.dtype)
            e, o, s = (each[i, rows][:, None, None] for each in slopes[:3])
            inner = torch.addcmul(s, truth, o).mul_(torch.addcmul(found, found, found, value=-1))
            slope[i, rows] = inner.addcmul_(found - truth, e).mul_(places).to(logits.dtype)
        return slope, None, None, None, None


def _at_places(
    told: torch.Tensor, known: torch.Tensor, place: torch.Tensor
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Yield each sample's number, some of its known structures (labels,), and the cells (g, g) that count."""
    for i, rows in enumerate(known):
        for number in sorted(set(place[i, rows].tolist())):
            yield i, rows & (place[i] == number), told[i, number]


def robust_sums(logits: torch.Tensor, batch: Batch) -> Sums:
    """Return the sums of the generalised cross-entropy and of the noise-robust Dice loss."""
    told = torch.stack([told[place] for told, place in zip(batch.told, batch.place, strict=True)])
    told = told * batch.known[:, :, None, None].float()
    logits, target = logits.float(), batch.target.float()
    entropy = (_generalised_entropy(logits, target) * told).sum(CELLS)
    found, truth = torch.sigmoid(logits) * told, target * told
    apart = ((found - truth).abs() + 1e-6) ** ROBUST_POWER - 1e-6**ROBUST_POWER
    return Sums(entropy, apart.sum(CELLS), (found**2 + truth**2).sum(CELLS), truth.sum(CELLS))


def _generalised_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the generalised cross-entropy of each cell: (1 - p^q) / q of the label's probability p."""
    share = torch.sigmoid(logits).clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    inside, outside = (1 - share**ROBUST_ORDER), (1 - (1 - share) ** ROBUST_ORDER)
    return (target * inside + (1 - target) * outside) / ROBUST_ORDER
