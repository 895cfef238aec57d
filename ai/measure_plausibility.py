"""Whether lungs and heart lie as they do in people: numbers on masks that do not are worse than none."""

from ai.availability import lungs, sides_swapped
from ai.segmentation import Mask, Segmentation

LUNG_RATIO = (1 / 3, 3.0)
"""Area of the right lung over that of the left one. Readers' masks on 292 films of three public sets
(JSRT, Wingspan, generalblockchain) lie between 0.69 and 2.03."""

HEART_ACROSS = (0.2, 1.45)
HEART_DOWN = (0.3, 1.0)
"""Where the heart's centre lies, as a share of the way from the right lung's centre to the left one's, and
from the top of the lungs to their bottom. Readers' masks on 243 films (JSRT, Wingspan) lie between 0.48
and 1.39 across, and between 0.35 and 0.89 down."""


def implausible(segmentation: Segmentation) -> str | None:
    """Return why nothing should be measured on lungs and heart; None if it may, or a lung is missing."""
    right, left = lungs(segmentation)
    if right not in segmentation.masks or left not in segmentation.masks:
        return None
    swapped = sides_swapped(segmentation, right, left)
    if swapped:
        return swapped
    pair = segmentation.masks[right], segmentation.masks[left]
    ratio = pair[0].area / pair[1].area
    if not LUNG_RATIO[0] <= ratio <= LUNG_RATIO[1]:
        return f"the lungs are implausible: the right one has {ratio:.2g} times the area of the left one"
    heart = segmentation.masks.get("heart")
    return None if heart is None else _misplaced(heart, *pair)


def _misplaced(heart: Mask, right: Mask, left: Mask) -> str | None:
    """Return a sentence if the heart does not lie between the lungs."""
    top, bottom = min(right.top, left.top), max(right.bottom, left.bottom)
    across = (heart.centroid[0] - right.centroid[0]) / (left.centroid[0] - right.centroid[0])
    down = (heart.centroid[1] - top) / (bottom - top)
    if HEART_ACROSS[0] <= across <= HEART_ACROSS[1] and HEART_DOWN[0] <= down <= HEART_DOWN[1]:
        return None
    return "the heart does not lie between the lungs"
