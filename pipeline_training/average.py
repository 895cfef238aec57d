"""Checkpoints of one lineage averaged: their weights lie near each other, and the mean is no worse.

Source of the idea: Wortsman et al., "Model soups", ICML 2022, arXiv 2203.05482. It holds for networks that
began with the same weights; the mean of strangers is no network.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline_training.checkpoint import read_checkpoint
from pipeline_training.errors import TrainingError


def average(checkpoints: Sequence[Path], out: Path) -> None:
    """Write a checkpoint whose averaged weights are the mean of others', for export or `--begin-with`.

    Statistics of batch norm are averaged as well; counters are those of the last one.

    Args:
        checkpoints: Two or more of the same structures and widths.
        out: The checkpoint; appears when it is complete.

    Raises:
        TrainingError: If one cannot be read, they do not match, or there is a file at `out`.
    """
    if out.exists():
        raise TrainingError(f"{out} is there already; name another file or remove it")
    stored = [read_checkpoint(path) for path in checkpoints]
    if len(stored) < 2:
        raise TrainingError(f"a mean is of two checkpoints or more, found {len(stored)}")
    last = stored[-1]
    for path, each in zip(checkpoints, stored, strict=True):
        _check_alike(path, each, last)
    weights = {
        name: torch.stack([each["average"][name] for each in stored]).mean(0)
        if value.is_floating_point()
        else value
        for name, value in last["average"].items()
    }
    described = {"widths": last["options"]["widths"], "averaged": [path.name for path in checkpoints]}
    torn = out.with_name(f"{out.name}.part")
    torch.save({"options": described, "labels": last["labels"], "average": weights}, torn)
    torn.rename(out)


def _check_alike(path: Path, one: dict[str, object], other: dict[str, object]) -> None:
    mine, theirs = one["average"], other["average"]
    assert isinstance(mine, dict)
    assert isinstance(theirs, dict)
    shapes = {name: value.shape for name, value in mine.items()}
    if one["labels"] != other["labels"] or shapes != {name: value.shape for name, value in theirs.items()}:
        raise TrainingError(f"{path} has other structures or widths than the last one: no mean can be made")
