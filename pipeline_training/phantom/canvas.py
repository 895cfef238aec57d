"""Painting shapes given in millimetres into a grid of labels: later ones over earlier ones where asked."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Box = tuple[slice, slice, slice]

LEFT_MM, BACK_MM, LOW_MM, HIGH_MM = 222.0, 150.0, -215.0, 235.0
"""Half the width and depth of the grid, its lower and its upper end."""

STEP = 0.5
"""Distance of points along a tube, in voxels."""

STEP_PER_RADIUS = 0.2
"""They may lie so much further apart in a thick tube: its wall is then even within 0.5 % of its radius."""

NEAREST = 0.87
"""No ball has a smaller radius, in voxels: half a voxel's diagonal, so that no tube has gaps."""

AT_ONCE = 1_000_000
"""Voxels looked at together when balls are painted; bounds the memory to some 50 MB."""


def by(x: float, y: float, z: float) -> Points:
    """Return a point or a step (3,)."""
    return np.array([x, y, z], np.float64)


class Canvas:
    """A grid of labels around the middle of the thorax.

    Points are (x, y, z) in mm towards left, posterior, superior; the grid's axes are (slices, rows, columns)
    towards superior, posterior, left.

    Attributes:
        spacing: Edge length of a voxel in mm.
        labels: uint8 (slices, rows, columns), 0 for air.
        names: Structure name by label.
    """

    def __init__(self, spacing: float) -> None:
        self.spacing = spacing
        self.names: dict[int, str] = {}
        self._origin = np.array([-LEFT_MM, -BACK_MM, LOW_MM])
        extent = np.array([2 * LEFT_MM, 2 * BACK_MM, HIGH_MM - LOW_MM])
        columns, rows, slices = (int(n) for n in np.ceil(extent / spacing))
        self.labels = np.zeros((slices, rows, columns), np.uint8)

    @property
    def grid(self) -> tuple[Points, Points, Points]:
        """The centres of all voxels as x, y, z, shaped to broadcast over the grid."""
        return self.axes((slice(None), slice(None), slice(None)))

    def level(self, z: float) -> float:
        """Return the slice index, a float, of a height in mm; whole numbers are centres of voxels."""
        return float((z - self._origin[2]) / self.spacing - 0.5)

    def number(self, name: str) -> int:
        """Return the label of a structure, a new one for a new name."""
        known = {name: number for number, name in self.names.items()}
        if name not in known:
            known[name] = len(self.names) + 1
            self.names[known[name]] = name
        return known[name]

    def paint(
        self, name: str, mask: Mask, over: Collection[str] | None = None, box: Box | None = None
    ) -> None:
        """Give the voxels of a mask, over the whole grid or a box of it, a name.

        Args:
            name: Structure.
            mask: Of the grid's, or the box's, shape.
            over: What may be painted over; air and everything if None.
            box: Where the mask lies.
        """
        part = self.labels if box is None else self.labels[box]
        if over is not None:
            allowed = np.zeros(256, np.bool_)
            allowed[[number for number, known in self.names.items() if known in over]] = True
            mask = mask & allowed[part]
        part[mask] = self.number(name)

    def mask(self, *names: str) -> Mask:
        """Return the union of the named structures."""
        return np.isin(self.labels, [number for number, name in self.names.items() if name in names])

    def ellipsoid(self, centre: Points, radii: Points, axes: Points | None = None) -> tuple[Mask, Box]:
        """Return the voxels of an ellipsoid and the box that they lie in.

        Args:
            centre: (3,) mm.
            radii: (3,) mm along its axes.
            axes: (3, 3), rows are its axes; those of the grid if None.
        """
        box = self._box(centre - radii.max(), centre + radii.max())
        x, y, z = self.axes(box)
        away = np.stack(np.broadcast_arrays(x - centre[0], y - centre[1], z - centre[2]), axis=-1)
        along = away if axes is None else away @ axes.T
        return np.asarray(((along / radii) ** 2).sum(axis=-1) <= 1), box

    def tube(self, path: Points, radius: float | Points) -> tuple[Mask, Box]:
        """Return the voxels within `radius` (a number, or one for each point) of a path (n, 3)."""
        dense, radii = _resampled(path, np.broadcast_to(np.asarray(radius, float), len(path)), self.spacing)
        reach = float(radii.max()) + self.spacing
        box = self._box(dense.min(axis=0) - reach, dense.max(axis=0) + reach)
        mask = np.zeros([part.stop - part.start for part in box], np.bool_)
        corner = self._origin + self.spacing * (np.array([part.start for part in box][::-1]) + 0.5)
        stamp(mask, (dense - corner) / self.spacing, radii / self.spacing)
        return mask, box

    def balls(self, centres: Points, radii: Points) -> Mask:
        """Return the voxels of the whole grid within any of many balls, (n, 3) and (n,) in mm."""
        mask = np.zeros(self.labels.shape, np.bool_)
        stamp(mask, (centres - self._origin) / self.spacing - 0.5, radii / self.spacing)
        return mask

    def _box(self, low: Points, high: Points) -> Box:
        first = np.floor((low - self._origin) / self.spacing).astype(int)
        last = np.ceil((high - self._origin) / self.spacing).astype(int) + 1
        shape = self.labels.shape[::-1]
        starts = [int(np.clip(a, 0, n - 1)) for a, n in zip(first, shape, strict=True)]
        stops = [int(np.clip(b, s + 1, n)) for b, s, n in zip(last, starts, shape, strict=True)]
        x, y, z = (slice(a, b) for a, b in zip(starts, stops, strict=True))
        return z, y, x

    def axes(self, box: Box) -> tuple[Points, Points, Points]:
        """Return the centres of a box's voxels as x, y, z, shaped to broadcast over it."""
        z, y, x = (
            origin + self.spacing * (np.arange(n)[part] + 0.5)
            for origin, n, part in zip(self._origin[::-1], self.labels.shape, box, strict=True)
        )
        return x[None, None, :], y[None, :, None], z[:, None, None]


