"""What a labelling leaves open: which of our structures are present, absent or unknown.

Two rules. A structure is absent if everything that it is made of was looked for and none of it was found. A
structure that has voxels is present only if everything that it is made of, and everything that its rule goes
by, was looked for: half of the ribs is not "the ribs", and a heart of two labelled chambers is unknown.
"""

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ai.labels import LABELS
from pipeline_training.volumes import LUNG_LOBES, LabelMap

Choice = frozenset[str]
Choices = tuple[Choice, ...]

SIDES = ("right", "left")
VERTEBRAE = (
    *(f"vertebrae_C{n}" for n in range(1, 8)),
    *(f"vertebrae_T{n}" for n in range(1, 13)),
    *(f"vertebrae_L{n}" for n in range(1, 6)),
)
"""From above."""

SECTIONS = {"spine": "CTL", "cervical spine": "C", "thoracic spine": "T", "lumbar spine": "L"}

BEYOND_MM = 30.0
"""A volume that goes on further than this beyond the last labelled vertebra holds the next one: the height of
the tallest of C1 to L3 with its disc (Gilad and Nissan, Spine 1986: 25 to 28 mm, disc 8 to 11 mm)."""

HEART: Choices = (
    frozenset({"heart"}),
    frozenset({
        "heart_myocardium", "heart_atrium_left", "heart_atrium_right", "heart_ventricle_left",
        "heart_ventricle_right",
    }),
)  # fmt: skip
"""Either as a whole, or all of its chambers."""

SINGLE = {
    "rib_cartilage": "costal_cartilages", "sternum": "sternum", "stomach": "stomach",
    "small bowel": "small_bowel", "duodenum": "duodenum", "liver": "liver", "pancreas": "pancreas",
    "kidney left": "kidney_left", "kidney right": "kidney_right", "aorta": "aorta",
    "ascending aorta": "aorta", "descending aorta": "aorta", "aortic arch": "aorta",
    "pulmonary artery": "pulmonary_artery", "inferior vena cava": "inferior_vena_cava",
    "esophagus": "esophagus", "trachea": "trachea", "tracheal bifurcation": "trachea",
    "clavicle left": "clavicula_left", "clavicle right": "clavicula_right", "scapula left": "scapula_left",
    "scapula right": "scapula_right", "heart atrium left": "heart_atrium_left",
    "heart atrium right": "heart_atrium_right", "heart myocardium": "heart_myocardium",
    "heart ventricle left": "heart_ventricle_left", "heart ventricle right": "heart_ventricle_right",
}  # fmt: skip
"""Our structure by the one label that it is made of."""


@dataclass(frozen=True)
class Sources:
    """The labels that tell of one of our structures.

    Attributes:
        made_of: Each choice of labels makes the whole structure; empty for a region with borders but no
            label of its own, which is never known to be absent.
        guided_by: Choices of labels that its rule goes by besides.
    """

    made_of: Choices
    guided_by: Choices = (frozenset(),)


def sources(name: str, spine: Iterable[str] = VERTEBRAE) -> Sources:
    """Return what tells of a structure of ai/labels.csv; of `spine`, the vertebrae that matter."""
    if name in SINGLE:
        return Sources(_one(SINGLE[name]))
    if name in SECTIONS:
        return Sources((frozenset(v for v in spine if v[len("vertebrae_")] in SECTIONS[name]),))
    if match := re.fullmatch(r"vertebrae (\w+)", name):
        return Sources(_one(f"vertebrae_{match[1]}"))
    if match := re.fullmatch(r"(?:anterior |posterior )?(\d+)\w\w rib(?: (right|left))?", name):
        return Sources((frozenset(f"rib_{side}_{match[1]}" for side in _sides(name)),))
    if "diaphragm" in name:
        return Sources((), _all(_lungs(SIDES), HEART, _one("liver")))
    if "mediastinum" in name:
        return Sources((), _all(_lungs(SIDES), HEART, _one("vertebrae_T4")))
    return _soft_sources(name)


