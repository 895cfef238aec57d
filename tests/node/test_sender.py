"""A sender delivers each result once, tries again what can pass, and parks the rest where it is seen."""

import io
import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid
from sqlalchemy import Engine

from config.settings import AnyDestination, Destination
from node.archive import Archive
from node.backoff import Backoff, BreakerState
from node.bell import Bell
from node.database import engine_for, upgrade
from node.errors import StorageError
from node.job_store import JobStore
from node.jobs import AddressedResult, Delivery, DeliveryState, ReceivedObject, StoredResult
from node.outcome import Outcome, Verdict, judge
from node.sender import BATCH, DeliveryRules, Sender
from node.spool import OWNER_FILE, Spool
from node.states import State
from node.transport import DimseTransport, Outgoing, PlainTransport, Transport

# pynetdicom 3.0.4 leaves a socket that could not connect to the garbage collector.
UNCONNECTED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = pytest.mark.filterwarnings(UNCONNECTED)

RULES = DeliveryRules(Backoff(0.02, 0.1), breaker_failures=2, lease_s=30)


class Bench:
    """A database and a spool with results that wait for delivery."""

    def __init__(self, folder: Path) -> None:
        self.engine: Engine = engine_for("", folder)
        upgrade(self.engine)
        self.store = JobStore(self.engine)
        self.spool = Spool(folder).prepare()
        self.finished = Bell()

    def add_job(self, results: int = 1, destinations: tuple[str, ...] = ("archive",)) -> list[str]:
        """Add a job with results and return their UIDs."""
        uid = generate_uid()
        received = ReceivedObject(uid, uid, uid, uid, ExplicitVRLittleEndian, uid, "objects/x", 1, "TEST")
        self.store.add_received(received)
        job = self.store.claim("worker", 30)
        assert job is not None
        kept = [self._keep(_segmentation()) for _ in range(results)]
        self.store.finish(job.id, "worker", [AddressedResult(each, destinations) for each in kept])
        return [result.sop_instance_uid for result in kept]

    def _keep(self, dataset: Dataset) -> StoredResult:
        encoded = BytesIO()
        dataset.save_as(encoded, enforce_file_format=True)
        kept = self.spool.store_result(encoded.getvalue())
        uid = str(dataset.SOPInstanceUID)
        return StoredResult("SEG", SegmentationStorage, uid, kept.path, kept.digest)

    def sender(self, destination: Destination, transport: Transport, rules: DeliveryRules = RULES) -> Sender:
        return Sender(
            f"sender-{generate_uid()}", destination, self.store, self.spool, transport, rules, self.finished
        )

    def deliveries(self) -> list[Delivery]:
        return self.store.deliveries()


def _segmentation() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, generate_uid()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _at(port: int, name: str = "archive") -> Destination:
    return Destination(name=name, ae_title="ARCHIVE", host="127.0.0.1", port=port, timeout_s=5)


def _until(condition: Callable[[], bool], timeout_s: float = 15) -> bool:
    deadline = time.monotonic() + timeout_s
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "data")
    yield made
    made.engine.dispose()


NOWHERE = _at(1)


