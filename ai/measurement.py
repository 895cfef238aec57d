"""A measured value, its drawing, and "not computed" as a value of its own."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from string import ascii_lowercase


class Unit(StrEnum):
    """UCUM units of measured values (PS3.16 CID 7181, CID 7460 and following)."""

    MILLIMETRE = "mm"
    SQUARE_CENTIMETRE = "cm2"
    DEGREE = "deg"
    RATIO = "1"
    PERCENT = "%"
    COUNT = "{counts}"


DIGITS = {
    Unit.MILLIMETRE: 1,
    Unit.SQUARE_CENTIMETRE: 1,
    Unit.DEGREE: 1,
    Unit.RATIO: 2,
    Unit.PERCENT: 1,
    Unit.COUNT: 0,
}
"""Decimals of a value, the same in the report, the picture and on the terminal; more would be noise."""

UNIT_WORDS = {Unit.SQUARE_CENTIMETRE: " cm²", Unit.DEGREE: "°", Unit.RATIO: "", Unit.COUNT: ""}
"""Units as a reader writes them; the others as in UCUM, after a space."""


@dataclass(frozen=True)
class Drawing:
    """What a reader needs to see to believe a number: points joined in order.

    Attributes:
        name: What it shows, such as "heart width".
        points: (column, row) pairs, two or more, in image coordinates where the top left pixel covers
            [0, 1) x [0, 1): the coordinates of SCOORD, PS3.3 C.18.6.1.1.
        closed: Whether the last point is joined to the first (an outline).
    """

    name: str
    points: tuple[tuple[float, float], ...]
    closed: bool = False

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise ValueError(f"drawing {self.name!r} needs at least 2 points, found {len(self.points)}")


@dataclass(frozen=True)
class Measurement:
    """A value that may be reported.

    Attributes:
        name: Identifier, such as "cardiothoracic ratio"; docs/measurements.md has a heading for each.
        value: In `unit`.
        unit: UCUM.
        drawings: At least one.
        structures: Label names that it was measured on.
        remarks: What limits it, one sentence each, such as "view AP: the heart is magnified".
    """

    name: str
    value: float
    unit: Unit
    drawings: tuple[Drawing, ...]
    structures: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.drawings:
            raise ValueError(f"measurement {self.name!r} has no drawing: a number is never sent without one")
        if self.value != self.value or self.value in {float("inf"), float("-inf")}:
            raise ValueError(f"measurement {self.name!r} is {self.value}: report NotComputed instead")

    @property
    def rounded(self) -> float:
        """The value with as many decimals as are told to anybody."""
        return round(self.value, DIGITS[self.unit]) + 0.0  # not -0.0

    @property
    def text(self) -> str:
        """The rounded value and its unit, for a person.

        >>> outline = Drawing("outline", ((0, 0), (1, 1)))
        >>> Measurement("heart area", 98.76, Unit.SQUARE_CENTIMETRE, (outline,), ()).text
        '98.8 cm²'
        """
        unit = UNIT_WORDS.get(self.unit, f" {self.unit}")
        return f"{self.rounded:.{DIGITS[self.unit]}f}{unit}"


@dataclass(frozen=True)
class NotComputed:
    """A measurement that could not be made, and why, in words for a radiologist."""

    name: str
    reason: str
    structures: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What stands in the place of a value, for a person.

        >>> NotComputed("heart width", "no pixel spacing").text
        'not computed: no pixel spacing'
        """
        return f"not computed: {self.reason}"


@dataclass(frozen=True)
class Finding:
    """Something that is so or not, and no number.

    Attributes:
        name: What is asked, such as "right apex inside the picture".
        holds: The answer; None if it could not be told.
        reason: Why it could not be told; empty otherwise.
        structures: Label names that it was judged from.
    """

    name: str
    holds: bool | None
    reason: str = ""
    structures: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.holds is None) != bool(self.reason):
            raise ValueError(f"finding {self.name!r} needs an answer or a reason, and not both")

    @property
    def text(self) -> str:
        """The answer for a person.

        >>> Finding("right apex inside the picture", True).text
        'yes'
        """
        return f"not told: {self.reason}" if self.holds is None else ("yes" if self.holds else "no")


@dataclass(frozen=True)
class Measurements:
    """Everything measured on one radiograph, in a fixed order; each name occurs once.

    Attributes:
        results: What was measured, or why it was not.
        findings: What was asked about the picture.
    """

    results: tuple[Measurement | NotComputed, ...]
    findings: tuple[Finding, ...] = ()

    def __iter__(self) -> Iterator[Measurement | NotComputed]:
        return iter(self.results)

    def chosen(self, names: Collection[str]) -> "Measurements":
        """Return those of these names, in their own order, and every finding; no name at all means each."""
        return Measurements(tuple(r for r in self.results if not names or r.name in names), self.findings)

    def __getitem__(self, name: str) -> Measurement | NotComputed:
        for result in self.results:
            if result.name == name:
                return result
        raise KeyError(name)

    @property
    def computed(self) -> tuple[Measurement, ...]:
        """Those with a value."""
        return tuple(r for r in self.results if isinstance(r, Measurement))

    @property
    def remarks(self) -> tuple[str, ...]:
        """What limits the values, each sentence once, in the order of the values."""
        return tuple(dict.fromkeys(remark for result in self.computed for remark in result.remarks))

    def marked(self, measurement: Measurement) -> str:
        """Return a value as it stands in a picture, with letters for its remarks, as `legend` has them.

        >>> outline = Drawing("outline", ((0, 0), (1, 1)))
        >>> ratio = Measurement("ratio", 0.5, Unit.RATIO, (outline,), (), ("the heart is magnified",))
        >>> Measurements((ratio,)).marked(ratio), Measurements((ratio,)).legend
        ('0.50 [a]', ('[a] the heart is magnified',))
        """
        letters = [_letter(self.remarks.index(remark)) for remark in measurement.remarks]
        return f"{measurement.text} [{', '.join(letters)}]" if letters else measurement.text

    @property
    def legend(self) -> tuple[str, ...]:
        """The remarks, each after the letter that stands beside the values that it limits."""
        return tuple(f"[{_letter(place)}] {remark}" for place, remark in enumerate(self.remarks))

    @property
    def not_computed(self) -> tuple[NotComputed, ...]:
        """Those without, with their reasons."""
        return tuple(r for r in self.results if isinstance(r, NotComputed))


def _letter(place: int) -> str:
    return ascii_lowercase[place] if place < len(ascii_lowercase) else str(place + 1)
