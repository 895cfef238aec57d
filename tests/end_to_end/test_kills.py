"""The short form of the proof that `make crash` gives at length."""

import gc
import random

import pytest
from rich.console import Console

from tests.faults.crash import prove_on
from tests.faults.crash_points import point_named
from tests.faults.rig import Kind

# pynetdicom 3.0.4 leaves a socket that could not connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)

POINTS: dict[Kind, tuple[str, ...]] = {
    "sqlite": ("receive: its job is committed, not answered", "deliver: an object is answered, not recorded"),
    "postgresql": ("work: a result is recorded, not committed",),
}


@pytest.mark.parametrize("kind", POINTS)
def test_node_that_is_killed_under_load_loses_and_doubles_nothing(kind: Kind) -> None:
    points = [point_named(name) for name in POINTS[kind]]

    counts = prove_on(kind, points, 1, random.Random(2), Console(quiet=True))
    gc.collect()

    assert [(count.what, count.found, count.wanted) for count in counts if not count.holds] == []
