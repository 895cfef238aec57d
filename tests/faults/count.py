"""What a proof counts, and whether it is as it must be."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Count:
    """One figure of a proof.

    Attributes:
        what: What was counted or measured, with its unit.
        found: The figure.
        wanted: What it must be, in words; empty where it is only told.
        holds: Whether it is so.
    """

    what: str
    found: float | str
    wanted: str = ""
    holds: bool = True

    @classmethod
    def none(cls, what: str, found: int) -> "Count":
        """Return a count that must be zero."""
        return cls(what, found, "0", found == 0)

    @classmethod
    def equal(cls, what: str, found: int, wanted: int) -> "Count":
        """Return a count that must be a certain number."""
        return cls(what, found, str(wanted), found == wanted)


def told(title: str, counts: Sequence[Count], console: Console) -> bool:
    """Print the figures of a proof; tell whether it holds."""
    table = Table("what", "found", "wanted", "", title=title)
    for count in counts:
        mark = "" if not count.wanted else "[green]holds[/]" if count.holds else "[bold red]does not hold[/]"
        table.add_row(count.what, str(count.found), count.wanted, mark)
    console.print(table)
    return all(count.holds for count in counts)