def _soft_sources(name: str) -> Sources:
    sides = _sides(name)
    if name == "heart":
        return Sources(HEART)
    if name.startswith("breast"):
        return Sources((frozenset(f"breast_{side}" for side in sides), frozenset({"breast"})))
    if re.match(r"(clavicle|scapula)", name):
        bone = {"c": "clavicula", "s": "scapula"}[name[0]]
        return Sources((frozenset(f"{bone}_{side}" for side in sides),))
    if match := re.fullmatch(r"lung (\w+) lobe (\w+)", name):
        return Sources(_one(f"lung_{match[1]}_lobe_{match[2]}"))
    is_zone = "zone" in name or "base" in name
    clavicles = frozenset(f"clavicula_{side}" for side in sides)
    return Sources(_lungs(sides), (clavicles,) if is_zone else (frozenset(),))


def _sides(name: str) -> tuple[str, ...]:
    """Return the sides that a structure is on."""
    return tuple(side for side in SIDES if side in name.split()) or SIDES


def _one(label: str) -> Choices:
    return (frozenset({label}),)


def _lungs(sides: Iterable[str]) -> Choices:
    """Return the choices for lungs: of each side the lobes, or the lung as a whole."""
    by_side: list[Choices] = [
        (frozenset(lobe for lobe in LUNG_LOBES if lobe.endswith(side)), frozenset({f"lung_{side}"}))
        for side in sides
    ]
    return _all(*by_side)


def _all(*needed: Choices) -> Choices:
    """Return the choices that satisfy every one of several needs."""
    return tuple(frozenset().union(*combination) for combination in itertools.product(*needed))


def told(volume: LabelMap) -> frozenset[str]:
    """Return the labels that were looked for: found or not."""
    return volume.vocabulary | frozenset(volume.names.values())


def complete(name: str, volume: LabelMap) -> bool:
    """Return whether everything that tells of a structure of ours was looked for.

    Of the spine those vertebrae matter that can be in the volume: all between the highest and the lowest
    labelled one, and the next beyond either, if the volume goes on for more than `BEYOND_MM`.
    """
    of = sources(name, _vertebrae_that_matter(volume) if name in SECTIONS else VERTEBRAE)
    known = told(volume)
    is_made = not of.made_of or any(choice <= known for choice in of.made_of)
    return is_made and any(choice <= known for choice in of.guided_by)


def absent_structures(volume: LabelMap) -> frozenset[str]:
    """Return our structures that are known not to be in the volume."""
    known, found = told(volume), _found(volume)
    return frozenset(label.name for label in LABELS if _is_absent(sources(label.name), known, found))


def _is_absent(of: Sources, known: frozenset[str], found: frozenset[str]) -> bool:
    looked_for = any(choice <= known for choice in of.made_of)
    return looked_for and not any(choice & found for choice in of.made_of)


def _found(volume: LabelMap) -> frozenset[str]:
    """Return the labels that have voxels."""
    numbers = np.flatnonzero(np.bincount(volume.labels.ravel(), minlength=1))
    return frozenset(volume.names[int(number)] for number in numbers if int(number) in volume.names)


def _vertebrae_that_matter(volume: LabelMap) -> tuple[str, ...]:
    """Return the vertebrae that can be in the volume, all of them if none is labelled."""
    spine = np.flatnonzero(volume.mask(*VERTEBRAE).any(axis=(1, 2)))
    labelled = [index for index, name in enumerate(VERTEBRAE) if volume.ids(name)]
    if not labelled or not spine.size:
        return VERTEBRAE
    beyond = BEYOND_MM / volume.spacing_mm
    first = max(0, labelled[0] - int(len(volume.labels) - 1 - spine[-1] > beyond))
    return VERTEBRAE[first : labelled[-1] + 1 + int(spine[0] > beyond)]
