"""Which projection the source states, and how the picture lies."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydicom import Dataset

from ai.orientation import USUAL, Orientation
from ai.radiograph import View
from node.attributes import codes, items, shown, text, texts
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
    "LAO": "left anterior oblique",
    "RAO": "right anterior oblique",
    "LPO": "left posterior oblique",
    "RPO": "right posterior oblique",
    "OBLIQUE": "oblique",
    "OBL": "oblique",
}
"""Views in which heart and lungs do not lie as in a frontal one: defined terms of View Position, and words
that are met in their place."""

BY_CODE = {
    "272479007": View.PA,
    "399348003": View.AP,
    "399173006": View.LEFT_LATERAL,
    "399198007": View.RIGHT_LATERAL,
    "R-10214": View.PA,
    "R-10206": View.AP,
    "R-10236": View.LEFT_LATERAL,
    "R-10232": View.RIGHT_LATERAL,
    "R-40888": View.PA,
    "399067008": View.LEFT_LATERAL,
    "30730003": View.LEFT_LATERAL,
    "399352003": View.LEFT_LATERAL,
    "399260004": View.LEFT_LATERAL,
    "R-102CD": View.LEFT_LATERAL,
    "G-A145": View.LEFT_LATERAL,
    "399033003": View.UNKNOWN,
    "R-10202": View.UNKNOWN,
}
"""View Code Sequence (PS3.16 CID 4010), SNOMED CT and the SNOMED RT codes that stand in older objects.

Lateral without a side counts as left, as in View Position; frontal says neither PA nor AP.
"""

NOT_SERVED_CODES = {
    "399135007": "left anterior oblique",
    "399356000": "right anterior oblique",
    "399006002": "left posterior oblique",
    "399038007": "right posterior oblique",
    "399184004": "left oblique",
    "399236003": "right oblique",
    "399182000": "oblique",
    "399312000": "antero-posterior oblique",
    "399059000": "postero-anterior oblique",
    "399160007": "frontal oblique",
    "399004004": "oblique axial",
    "399061009": "axial",
    "399110001": "tangential",
    "260427002": "lateral oblique",
    "260426006": "medial oblique",
    "119376003": "tissue specimen",
    "R-10220": "left anterior oblique",
    "R-40985": "right anterior oblique",
    "R-10212": "left posterior oblique",
    "R-10210": "right posterior oblique",
    "R-10238": "left oblique",
    "R-10234": "right oblique",
    "R-102C1": "oblique",
    "R-10208": "antero-posterior oblique",
    "R-10216": "postero-anterior oblique",
    "R-10204": "frontal oblique",
}
"""Codes of the same table for views that a chest may be shown in, and that are not served."""

DECUBITUS_CODES = {
    "32185000": "lateral decubitus",
    "102536004": "left lateral decubitus",
    "102535000": "right lateral decubitus",
    "F-10318": "lateral decubitus",
    "F-10319": "left lateral decubitus",
    "F-10317": "right lateral decubitus",
}
"""Patient Orientation Modifier Code Sequence (PS3.16 CID 20): the patient lies on a side."""

DECUBITUS_POSITIONS = frozenset({"HFDL", "HFDR", "FFDL", "FFDR"})
"""Defined terms of Patient Position (PS3.3 C.7.3.1.1.2) that say so."""


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
        RefusedImageError: If the source states a view that is neither frontal nor lateral, or a patient who
            lies on a side.
    """
    _check_served(dataset)
    view, notes = _from_tags(dataset)
    stated = _lying(dataset, view)
    return replace(stated, notes=(*notes, *stated.notes))


def _lying(dataset: Dataset, view: View) -> StatedView:
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


def _check_served(dataset: Dataset) -> None:
    """Raise if the source states a view, or a way of lying, in which nothing lies as in a frontal view."""
    stated = next(_not_served(dataset), None)
    if stated:
        raise RefusedImageError(f"{stated} is not served: only frontal chest views are")


def _not_served(dataset: Dataset) -> Iterator[str]:
    position, lying = text(dataset, "ViewPosition"), text(dataset, "PatientPosition")
    if position in NOT_SERVED:
        yield f"View Position {position!r} ({NOT_SERVED[position]})"
    for code in codes(dataset, "ViewCodeSequence"):
        if code in NOT_SERVED_CODES:
            yield f"View Code {code!r} ({NOT_SERVED_CODES[code]})"
    for item in items(dataset, "PatientOrientationCodeSequence"):
        for code in codes(item, "PatientOrientationModifierCodeSequence"):
            if code in DECUBITUS_CODES:
                yield f"Patient Orientation Modifier {DECUBITUS_CODES[code]}"
    if lying in DECUBITUS_POSITIONS:
        yield f"Patient Position {lying!r} (lateral decubitus)"


def _from_tags(dataset: Dataset) -> tuple[View, tuple[str, ...]]:
    """Return the view that is stated, and a note where a code of it is not known."""
    position = text(dataset, "ViewPosition")
    if position in BY_POSITION:
        return BY_POSITION[position], ()
    stated = [code for code in codes(dataset, "ViewCodeSequence") if code]
    for code in stated:
        if code in BY_CODE:
            return BY_CODE[code], ()
    notes = (f"View Code {shown(stated[0])} is not known and was ignored",) if stated else ()
    hidden = text(dataset, "PatientPosition")  # PA and AP stand here in the NIH pictures
    return {"PA": View.PA, "AP": View.AP}.get(hidden, View.UNKNOWN), notes


def _is_lateral_orientation(lies: tuple[str, ...]) -> bool:
    return lies[0][:1] in {"A", "P"} and lies[1][:1] in {"F", "H"}
