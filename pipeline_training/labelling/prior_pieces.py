"""One organ, one piece: islands are given to what surrounds them, or dropped.

Source: the post-processing of Jaus et al. (arXiv 2307.13375): the largest component only, but for a list of
structures that a scan may show in several pieces. There an island leaves a hole; here it goes to the
neighbour of its own kind, so that a lung keeps no gap where a voxel was called by another lobe's name.
"""

from pipeline_training.labelling.draft import Draft, Piece, Repaired
from pipeline_training.volumes import LabelMap

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
