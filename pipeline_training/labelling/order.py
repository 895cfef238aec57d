"""Numbered structures that follow each other from above: which ones agree, and what the others must be."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Numbered:
    """Something with a number and a height.

    Attributes:
        number: That it was given.
        height: Slices from below; larger is higher.
        size: Voxels; of two that contradict each other, the larger is believed.
    """

    number: int
    height: float
    size: int


def in_order(items: Sequence[Numbered]) -> set[int]:
    """Return the positions in `items` of the heaviest subset whose numbers grow strictly downwards."""
    ranks = sorted(range(len(items)), key=lambda i: -items[i].height)
    best: list[tuple[int, list[int]]] = []
    for at, i in enumerate(ranks):
        before = [best[j] for j in range(at) if items[ranks[j]].number < items[i].number]
        weight, chain = max(before, key=lambda found: found[0], default=(0, []))
        best.append((weight + items[i].size, [*chain, i]))
    return set(max(best, key=lambda found: found[0], default=(0, []))[1])


def exchanged(items: Sequence[Numbered]) -> list[int] | None:
    """Return the number of each item by its height, None unless their numbers only need to be exchanged.

    That is so when every number between the lowest and the highest occurs once.
    """
    numbers = sorted(item.number for item in items)
    if not numbers or numbers != list(range(numbers[0], numbers[-1] + 1)):
        return None
    ranks = sorted(range(len(items)), key=lambda i: -items[i].height)
    return [numbers[ranks.index(i)] for i in range(len(items))]


def numbers_that_fit(agreed: Sequence[Numbered], height: float, last: int) -> list[int]:
    """Return the free numbers at a height, between its agreed neighbours above and below.

    Args:
        agreed: What is believed.
        height: Of the one in question.
        last: The highest number there is.
    """
    above = [item.number for item in agreed if item.height > height]
    below = [item.number for item in agreed if item.height <= height]
    return list(range(max(above, default=0) + 1, min(below, default=last + 1)))
