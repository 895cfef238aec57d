"""Rays followed through a stack of planes, their sums booked part by part.

Between two planes nothing is looked up: a ray keeps running sums, and when it leaves a combination of parts
the growth since it entered is booked there. A ray changes its combination some ten times on its way, so that
booking costs a tenth of what adding up every sample would.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline_training.physics import SOFT_DENSITY


@dataclass(frozen=True, eq=False)
class Fan:
    """Rays as straight lines over the planes across one axis of a volume.

    Attributes:
        axis: Of the volume, the one that the planes lie across.
        planes: Number of planes for each voxel.
        base: float32 (rays, 2): where a ray meets plane 0, as grid_sample counts: (column, row) in [-1, 1].
        slope: float32 (rays, 2): what it moves on from plane to plane.
        step_mm: float32 (rays,): path from plane to plane.
    """

    axis: int
    planes: int
    base: torch.Tensor
    slope: torch.Tensor
    step_mm: torch.Tensor

    @classmethod
    def joined(cls, fans: Sequence["Fan"]) -> "Fan":
        """Return the rays of fans over the same planes as one."""
        first = fans[0]
        base, slope = torch.cat([fan.base for fan in fans]), torch.cat([fan.slope for fan in fans])
        return cls(first.axis, first.planes, base, slope, torch.cat([fan.step_mm for fan in fans]))

    def part(self, rays: slice) -> "Fan":
        """Return some of the rays."""
        return Fan(self.axis, self.planes, self.base[rays], self.slope[rays], self.step_mm[rays])


@dataclass(frozen=True, eq=False)
class Books:
    """Where a combination of parts is booked.

    Attributes:
        parts: int64 (layers, combinations + 1): row of the counts for each layer's part; row 0 is what lies
            outside the volume.
        tissue: int64 (combinations + 1,): tissue group.
        part_rows: Number of rows of the counts.
        tissues: Number of tissue groups, the outside's among them.
    """

    parts: torch.Tensor
    tissue: torch.Tensor
    part_rows: int
    tissues: int

    @property
    def bytes_per_ray(self) -> int:
        """What the sums take."""
        return 2 * self.part_rows + 8 * self.tissues


@dataclass(frozen=True, eq=False)
class Sums:
    """What rays have met, counted in planes.

    Attributes:
        counts: int16 (part_rows, rays): planes met in each part of each layer.
        density: float32 (tissues, rays): sum of the attenuation relative to water.
        excess: float32 (tissues, rays): sum of what is above SOFT_DENSITY of it, the mark of bone.
    """

    counts: torch.Tensor
    density: torch.Tensor
    excess: torch.Tensor


def march(planes: Iterable[tuple[torch.Tensor, torch.Tensor]], fan: Fan, books: Books) -> Sums:
    """Return the sums of all rays.

    Args:
        planes: Attenuation relative to water and numbers of combinations (0 is left to the outside), both
            float32 (rows, columns).
        fan: The rays.
        books: Where combinations are booked.
    """
    ledger = _Ledger(len(fan.base), books)
    groups = math.gcd(len(fan.base), torch.get_num_threads())  # grid_sample runs one thread for each
    at = torch.empty_like(fan.base)
    grid = at.view(groups, 1, -1, 2)
    for k, (density, combinations) in enumerate(planes):
        torch.add(fan.base, fan.slope, alpha=k, out=at)
        ledger.enter(_sampled(combinations, grid, "nearest"), k)
        ledger.pass_through(_sampled(density, grid, "bilinear"))
    return ledger.closed(k + 1)


def _sampled(plane: torch.Tensor, grid: torch.Tensor, mode: str) -> torch.Tensor:
    """Return a plane's values (rays,), 0 outside it."""
    image = plane.expand(len(grid), 1, *plane.shape)
    return torch.nn.functional.grid_sample(image, grid, mode=mode, align_corners=False).view(-1)


class _Ledger:
    """Running sums of rays, and the books that they are closed into."""

    def __init__(self, rays: int, books: Books) -> None:
        device = books.tissue.device
        self._rays, self._books = rays, books
        self._now = torch.zeros(rays, device=device)
        self._since = torch.zeros(rays, dtype=torch.int16, device=device)
        self._density, self._density_then = torch.zeros(2, rays, device=device)
        self._excess, self._excess_then = torch.zeros(2, rays, device=device)
        self._sums = Sums(
            torch.zeros(books.part_rows, rays, dtype=torch.int16, device=device),
            torch.zeros(books.tissues, rays, device=device),
            torch.zeros(books.tissues, rays, device=device),
        )

    def enter(self, combinations: torch.Tensor, plane: int) -> None:
        """Book the rays whose combination changes at this plane."""
        rays = _where_not_equal(combinations, self._now)
        left = self._now.index_select(0, rays).long()
        self._now = combinations
        met = plane - self._since.index_select(0, rays)
        self._since.index_fill_(0, rays, plane)
        for rows in self._books.parts:
            self._sums.counts.view(-1).index_add_(0, self._place(rows, left, rays), met)
        place = self._place(self._books.tissue, left, rays)
        _book(self._sums.density, place, rays, self._density, self._density_then)
        _book(self._sums.excess, place, rays, self._excess, self._excess_then)

    def _place(self, rows: torch.Tensor, left: torch.Tensor, rays: torch.Tensor) -> torch.Tensor:
        return rows.index_select(0, left).mul_(self._rays).add_(rays)

    def pass_through(self, density: torch.Tensor) -> None:
        """Add a plane's values."""
        self._density += density
        self._excess += density.sub_(SOFT_DENSITY).clamp_(min=0)

    def closed(self, planes: int) -> Sums:
        """Return the sums once all rays have left the volume."""
        self.enter(torch.zeros_like(self._now), planes)
        return self._sums


def _book(
    book: torch.Tensor, place: torch.Tensor, rays: torch.Tensor, total: torch.Tensor, then: torch.Tensor
) -> None:
    """Add to the book what the running totals have grown by since the rays were booked last."""
    now = total.index_select(0, rays)
    book.view(-1).index_add_(0, place, now - then.index_select(0, rays))
    then.index_copy_(0, rays, now)


def _where_not_equal(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the indices at which vectors differ; on a CPU NumPy finds them three times faster than torch."""
    if a.device.type == "cpu":
        return torch.from_numpy(np.flatnonzero(a.numpy() != b.numpy()))
    return (a != b).nonzero().view(-1)
