"""A training run as one commented TOML file: every option that is not a path.

# run.toml: the coarse half of the default bundle's run
steps = [1200]
sizes = [256]
learning_rate = 2e-3    # peak
"""

import difflib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from pipeline_training.errors import TrainingError


def read_run(path: Path, options: type[Any], but_not: Collection[str] = ()) -> dict[str, Any]:
    """Return the options in a run file, each of the type of its default.

    Args:
        path: The TOML file.
        options: The frozen dataclass whose fields with a default may be set.
        but_not: Fields that the file must not set, such as paths.

    Raises:
        TrainingError: If the file cannot be read, or a key is unknown (the nearest one is named) or its
            value is not of the type of its default.
    """
    defaults = {each.name: each.default for each in fields(options) if each.default is not MISSING}
    known = {name: default for name, default in defaults.items() if name not in but_not}
    return {key: _valid(path, key, value, known) for key, value in _read(path).items()}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise TrainingError(f"{path} cannot be read: {exc}") from exc


def _valid(path: Path, key: str, value: object, known: Mapping[str, object]) -> object:
    if key not in known:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        raise TrainingError(f"{path}: unknown key {key!r}; the nearest known one is {near[0]!r}")
    default = known[key]
    if isinstance(default, tuple) and isinstance(value, list) and _alike(value, default):
        return tuple(value)
    if isinstance(default, float) and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(default):
        raise TrainingError(f"{path}: {key} must look like {default!r}, found {value!r}")
    return value


def _alike(items: list[Any], default: tuple[Any, ...]) -> bool:
    """Return whether a list is of the kind of its default: of names where that is empty, else of numbers."""
    kind = type(default[0]) if default else str
    return all(type(item) is kind for item in items)
