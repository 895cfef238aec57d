"""Volumes that structures of an adult have on a CT.

Source: reference masses of ICRP Publication 89 (2002) at the density of the tissue, halved and doubled; lungs
by total lung capacity (Quanjer et al., Eur Respir J 6 Suppl 16, 1993: 4 to 8 l standing) and less for a scan
lying and breathing shallowly; kidneys shrink further than by half. Vertebrae, ribs, other bones and vessels:
half the smallest and twice the largest of the four labelled development volumes (three CT labellings and an
atlas), as contrast, age and the labelling's habits vary as much as bodies do.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """Millilitres, both ends allowed."""

    low: float
    high: float


PLAUSIBLE_ML: dict[str, Range] = {
    "lung_upper_lobe_left": Range(250, 2600),
    "lung_lower_lobe_left": Range(200, 2700),
    "lung_upper_lobe_right": Range(130, 2300),
    "lung_middle_lobe_right": Range(80, 1000),
    "lung_lower_lobe_right": Range(200, 2800),
    "liver": Range(600, 4000),
    "spleen": Range(40, 800),
    "stomach": Range(40, 1500),
    "pancreas": Range(20, 250),
    "kidney_left": Range(30, 500),
    "kidney_right": Range(30, 500),
    "thyroid_gland": Range(2, 120),
    "trachea": Range(10, 90),
    "esophagus": Range(5, 120),
    "heart": Range(20, 1500),
    "aorta": Range(60, 600),
    "pulmonary_artery": Range(2, 250),
    "superior_vena_cava": Range(5, 80),
    "inferior_vena_cava": Range(8, 200),
    "sternum": Range(20, 200),
    "costal_cartilages": Range(40, 400),
    "scapula_left": Range(30, 280),
    "scapula_right": Range(30, 280),
    "clavicula_left": Range(7, 90),
    "clavicula_right": Range(7, 90),
    "spinal_cord": Range(20, 150),
}
"""By name; a cut structure has only an upper bound."""

PLAUSIBLE_OF_KIND_ML: dict[str, Range] = {
    "rib_left_12": Range(0.8, 16),
    "rib_right_12": Range(0.8, 16),
    "rib_": Range(3, 70),
    "vertebrae_C": Range(3, 30),
    "vertebrae_T": Range(7, 105),
    "vertebrae_L": Range(20, 150),
    "heart_": Range(20, 450),
}
"""By the beginning of the name, the first that fits."""

LUNGS_ML = Range(1200, 9500)
"""Both lungs, all lobes."""

MAY_BE_ABSENT = (
    "breast_", "gallbladder", "kidney_cyst", "prostate", "urinary_bladder", "humerus_", "hip_", "femur_",
    "sacrum", "gluteus_", "iliopsoas_", "iliac_", "skull", "brain", "face", "vertebrae_C", "vertebrae_L",
    "vertebrae_S",
)  # fmt: skip
"""What some people lack, or a chest CT does not show. Anything else that was not found was missed."""


def plausible_ml(name: str) -> Range | None:
    """Return the volumes that a structure may have, None where nothing is known of it."""
    if name in PLAUSIBLE_ML:
        return PLAUSIBLE_ML[name]
    return next((found for kind, found in PLAUSIBLE_OF_KIND_ML.items() if name.startswith(kind)), None)
