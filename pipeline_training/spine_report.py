"""What a comparison with a reader's vertebrae found, as values and in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from rich.table import Table

from pipeline_training.metrics import Agreement, Interval

NEAR = 0.05
"""Share of the image's height within which a centre counts as near. On whole-spine films vertebrae lie about
as far apart, so that one that is called by its neighbour's name may still be near: `another_level` tells."""
NEAR_HEADING = f"within {100 * NEAR:.0f} %"
TOLD_REASONS = 3
"""So many of the reasons are told in words, the most frequent ones."""
MODEL = "model's vertebrae"
SPINE_DEFINITIONS: Mapping[str, str] = MappingProxyType(
    {
        "vertebra_distance": "from the centre of area of the model's mask to the mean of the reader's four "
        "corners, as a share of the image's height; mean of the images' means, bootstrap over images",
        "another_level": "compared vertebrae that lie nearer to another of the reader's vertebrae",
        "not_found": "the reader's vertebrae without a trusted, whole mask of that name, by reason",
        "spine_angle": "ours against the largest angle between any two of the reader's vertebrae, from the "
        "first to the last that ours was measured on; degrees",
        "readers_vertebrae": "the reader's corners, drawn as masks, in the place of the model's: the error "
        "of the method alone",
        "table_difference": "largest difference of the angle made from the corners of all vertebrae from "
        "the largest of the table's three; degrees",
    }
)
"""What the figures mean; written into every report."""


@dataclass(frozen=True)
class CentreScore:
    """The vertebrae of one image.

    Attributes:
        image: File name.
        distances: By label name: to the reader's centre, as a share of the image's height.
        another_level: Those that lie nearer to another of the reader's vertebrae.
        not_found: By label name: why a vertebra of the reader's has no centre to compare.
    """

    image: str
    distances: Mapping[str, float]
    another_level: tuple[str, ...]
    not_found: Mapping[str, str]


@dataclass(frozen=True)
class CentreResult:
    """The vertebrae of a set.

    Attributes:
        compared: How many vertebrae.
        distance: None where none was compared.
        near: Share of the compared within NEAR of the image's height; None where none was compared.
        another_level: How many of the compared lie nearer to another of the reader's vertebrae.
        not_found: How many of the reader's vertebrae were not found, by reason, the most frequent first.
        images: One for each image with landmarks.
    """

    compared: int
    distance: Interval | None
    near: float | None
    another_level: int
    not_found: Mapping[str, int]
    images: tuple[CentreScore, ...]


@dataclass(frozen=True)
class AngleScore:
    """One image's angle in degrees, and the vertebrae it was measured on; None where it was not computed."""

    image: str
    truth: float | None
    found: float | None
    levels: str = ""
    reason: str = ""


@dataclass(frozen=True)
class AngleResult:
    """The spine angle over a set.

    Attributes:
        vertebrae: Whose it was measured on: the model's, or the reader's from one level to another.
        agreement: In degrees; None where none was computed.
        not_computed: How many, by reason, the most frequent first.
        images: One for each image with landmarks.
    """

    vertebrae: str
    agreement: Agreement | None
    not_computed: Mapping[str, int]
    images: tuple[AngleScore, ...]


@dataclass(frozen=True)
class SpineResult:
    """The landmarks of a set's spines against a model.

    Attributes:
        centres: Of the vertebrae.
        angles: Of the model's vertebrae, then of the reader's.
        table_difference: In degrees; see SPINE_DEFINITIONS.
        without_picture: Names in the table of pictures that are not there.
        unmarked: Pictures without a row in the table.
    """

    centres: CentreResult
    angles: tuple[AngleResult, ...]
    table_difference: float
    without_picture: tuple[str, ...] = ()
    unmarked: int = 0


def spine_figures(result: SpineResult) -> dict[str, Any]:
    """Return the figures without the images."""
    figures = asdict(result)
    for part in (figures["centres"], *figures["angles"]):
        del part["images"]
    return figures


