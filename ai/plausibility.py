"""Whether what a model was shown, and what it found, can be a chest radiograph of a view that it supports."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt

from ai.availability import LUNG_PAIRS
from ai.errors import NotAChestError
from ai.segmentation import Mask
from ai.uncertainty import Trust

MIN_LUNG_SHARE = 0.04
MAX_LUNG_SHARE = 0.85
"""Both lungs together cover more and less than these shares of a chest radiograph. Readers' lungs on 502
public chest radiographs of six sets cover 0.099 to 0.56; whole-spine films show them smaller."""

MAX_VERTICAL_OFFSET = 0.35
"""The centres of the lungs do not differ in height by more than this share of the picture; readers' lungs on
293 frontal radiographs differ by at most 0.154."""


def frontal_probability(view_logits: npt.NDArray[np.float32]) -> float:
    """Return the probability in [0, 1] of a frontal view from the network's (frontal, lateral) logits."""
    frontal, lateral = (float(logit) for logit in view_logits)
    return float(1 / (1 + np.exp(np.clip(lateral - frontal, -50, 50))))


def check_seen_view(frontal: float, views: Collection[str]) -> None:
    """Raise NotAChestError if the pixels look lateral and the model supports no lateral view."""
    if frontal < 0.5 and "lateral" not in views:
        raise NotAChestError(
            f"the image looks like a lateral view (probability {1 - frontal:.2f}); "
            "this model supports frontal views only"
        )


def check_lungs(masks: Mapping[str, Mask], shape: tuple[int, int], supported: Collection[str]) -> None:
    """Raise NotAChestError if the lungs are missing, too small, too large or one above the other.

    A model that supports no lungs is not judged.
    """
    pair = next((pair for pair in LUNG_PAIRS if set(pair) <= set(supported)), None)
    if pair is None:
        return
    lungs = [masks[name] for name in pair if name in masks]
    if not lungs:
        raise NotAChestError("no lungs were found: the image does not look like a chest radiograph")
    share = sum(lung.area for lung in lungs) / (shape[0] * shape[1])
    if not MIN_LUNG_SHARE < share < MAX_LUNG_SHARE:
        raise NotAChestError(
            f"what looks like lungs covers {100 * share:.1f} % of the image: not a chest radiograph"
        )
    heights = [lung.centroid[1] for lung in lungs]
    if max(heights) - min(heights) > MAX_VERTICAL_OFFSET * shape[0]:
        raise NotAChestError(
            "what looks like the lungs lies one above the other: not a frontal chest radiograph"
        )


def check_trust(masks: Mapping[str, Mask], trust: Mapping[str, Trust]) -> None:
    """Raise NotAChestError if none of the lungs and the heart that were found can be told with certainty.

    On 245 frontal chest radiographs of six public sets, portable ones of the very ill and two of children
    among them, the surest of the three has a probability of 0.66 or more (docs/appearance.md); on knees,
    pelves, teeth and a dog it has 0.23 at most. Where no lung was found, or one of the three is found and
    not judged, nothing is said.
    """
    lungs = next((pair for pair in LUNG_PAIRS if not masks.keys().isdisjoint(pair)), ())
    found = [name for name in (*lungs, "heart") if name in masks]
    if not lungs or any(name not in trust or trust[name].suffices for name in found):
        return
    surest = max(found, key=lambda name: trust[name].probability)
    raise NotAChestError(
        f"neither lungs nor heart can be told with certainty (surest is {surest}, {trust[surest]}): "
        "not a chest radiograph, or none that can be used"
    )