def _answering(*verdicts: Verdict | int) -> PlainTransport:
    """Return a transport that gives these answers one after the other, then success."""
    left = list(verdicts)

    def answer(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        verdict = left.pop(0) if left else 0x0000
        if isinstance(verdict, Verdict):
            return Outcome(outgoing.sop_instance_uid, verdict, None, "as told")
        return judge(outgoing.sop_instance_uid, verdict)

    return PlainTransport(answer)


def test_results_arrive_at_the_archive_once_and_the_job_is_done(bench: Bench, tmp_path: Path) -> None:
    uids = bench.add_job(results=2)
    with Archive(tmp_path / "archive") as archive:
        sender = bench.sender(_at(archive.port), DimseTransport("PAXNODE"))
        sender.step()
        sender.step()
    assert archive.counts == dict.fromkeys(uids, 1)
    assert [d.state for d in bench.deliveries()] == [DeliveryState.DELIVERED] * 2
    assert [job.state for job in bench.store.jobs()] == [State.DONE]


def test_sender_wakes_when_there_is_something_to_deliver(bench: Bench) -> None:
    transport = PlainTransport()
    sender = bench.sender(NOWHERE, transport)
    sender.loop.start()
    uids = bench.add_job(results=2)
    bench.finished.ring()
    assert _until(lambda: len(transport.sent) == 2)
    sender.loop.ask_to_stop()
    assert sender.loop.join(5)
    assert transport.sent == [("archive", uid) for uid in uids]


def test_everything_is_sent_in_batches(bench: Bench) -> None:
    bench.add_job(results=BATCH + 1)
    transport = PlainTransport()
    sender = bench.sender(NOWHERE, transport)
    sender.step()
    assert len(transport.sent) == BATCH
    sender.step()
    assert len(transport.sent) == BATCH + 1


def test_first_step_delivers_what_waited_for_proofs_that_are_no_longer_asked_for(bench: Bench) -> None:
    bench.add_job()
    asked = NOWHERE.model_copy(update={"commitment": True})
    bench.sender(asked, PlainTransport()).step()
    assert [d.state for d in bench.deliveries()] == [DeliveryState.SENT]

    bench.sender(NOWHERE, PlainTransport()).step()

    assert [d.state for d in bench.deliveries()] == [DeliveryState.DELIVERED]
    assert [job.state for job in bench.store.jobs()] == [State.DONE]


def test_transient_status_is_tried_again_after_a_growing_wait(bench: Bench) -> None:
    bench.add_job()
    transport = _answering(0xA700)
    patient = DeliveryRules(Backoff(600, 6000), breaker_failures=2, lease_s=30)
    bench.sender(NOWHERE, transport, patient).step()
    (delivery,) = bench.deliveries()
    assert delivery.state is DeliveryState.WAITING
    assert (delivery.status, delivery.attempts) == (0xA700, 1)
    assert 300 < (delivery.due_at - datetime.now(UTC)).total_seconds() <= 600
    assert delivery.reason == "out of resources there (0xA700)"


def test_transient_status_ends_in_a_delivery(bench: Bench) -> None:
    (uid,) = bench.add_job()
    transport = _answering(0xA700, Verdict.TRANSIENT, Verdict.UNSENT)
    sender = bench.sender(NOWHERE, transport)
    sender.loop.start()
    assert _until(lambda: bench.deliveries()[0].state is DeliveryState.DELIVERED)
    sender.loop.ask_to_stop()
    sender.loop.join(5)
    assert transport.sent == [("archive", uid)] * 4


def test_permanent_failure_is_parked_with_its_reason_and_can_be_sent_again(bench: Bench) -> None:
    bench.add_job()
    transport = _answering(0xC000)
    sender = bench.sender(NOWHERE, transport)
    sender.step()
    sender.step()
    (delivery,) = bench.deliveries()
    assert delivery.state is DeliveryState.PARKED
    assert delivery.reason == "the peer cannot understand it (0xC000)"
    assert len(transport.sent) == 1
    bench.store.retry(delivery.job_id)
    sender.step()
    assert bench.deliveries()[0].state is DeliveryState.DELIVERED


def test_parked_object_does_not_hold_up_the_others_of_its_job(bench: Bench) -> None:
    bench.add_job(results=2)
    bench.sender(NOWHERE, _answering(0xA900)).step()
    assert [d.state for d in bench.deliveries()] == [DeliveryState.PARKED, DeliveryState.DELIVERED]
    assert [job.state for job in bench.store.jobs()] == [State.DELIVERING]


def test_data_folder_that_is_away_parks_nothing(bench: Bench) -> None:
    bench.add_job(results=2)
    bench.spool.set_owner("ours", 0)
    bench.spool.expect("ours")
    owner = bench.spool.root / OWNER_FILE
    sender = bench.sender(NOWHERE, DimseTransport("PAXNODE"))

    def vanish(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        owner.unlink(missing_ok=True)
        return Outcome(outgoing.sop_instance_uid, Verdict.PERMANENT, None, "the result's file is gone")

    with pytest.raises(StorageError):  # it goes while they are sent
        bench.sender(NOWHERE, PlainTransport(vanish)).step()
    with pytest.raises(StorageError):  # it is away before
        sender.step()

    assert [d.state for d in bench.deliveries()] == [DeliveryState.WAITING] * 2
    assert [d.attempts for d in bench.deliveries()] == [0, 0]


def test_dead_destination_blocks_nobody_else(bench: Bench, tmp_path: Path) -> None:
    def to_dead() -> list[Delivery]:
        return [d for d in bench.deliveries() if d.destination == "dead"]

    uids = bench.add_job(results=2, destinations=("dead", "archive"))
    with socket.socket() as unused, Archive(tmp_path / "archive") as archive:
        unused.bind(("127.0.0.1", 0))
        dead = bench.sender(_at(unused.getsockname()[1], "dead"), DimseTransport("PAXNODE"))
        alive = bench.sender(_at(archive.port), DimseTransport("PAXNODE"))
        dead.loop.start()
        assert _until(lambda: dead.breaker is not BreakerState.CLOSED)
        alive.loop.start()
        assert archive.wait_for(2, timeout_s=15)
        assert _until(lambda: any("no connection to ARCHIVE at 127.0.0.1" in d.reason for d in to_dead()))
        for sender in (dead, alive):
            sender.loop.ask_to_stop()
            assert sender.loop.join(15)
    assert set(archive.counts) == set(uids)
    assert {d.state for d in to_dead()} == {DeliveryState.WAITING}


def test_destination_that_comes_back_gets_everything(bench: Bench, tmp_path: Path) -> None:
    uids = bench.add_job(results=3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    sender = bench.sender(_at(port), DimseTransport("PAXNODE"))
    sender.loop.start()
    assert _until(lambda: sender.breaker is not BreakerState.CLOSED)
    with Archive(tmp_path / "archive", port=port) as archive:
        assert archive.wait_for(3, timeout_s=15)
        assert _until(lambda: sender.breaker is BreakerState.CLOSED)
        assert _until(lambda: bench.store.jobs()[0].state is State.DONE)
        sender.loop.ask_to_stop()
        assert sender.loop.join(15)
    assert archive.counts == dict.fromkeys(uids, 1)


class Counted(PlainTransport):
    """Unreachable twice, then well; counts what it is given at a time."""

    def __init__(self) -> None:
        super().__init__(self._answer_of_now)
        self.batches: list[int] = []

    def _answer_of_now(self, _destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        if len(self.batches) <= 2:
            time.sleep(0.05)  # longer than the first wait: an association still fails once
            return Outcome(outgoing.sop_instance_uid, Verdict.UNSENT, None, "no connection")
        return judge(outgoing.sop_instance_uid, 0x0000)

    def send(self, destination: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
        self.batches.append(len(objects))
        return super().send(destination, objects)


def test_open_breaker_sends_one_object_to_find_out(bench: Bench) -> None:
    bench.add_job(results=4)
    transport = Counted()
    sender = bench.sender(NOWHERE, transport)
    assert _until(lambda: sender.step() >= 0 and len(transport.batches) >= 4)
    assert transport.batches[:3] == [4, 4, 1]
    assert sender.breaker is BreakerState.CLOSED


def test_object_that_breaks_the_association_does_not_block_those_behind_it(bench: Bench) -> None:
    poison, *others = bench.add_job(results=3)

    def break_off(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        if outgoing.sop_instance_uid == poison:
            return Outcome(poison, Verdict.TRANSIENT, None, "the connection broke")
        return judge(outgoing.sop_instance_uid, 0x0000)

    sender = bench.sender(NOWHERE, PlainTransport(break_off))
    sender.loop.start()
    assert _until(lambda: sum(d.state is DeliveryState.DELIVERED for d in bench.deliveries()) == len(others))
    sender.loop.ask_to_stop()
    sender.loop.join(5)


def test_second_sender_takes_nothing_that_is_on_its_way(bench: Bench) -> None:
    bench.add_job(results=2)
    inside, go_on = threading.Event(), threading.Event()

    def slow(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        inside.set()
        go_on.wait(10)
        return judge(outgoing.sop_instance_uid, 0x0000)

    first, second = bench.sender(NOWHERE, PlainTransport(slow)), PlainTransport()
    thread = threading.Thread(target=first.step)
    thread.start()
    assert inside.wait(5)
    bench.sender(NOWHERE, second).step()
    go_on.set()
    thread.join(10)
    assert second.sent == []
    assert [d.state for d in bench.deliveries()] == [DeliveryState.DELIVERED] * 2


def test_deliveries_of_a_sender_that_died_are_taken_over_when_its_lease_ends(bench: Bench) -> None:
    (uid,) = bench.add_job()
    assert len(bench.store.claim_deliveries("archive", "died", 0.2, 10)) == 1
    transport = PlainTransport()
    sender = bench.sender(NOWHERE, transport)
    sender.step()
    assert transport.sent == []
    assert _until(lambda: sender.step() >= 0 and bool(transport.sent))
    assert transport.sent == [("archive", uid)]


def test_sender_that_is_asked_to_stop_gives_back_what_it_has_not_sent(bench: Bench) -> None:
    bench.add_job(results=3)
    asked = threading.Event()

    def answer(_destination: AnyDestination, outgoing: Outgoing) -> Outcome:
        asked.set()
        return judge(outgoing.sop_instance_uid, 0x0000)

    transport = PlainTransport(answer)
    sender = bench.sender(NOWHERE, transport)
    sender.loop.ask_to_stop()
    sender.step()
    assert transport.sent == []
    other = PlainTransport()
    bench.sender(NOWHERE, other).step()
    assert len(other.sent) == 3


def test_log_tells_why_a_delivery_failed_and_no_reason_for_one_that_did_not(
    bench: Bench, lines: io.StringIO
) -> None:
    bench.add_job(results=2)
    bench.sender(NOWHERE, _answering(0xA702)).step()
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    failed, stored = [line for line in told if line["event"] == "delivery tried"]
    assert (failed["level"], failed["reason"]) == ("warning", "out of resources there (0xA702)")
    assert stored["level"] == "info"
    assert "reason" not in stored


def test_log_tells_which_peer_could_not_be_reached(bench: Bench, lines: io.StringIO) -> None:
    bench.add_job()
    bench.sender(NOWHERE, DimseTransport("PAXNODE")).step()
    reasons = [json.loads(line).get("reason", "") for line in lines.getvalue().splitlines()]
    assert any(reason.startswith("no connection to ARCHIVE at 127.0.0.1:1 (") for reason in reasons)


LONG = DeliveryRules(Backoff(0.05, 3600.0), breaker_failures=1, lease_s=30)


def test_what_waited_for_a_destination_is_due_as_soon_as_it_answers_again(bench: Bench) -> None:
    bench.add_job(results=3)
    transport = _answering(*[Verdict.UNSENT] * 3)
    sender = bench.sender(NOWHERE, transport, LONG)
    sender.step()
    later = datetime.now(UTC) + timedelta(hours=1)
    for delivery in bench.deliveries():
        bench.store.delivery_failed(delivery.id, "far away", later)
    bench.add_job()  # one that is due when the breaker lets it through
    delivered = [DeliveryState.DELIVERED] * 4
    assert _until(lambda: sender.step() >= 0 and [d.state for d in bench.deliveries()] == delivered)


def test_object_that_the_peer_breaks_off_at_keeps_its_wait(bench: Bench) -> None:
    bench.add_job(results=2)
    rules = DeliveryRules(Backoff(3600.0, 3600.0), breaker_failures=5, lease_s=30)
    sender = bench.sender(NOWHERE, _answering(Verdict.TRANSIENT), rules)
    sender.step()
    first, second = bench.deliveries()
    assert (first.state, second.state) == (DeliveryState.WAITING, DeliveryState.DELIVERED)
    assert first.due_at > datetime.now(UTC) + timedelta(minutes=10)
