"""What a node asks again and again costs no more with many images than with few: plans and work."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, func, make_url, select

from config.network import RetentionSettings
from node.database import deliveries, engine_for, jobs, metadata, reading, upgrade
from node.job_store import JobStore
from node.jobs import DeliveryState
from node.keeping_store import BATCH, KeepingStore
from node.queue_figures import MOST
from node.states import State
from tests.benchmarks.queue_rows import fill
from tests.benchmarks.queue_steps import Queue
from tests.node.plans import Asked, statements_of, told

SMALL, LARGE, WAITING = 1_500, 4_500, 40

BOUNDED = {
    "figures for /metrics": f"counts what was put aside, up to {MOST} of each state",
    "list: refused": "a page, which the small queue does not fill",
}
"""What may cost more with more images, up to a limit, and why."""

Steps = dict[str, list[Asked]]


@dataclass(frozen=True)
class Measured:
    """What was asked by each step, with few images and with many."""

    small: Steps
    large: Steps


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def make_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Engine]]:
    """Makes engines on databases of a kind, with their tables."""
    made: list[Engine] = []

    def make(options: str = "") -> Engine:
        folder = tmp_path_factory.mktemp("growth")
        url = "" if request.param == "sqlite" else _schema(request, f"growth_{len(made)}", options)
        made.append(engine_for(url, folder))
        upgrade(made[-1])
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def _schema(request: pytest.FixtureRequest, name: str, options: str) -> str:
    base = make_url(request.getfixturevalue("postgresql_url")).set(drivername="postgresql+psycopg")
    admin = create_engine(base)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    admin.dispose()
    chosen = {"options": f"-csearch_path={name} {options}"}
    return base.update_query_dict(chosen).render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def measured(make_engine: Callable[[str], Engine]) -> Measured:
    """Every step in a small queue and in a large one; no table is read whole just because it is small."""
    small, large = (_filled(make_engine("-cenable_seqscan=off"), count) for count in (SMALL, LARGE))
    return Measured(_asked(small), _asked(large))


def _filled(engine: Engine, count: int, waiting: int = WAITING) -> Queue:
    fill(engine, count, waiting)
    return Queue(engine, count)


def _asked(queue: Queue, *, again: bool = False) -> Steps:
    found: Steps = {}
    for step in queue.steps():
        if again and step.times:  # it has used up its rows
            continue
        with statements_of(queue.engine) as asked:
            step.act()
        found[step.name] = asked
    return found


def _work(asked: list[Asked]) -> int:
    return sum(each.work for each in asked)


def test_no_statement_reads_a_whole_table(measured: Measured) -> None:
    scans = {name: [each for each in asked if each.scanned] for name, asked in measured.large.items()}

    assert not any(scans.values()), "\n".join(f"{name}\n{told(found)}" for name, found in scans.items())


def test_work_does_not_grow_with_the_rows(measured: Measured) -> None:
    grown = {
        name: (_work(measured.small[name]), _work(asked))
        for name, asked in measured.large.items()
        if _work(asked) > 1.1 * _work(measured.small[name]) + 100 and name not in BOUNDED
    }

    assert grown == {}, "\n".join(told(measured.large[name]) for name in grown)


def test_every_step_is_asked_of_the_database(measured: Measured) -> None:
    assert [name for name, asked in measured.large.items() if not asked] == []
    assert set(BOUNDED) < set(measured.large)


def test_rows_that_are_fetched_are_work(make_engine: Callable[[str], Engine]) -> None:
    """SQLite finds them only then."""
    engine = make_engine("")
    fill(engine, 600)
    done = select(jobs.c.id, jobs.c.reason).where(jobs.c.state == State.DONE, jobs.c.priority == 0)
    with statements_of(engine) as asked, reading(engine) as connection:
        count = len(connection.execute(done.order_by(jobs.c.id)).all())

    assert _work(asked) >= count > 400


HOT = (
    "claim a job",
    "claim two deliveries",
    "claim what lacks a proof",
    "ask a destination without work",
    "settle at a sender's start",
    "list: queued",
)
"""What is asked while many wait."""

MOST_WORK = {"sqlite": 4_000, "postgresql": 200}
"""Instructions, or rows: enough for a page of fifty, and far too few to pass what is done."""


def test_long_queue_behind_what_is_done_costs_nothing(make_engine: Callable[[str], Engine]) -> None:
    """Half of it waits, and PostgreSQL knows: reading from the first row would pass all that is done."""
    engine = make_engine("")
    asked = _asked(_filled(engine, LARGE, waiting=LARGE * 4 // 9))
    too_much = {name: asked[name] for name in HOT if _work(asked[name]) > MOST_WORK[engine.dialect.name]}

    assert too_much == {}, "\n".join(told(found) for found in too_much.values())


MISSED = {
    "ix_jobs_state_priority_id": "claim a job",
    "ix_jobs_with_files": "house: no files due",
    "ix_jobs_without_files": "house: no rows due",
    "ix_deliveries_destination_state_priority_id": "claim two deliveries",
    "ix_transactions_begun_at": "house: no talk due",
    "ix_deeds_who_id": "deeds: of somebody new",
}
"""Indexes, and a step that costs more without."""


def test_index_that_is_dropped_is_missed(tmp_path: Path) -> None:
    """So the tests above fail where one is lost."""
    engine = engine_for("", tmp_path)
    upgrade(engine)
    queue = _filled(engine, 1_000)
    before, missed = _asked(queue, again=True), {}
    indexes = {str(index.name): index for table in metadata.sorted_tables for index in table.indexes}
    for name, step in MISSED.items():
        with engine.begin() as connection:
            indexes[name].drop(connection)
        asked = _asked(queue, again=True)[step]
        missed[name] = any(each.scanned for each in asked) or _work(asked) > 2 * _work(before[step])
        with engine.begin() as connection:
            indexes[name].create(connection)
    engine.dispose()

    assert [name for name, is_missed in missed.items() if not is_missed] == []


def test_what_waits_is_counted_for_each_destination(make_engine: Callable[[str], Engine]) -> None:
    engine = make_engine("")
    fill(engine, 400)
    left = select(deliveries.c.destination, func.count()).where(deliveries.c.state != DeliveryState.DELIVERED)
    with reading(engine) as connection:
        rows = connection.execute(left.group_by(deliveries.c.destination))
        expected = {str(name): int(count) for name, count in rows}

    assert JobStore(engine).waiting() == expected
    assert set(expected) == {"pacs", "web"}


def test_old_talk_is_forgotten_some_at_a_time(make_engine: Callable[[str], Engine]) -> None:
    engine = make_engine("")
    fill(engine, 600)
    with statements_of(engine) as asked:
        count = KeepingStore(engine).remove_conversations(RetentionSettings(rows_days=100))

    assert 2 * BATCH < count < 3 * BATCH
    assert len(asked) == 4  # three times ours, once those of others
