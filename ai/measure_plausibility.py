"""Whether lungs, heart and spine lie and look as they do in people: a wrong number is worse than none.

One function for each structure gives None, or the reason in words. The bounds stand beyond what readers drew:
lungs on 292 films of three public sets (JSRT, Wingspan, generalblockchain), hearts on the 243 of the first
two, vertebrae (T1 to L5) on the 57 films of the AASCE 2019 challenge.
"""

import numpy as np
import numpy.typing as npt
from numpy.polynomial import Polynomial

from ai.availability import absent, lungs, sides_swapped
from ai.radiograph import PixelSpacing
from ai.segmentation import Mask, Segmentation

Vector = npt.NDArray[np.float64]

LUNG_RATIO = (1 / 3, 3.0)
"""Area of the right lung over that of the left one; readers' lie between 0.69 and 2.03."""

MIN_LUNG_SHARE = 0.02
"""Least share of the image that one lung covers; readers' smallest covers 0.049."""

MIN_LARGEST_PIECE = 0.8
"""Least share of a lung or heart in its largest piece. Every reader's mask is one piece (1.000)."""

HEART_ACROSS = (0.2, 0.9)
HEART_DOWN = (0.45, 1.0)
"""Where the heart's centre lies, as a share of the way from the right lung's centre to the left one's, and
from the top of the lungs to their bottom. Readers' lie between 0.48 and 0.78 across, and between 0.60 and
0.89 down, but for one film of 243 (1.39 across, 0.35 down), which is refused."""

MAX_HEART_BOTTOM = 1.3
"""How far down the heart reaches, on the scale of HEART_DOWN; readers' at most 1.18."""

MAX_HEART_GAP = 0.05
"""Largest distance of the heart's box from that of a lung, in widths of the thorax. Readers' boxes overlap on
both sides by 0.019 or more, but for the same one film (a gap of 0.152)."""

HEART_TO_LUNGS = (0.1, 1.5)
"""Area of the heart over that of both lungs; readers' lie between 0.19 and 0.97."""

PLAUSIBLE_RATIO = (0.2, 0.8)
"""Width of the heart over that of the thorax; readers' lie between 0.35 and 0.75, the largest hearts reach
about 0.8."""

THORAX_MM = (150.0, 450.0)
"""Inner width of an adult's thorax, in the patient or at the detector. Readers' on the 113 films of JSRT, at
0.7 mm a pixel, lie between 224 and 348."""

MIN_VERTEBRAE = 8
"""Fewer do not show a curve."""

MAX_LEVELS = 2
"""From one vertebra to the next that was found: one level may be missing between them."""

GAP_RATIOS = (0.4, 1.8)
"""Shortest and longest distance of neighbouring centres, in medians of one film; readers' lie between 0.47
and 1.64."""

MAX_INCLINATION = 65.0
"""Largest angle of the line between neighbouring centres to the vertical, in degrees; readers' reach 61.6."""

MAX_RESIDUAL = 0.25
"""Largest sideways distance of a centre from the fitted curve, in median distances of neighbouring centres.
Readers' at most 0.189 (T1 to T12), 0.181 (T1 to L5) and 0.248 (any 8 or 10 neighbours of T1 to T12). Of
their T1 to T12 with one or two inner levels taken out it refuses 2 in 100, with three or four 10 in 100: the
curve is stiffer the fewer centres it goes through."""

VERTEBRA_RATIOS = (0.3, 3.3)
"""Area of one vertebra over the median of the film; readers' lie between 0.36 and 3.00."""

VERTEBRA_SIZES = (0.15, 6.0)
"""Area of one vertebra over the square of the median distance of neighbouring centres; readers', of the
bodies alone, lie between 0.29 and 3.12. Projections of whole vertebrae are larger: the upper bound leaves
room for processes."""

MAX_SPINE_OFFSET = 0.2
"""Largest distance of the median centre from the middle between the lungs' outer edges, in their distance.
Readers' centres of T1 to T12 lie within 0.167 of the middle of the default model's lungs, on the 45 of the 57
films where it finds both."""


def lungs_implausible(segmentation: Segmentation) -> str | None:
    """Return why nothing should be measured on the lungs; None if it may.

    Of one lung alone neither side nor size can be checked, and that is a reason. The heart's place counts
    where it was found: a picture on its head shows in nothing else, and the sides of its lungs would be
    exchanged.
    """
    names = lungs(segmentation)
    found = [name for name in names if name in segmentation.masks]
    for name in found:
        reason = _odd_lung(name, segmentation)
        if reason:
            return reason
    lost = next((name for name in names if name not in found), None)
    if not found:
        return absent(segmentation, names[0])
    if lost:
        return f"side and size of the other lung cannot be checked: {absent(segmentation, lost)}"
    reason = sides_swapped(segmentation, *names) or _unlike(*_pair(segmentation))
    heart = segmentation.masks.get("heart")
    return reason or (None if heart is None else _misplaced(heart, *_pair(segmentation)))


def heart_implausible(segmentation: Segmentation) -> str | None:
    """Return why nothing should be measured on the heart, which was found; None if it may.

    Without both lungs its place cannot be judged, and that is a reason.
    """
    for name in lungs(segmentation):
        if name not in segmentation.masks:
            return f"where the heart lies cannot be checked: {absent(segmentation, name)}"
    reason = lungs_implausible(segmentation)
    if reason:
        return reason
    heart = segmentation.masks["heart"]
    if heart.largest_piece < MIN_LARGEST_PIECE:
        return "the heart is implausible: it is in pieces"
    ratio = heart.area / sum(lung.area for lung in _pair(segmentation))
    if not _within(ratio, HEART_TO_LUNGS):
        return f"the heart is implausible: it has {ratio:.2g} times the area of both lungs"
    return None


