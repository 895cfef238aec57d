"""How much memory workers may need at the same time, and how much there is."""

import os
from contextlib import suppress
from pathlib import Path

from node.limits import WORKER_MEMORY_BYTES

CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def suffices(workers: int, there_is: int) -> bool:
    """Return whether there is memory for the largest images in all workers; one alone takes what there is.

    Args:
        workers: How many work at the same time in this process; nothing is known of others.
        there_is: Memory, in bytes.
    """
    return workers == 1 or workers * WORKER_MEMORY_BYTES <= there_is


def in_words(workers: int, there_is: int) -> str:
    """Return what `suffices` compares.

    >>> in_words(2, 6_200_000_000)
    '13 GB for the largest images in 2 at a time, 6.2 GB there'
    """
    need = workers * WORKER_MEMORY_BYTES
    return f"{need / 1e9:.0f} GB for the largest images in {workers} at a time, {there_is / 1e9:.1f} GB there"


def memory_bytes(groups: Path = CONTROL_GROUPS, own: Path = OWN_GROUPS) -> int:
    """Return how much memory there is for this process: the machine's, or what its container may have.

    Args:
        groups: Where the control groups of version 2 are (Linux).
        own: Says in which of them this process is.
    """
    bounds = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with suppress(OSError):
        for line in own.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                folder = groups / line.removeprefix("0::").lstrip("/")
                bounds += [bound for place in (folder, *folder.parents) if (bound := _bound_of(place))]
    return min(bounds)


def _bound_of(group: Path) -> int:
    """Return the bound on the memory of a control group; 0: it has none."""
    try:
        return int((group / "memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):  # the topmost has no such file; without a bound it says "max"
        return 0
