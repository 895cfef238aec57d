"""What the demonstration prints: segments, measurements and times as tables."""

from collections.abc import Sequence
from datetime import datetime
from itertools import zip_longest

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ai.measurement import Measurement
from node.jobs import JobEvent
from node.read_results import Received
from node.stage_times import StageTimes
from node.states import State

SEGMENT_WIDTH = 38
"""Characters for a segment; as many stand side by side as the terminal has room for."""

MOMENTS = {
    State.QUEUED: "stored by the node, queued",
    State.SEGMENTING: "taken by a worker",
    State.STORED: "read, segmented, measured, written, checked",
    State.DELIVERING: "first result sent",
    State.DONE: "everything acknowledged by the archive",
}


def print_segments(console: Console, received: Received) -> None:
    """Print number, label and area in pixels of every segment."""
    columns = max(1, console.width // SEGMENT_WIDTH)
    title = f"DICOM SEG: {len(received.segments)} segments (number, structure, pixels)"
    table = Table(title=title, title_justify="left", show_header=False)
    for _ in range(columns):
        table.add_column(justify="right", style="dim", no_wrap=True)
        table.add_column()
        table.add_column(justify="right", no_wrap=True)
    cells = [(str(s.number), s.label, f"{s.mask.area:,}") for s in received.segments]
    height = max(1, -(-len(cells) // columns))
    side_by_side = [cells[start : start + height] for start in range(0, len(cells), height)]
    for row in zip_longest(*side_by_side, fillvalue=("", "", "")):
        table.add_row(*(cell for segment in row for cell in segment))
    console.print(table)


def print_measurements(console: Console, received: Received) -> None:
    """Print every measurement of the report with its value, or why there is none; remarks and notes below."""
    remarks = list(dict.fromkeys(r for m in received.measurements.computed for r in m.remarks))
    table = Table("measurement", title="DICOM SR: measurements", title_justify="left")
    table.add_column("value", justify="right")
    table.add_column("remark")
    for result in received.measurements:
        if isinstance(result, Measurement):
            marks = ", ".join(str(remarks.index(remark) + 1) for remark in result.remarks)
            table.add_row(result.name, result.text, marks)
        else:
            table.add_row(result.name, Text("not computed", style="yellow"), Text(result.reason))
    console.print(table)
    for number, remark in enumerate(remarks, start=1):
        console.print(f"  {number}  {remark}", markup=False, highlight=False, soft_wrap=True)
    for note in received.notes:
        console.print(f"  note: {note}", markup=False, highlight=False, soft_wrap=True)


def print_times(
    console: Console, history: Sequence[JobEvent], received_at: datetime, times: StageTimes
) -> None:
    """Print when the job reached each state, and how long the stages of the network took."""
    table = Table("since it was received", title="Times", title_justify="left")
    table.add_column("s", justify="right")
    for event in history:
        if event.to_state in MOMENTS:
            seconds = (event.at - received_at).total_seconds()
            table.add_row(MOMENTS[State(event.to_state)], f"{seconds:.2f}")
    table.add_section()
    for stage, seconds, _ in times.rows():
        table.add_row(f"of it {stage}", f"{seconds:.2f}")
    console.print(table)
