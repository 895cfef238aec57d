"""Which structure is part of which, as labellers name them finer or coarser."""

from collections.abc import Mapping, Set

PARTS: Mapping[str, frozenset[str]] = {
    "heart": frozenset(
        {
            "heart_myocardium",
            "heart_atrium_left",
            "heart_atrium_right",
            "heart_ventricle_left",
            "heart_ventricle_right",
        }
    ),
    "lung_right": frozenset({"lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"}),
    "lung_left": frozenset({"lung_upper_lobe_left", "lung_lower_lobe_left"}),
}
"""Parts that make up a whole without a rest."""

BODY = "body"
"""The whole of everything."""


def is_part(part: str, whole: str) -> bool:
    """Return whether a structure lies within another by what it is.

    >>> is_part("heart_atrium_left", "heart"), is_part("heart", "body"), is_part("aorta", "heart")
    (True, True, False)
    """
    return part in PARTS.get(whole, ()) or (whole == BODY and part != BODY)


def knows(vocabulary: Set[str], name: str) -> bool:
    """Return whether a labeller can tell a structure: it has its name, or those of all its parts.

    >>> knows({"lung_upper_lobe_left", "lung_lower_lobe_left"}, "lung_left")
    True
    """
    return name in vocabulary or (name in PARTS and PARTS[name] <= vocabulary)


def denies(vocabulary: Set[str], name: str) -> bool:
    """Return whether a labeller that finds nothing speaks against a structure: it knows it, or its whole.

    >>> denies({"heart"}, "heart_atrium_left"), denies({"heart_atrium_left"}, "heart")
    (True, False)
    """
    return knows(vocabulary, name) or any(is_part(name, known) for known in vocabulary)
