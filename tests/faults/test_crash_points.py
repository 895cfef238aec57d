"""The table of crash points names functions that are there, and a process dies where it is told to."""

import re
import sys
from pathlib import Path

import pytest

from tests.faults import crash_points
from tests.faults.crash_points import POINTS, CrashPoint, arm, point_named, resolved

HERE = __name__


class Thing:
    """What is armed in these tests."""

    def outer(self, value: int) -> int:
        return self.inner(value)

    def inner(self, value: int) -> int:
        return value


@pytest.fixture(autouse=True)
def _thing_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Thing, "outer", Thing.outer)
    monkeypatch.setattr(Thing, "inner", Thing.inner)
    monkeypatch.setattr(crash_points, "import_module", lambda _name: sys.modules[HERE])


def _point(name: str, when: str, **more: object) -> CrashPoint:
    return CrashPoint("test", f"{HERE}:Thing.{name}", when, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("point", POINTS, ids=[point.name for point in POINTS])
def test_point_names_a_function(point: CrashPoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    for target in filter(None, (point.target, point.within)):
        owner, name = resolved(target)
        assert name in vars(owner) or hasattr(owner, name)


def test_points_have_names_of_their_own() -> None:
    assert len({point.name for point in POINTS}) == len(POINTS)
    assert point_named(POINTS[3].name) is POINTS[3]


def test_function_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    with pytest.raises(AttributeError):
        resolved("node.spool:Spool.no_such_function")


@pytest.mark.parametrize(
    ("when", "happened"),
    [("before", [0, 1, "dead", 2, 3]), ("after", [0, 1, 2, "dead", 3])],
)
def test_process_dies_the_third_time(
    when: str, happened: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[object] = []
    monkeypatch.setattr(Thing, "inner", lambda _self, value: steps.append(value))
    arm(_point("inner", when), 3, die=lambda: steps.append("dead"))

    for value in range(4):
        Thing().inner(value)

    assert steps == happened


def test_only_calls_that_count_are_counted() -> None:
    deaths: list[str] = []
    arm(_point("inner", "after", counts=bool), 1, die=lambda: deaths.append("dead"))

    Thing().inner(0)
    assert deaths == []
    Thing().inner(1)
    assert deaths == ["dead"]


def test_only_calls_within_another_are_counted() -> None:
    deaths: list[str] = []
    arm(_point("inner", "before", within=f"{HERE}:Thing.outer"), 1, die=lambda: deaths.append("dead"))

    Thing().inner(1)
    assert deaths == []
    Thing().outer(1)
    assert deaths == ["dead"]


def test_nothing_of_the_harness_is_imported_by_the_node() -> None:
    root = Path(__file__).parents[2]
    for folder in ("node", "ai", "config"):
        for path in (root / folder).rglob("*.py"):
            assert not re.search(r"^\s*(from|import) tests", path.read_text(encoding="utf-8"), re.MULTILINE)
