"""The short form of the proof that `make crash` gives at length."""

import random

import pytest
from rich.console import Console

from tests.faults.crash import prove_on
from tests.faults.crash_points import point_named
from tests.faults.rig import Kind

NAMES = (
    "receive: its job is committed, not answered",
    "work: a result is recorded, not committed",
    "deliver: an object is answered, not recorded",
)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_node_that_is_killed_under_load_loses_and_doubles_nothing(kind: Kind) -> None:
    points = [point_named(name) for name in NAMES]

    counts = prove_on(kind, points, 1, random.Random(2), Console(quiet=True))

    assert [(count.what, count.found, count.wanted) for count in counts if not count.holds] == []
