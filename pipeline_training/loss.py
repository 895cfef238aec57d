"""What the network is told of its answers: cross-entropy and Dice over what is known, nothing elsewhere."""

import torch
from torch import nn

from pipeline_training.dataset import Batch
from pipeline_training.network import Outputs
from pipeline_training.ranks import summed

VIEW_WEIGHT = 0.1
ENTROPY_WEIGHT = 4.0
DICE_SMOOTHING = 20.0
"""Grid cells added to both sides of the Dice ratio, so that an absent structure costs little (V-Net,
smoothed)."""

ROBUST_POWER = 1.5
"""Gamma of the noise-robust Dice: 2 is the squared error, 1 the absolute one, which outliers pull less.
Source: Wang et al., IEEE TMI 39(8):2653 (2020), who recommend 1.5."""

ROBUST_ORDER = 0.7
"""q of the generalised cross-entropy: 0 is cross-entropy, 1 the absolute error. What lies far off pulls less,
so that labels which err over whole stretches of an edge, as those of models do, are outvoted. Source: Zhang
and Sabuncu, NeurIPS 2018, whose q this is."""

LEAST_PROBABILITY = 1e-6


def loss_of(
    outputs: Outputs, batch: Batch, robust: bool = False, drawn: torch.Tensor | None = None
) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of a whole batch, of which this rank may hold a share, and its parts.

    Cross-entropy plus soft Dice over known structures and told places, plus the view's cross-entropy. Dice is
    taken over the whole batch, structure by structure. Every rank gets the same loss.

    Soft Dice suits targets that are shares of a cell, nearly all 0 or 1. Against a probability p it is least
    at 0 or 1, not at p; cross-entropy is least at p. So what another network tells is left out of `drawn`;
    its Dice counts as 0, so that a structure weighs the same however few are drawn.

    Args:
        outputs: Of this rank's samples.
        batch: This rank's samples.
        robust: Whether labels may be wrong, as those of models are along edges: see `ROBUST_ORDER` and
            `ROBUST_POWER`.
        drawn: bool (n, labels): the known structures that Dice is taken over; None takes all of them.
    """
    drawn = batch.known if drawn is None else drawn
    told = batch.known[:, :, None, None] * batch.told[:, None].float()
    logits = outputs.logits.float()
    entropy = ((_generalised_entropy if robust else _entropy)(logits, batch.target) * told).sum()
    shown = drawn[:, :, None, None] * told
    found, truth = torch.sigmoid(logits) * shown, batch.target * shown
    parts = (_robust_parts if robust else _dice_parts)(found, truth)
    view = nn.functional.cross_entropy(outputs.view.float(), batch.view, reduction="sum")
    asked = batch.known.float().sum(dim=0)
    singles = torch.stack(
        [
            entropy,
            told.expand_as(logits).sum(),
            view,
            torch.tensor(float(len(batch.view)), device=view.device),
        ]
    )
    sums = summed(torch.cat([*parts, asked, singles]))
    above, below, asked = sums[:-4].chunk(3)
    entropy, scale, view, count = sums[-4:]
    dice = (above / (below + DICE_SMOOTHING))[asked > 0].mean()
    entropy, view = entropy / scale.clamp_min(1), view / count
    loss = ENTROPY_WEIGHT * entropy + dice + VIEW_WEIGHT * view
    return loss, {"entropy": entropy.item(), "dice": dice.item(), "view": view.item()}


def _dice_parts(found: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return over and under the line of 1 - Dice for each structure, smoothing left out."""
    axes = (0, 2, 3)
    overlap, total = (found * truth).sum(axes), found.sum(axes) + truth.sum(axes)
    return total - 2 * overlap, total


def _robust_parts(found: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return over and under the line of the noise-robust Dice loss."""
    axes = (0, 2, 3)
    apart = ((found - truth).abs() + 1e-6) ** ROBUST_POWER - 1e-6**ROBUST_POWER
    return apart.sum(axes), (found**2 + truth**2).sum(axes)


def _entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _generalised_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Return the generalised cross-entropy of each cell: (1 - p^q) / q of the label's probability p."""
    share = torch.sigmoid(logits).clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    inside, outside = (1 - share**ROBUST_ORDER), (1 - (1 - share) ** ROBUST_ORDER)
    return (target * inside + (1 - target) * outside) / ROBUST_ORDER
