"""Labellers without a network: lungs, body and bone by what air and calcium do to Hounsfield units.

They need no training, so they know nothing that a training set got wrong: a witness beside networks.
"""

import logging

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.airways import airways
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.own_input import AIR_HU, MIN_LUNG_ML

LOG = logging.getLogger(__name__)

Mask = npt.NDArray[np.bool_]

BONE_HU = 180
"""Above soft tissue and all but strongly enhanced vessels, below the cortex of every bone."""

MARROW_MM = 6.0
"""Half the width of marrow that bone is closed over."""

MARROW_MM2 = 900.0
"""Cross-section of the marrow of a vertebra or the head of a humerus."""

MIN_BONE_ML = 1.0
"""Smaller pieces are calcified vessels, contrast and noise."""

TISSUE_HU = -300
"""Fat and all that is denser."""

TABLE_MM = 6.0
"""Half the thickness below which what touches the body is a table, a blanket or a tube."""

VESSEL_MM = 5.0
"""Half the width of the vessels that belong to a lung."""

LEAK_MM = 3.0
"""Half the width of what joins a lung to the air around the body only by noise."""

MIN_SHARE = 0.2
"""Of the larger lung; what is smaller is no lung but gas in the bowel."""

MAX_PARTING_MM = 8.0
"""The thickest bridge between the lungs that is cut."""


TRUST = 0.9
"""In what the rules find."""

OUTSIDE = 0.5
"""In that a place lies outside the body: an arm that lies apart is not found."""

NAMES = {1: "body", 2: "lung_right", 3: "lung_left"}


class RuleLabeller:
    """Finds the body without what it lies on, and in it each lung: air without airways, with its vessels.

    Where it says "body" it says nothing of the parts of a body: a lung full of fluid is a lung all the same.
    It knows bone by its density, but not which bone: `bone` judges what others call bones (`quality`).
    """

    name = "rules"
    vocabulary = frozenset(NAMES.values())

    def label(self, volume: CtVolume) -> LabelVote:
        """Return body and lungs; of a CT without two lungs full of air, the body alone.

        Raises:
            LabellerError: If nothing is as dense as a body.
        """
        labels = body(volume).astype(np.uint8)
        names = NAMES
        try:
            right, left = lungs(volume)
        except LabellerError as exc:
            LOG.warning("only the body is found by rule: %s", exc)
            names = {1: "body"}
        else:
            labels[right], labels[left] = 2, 3
        trust = np.where(labels > 0, TRUST, OUTSIDE).astype(np.float32)
        return LabelVote(self.name, labels, names, frozenset(names.values()), trust)


def lungs(volume: CtVolume) -> tuple[Mask, Mask]:
    """Return the right and the left lung.

    Raises:
        LabellerError: If there is too little air inside the body, or it cannot be parted.
    """
    air = _inner_air(volume)
    box = ndimage.find_objects(air.astype(np.uint8))[0]
    spacing = volume.spacing_mm
    tissue = air[box] & ~airways(volume.hu[box], air[box], spacing)
    pair = _parted(tissue, spacing, volume.case)
    found = []
    for side, other in (pair, pair[::-1]):
        mask = np.zeros(air.shape, np.bool_)
        mask[box] = closed_over(side, VESSEL_MM, spacing) & ~other & ~(air[box] & ~tissue)
        found.append(mask)
    return found[0], found[1] & ~found[0]


def body(volume: CtVolume) -> Mask:
    """Return all inside the skin, slice by slice; the table is left out as it is thin.

    Raises:
        LabellerError: If nothing is as dense as a body.
    """
    thick = _inner(volume.hu > TISSUE_HU, TABLE_MM, volume.spacing_mm)
    if not thick.any():
        raise LabellerError(f"{volume.case}: no body: nothing denser than {TISSUE_HU} HU is thick enough")
    core = _largest(thick)
    whole = _outer(core, TABLE_MM, volume.spacing_mm) & (volume.hu > TISSUE_HU)
    return np.stack([np.asarray(ndimage.binary_fill_holes(each)) for each in whole])


def bone(volume: CtVolume) -> Mask:
    """Return the skeleton with its marrow; strongly enhanced vessels are taken for bone.

    Raises:
        LabellerError: If nothing is as dense as a body.
    """
    dense = (volume.hu > BONE_HU) & body(volume)
    pieces, count = ndimage.label(dense)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1) * volume.spacing_mm**3 / 1000
    keep = sizes >= MIN_BONE_ML
    keep[0] = False
    closed = closed_over(keep[pieces], MARROW_MM, volume.spacing_mm)
    return np.stack([_filled(each, volume.spacing_mm) for each in closed])


