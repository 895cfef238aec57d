"""Several processes that train one network: what each does, and how sums go over all of them.

`torchrun` starts the processes; one process is the case of one rank. A batch is the same however many ranks
share it: the loss, its gradient and the statistics of batch norm are made of sums over the whole batch, so
that the number of ranks changes results by rounding alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed, nn

BACKENDS = {"cpu": "gloo", "cuda": "nccl"}


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is.

    Attributes:
        index: From 0; the first one writes logs and checkpoints.
        count: Of all.
        device: Such as "cpu" or "cuda:1".
    """

    index: int = 0
    count: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process writes what all have made."""
        return self.index == 0

    def share(self, batch: int) -> range:
        """Return the places in a batch that this rank fills."""
        return range(self.index, batch, self.count)


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Yield this process's place among those that torchrun started; the only one where it did not.

    Args:
        device: "cpu" or "cuda"; with several GPUs each rank takes its own.
    """
    if not distributed.is_torchelastic_launched():
        yield Ranks(device=device)
        return
    distributed.init_process_group(BACKENDS[device])
    try:
        index = distributed.get_rank()
        own = f"cuda:{index % torch.cuda.device_count()}" if device == "cuda" else device
        yield Ranks(index, distributed.get_world_size(), own)
    finally:
        distributed.destroy_process_group()


def summed(value: torch.Tensor) -> torch.Tensor:
    """Return the sum of a tensor over all ranks; gradients flow back to every one.

    The gradient that arrives at each rank is summed, too: divided by the number of ranks, as
    `average_gradients` does, it is that of the loss which all ranks have computed alike.
    """
    return _Sum.apply(value) if _several() else value  # type: ignore[no-untyped-call]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        del ctx
        total = value.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        del ctx
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total)
        return total


def average_gradients(network: nn.Module, ranks: Ranks) -> None:
    """Give every rank the mean of all ranks' gradients, in place."""
    if ranks.count == 1:
        return
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= ranks.count
    begin = 0
    for gradient in gradients:
        gradient.copy_(flat[begin : begin + gradient.numel()].view_as(gradient))
        begin += gradient.numel()


class BatchNorm(nn.BatchNorm2d):
    """Batch norm over the whole batch, also where several ranks share it; the weights of `nn.BatchNorm2d`."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return normalised features; in training, running statistics follow those of the batch."""
        if not (self.training and _several()):
            return super().forward(features)
        axes = (0, 2, 3)
        wide = features.float()
        count = torch.tensor([wide.numel() / wide.shape[1]], device=wide.device)
        sums = summed(torch.cat([wide.sum(axes), count]))
        mean, total = sums[:-1] / sums[-1], float(sums[-1].detach())
        variance = summed(((wide - mean[:, None, None]) ** 2).sum(axes)) / total
        self._follow(mean.detach(), variance.detach(), total)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        return (wide * scale[:, None, None] + shift[:, None, None]).to(features.dtype)

    @torch.no_grad()
    def _follow(self, mean: torch.Tensor, variance: torch.Tensor, count: float) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        keep = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, keep)
        self.running_var.lerp_(variance * count / max(count - 1, 1), keep)
        self.num_batches_tracked += 1


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
