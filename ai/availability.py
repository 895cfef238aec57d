"""Whether what a measurement needs is there, and what limits its value, in words for a radiologist."""

from collections.abc import Sequence
from dataclasses import replace

from ai.labels import label
from ai.mask_geometry import cut_off
from ai.radiograph import Radiograph, View
from ai.segmentation import Segmentation

LUNG_PAIRS = (("visible lung right", "visible lung left"), ("right lung", "left lung"))
"""(right, left); the visible lungs are preferred, for readers draw those."""


def not_frontal(radiograph: Radiograph, segmentation: Segmentation) -> str | None:
    """Return why a measurement defined on frontal views cannot be made here; None if it can."""
    if radiograph.why_unmeasured:
        return radiograph.why_unmeasured
    probability = segmentation.frontal_probability
    if radiograph.view.is_lateral:
        return f"the view is stated to be lateral ({radiograph.view}); this is defined on frontal views"
    if probability is not None and probability < 0.5:
        return f"the image looks like a lateral view (probability {1 - probability:.2f})"
    return None


def missing(segmentation: Segmentation, names: Sequence[str], top_matters: bool = True) -> str | None:
    """Return why the first of the structures that is not usable is not; None if all are.

    Usable is what was found, is whole, and is trusted where trust was judged. With `top_matters=False` a
    structure may be cut off at the upper edge of the image.
    """
    for name in names:
        reason = absent(segmentation, name)
        if reason:
            return reason
        if cut_off(segmentation.masks[name], segmentation.shape, top_matters):
            return f"{name} is cut off by the edge of the image"
    return None


def absent(segmentation: Segmentation, name: str) -> str | None:
    """Return why there is no mask to measure on; None if there is one, be it whole or cut off."""
    if name in segmentation.unsupported:
        return f"the model does not look for {label(name).spoken}: it was not trained to"
    if name in segmentation.trust and not segmentation.trust[name].suffices:
        return f"{name} cannot be told with certainty: {segmentation.trust[name]}"
    return None if name in segmentation.masks else f"{name} was not found"


def doubted(segmentation: Segmentation, names: Sequence[str]) -> str | None:
    """Return how many of the structures are not trusted, in words; None if each one that was judged is."""
    count = sum(name in segmentation.trust and not segmentation.trust[name].suffices for name in names)
    return f"{count} of them cannot be told with certainty" if count else None


def trusted_part(segmentation: Segmentation) -> Segmentation:
    """Return the segmentation without masks that are not trusted; `absent` says why they are not there."""
    kept = {name: mask for name, mask in segmentation.masks.items() if not absent(segmentation, name)}
    return segmentation if len(kept) == len(segmentation.masks) else replace(segmentation, masks=kept)


def lungs(segmentation: Segmentation) -> tuple[str, str]:
    """Return the names of the right and left lung to measure on: the first pair that the model knows.

    Not the first that was found: whole lungs in the place of visible ones would be another quantity.
    """
    return next((p for p in LUNG_PAIRS if not set(p) & set(segmentation.unsupported)), LUNG_PAIRS[0])


def sides_swapped(segmentation: Segmentation, right: str, left: str) -> str | None:
    """Return a sentence if the right structure does not lie at the image's left of the left one."""
    if segmentation.masks[right].centroid[0] < segmentation.masks[left].centroid[0]:
        return None
    return f"{right} does not lie at the image's left of {left}: the image may be mirrored"


def view_remarks(radiograph: Radiograph) -> tuple[str, ...]:
    """Return what the view does to widths of the heart."""
    if radiograph.view is View.AP:
        return ("view AP: the heart is magnified",)
    if radiograph.view is View.UNKNOWN:
        return ("the view is not stated: in an AP view the heart is magnified",)
    return ()


def length_remarks(radiograph: Radiograph) -> tuple[str, ...]:
    """Return what limits lengths and areas made from this pixel spacing."""
    if radiograph.spacing is None or radiograph.spacing.calibrated:
        return ()
    return (f"measured at the detector, the patient is smaller: {radiograph.spacing.source}",)
