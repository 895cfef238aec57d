"""A bundle's network with its batch norms at work again, so that a run may go on from it.

Export folds each batch norm into the convolution before it, and `parent.load_parent` reads such a network
back with norms that pass on what they get. A run normalises by its own batches: there the folded network
would be another one. Here each norm is given the mean and the variance of what it gets from looks at the
data, and the scale and offset that undo them. In evaluation the answers stay, in training they nearly do.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ai.bundle import Bundle
from pipeline_training.errors import TrainingError
from pipeline_training.network import AnatomyNet
from pipeline_training.parent import label_ids, load_parent
from pipeline_training.projections import NAMES

Hook = Callable[[nn.Module, tuple[torch.Tensor, ...], torch.Tensor], None]


def reopen(bundle: Bundle, images: Iterable[torch.Tensor], out: Path) -> None:
    """Write a checkpoint of a bundle's network, for `paxnode-train train --begin-with`.

    Args:
        bundle: Of our kind of network.
        images: float32 (n, 1, size, size), looks like those of the run; some ten batches do.
        out: The checkpoint, `checkpoint.pt` or another name; appears when it is complete.

    Raises:
        TrainingError: If the bundle's network is of another kind (`parent.load_parent`), there is a file at
            `out`, or there are no images.
    """
    if out.exists():
        raise TrainingError(f"{out} is there already; name another file or remove it")
    network = load_parent(bundle)
    awaken(network, images)
    described = {"widths": list(network.widths), "begin": bundle.manifest.sha256}
    names = [NAMES[index] for index in label_ids(bundle)]
    torn = out.with_name(f"{out.name}.part")
    torch.save({"options": described, "labels": names, "average": network.state_dict()}, torn)
    torn.rename(out)


@torch.no_grad()
def awaken(network: AnatomyNet, images: Iterable[torch.Tensor]) -> None:
    """Let every norm of a network that passes on what it gets normalise it, and undo that.

    Args:
        network: In evaluation mode; changed in place, its answers stay the same.
        images: float32 (n, 1, size, size).

    Raises:
        TrainingError: If there are none.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    sums = [torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms]
    watches = [norm.register_forward_hook(_adding_to(total)) for norm, total in zip(norms, sums, strict=True)]
    for batch in images:
        network(batch)
    for watch in watches:
        watch.remove()
    if not sums[0][0].any():
        raise TrainingError("there is no image to go on with a bundle from")
    for norm, (count, total, squares) in zip(norms, sums, strict=True):
        mean = total / count
        variance = (squares / count - mean**2).clamp_min(0)
        statistics: Any = norm
        statistics.running_mean.copy_(mean)
        statistics.running_var.copy_(variance)
        norm.weight.copy_(torch.sqrt(variance + norm.eps))
        norm.bias.add_(mean)


def _adding_to(total: torch.Tensor) -> Hook:
    def add(norm: nn.Module, given: tuple[torch.Tensor, ...], passed: torch.Tensor) -> None:
        del norm, passed
        features = given[0].double().transpose(0, 1).flatten(1)
        total[0] += features.shape[1]
        total[1] += features.sum(1)
        total[2] += (features**2).sum(1)

    return add
