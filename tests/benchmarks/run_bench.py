"""Measures what the project's speed consists of, each figure beside its peer in one run: `make bench`.

    python -m tests.benchmarks.run_bench [--part image --part queue ...] [--share 0.1] [--out out/bench]

A table is printed; results.json has every figure with its spread, the machine and the versions, and is
written anew after each part. A part whose peer is not installed is left out, or that peer alone where the
part can do without it; table and results.json say so. `--share` makes everything smaller: such figures show
that the harness works, and nothing else.

Exit status: 0 every part was measured, 1 some part was left out, 2 wrong usage.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from math import inf
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from node.logs import configure_logs
from tests.benchmarks.figure import Figure, Spread
from tests.viewers.orthanc import NotInstalledError

ROOT = Path(__file__).parents[2]
PARTS = ("image", "encoder", "ingest", "send", "queue", "start", "network", "latency")
"""Modules of this package; each has `measure(bench)`."""

PACKAGES = ("numpy", "onnxruntime", "pydicom", "pynetdicom", "highdicom", "sqlalchemy")


@dataclass(frozen=True)
class Bench:
    """What a part is given.

    Attributes:
        share: How much of the whole is measured; 1.0 is what docs/performance.md tells.
        console: For lines on the way.
    """

    share: float
    console: Console

    def of(self, whole: int, least: int = 1) -> int:
        """Return the share of a number, at least `least`."""
        return max(least, round(whole * self.share))


Measure = Callable[[Bench], list[Figure]]


def machine() -> dict[str, str]:
    """Return what the figures were measured with."""
    model = next(
        (line.split(":")[1].strip() for line in _cpu_lines() if line.startswith("model name")), "unknown"
    )
    told = {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": f"{os.cpu_count()} x {model}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": " ".join(f"{each:.1f}" for each in os.getloadavg()),
    }
    return {**told, **{name: version(name) for name in PACKAGES}}


def _cpu_lines() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


@dataclass
class Results:
    """What has been measured so far.

    Attributes:
        machine: What it was measured with.
        share: How much of the whole.
        figures: Of all parts that were measured.
        left_out: By part, why it was not.
    """

    machine: dict[str, str]
    share: float
    figures: list[Figure] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write results.json."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def show(self, console: Console) -> None:
        """Print the table, what is not in it, and the machine."""
        if self.figures:
            show(self.figures, console)
        for part, why in self.left_out.items():
            console.print(f"{part} was left out: {why}")
        console.print(", ".join(f"{name} {value}" for name, value in self.machine.items()))


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print a row for each figure."""
    table = Table("part", "what", "size", "ours", "peer", "theirs", "ratio", "remark")
    for each in figures:
        ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
        ours, theirs = (_words(spread, each.unit) for spread in (each.ours, each.theirs))
        table.add_row(each.part, each.what, each.size, ours, each.peer, theirs, ratio, each.remark)
    console.print(table)


def _words(spread: Spread | None, unit: str) -> str:
    if spread is None:
        return ""
    between = f" ({spread.low:.3g} to {spread.high:.3g})" if spread.count > 1 else ""
    return f"{spread.median:.3g} {unit}{between}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--part", action="append", choices=PARTS, help="one of them, again and again; default: all"
    )
    parser.add_argument("--share", type=_share, default=1.0, help="of the whole, above 0 (default 1)")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "bench", help="folder of results.json")
    wanted = parser.parse_args(arguments)
    configure_logs("ERROR")
    console = Console(width=None if sys.stdout.isatty() else 200)
    results = Results(machine(), wanted.share)
    for part in dict.fromkeys(wanted.part or PARTS):
        begun = time.monotonic()
        measure: Measure = import_module(f"tests.benchmarks.{part}").measure
        run(part, measure, results, console)
        results.write(wanted.out)
        console.print(f"[dim]{part}: {time.monotonic() - begun:.0f} s[/]")
    results.show(console)
    return 1 if results.left_out else 0


def run(part: str, measure: Measure, results: Results, console: Console) -> None:
    """Add the figures of a part to the results, or why there are none."""
    try:
        found = measure(Bench(results.share, console))
    except NotInstalledError as error:
        results.left_out[part] = str(error)
        return
    results.figures += found
    show(found, console)


def _share(word: str) -> float:
    share = float(word)
    if not 0 < share < inf:
        raise argparse.ArgumentTypeError(f"it must be above 0, not {word}")
    return share


if __name__ == "__main__":
    sys.exit(main())
