"""What the demonstration prints: segments, measurements and times as tables."""

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ai.measurement import Measurement, Unit
from node.jobs import JobEvent
from node.read_results import Received

COLUMNS = 3
"""Segments stand side by side, so that a hundred fit on a screen."""

UNIT_WORDS = {Unit.RATIO: "", Unit.SQUARE_CENTIMETRE: "cm²", Unit.DEGREE: "°"}


def print_segments(console: Console, received: Received) -> None:
    """Print number, label and area in pixels of every segment."""
    title = f"DICOM SEG: {len(received.segments)} segments (number, structure, pixels)"
    table = Table(title=title, title_justify="left", show_header=False)
    for _ in range(COLUMNS):
        table.add_column(justify="right", style="dim")
        table.add_column()
        table.add_column(justify="right")
    cells = [(str(s.number), s.label, f"{s.mask.area:,}") for s in received.segments]
    height = -(-len(cells) // COLUMNS)
    columns = [cells[start : start + height] for start in range(0, len(cells), height or 1)]
    for row in zip_longest(*columns, fillvalue=("", "", "")):
        table.add_row(*(cell for segment in row for cell in segment))
    console.print(table)


def print_measurements(console: Console, received: Received) -> None:
    """Print every measurement of the report with its value, or why there is none."""
    table = Table("measurement", title="DICOM SR: measurements", title_justify="left")
    table.add_column("value", justify="right")
    table.add_column("remarks", style="dim")
    for result in received.measurements:
        if isinstance(result, Measurement):
            table.add_row(result.name, value_text(result), Text("; ".join(result.remarks)))
        else:
            table.add_row(result.name, Text("not computed", style="yellow"), Text(result.reason))
    console.print(table)


def print_times(console: Console, history: Sequence[JobEvent], received_at: datetime) -> None:
    """Print how long the job was in each state."""
    table = Table("the job", title="times, from the node's database", title_justify="left")
    table.add_column("after s", justify="right")
    for event in history:
        table.add_row(event.to_state, f"{(event.at - received_at).total_seconds():.2f}")
    console.print(table)


def value_text(result: Measurement) -> str:
    """Return value and unit for a person.

    >>> from ai.measurement import Drawing
    >>> outline = Drawing("outline", ((0, 0), (1, 1)))
    >>> value_text(Measurement("heart area", 98.76, Unit.SQUARE_CENTIMETRE, (outline,), ()))
    '98.8 cm²'
    """
    digits = 2 if result.unit is Unit.RATIO else 1
    return f"{result.value:.{digits}f} {UNIT_WORDS.get(result.unit, result.unit.value)}".strip()
