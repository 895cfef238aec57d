"""What is due is looked for once in a pass, from the oldest job to the newest."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine

from config.network import RetentionSettings
from node.housekeeping import Housekeeper
from tests.node.conftest import Clock
from tests.node.keeping import House
from tests.node.plans import statements_of

RULES = RetentionSettings(files_days=30)
PAGE, EACH = 2, 10


@pytest.fixture
def house(tmp_path: Path, engine: Engine, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("node.keeping_store.BATCH", PAGE)
    return House(tmp_path, engine, clock)


def test_jobs_that_never_lose_their_files_are_passed_over_once(house: House) -> None:
    for _ in range(EACH):
        house.finished()
    house.pass_days(1)
    due = [house.delivered() for _ in range(EACH)]
    house.pass_days(31)

    with statements_of(house.engine) as asked:
        done = house.keeper(RULES).tidy(with_sweep=False)

    pages = ["ORDER BY jobs.updated_at, jobs.id" in each.statement for each in asked]
    assert (done.jobs, sum(pages)) == (EACH, 2 * EACH // PAGE + 1)
    assert not any(house.has_files(job) for job in due)


def test_pass_ends_after_a_page_when_the_node_stops(house: House) -> None:
    def stop(_paths: Sequence[str]) -> Callable[[Collection[str]], None]:
        keeper.loop.ask_to_stop()
        return lambda _gone: None

    keeper = Housekeeper(RULES, house.spool, house.keeping, stop)
    for _ in range(EACH):
        house.delivered()
    house.pass_days(31)

    assert keeper.tidy(with_sweep=False).jobs == PAGE
