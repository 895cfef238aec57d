"""Beginning a run with another run's network, instead of with weights drawn at random."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from pipeline_training.checkpoint import read_checkpoint
from pipeline_training.errors import TrainingError
from pipeline_training.network import AnatomyNet
from pipeline_training.projections import NAMES

BY_STRUCTURE = ("head.", "context.")
"""Layers with one output channel for each structure."""


def digest_of(checkpoint: Path | None) -> str:
    """Return the SHA-256 of a checkpoint's bytes, by which a run knows what it began with; "" of None.

    Raises:
        TrainingError: If it cannot be read.
    """
    try:
        return "" if checkpoint is None else hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    except OSError as exc:
        raise TrainingError(f"{checkpoint} cannot be read: {exc}") from exc


def begin_with(network: AnatomyNet, labels: Sequence[int], checkpoint: Path) -> None:
    """Put the averaged weights of a checkpoint into a network, each structure's into its own channels.

    Structures that the checkpoint does not know, and layers that its network did not have, stay as they are.

    Args:
        network: Of the new run.
        labels: Its structures in channel order, indices into NAMES.
        checkpoint: Of the other run, whose network is of the same widths.

    Raises:
        TrainingError: If the checkpoint cannot be read, is of other widths, or knows none of the structures.
    """
    stored = read_checkpoint(checkpoint)
    row_of = {name: row for row, name in enumerate(stored["labels"])}
    pairs = [(ours, row_of[NAMES[index]]) for ours, index in enumerate(labels) if NAMES[index] in row_of]
    if not pairs:
        raise TrainingError(f"{checkpoint} knows none of the structures of this run")
    ours, theirs = (list(rows) for rows in zip(*pairs, strict=True))
    for name, weights in network.state_dict().items():
        begun: torch.Tensor | None = stored["average"].get(name)
        if begun is None:
            continue
        by_structure = name.startswith(BY_STRUCTURE)
        if begun.shape[by_structure:] != weights.shape[by_structure:]:
            raise TrainingError(f"{checkpoint} is of another network: {name} is {tuple(begun.shape)} there")
        if by_structure:
            weights[ours] = begun[theirs].to(weights.device)
        else:
            weights.copy_(begun)
