"""How much memory workers may need at the same time, and how much there is."""

import os
from pathlib import Path

from ai.control_groups import GROUPS, OWN, memory_bounds
from node.limits import WORKER_MEMORY_BYTES


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


def memory_bytes(groups: Path = GROUPS, own: Path = OWN) -> int:
    """Return how much memory there is for this process: the machine's, or what its container may have.

    Arguments as in `ai.control_groups`.
    """
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *memory_bounds(groups, own)])
