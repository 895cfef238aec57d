"""One organ, one piece: islands are given to what surrounds them, or dropped.

Source: the post-processing of Jaus et al. (arXiv 2307.13375): the largest component only, but for a list of
structures that a scan may show in several pieces. There an island leaves a hole; here it goes to the
neighbour of its own kind, so that a lung keeps no gap where a voxel was called by another lobe's name.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.labelling.draft import TOUCHING, Draft, Piece, Repaired
from pipeline_training.volumes import MAX_LABEL, LabelMap

SEVERAL_PIECES = (
    "aorta", "artery", "vein", "vena", "trunk", "colon", "small_bowel", "duodenum", "breast_", "cartilages",
    "autochthon_", "gluteus_", "iliopsoas_", "skull", "portal", "spinal_cord",
)  # fmt: skip
"""Parts of names: vessels, bowel, breasts, cartilages, muscles, and what has holes or ends of its own."""

ENVELOPES = ("body", "muscle")
"""Not looked at: what is left of them between the organs."""

THIN = ("rib_", "scapula_", "clavicula_", "sternum", "humerus_", "hip_")
"""Bones that a coarse grid or the volume's edge may cut: large pieces of them stay."""

THIN_SHARE = 0.15
"""Of the largest piece."""

ISLAND_ML = 0.1
"""What is smaller goes from any structure."""

FAMILIES = ("lung_", "vertebrae_", "rib_left_", "rib_right_", "heart")
"""An island of one of these goes to the member of the family that it touches most."""


ACROSS_FACES = np.concatenate([np.eye(3, dtype=int), -np.eye(3, dtype=int)])
DUST_PASSES = 3
"""A voxel of dust lies at most so many steps from what surrounds it."""


def no_dust(volume: LabelMap) -> Repaired:
    """Give all islands below ISLAND_ML to their surroundings at once: an unsure labeller makes thousands."""
    draft = Draft(volume)
    dust = _dust(volume)
    if dust.any():
        family = _families(volume)
        before, labels = volume.labels[dust], draft.labels
        labels[dust] = 0
        for _ in range(DUST_PASSES):
            near = _around(labels, dust)
            near[(family[near] == 0) | (family[near] != family[before])] = 0
            labels[dust] = _most_frequent(near)
        draft.say(f"{draft.ml(int(dust.sum())):.2f} ml of islands below {ISLAND_ML} ml given away or dropped")
    return draft.finished()


def _around(labels: npt.NDArray[np.uint8], where: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return (6, n): the labels across the faces of the n voxels."""
    place, last = np.array(np.nonzero(where)), np.array(labels.shape)[:, None] - 1
    return np.stack([labels[tuple(np.clip(place + step[:, None], 0, last))] for step in ACROSS_FACES])


def _most_frequent(near: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the label that occurs most in each column, 0 only where there is nothing else."""
    counts = np.sum(near[:, None] == near[None], axis=1) * (near > 0)
    return np.asarray(np.take_along_axis(near, counts.argmax(axis=0)[None], 0)[0], np.uint8)


def _dust(volume: LabelMap) -> npt.NDArray[np.bool_]:
    """Return all voxels of islands below ISLAND_ML, but not where a structure has nothing else."""
    dust = np.zeros(volume.labels.shape, np.bool_)
    smallest = ISLAND_ML * 1000 / volume.spacing_mm**3
    boxes = ndimage.find_objects(volume.labels, max_label=MAX_LABEL)
    for number, name in volume.names.items():
        box = boxes[number - 1]
        if box is None or name in ENVELOPES:
            continue
        pieces, _ = ndimage.label(volume.labels[box] == number, structure=TOUCHING)
        sizes = np.bincount(pieces.ravel())
        small = sizes < min(smallest, sizes[1:].max())
        small[0] = False
        dust[box] |= small[pieces]
    return dust


def _families(volume: LabelMap) -> npt.NDArray[np.uint8]:
    """Return the number of the family of each id, 0 for none."""
    table = np.zeros(MAX_LABEL + 1, np.uint8)
    for number, name in volume.names.items():
        table[number] = next((i for i, kind in enumerate(FAMILIES, 1) if name.startswith(kind)), 0)
    return table


def one_piece(volume: LabelMap) -> Repaired:
    """Keep of every structure the pieces that it may have."""
    draft = Draft(volume)
    for name in sorted(set(draft.names) - set(ENVELOPES)):
        pieces = draft.pieces(name)
        odd = [piece for piece in pieces[1:] if not _may_stay(draft, name, piece, pieces[0])]
        for piece in odd:
            draft.give(piece, _heir(draft, piece))
        if odd:
            gone = draft.ml(sum(piece.size for piece in odd))
            draft.say(f"{name}: {len(odd)} islands of {gone:.2f} ml in all given away or dropped")
    return draft.finished()


def _may_stay(draft: Draft, name: str, piece: Piece, largest: Piece) -> bool:
    if draft.ml(piece.size) < ISLAND_ML:
        return False
    if any(word in name for word in SEVERAL_PIECES):
        return True
    return name.startswith(THIN) and piece.size >= THIN_SHARE * largest.size


def _heir(draft: Draft, piece: Piece) -> str:
    """Return the member of the piece's family around it, "" where there is none."""
    family = next((kind for kind in FAMILIES if piece.name.startswith(kind)), None)
    if family is None:
        return ""
    around = {name: n for name, n in draft.neighbours(piece).items() if name.startswith(family)}
    return max(around, key=lambda name: around[name], default="")
