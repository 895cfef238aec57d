"""Reading a checkpoint: what is not one is refused, never half used."""

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from pipeline_training.errors import TrainingError

NEEDED = ("options", "labels", "average")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint.pt.

    Raises:
        TrainingError: If it cannot be read or was not written by `paxnode-train train`.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        missing = [key for key in NEEDED if key not in stored]
    except (OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError, UnpicklingError) as exc:
        raise TrainingError(f"{path} is not a checkpoint of paxnode-train train: {exc}") from exc
    if not isinstance(stored, dict) or missing:
        raise TrainingError(f"{path} is not a checkpoint of paxnode-train train: it lacks {missing}")
    return stored