def _filled(mask: Mask, spacing_mm: float) -> Mask:
    """Return a slice with marrow filled, but not what a ring of bones encloses."""
    holes, _ = ndimage.label(ndimage.binary_fill_holes(mask) & ~mask)
    small = np.bincount(holes.ravel()) * spacing_mm**2 <= MARROW_MM2
    small[0] = False
    return np.asarray(mask | small[holes])


def _inner_air(volume: CtVolume) -> Mask:
    """Return the pockets of air inside the body that may be lungs: the largest, and what is not far smaller.

    Only air deeper than LEAK_MM is followed: thin noise between lung and skin would join a lung to the room.
    """
    air, spacing = volume.hu < AIR_HU, volume.spacing_mm
    cores, _ = ndimage.label(_inner(air, LEAK_MM, spacing))
    sides = (cores[:, 0], cores[:, -1], cores[:, :, 0], cores[:, :, -1])
    sizes = np.bincount(cores.ravel()) * spacing**3 / 1000
    sizes[np.unique(np.concatenate([side.ravel() for side in sides]))] = 0
    sizes[0] = 0
    if sizes.sum() < MIN_LUNG_ML:
        raise LabellerError(
            f"{volume.case}: no lungs: less than {MIN_LUNG_ML:.0f} ml of air lie inside the body"
        )
    inside = np.asarray((sizes >= MIN_SHARE * sizes.max())[cores] & (cores > 0))
    return air & _nearer(inside, (cores > 0) & ~inside, LEAK_MM + 2 * spacing, spacing)


def _nearer(core: Mask, other: Mask, reach_mm: float, spacing_mm: float) -> Mask:
    """Return what lies within reach of a core, and nearer to it than to the other."""
    to_core = np.asarray(ndimage.distance_transform_edt(~core, spacing_mm))
    if not other.any():
        return np.asarray(to_core <= reach_mm)
    to_other = ndimage.distance_transform_edt(~other, spacing_mm)
    return np.asarray((to_core <= reach_mm) & (to_core < to_other))


def _parted(air: Mask, spacing_mm: float, case: str) -> tuple[Mask, Mask]:
    """Return the right and the left of two lungs that may touch before or behind the heart."""
    for thickness in np.arange(0.0, MAX_PARTING_MM, spacing_mm):
        cores, sizes = _pieces(_inner(air, thickness, spacing_mm) if thickness else air)
        largest = np.argsort(sizes)[::-1][:2]
        if len(largest) == 2 and sizes[largest[1]] >= MIN_SHARE * sizes[largest[0]]:
            first, second = (np.asarray(cores == n + 1) for n in largest)
            return _sides(air, first, second, case)
    raise LabellerError(f"{case}: the lungs cannot be parted: one is missing, or they are widely joined")


def _sides(air: Mask, first: Mask, second: Mask, case: str) -> tuple[Mask, Mask]:
    """Give every voxel of air to the nearer of two cores, and name them by where they lie."""
    to_first, to_second = (np.asarray(ndimage.distance_transform_edt(~core)) for core in (first, second))
    nearer = to_first <= to_second
    halves = air & nearer, air & ~nearer
    columns = [float(np.nonzero(half)[2].mean()) for half in halves]
    if abs(columns[0] - columns[1]) < air.shape[2] * MIN_SHARE:
        raise LabellerError(f"{case}: the lungs cannot be parted: their halves do not lie side by side")
    return halves if columns[0] < columns[1] else halves[::-1]


def _pieces(mask: Mask) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.intp]]:
    pieces, count = ndimage.label(mask)
    return pieces, np.bincount(pieces.ravel(), minlength=count + 1)[1:]


def _largest(mask: Mask) -> Mask:
    pieces, sizes = _pieces(mask)
    return np.asarray(pieces == int(np.argmax(sizes)) + 1)


def _inner(mask: Mask, radius_mm: float, spacing_mm: float) -> Mask:
    """Return what lies deeper than a radius; the volume goes on beyond its edges as it ends there."""
    padded = np.pad(mask, 1, mode="edge")
    return np.asarray(ndimage.distance_transform_edt(padded, spacing_mm) > radius_mm)[1:-1, 1:-1, 1:-1]


def _outer(mask: Mask, radius_mm: float, spacing_mm: float) -> Mask:
    return np.asarray(ndimage.distance_transform_edt(~mask, spacing_mm) <= radius_mm + spacing_mm)


def closed_over(mask: Mask, radius_mm: float, spacing_mm: float) -> Mask:
    """Return the mask with gaps and holes narrower than twice the radius filled."""
    reach = int(np.ceil(radius_mm / spacing_mm)) + 1
    wide = np.pad(mask, reach, mode="constant")
    grown = ndimage.distance_transform_edt(~wide, spacing_mm) <= radius_mm
    closed = ndimage.distance_transform_edt(grown, spacing_mm) > radius_mm
    inner = np.asarray(closed)[reach:-reach, reach:-reach, reach:-reach]
    return inner | mask
