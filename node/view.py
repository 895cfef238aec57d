"""Which projection the source states, and how the picture lies."""

from dataclasses import dataclass

from pydicom import Dataset

from ai.orientation import USUAL, Orientation
from ai.radiograph import View
from node.attributes import codes, text, texts
from node.errors import RefusedImageError
from node.orientation import frontal_orientation

BY_POSITION = {
    "PA": View.PA,
    "AP": View.AP,
    "LL": View.LEFT_LATERAL,
    "RL": View.RIGHT_LATERAL,
    "LATERAL": View.LEFT_LATERAL,
    "LARGE LATERAL": View.LEFT_LATERAL,
    "LAT": View.LEFT_LATERAL,
}
"""View Position (PS3.3 C.8.7.2, C.8.11.5), and what was seen in its place in 7,469 public headers."""

NOT_SERVED = {
    "LLD": "left lateral decubitus",
    "RLD": "right lateral decubitus",
    "LLO": "left lateral oblique",
    "RLO": "right lateral oblique",
}
"""Defined terms of View Position in which heart and lungs do not lie as in a frontal view."""

BY_CODE = {
    "272479007": View.PA,
    "399348003": View.AP,
    "399173006": View.LEFT_LATERAL,
    "399198007": View.RIGHT_LATERAL,
    "R-10214": View.PA,
    "R-10206": View.AP,
    "R-10236": View.LEFT_LATERAL,
    "R-10232": View.RIGHT_LATERAL,
}
"""View Code Sequence (PS3.16 CID 4010), SNOMED CT and the SNOMED RT codes that stand in older objects."""


NOT_STATED = (
    "Patient Orientation is not stated: the usual one (left of the patient at the right of the picture) was "
    "assumed"
)


@dataclass(frozen=True)
class StatedView:
    """What the source says about its projection.

    Attributes:
        view: The projection; UNKNOWN where nothing is stated.
        orientation: How the stored grid lies; the usual one for every view that is not stated to be frontal.
        notes: What was odd, one sentence each.
    """

    view: View
    orientation: Orientation
    notes: tuple[str, ...] = ()


def stated_view(dataset: Dataset) -> StatedView:
    """Return the projection and how the picture lies.

    Raises:
        RefusedImageError: If View Position states a view that is neither frontal nor lateral.
    """
    view = _from_tags(dataset)
    lies = (*texts(dataset, "PatientOrientation"), "", "")[:2]
    if view is View.UNKNOWN and _is_lateral_orientation(lies):
        return StatedView(
            View.LEFT_LATERAL, USUAL, ("the view is lateral by Patient Orientation; the side is not stated",)
        )
    if view.is_lateral:
        return StatedView(view, USUAL)
    if not all(lies):
        return StatedView(view, USUAL, (NOT_STATED,))
    return _frontal(view, lies)


def _frontal(view: View, lies: tuple[str, ...]) -> StatedView:
    orientation = frontal_orientation(*lies)
    if orientation is None:
        note = (
            "Patient Orientation is not that of a frontal view and was ignored: left and right may be wrong"
        )
        return StatedView(view, USUAL, (note,))
    if orientation.is_usual:
        return StatedView(view, orientation)
    words = "mirrored" if orientation == Orientation(flip_columns=True) else "turned"
    stated = f"{lies[0][:1]}\\{lies[1][:1]}"
    note = f"the picture is stored {words} (Patient Orientation {stated}); this was respected"
    return StatedView(view, orientation, (note,))


def _from_tags(dataset: Dataset) -> View:
    position = text(dataset, "ViewPosition")
    if position in NOT_SERVED:
        raise RefusedImageError(
            f"View Position {position!r} ({NOT_SERVED[position]}) is not served: only frontal chest views are"
        )
    if position in BY_POSITION:
        return BY_POSITION[position]
    code = next((code for code in codes(dataset, "ViewCodeSequence") if code in BY_CODE), None)
    if code is not None:
        return BY_CODE[code]
    hidden = text(dataset, "PatientPosition")  # PA and AP stand here in the NIH pictures
    return {"PA": View.PA, "AP": View.AP}.get(hidden, View.UNKNOWN)


def _is_lateral_orientation(lies: tuple[str, ...]) -> bool:
    return lies[0][:1] in {"A", "P"} and lies[1][:1] in {"F", "H"}
