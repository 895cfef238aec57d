"""Where in the body a structure may be at all: no colon above the carina, no thyroid below it.

Source: the body-region rules of Jaus et al. (arXiv 2307.13375); the landmarks here are the lower end of the
trachea (the carina) and the ends of the lungs, which a chest CT always shows.
"""

import numpy as np

from pipeline_training.labelling.draft import Draft, Piece, Repaired
from pipeline_training.volumes import LUNGS, LabelMap

BELOW_CARINA = (
    "colon", "small_bowel", "duodenum", "kidney_", "adrenal_gland_", "gallbladder", "pancreas", "liver",
    "spleen", "stomach", "portal_vein", "urinary_bladder", "prostate", "hip_", "sacrum", "femur_", "gluteus_",
    "iliopsoas_", "iliac_", "vertebrae_L", "inferior_vena_cava",
)  # fmt: skip
ABOVE_CARINA = ("thyroid_gland", "skull", "brain", "common_carotid", "subclavian", "vertebrae_C")
BELOW_LUNGS_TOP = ("heart", "atrial_appendage", "pulmonary_")
CARINA_MARGIN_MM = 20.0


def keep_regions(volume: LabelMap) -> Repaired:
    """Drop what lies wholly in a part of the body where its structure cannot be."""
    draft = Draft(volume)
    carina, top = _lowest(volume, "trachea"), _highest(volume, *LUNGS)
    margin = CARINA_MARGIN_MM / volume.spacing_mm
    for name in draft.names:
        if carina is not None and name.startswith(BELOW_CARINA):
            _drop(draft, name, carina + margin, np.inf, "above the carina")
        if carina is not None and name.startswith(ABOVE_CARINA):
            _drop(draft, name, -np.inf, carina - margin, "below the carina")
        if top is not None and name.startswith(BELOW_LUNGS_TOP):
            _drop(draft, name, top, np.inf, "above the lungs")
    return draft.finished()


def _drop(draft: Draft, name: str, low: float, high: float, where: str) -> None:
    for piece in draft.pieces(name):
        if _within(piece, low, high):
            draft.give(piece, "")
            draft.say(f"{name}: {draft.ml(piece.size):.2f} ml {where} dropped")


def _within(piece: Piece, low: float, high: float) -> bool:
    return bool(low < piece.place[0].min() and piece.place[0].max() < high)


def _lowest(volume: LabelMap, name: str) -> int | None:
    slices = np.flatnonzero(volume.mask(name).any(axis=(1, 2)))
    return int(slices[0]) if slices.size else None


def _highest(volume: LabelMap, *names: str) -> int | None:
    slices = np.flatnonzero(volume.mask(*names).any(axis=(1, 2)))
    return int(slices[-1]) if slices.size else None
