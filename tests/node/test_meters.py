import itertools
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest

from config.settings import AnyDestination, Destination
from node.errors import RefusedImageError, StorageError, UndecodableError
from node.job_store import JobStore
from node.jobs import Job, StoredResult
from node.meters import MeteredTransport, MeteredWork, Meters
from node.outcome import Outcome, judge
from node.pipeline import ResultObject
from node.transport import Outgoing, PlainTransport
from node.work import Keep, Made
from tests.node.conftest import Clock, MakeReceived


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def job(store: JobStore, make_received: MakeReceived) -> Job:
    store.add_received(make_received())
    claimed = store.claim("worker", 60.0)
    assert claimed is not None
    return claimed


def never(_result: ResultObject) -> StoredResult:
    raise AssertionError("there is nothing to be kept")


def _value(meters: Meters, name: str, **labels: str) -> float | None:
    return meters.registry.get_sample_value(name, labels)


def test_stages_are_timed_from_one_word_to_the_next(meters: Meters, job: Job, clock: Clock) -> None:
    seconds = itertools.count(0.0, 2.0)  # every look at the clock is 2 s after the one before

    def work(_job: Job, _keep: Keep, tell: Callable[[str], None]) -> Made:
        tell("reading")
        tell("segmenting")
        return Made(())

    told: list[str] = []
    clock.advance(30)
    MeteredWork(work, meters, clock, lambda: next(seconds))(job, never, told.append)

    assert told == ["reading", "segmenting"]
    assert _value(meters, "paxnode_stage_seconds_sum", stage="reading") == 2.0
    assert _value(meters, "paxnode_stage_seconds_count", stage="segmenting") == 1.0
    assert _value(meters, "paxnode_receive_to_result_seconds_sum") == 30.0
    assert _value(meters, "paxnode_jobs_worked_total", outcome="results") == 1.0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(RefusedImageError("x"), "refused"), (UndecodableError("x"), "quarantined"),
     (StorageError("x"), "put off"), (KeyError("x"), "error")],
)  # fmt: skip
def test_work_that_fails_is_counted_and_fails_as_before(
    meters: Meters, job: Job, clock: Clock, error: Exception, outcome: str
) -> None:
    def work(_job: Job, _keep: Keep, _tell: Callable[[str], None]) -> Made:
        raise error

    with pytest.raises(type(error)):
        MeteredWork(work, meters, clock)(job, never)

    assert _value(meters, "paxnode_jobs_worked_total", outcome=outcome) == 1.0
    assert _value(meters, "paxnode_receive_to_result_seconds_count") == 0.0


PACS = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)
OBJECTS = [Outgoing("1.2.3", Path("a")), Outgoing("1.2.4", Path("b"))]


def test_deliveries_are_counted_by_verdict(meters: Meters) -> None:
    statuses = iter((0x0000, 0xA700))
    carried = PlainTransport(lambda _place, outgoing: judge(outgoing.sop_instance_uid, next(statuses)))

    outcomes = list(MeteredTransport(carried, meters).send(PACS, OBJECTS))

    assert [outcome.sop_instance_uid for outcome in outcomes] == ["1.2.3", "1.2.4"]
    name = "paxnode_delivery_attempts_total"
    assert _value(meters, name, destination="pacs", verdict="stored") == 1.0
    assert _value(meters, name, destination="pacs", verdict="transient") == 1.0
    assert _value(meters, "paxnode_delivery_seconds_count", destination="pacs") == 1.0


def test_closing_the_outcomes_ends_the_association_under_them(meters: Meters) -> None:
    closed: list[bool] = []

    class Carrier:
        def send(self, _place: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
            try:
                yield from (judge(each.sop_instance_uid, 0) for each in objects)
            finally:
                closed.append(True)

    outcomes = MeteredTransport(Carrier(), meters).send(PACS, OBJECTS)
    next(outcomes)
    outcomes.close()

    assert closed == [True]


def test_images_that_go_through_the_network_together_are_counted(meters: Meters) -> None:
    for images in (1, 1, 4):
        meters.note_run(images)

    assert _value(meters, "paxnode_network_run_images_count") == 3
    assert _value(meters, "paxnode_network_run_images_sum") == 6
    assert _value(meters, "paxnode_network_run_images_bucket", le="1.0") == 2
