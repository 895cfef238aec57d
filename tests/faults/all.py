"""All that can fail around a node, one after the other: disks and databases, machines, crowds, peers."""

from collections.abc import Mapping
from importlib import import_module

from rich.console import Console

from tests.faults.command import Prove, run_proof
from tests.faults.count import Count, told

PARTS: Mapping[str, int] = {"storage": 60, "machines": 1, "crowd": 1000, "peers_proof": 1000}
"""The proofs in `tests/faults`, and the size of each at 100 percent."""


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Run every proof at a size in percent."""
    counts = []
    for name, whole in PARTS.items():
        part: Prove = import_module(f"tests.faults.{name}").prove
        found = part(max(1, whole * size // 100), seed, console)
        told(name, found, console)
        counts.append(
            Count.none(f"{name}: figures that are not as they must be", sum(not c.holds for c in found))
        )
    return counts


if __name__ == "__main__":
    run_proof(__doc__, prove, size=100, size_means="percent of the whole")
