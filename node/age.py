"""How old the patient was: as stated, or from the dates of birth and study."""

import re

from pydicom import Dataset

from node.attributes import text

_STATED = re.compile(r"(\d{1,3})([DWMY]?)")
_IN_YEARS = {"D": 1 / 365, "W": 7 / 365, "M": 1 / 12}
"""Units of Patient's Age (PS3.5 6.2, AS); years are meant where none stands."""

_DATE = re.compile(r"\d{8}")


def stated_age(dataset: Dataset) -> float | None:
    """Return the age in years; None where it is not stated.

    Patient's Age counts where it is one; an age of 0 states nothing (`000Y` is met where nobody was asked).
    Otherwise the whole years between Patient's Birth Date and Study Date.
    """
    stated = _STATED.fullmatch(text(dataset, "PatientAge"))
    if stated:
        return _IN_YEARS.get(stated[2], 1.0) * int(stated[1]) or None
    born, made = text(dataset, "PatientBirthDate"), text(dataset, "StudyDate")
    if not (_DATE.fullmatch(born) and _DATE.fullmatch(made)) or made < born:
        return None
    return float((int(made) - int(born)) // 10_000)
