"""Patient Orientation (PS3.3 C.7.6.1.1.1) of a frontal view, as the way to the usual grid."""

from ai.orientation import Orientation


def frontal_orientation(row_direction: str, column_direction: str) -> Orientation | None:
    """Return how a frontal view with this Patient Orientation lies; None if it is not one of a frontal view.

    Args:
        row_direction: First value: where the columns run to. Only its first letter counts.
        column_direction: Second value: where the rows run to.

    >>> frontal_orientation("R", "F")
    Orientation(transpose=False, flip_rows=False, flip_columns=True)
    """
    first, second = row_direction[:1], column_direction[:1]
    if first in "LR" and second in "FH" and first and second:
        return Orientation(flip_rows=second == "H", flip_columns=first == "R")
    if first in "FH" and second in "LR" and first and second:
        return Orientation(transpose=True, flip_rows=first == "H", flip_columns=second == "R")
    return None
