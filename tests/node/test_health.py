from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from ai.segmentation import ModelIdentity
from config.settings import Settings
from node.bell import Bell
from node.database import writing
from node.health import LONGEST_STEP_S, alive, ready
from node.loop import Loop
from node.meters import Meters
from node.spool import Spool
from node.watched import Parts, Watched
from tests.node.conftest import Clock


@dataclass
class _Turning:
    loop: Loop


Watch = Callable[..., Watched]


@pytest.fixture
def watch(engine: Engine, clock: Clock, tmp_path: Path) -> Watch:
    """Returns what is watched of a node without any parts but those that are given."""

    def make(**parts: Any) -> Watched:
        return Watched(Settings, lambda: Parts(**parts), engine, Spool(tmp_path), clock, Meters())

    return make


@pytest.fixture
def worker() -> _Turning:
    return _Turning(Loop("worker-0:host-1-abc", lambda: 60.0, Bell()))


def test_thread_that_has_ended_is_no_life(watch: Watch, worker: _Turning) -> None:
    [problem] = alive(watch(turning=(worker,))).problems

    assert (problem.part, problem.reason) == ("worker-0", "its thread has ended")


def test_step_that_never_ends_is_no_life(
    watch: Watch, worker: _Turning, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watch(turning=(worker,))
    worker.loop.start()
    try:
        assert alive(watched).is_good
        monkeypatch.setattr(Loop, "age_s", property(lambda _loop: LONGEST_STEP_S + 1))
        [problem] = alive(watched).problems
    finally:
        worker.loop.ask_to_stop()
        worker.loop.join(20.0)

    assert problem.reason == "it has made no step for 3601 s"


def test_tables_of_another_version_are_not_ready(watch: Watch) -> None:
    watched = watch()
    assert ready(watched).is_good
    with writing(watched.engine) as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")

    [problem] = ready(watched).problems

    assert problem.part == "database"
    assert "not those of this version" in problem.reason


def test_model_that_nobody_works_with_is_not_ready(watch: Watch, worker: _Turning) -> None:
    model = ModelIdentity("chest", "1", "ab")

    [problem] = ready(watch(turning=(worker,), model=model)).problems

    assert (problem.part, problem.reason) == ("model", "nobody works with it")


def test_process_that_neither_listens_nor_works_is_ready(watch: Watch) -> None:
    assert ready(watch()).is_good
