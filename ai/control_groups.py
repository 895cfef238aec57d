"""How many processors and how much memory the control groups of this process (Linux) leave it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")
"""Where control groups are: the tree of version 2, or a folder for each controller of version 1."""

OWN = Path("/proc/self/cgroup")
"""Says in which of them this process is: lines "number:controllers:path"; version 2 names no controller."""


def processors(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Return how many processors this process may use; arguments as in `memory_bounds`."""
    ours = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = [share for folder in _folders("cpu", groups, own) if (share := _share(folder))]
    return max(1, min(ours, round(min(shares, default=ours))))


def memory_bounds(groups: Path = GROUPS, own: Path = OWN) -> list[int]:
    """Return how many bytes of memory each group may have that bounds this process.

    Args:
        groups: See `GROUPS`.
        own: See `OWN`.
    """
    bounds: list[int] = []
    for folder in _folders("memory", groups, own):
        for name in ("memory.max", "memory.limit_in_bytes"):
            bounds += _numbers(folder / name)
    return bounds


def _folders(controller: str, groups: Path, own: Path) -> Iterator[Path]:
    """Yield the folders of this process's groups of a controller, and of those around them.

    What a container sees of `groups` may begin at its own group, while `own` names it from the root of the
    machine: then only the topmost of these folders is there.
    """
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            _number, controllers, path = line.split(":", 2)
            if controllers and controller not in controllers.split(","):
                continue
            top = groups / controller if controllers else groups
            folder = top / path.lstrip("/")
            yield from (place for place in (folder, *folder.parents) if place.is_relative_to(top))


def _share(folder: Path) -> float:
    """Return how many processors a group may use; 0: it has no bound."""
    numbers = _numbers(folder / "cpu.max")
    if not numbers:
        numbers = [*_numbers(folder / "cpu.cfs_quota_us"), *_numbers(folder / "cpu.cfs_period_us")]
    return max(0, numbers[0] / numbers[1]) if len(numbers) == 2 else 0  # version 1 writes -1 for no bound


def _numbers(file: Path) -> list[int]:
    """Return the numbers in a file; none where it is not there, or says "max"."""
    try:
        return [int(word) for word in file.read_text(encoding="ascii").split()]
    except (OSError, ValueError):
        return []