def ratio_implausible(heart: float, thorax: float) -> str | None:
    """Return why two widths in pixels cannot both be true; None if they can."""
    ratio = heart / thorax
    if _within(ratio, PLAUSIBLE_RATIO):
        return None
    return f"the widths are implausible: their ratio would be {ratio:.2f}"


def thorax_implausible(pixels: float, spacing: PixelSpacing | None) -> str | None:
    """Return why a thorax of this inner width is no adult's; None if it can be, or without pixel spacing."""
    if spacing is None or _within(pixels * spacing.column_mm, THORAX_MM):
        return None
    return (
        f"the thorax would be {pixels * spacing.column_mm:.0f} mm wide, which no adult's is: "
        "the pixel spacing or the lungs are wrong, or it is a small child"
    )


def spine_implausible(levels: Vector, centres: Vector, areas: Vector, degree: int) -> str | None:
    """Return why nothing should be measured on the vertebrae; None if it may.

    Args:
        levels: (n,) place of each vertebra in the spine, counted from above.
        centres: (n, 2) of (across, down), any unit.
        areas: (n,) in squares of that unit.
        degree: Of the polynomial that is fitted through the centres.
    """
    if len(levels) < MIN_VERTEBRAE:
        return f"{len(levels)} vertebrae were found, {MIN_VERTEBRAE} are needed"
    if np.diff(levels).max() > MAX_LEVELS:
        return "more than one vertebra in a row was not found"
    steps = np.diff(centres, axis=0)
    if (steps[:, 1] <= 0).any():
        return "the vertebrae do not lie in their order"
    gaps = np.hypot(*steps.T) / np.diff(levels)
    typical = float(np.median(gaps))
    if not _within(gaps / typical, GAP_RATIOS):
        return "the vertebrae do not lie at regular distances"
    if _inclination(steps) > MAX_INCLINATION or _residual(centres, degree) > MAX_RESIDUAL * typical:
        return "the vertebrae do not lie on a smooth curve"
    if not (
        _within(areas / np.median(areas), VERTEBRA_RATIOS) and _within(areas / typical**2, VERTEBRA_SIZES)
    ):
        return "the vertebrae are not alike in size, or not of the size of vertebrae"
    return None


def spine_misplaced(segmentation: Segmentation, columns: Vector) -> str | None:
    """Return why vertebrae with centres on these columns are not between the lungs; None if they are.

    Where a lung was not found, that is not judged.
    """
    if not all(name in segmentation.masks for name in lungs(segmentation)):
        return None
    right, left = _pair(segmentation)
    offset = abs(float(np.median(columns)) - (right.left + left.right) / 2)
    inside = bool((columns > right.left).all() and (columns < left.right).all())
    if inside and offset <= MAX_SPINE_OFFSET * (left.right - right.left):
        return None
    return "the vertebrae do not lie in the middle between the lungs"


def _inclination(steps: Vector) -> float:
    """Return the largest angle to the vertical, in degrees, of steps (n, 2) of (across, down)."""
    return float(np.abs(np.degrees(np.arctan2(steps[:, 0], steps[:, 1]))).max())


def _residual(centres: Vector, degree: int) -> float:
    across, down = centres.T
    return float(np.abs(across - Polynomial.fit(down, across, degree)(down)).max())


def _pair(segmentation: Segmentation) -> tuple[Mask, Mask]:
    right, left = lungs(segmentation)
    return segmentation.masks[right], segmentation.masks[left]


def _odd_lung(name: str, segmentation: Segmentation) -> str | None:
    mask = segmentation.masks[name]
    share = mask.area / (segmentation.shape[0] * segmentation.shape[1])
    if share < MIN_LUNG_SHARE:
        return f"{name} is implausible: it covers {100 * share:.2g} % of the image"
    return f"{name} is implausible: it is in pieces" if mask.largest_piece < MIN_LARGEST_PIECE else None


def _unlike(right: Mask, left: Mask) -> str | None:
    ratio = right.area / left.area
    if _within(ratio, LUNG_RATIO):
        return None
    return f"the lungs are implausible: the right one has {ratio:.2g} times the area of the left one"


def _misplaced(heart: Mask, right: Mask, left: Mask) -> str | None:
    """Return a sentence if the heart does not lie between the lungs, and reaches neither of them."""
    top, bottom = min(right.top, left.top), max(right.bottom, left.bottom)
    across = (heart.centroid[0] - right.centroid[0]) / (left.centroid[0] - right.centroid[0])
    down, lowest = ((row - top) / (bottom - top) for row in (heart.centroid[1], heart.bottom))
    gap = max(heart.left - right.right, left.left - heart.right) / (left.right - right.left)
    centred = _within(across, HEART_ACROSS) and _within(down, HEART_DOWN)
    if centred and lowest <= MAX_HEART_BOTTOM and gap <= MAX_HEART_GAP:
        return None
    return "the heart does not lie between the lungs"


def _within(values: float | Vector, bounds: tuple[float, float]) -> bool:
    return bool(np.all((np.asarray(values) >= bounds[0]) & (np.asarray(values) <= bounds[1])))
