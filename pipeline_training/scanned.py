"""Where a scan ends: a body goes on beyond it, without structures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.paint import SKIN_HU
from pipeline_training.warp import Motion, pulled

EXTENSION_MM = 120.0
"""Volumes go on upwards and downwards with their last slice: a radiograph does not end where a CT does."""

MARGIN = 4
"""Voxels of air kept around the body."""

END_SLICES = 2
"""At either end of a scan: what lies in them may go on beyond it."""

RIB_PARTS = (("posterior ", "anterior "), ("anterior ", "posterior "))


@dataclass(frozen=True)
class Scanned:
    """The slices whose structures are known.

    Attributes:
        low: First slice of the volume that was scanned in every row and column.
        high: Last one.
    """

    low: float
    high: float

    def moved(self, shape: tuple[int, ...], motions: tuple[Motion, ...], spacing_mm: float) -> "Scanned":
        """Return the slices of a moved body in which every voxel comes from what was scanned."""
        source = pulled(shape, motions, spacing_mm)[..., 2].numpy()
        inside = np.asarray(np.all((source >= self.low) & (source <= self.high), axis=(1, 2)))
        slices = np.linspace(0, shape[0] - 1, len(inside))[inside]
        return Scanned(float(slices[0]), float(slices[-1])) if slices.size else Scanned(0.0, -1.0)


def extend(anatomy: Anatomy) -> tuple[Anatomy, Scanned]:
    """Return the anatomy with its end slices' HU repeated, and which slices were scanned.

    The new slices hold no structure. Air beside, before and behind the body is left out. Of ribs that leave
    the scan below nothing is known any more: where they turn forward, and their parts part, was not seen.
    """
    slices = round(EXTENSION_MM / anatomy.spacing_mm)
    margins = ((slices, slices), (0, 0), (0, 0))
    rows, columns = body_extent(anatomy)
    z, y, x = anatomy.centre
    cut = ribs_cut_below(anatomy)

    def longer(layer: Layer) -> Layer:
        padded = layer.with_parts(np.pad(layer.parts[:, rows, columns], margins))
        padded.keep(name for name in layer.structures if name not in cut)
        return padded

    extended = replace(
        anatomy,
        hu=np.pad(anatomy.hu[:, rows, columns], margins, mode="edge"),
        organs=longer(anatomy.organs),
        regions=tuple(longer(layer) for layer in anatomy.regions),
        centre=(z + slices, y - rows.start, x - columns.start),
        whole=whole_structures(anatomy),
    )
    return extended, Scanned(float(slices), float(slices + len(anatomy.hu) - 1))


def whole_structures(anatomy: Anatomy) -> frozenset[str]:
    """Return the structures that end before the scan does: what is not seen of them is not there.

    Of a rib that the scan cuts neither part is whole: where it turns forward is not known.
    """
    ends = slice(END_SLICES), slice(-END_SLICES, None)
    cut = {
        name
        for layer in anatomy.layers
        for name, parts in layer.structures.items()
        if any(_holds(layer, parts, end) for end in ends) or not _holds(layer, parts, slice(None))
    }
    return frozenset(set(anatomy.known()) - cut - _siblings(cut))


def ribs_cut_below(anatomy: Anatomy) -> frozenset[str]:
    """Return the parts of ribs that reach the lowest slices of the scan, and the ribs' other parts."""
    cut = {
        name
        for layer in anatomy.layers
        for name, parts in layer.structures.items()
        if name.startswith(("posterior ", "anterior ")) and _holds(layer, parts, slice(END_SLICES))
    }
    return frozenset(cut | _siblings(cut))


def rib_siblings(name: str) -> list[str]:
    """Return the anterior part of a rib of which this is the posterior one, or the other way round.

    >>> rib_siblings("posterior 4th rib left"), rib_siblings("heart")
    (['anterior 4th rib left'], [])
    """
    return [other + name.removeprefix(part) for part, other in RIB_PARTS if name.startswith(part)]


def _siblings(names: Iterable[str]) -> set[str]:
    return {other for name in names for other in rib_siblings(name)}


def _holds(layer: Layer, parts: Sequence[int], slices: slice) -> bool:
    """Return whether some of the parts is in these slices of the volume."""
    return bool(np.isin(layer.parts[slices], list(parts)).any())


def body_extent(anatomy: Anatomy) -> tuple[slice, slice]:
    """Return the rows and columns that hold the body, with a little air."""
    body = anatomy.hu > SKIN_HU
    return _extent(np.asarray(np.any(body, axis=(0, 2)))), _extent(np.asarray(np.any(body, axis=(0, 1))))


def _extent(line: npt.NDArray[np.bool_]) -> slice:
    found = np.flatnonzero(line)
    if not found.size:
        return slice(0, len(line))
    return slice(max(0, int(found[0]) - MARGIN), min(len(line), int(found[-1]) + 1 + MARGIN))
