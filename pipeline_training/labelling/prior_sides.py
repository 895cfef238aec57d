"""Left stays left: the plane between the sides, and what lies on its wrong side.

Source: the rule of Jaus et al. (arXiv 2307.13375), a plane fitted to the vertebrae; there all its parameters
come from the vertebrae alone, which hardly fix its turn about the body's axis. Here the sternum does.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline_training.labelling.draft import Draft, Piece, Repaired
from pipeline_training.volumes import LabelMap

MIN_VERTEBRAE = 3
MAX_SLOPE = 0.4
"""Tangent of the largest tilt or turn that a plane through a living spine has."""

MARGIN_MM = 8.0
"""A piece is on the wrong side when its centre lies so far beyond the plane."""

WHOLLY = 0.9
"""... and so much of it does."""

SIDED = (
    "rib_", "lung_", "scapula_", "clavicula_", "humerus_", "kidney_", "adrenal_gland_", "hip_", "femur_",
    "autochthon_", "gluteus_", "iliopsoas_", "breast_",
)  # fmt: skip
"""Structures that never cross the plane. Veins, carotids and the chambers of the heart do."""

Plane = npt.NDArray[np.float64]
"""(column at slice 0 and row 0, columns per slice, columns per row)."""


def sides_plane(volume: LabelMap) -> Plane | None:
    """Return the plane between left and right, or None where too few vertebrae say where it lies."""
    spine = [_centre(volume, name) for name in volume.names.values() if name.startswith("vertebrae_")]
    if len(spine) < MIN_VERTEBRAE:
        return None
    front = [_centre(volume, "sternum")] if "sternum" in volume.names.values() else []
    points = np.array(spine + front * len(spine))
    unknowns = [np.ones(len(points)), points[:, 0], *([points[:, 1]] if front else [])]
    plane = np.zeros(3)
    plane[: len(unknowns)] = np.linalg.lstsq(np.stack(unknowns, axis=1), points[:, 2])[0]
    return plane if bool(np.all(np.abs(plane[1:]) < MAX_SLOPE)) else None


def _centre(volume: LabelMap, name: str) -> npt.NDArray[np.float64]:
    return np.array([axis.mean() for axis in np.nonzero(volume.mask(name))])


def leftness_mm(plane: Plane, piece: Piece, spacing_mm: float) -> npt.NDArray[np.float64]:
    """Return how far left of the plane each voxel of a piece lies."""
    z, y, x = piece.place
    return np.asarray((x - plane[0] - plane[1] * z - plane[2] * y) * spacing_mm, np.float64)


def keep_sides(volume: LabelMap) -> Repaired:
    """Give what lies on the wrong side to its twin, or drop it where there is no twin."""
    draft, plane = Draft(volume), sides_plane(volume)
    if plane is None:
        draft.say("sides not checked: too few vertebrae, or no plane goes through them and the sternum")
        return draft.finished()
    moves = [
        (piece, name)
        for name in _suspects(volume, plane)
        for piece in draft.pieces(name)
        if _on_wrong_side(leftness_mm(plane, piece, volume.spacing_mm), name)
    ]
    _move(draft, moves)
    return draft.finished()


def _suspects(volume: LabelMap, plane: Plane) -> list[str]:
    """Return the structures of one side that have voxels far on the other: few, and cheap to find."""
    slices, rows, columns = (np.arange(n) for n in volume.labels.shape)
    border = plane[0] + plane[1] * slices[:, None] + plane[2] * rows
    margin = MARGIN_MM / volume.spacing_mm
    left = np.unique(volume.labels[columns > border[..., None] + margin])
    right = np.unique(volume.labels[columns < border[..., None] - margin])
    return sorted(
        name
        for number, name in volume.names.items()
        if name.startswith(SIDED) and number in (right if "left" in name.split("_") else left)
    )


def _on_wrong_side(leftness: npt.NDArray[np.float64], name: str) -> bool:
    wrong = -leftness if "left" in name.split("_") else leftness
    return bool(np.median(wrong) > MARGIN_MM and (wrong > 0).mean() > WHOLLY)


def _move(draft: Draft, moves: Sequence[tuple[Piece, str]]) -> None:
    """Move all pieces at once, so that two sides that were exchanged do not meet half-way."""
    twins = [(piece, name, other_side(name)) for piece, name in moves]
    for piece, name, twin in twins:
        known = twin if twin in draft.names else ""
        draft.give(piece, known)
        where = f"given to {known}" if known else "dropped"
        draft.say(f"{name}: {draft.ml(piece.size):.1f} ml lay on the other side, {where}")


def other_side(name: str) -> str:
    """Return the name of the structure on the other side."""
    parts = {"left": "right", "right": "left"}
    return "_".join(parts.get(word, word) for word in name.split("_"))
