"""Whether the picture shows the whole of both lungs."""

from ai.availability import absent, lungs, not_frontal
from ai.mask_geometry import cut_sides
from ai.measure_plausibility import lungs_implausible
from ai.measurement import Finding
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

PARTS = (
    ("right apex", 0, "top"),
    ("left apex", 1, "top"),
    ("right costophrenic base", 0, "bottom"),
    ("left costophrenic base", 1, "bottom"),
    ("right side", 0, "left"),
    ("left side", 1, "right"),
)
"""What is asked about: its name, whether it belongs to the right (0) or the left (1) lung, and the border of
the image that would cut it off."""


def field_findings(radiograph: Radiograph, segmentation: Segmentation) -> tuple[Finding, ...]:
    """Return, for apices, costophrenic bases and sides of the lungs, whether each is inside the picture.

    Definition: a part is outside if more than 5 % of its lung's width (apex, base) or height (side) lies on
    that border of the image. Collimation inside the image is not judged.
    Source: European Guidelines on Quality Criteria for Diagnostic Radiographic Images, EUR 16260 (1996): the
    whole rib cage above the diaphragm and both costophrenic angles are to be seen.
    """
    pair = lungs(segmentation)
    reason = not_frontal(radiograph, segmentation) or lungs_implausible(segmentation)
    return tuple(
        _finding(f"{part} inside the picture", pair[side], border, segmentation, reason)
        for part, side, border in PARTS
    )


def _finding(name: str, lung: str, border: str, segmentation: Segmentation, reason: str | None) -> Finding:
    reason = reason or absent(segmentation, lung)
    if reason:
        return Finding(name, None, reason, (lung,))
    inside = border not in cut_sides(segmentation.masks[lung], segmentation.shape)
    return Finding(name, inside, structures=(lung,))