def centre_table(results: Sequence[tuple[str, SpineResult]]) -> Table:
    """Return how near the vertebrae are, for each set."""
    table = Table("set", title="vertebra centres")
    for heading in ("compared", "not found", "distance, % of height", NEAR_HEADING, "another level"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, result in results:
        table.add_row(name, *_centre_cells(result.centres))
    return table


def angle_table(results: Sequence[tuple[str, SpineResult]]) -> Table:
    """Return the agreement of spine angles, for each set."""
    table = Table("set", "vertebrae", title="spine angle, degrees")
    for heading in ("n", "not computed", "mean absolute error", "bias", "limits of agreement"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, result in results:
        for angle in result.angles:
            table.add_row(name, *_angle_cells(angle))
    return table


def spine_lines(results: Sequence[tuple[str, SpineResult]]) -> Iterator[str]:
    """Yield the same as Markdown; nothing where no set has landmarks of the spine."""
    if not results:
        return
    yield from ("", "## Vertebrae", "")
    yield (
        "Centres of the model's vertebrae against the readers' corners, and the largest angle between\n"
        "tangents of the spine against that between any two of the reader's vertebrae in the same part\n"
        "(middle lines of the bodies). The reader's own vertebrae, measured by us, tell the error of the\n"
        "method. Another level: nearer to the reader's vertebra of another name."
    )
    yield ""
    yield f"| set | compared | not found | distance, % of height | {NEAR_HEADING} | another level |"
    yield "|---|---|---|---|---|---|"
    for name, result in results:
        yield f"| {name} | {' | '.join(_centre_cells(result.centres))} |"
    yield ""
    yield "| set | spine angle of | n | not computed | MAE, degrees | bias | limits of agreement |"
    yield "|---|---|---|---|---|---|---|"
    for name, result in results:
        for angle in result.angles:
            yield f"| {name} | {' | '.join(_angle_cells(angle))} |"


def spine_remarks(name: str, result: SpineResult) -> Iterator[str]:
    """Yield what the tables do not say: reasons, and what is amiss with the landmarks."""
    if result.centres.not_found:
        yield f"{name}: vertebrae not found: {_reasons(result.centres.not_found)}"
    for angle in result.angles:
        if angle.not_computed:
            yield f"{name}: spine angle of {angle.vertebrae} not computed: {_reasons(angle.not_computed)}"
    yield (
        f"{name}: the largest angles of the table and those made from the corners differ by at most "
        f"{result.table_difference:.2f} degrees"
    )
    if result.without_picture:
        first, count = result.without_picture[0], len(result.without_picture)
        yield f"{name}: landmarks of {count} pictures that are not there, such as {first}"
    if result.unmarked:
        yield f"{name}: {result.unmarked} pictures without landmarks"


def _reasons(counts: Mapping[str, int]) -> str:
    told = [f"{count} x {reason}" for reason, count in list(counts.items())[:TOLD_REASONS]]
    rest = sum(counts.values()) - sum(list(counts.values())[:TOLD_REASONS])
    return "; ".join([*told, *([f"{rest} x other reasons"] if rest else [])])


def _centre_cells(centres: CentreResult) -> tuple[str, ...]:
    lost = str(sum(centres.not_found.values()))
    if centres.distance is None or centres.near is None:
        return "0", lost, next(iter(centres.not_found), "-"), "-", "-"
    found = centres.distance
    distance = f"{100 * found.mean:.1f} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return str(centres.compared), lost, distance, f"{100 * centres.near:.1f} %", str(centres.another_level)


def _angle_cells(angle: AngleResult) -> tuple[str, ...]:
    lost = str(sum(angle.not_computed.values()))
    if angle.agreement is None:
        return angle.vertebrae, "0", lost, "not computed", "-", "-"
    found = angle.agreement
    limits = f"{found.lower_limit:+.1f} to {found.upper_limit:+.1f}"
    error, bias = found.mean_absolute_error, found.bias
    return (
        angle.vertebrae,
        str(found.n),
        lost,
        f"{error.mean:.1f} [{error.low:.1f}, {error.high:.1f}]",
        f"{bias.mean:+.1f} [{bias.low:+.1f}, {bias.high:+.1f}]",
        limits,
    )