def moved(point: Points, left: float, back: float, up: float) -> Points:
    """Return a point (3,) so many mm further to the left, the back and the top."""
    return np.asarray(point + np.array([left, back, up]), np.float64)


def _resampled(path: Points, radii: Points, spacing: float) -> tuple[Points, Points]:
    """Return points along a path at equal, small distances, with the radius at each."""
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    step = max(STEP * spacing, STEP_PER_RADIUS * float(radii.min()))
    at = np.linspace(0, lengths[-1], max(2, int(np.ceil(lengths[-1] / step)) + 1))
    dense = np.stack([np.interp(at, lengths, path[:, axis]) for axis in range(3)], axis=1)
    return dense, np.interp(at, lengths, radii)


def stamp(mask: Mask, points: Points, radii: Points) -> None:
    """Set the voxels within radii (n,) of points (n, 3; x, y, z), both in voxels, at least the nearest."""
    radii = np.maximum(radii, NEAREST)
    reach = int(np.ceil(radii.max()))
    steps = np.arange(-reach, reach + 1)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    cube = cube[(np.maximum(np.abs(cube) - 0.5, 0) ** 2).sum(axis=1) <= radii.max() ** 2].astype(np.int32)
    share = max(1, AT_ONCE // len(cube))
    for first in range(0, len(points), share):
        some = points[first : first + share, ::-1]
        nearest = np.rint(some)
        away = cube - (some - nearest).astype(np.float32)[:, None]
        within = (away**2).sum(axis=-1) <= (radii[first : first + share] ** 2)[:, None]
        at = (nearest.astype(np.int32)[:, None] + cube)[within]
        at = at[((at >= 0) & (at < mask.shape)).all(axis=1)]
        mask[tuple(at.T)] = True
