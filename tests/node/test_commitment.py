"""Nothing counts as delivered before the destination has said all that it is asked for."""

import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from config.settings import AnyDestination, Destination, NodeSettings, WebDestination
from node.backoff import Backoff
from node.bell import Bell
from node.commitment_scp import CommitmentScp
from node.commitment_scu import CommitmentEvents, CommitmentScu
from node.commitment_statuses import PUSH_MODEL, PUSH_MODEL_INSTANCE
from node.commitment_store import CommitmentStore
from node.evidence import Evidence
from node.job_store import JobStore
from node.jobs import AddressedResult, Delivery, DeliveryState, ReceivedObject, StoredResult
from node.listener import Listener
from node.peer_call import Caller
from node.proof_store import MAX_RESENDS
from node.proofs import ProofKind, asked_of
from node.prover import COMMITMENT_AWAITED, FINDING_AWAITED, ProofRules, Prover, Questions
from node.query import DimseFinder
from node.query_web import WebFinder
from node.spool import Spool
from node.states import State

UNCONNECTED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = pytest.mark.filterwarnings(UNCONNECTED)

BACKOFF = Backoff(1.0, 60.0)
TIMEOUT_S = 3600.0
UIDS = ["2.25.500", "2.25.501"]
STUDY, SERIES = "2.25.9", "2.25.91"
EventOf = Callable[[Dataset], tuple[int, Dataset]]


def complete(asked: Dataset) -> tuple[int, Dataset]:
    """Answer that everything is committed."""
    told = Dataset()
    told.TransactionUID = asked.TransactionUID
    told.ReferencedSOPSequence = asked.ReferencedSOPSequence
    return 1, told


def second_failed(asked: Dataset) -> tuple[int, Dataset]:
    """Answer that the second object is not there."""
    told = Dataset()
    told.TransactionUID = asked.TransactionUID
    told.ReferencedSOPSequence = [asked.ReferencedSOPSequence[0]]
    [failed] = asked.ReferencedSOPSequence[1:]
    failed.FailureReason = 0x0112
    told.FailedSOPSequence = [failed]
    return 2, told


class Pacs:
    """An archive that takes requests for commitment and answers queries as it is told to."""

    def __init__(self, *, offers: bool = True, here: EventOf | None = None, status: int = 0x0000) -> None:
        self.asked: list[Dataset] = []
        self.answers: list[int] = []
        self.there: set[str] = set()
        self.queries: list[Dataset] = []
        self._here, self._status = here, status
        self._threads: list[threading.Thread] = []
        ae = AE("ARCHIVE")
        ae.add_supported_context(Verification)
        if offers:
            ae.add_supported_context(PUSH_MODEL)
            ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_N_ACTION, self._action),
            (evt.EVT_C_FIND, self._find),
        ]
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self._ae, self.port = ae, int(server.server_address[1])

    def close(self) -> None:
        for thread in self._threads:
            thread.join(10)
        self._ae.shutdown()

    def _action(self, event: evt.Event) -> tuple[int, None]:
        asked = event.action_information
        self.asked.append(asked)
        if self._here is not None:
            kind, told = self._here(asked)
            thread = threading.Thread(target=self._tell, args=(event.assoc, kind, told))
            self._threads.append(thread)
            thread.start()
        return self._status, None

    def _tell(self, association: Association, kind: int, told: Dataset) -> None:
        status, _ = association.send_n_event_report(told, kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        self.answers.append(status.get("Status", -1))

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        self.queries.append(event.identifier)
        for uid in sorted(self.there):
            if event.identifier.SOPInstanceUID in ("", uid):
                match = Dataset()
                match.SOPInstanceUID = uid
                yield 0xFF00, match
        yield 0x0000, None


class PlainAsker:
    """Takes every request on and tells nothing; or fails as it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.dies_before: str = ""

    def ask(self, _d: Destination, uid: str, references: Sequence[Any], taken_on: Callable[[], None]) -> None:
        self.asked.append(uid)
        if self.dies_before == "taken on":
            raise KeyboardInterrupt
        taken_on()


class Bench:
    """Two results that were sent to an archive, and what asks for their proofs."""

    def __init__(self, store: JobStore, clock: Any, folder: Path) -> None:
        self.store, self.clock, self.spool = store, clock, Spool(folder / "data")
        self.folder, self.bell = folder, Bell()

    def send(self, destination: AnyDestination) -> None:
        """Receive an image, make two results of it, and store them at the destination."""
        self.store.add_received(
            ReceivedObject("1.2", "2.25.1", STUDY, "2.25.2", ExplicitVRLittleEndian, "d", "objects/x", 1, "M")
        )
        job = self.store.claim("worker", 60)
        assert job is not None
        addressed = [AddressedResult(self._result(uid), (destination.name,)) for uid in UIDS]
        self.store.finish(job.id, "worker", addressed)
        self.resend(destination)

    def _result(self, uid: str) -> StoredResult:
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, UID(uid)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, SERIES
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        content = BytesIO()
        dataset.save_as(content, enforce_file_format=True)
        kept = self.spool.store_result(content.getvalue())
        return StoredResult("SEG", SegmentationStorage, uid, kept.path, kept.digest)

    def resend(self, destination: AnyDestination) -> list[Delivery]:
        """Do what a sender does with what is due."""
        due = self.store.claim_deliveries(destination.name, "sender", 60, 10)
        for delivery in due:
            self.store.delivered(delivery.id, 0x0000, asked_of(destination))
        return due

    def events(self, *destinations: AnyDestination) -> CommitmentEvents:
        return CommitmentEvents(self.store, destinations, BACKOFF, self.bell.ring)

    def prover(self, destination: AnyDestination, asker: Any = None, keep_open_s: float = 10.0) -> Prover:
        caller = Caller("PAXNODE")
        asker = asker or CommitmentScu(caller, self.events(destination), keep_open_s)
        finder = WebFinder() if isinstance(destination, WebDestination) else DimseFinder(caller)
        questions = Questions(asker, finder)
        rules = ProofRules(BACKOFF, breaker_failures=2, lease_s=30.0)
        return Prover("prover", destination, self.store, self.spool, questions, rules, self.bell)

    @contextmanager
    def listener(self, *destinations: AnyDestination, answers: bool = False) -> Iterator[Listener]:
        asked = CommitmentStore(self.store.engine, self.clock)
        evidence = Evidence(asked, self.spool)
        commitment = CommitmentScp(asked, evidence, self.events(*destinations), answers, self.bell.ring)
        settings = NodeSettings(host="127.0.0.1", port=0, data_dir=self.folder / "data", disk_reserve_mb=0)
        listener = Listener(settings, self.spool, self.store, commitment=commitment)
        listener.start()
        try:
            yield listener
        finally:
            listener.stop()

    @property
    def states(self) -> list[DeliveryState]:
        return [delivery.state for delivery in self.store.deliveries()]

    @property
    def reasons(self) -> list[str]:
        return [delivery.reason for delivery in self.store.deliveries()]

    def kinds(self) -> list[tuple[ProofKind, bool]]:
        return [(proof.kind, proof.holds) for proof in self.store.proofs(1)]


SENT, DELIVERED = [DeliveryState.SENT] * 2, [DeliveryState.DELIVERED] * 2


@pytest.fixture
def bench(store: JobStore, clock: Any, tmp_path: Path) -> Bench:
    return Bench(store, clock, tmp_path)


@pytest.fixture
def pacs() -> Iterator[Callable[..., Pacs]]:
    started: list[Pacs] = []

    def start(**options: Any) -> Pacs:
        started.append(Pacs(**options))
        return started[-1]

    yield start
    for each in started:
        each.close()


def at(port: int, *, commitment: bool = True, query: bool = False) -> Destination:
    return Destination(
        name="pacs",
        ae_title="ARCHIVE",
        host="127.0.0.1",
        port=port,
        timeout_s=20,
        commitment=commitment,
        query=query,
        proof_timeout_s=TIMEOUT_S,
    )


def tell(
    listener: Listener, kind: int, told: Dataset, ae_title: str = "ARCHIVE", *, role: bool = True
) -> int | None:
    """Open an association to the node as the SCP of storage commitment, and tell; None: no context."""
    ae = AE(ae_title)
    ae.add_requested_context(PUSH_MODEL)
    ae.add_requested_context(Verification)
    ext: list[Any] = [build_role(PUSH_MODEL, scp_role=True)] if role else []
    association = ae.associate("127.0.0.1", listener.port, ext_neg=ext, ae_title="PAXNODE")
    assert association.is_established
    try:
        accepted = [c for c in association.accepted_contexts if c.abstract_syntax == PUSH_MODEL]
        if not accepted:
            return None
        assert not role or accepted[0].as_scp
        status, _ = association.send_n_event_report(told, kind, PUSH_MODEL, PUSH_MODEL_INSTANCE)
        return int(status.Status)
    finally:
        association.release()


def asked_once(bench: Bench, destination: Destination, pacs: Pacs) -> Dataset:
    """Send, ask, and return what the archive was asked; it has told nothing yet."""
    bench.send(destination)
    bench.prover(destination, keep_open_s=0.0).step()
    [asked] = pacs.asked
    return asked


# ---- the answer


def test_commitment_on_the_same_association_ends_the_job(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs(here=complete)
    destination = at(archive.port)
    bench.send(destination)
    assert bench.states == SENT
    assert [job.state for job in bench.store.jobs()] == [State.DELIVERING]

    bench.prover(destination).step()

    assert bench.states == DELIVERED
    assert [job.state for job in bench.store.jobs()] == [State.DONE]
    assert [i.ReferencedSOPInstanceUID for i in archive.asked[0].ReferencedSOPSequence] == UIDS
    assert bench.kinds().count((ProofKind.COMMITMENT, True)) == 2
    archive.close()
    assert archive.answers == [0x0000]


def test_commitment_on_another_association_to_the_listener_ends_the_job(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive = pacs()
    destination = at(archive.port)
    asked = asked_once(bench, destination, archive)
    assert (bench.states, bench.reasons) == (SENT, [COMMITMENT_AWAITED] * 2)

    with bench.listener(destination) as listener:  # as in another process: the database is all they share
        assert tell(listener, *complete(asked)) == 0x0000
        assert bench.states == DELIVERED
        assert tell(listener, *complete(asked)) == 0x0000  # told twice, it is no news

    assert bench.kinds().count((ProofKind.COMMITMENT, True)) == 2
    assert [job.state for job in bench.store.jobs()] == [State.DONE]


def test_what_is_not_committed_is_sent_again_and_parked_in_the_end(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive = pacs(here=second_failed)
    destination = at(archive.port)
    bench.send(destination)
    bench.prover(destination).step()
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.WAITING]
    assert "no such object instance there (0x0112)" in bench.reasons[1]

    archive._here = lambda asked: second_failed(_behind(asked))  # now it is the only one that is asked for
    for _ in range(MAX_RESENDS):
        bench.clock.advance(60)
        assert len(bench.resend(destination)) == 1
        bench.prover(destination).step()

    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.PARKED]
    assert f"it was sent {MAX_RESENDS + 1} times" in bench.reasons[1]
    assert bench.store.retry(1).state is State.DELIVERING
    assert bench.states[1] is DeliveryState.WAITING


def _behind(asked: Dataset) -> Dataset:
    other = Dataset()
    other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID = SegmentationStorage, UID("2.25.3")
    asked.ReferencedSOPSequence = [other, *asked.ReferencedSOPSequence]
    return asked


def test_peer_without_commitment_is_told_in_words_and_objects_stay_sent(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    destination = at(pacs(offers=False).port)
    bench.send(destination)
    bench.prover(destination).step()

    assert bench.states == SENT
    assert "accepts no presentation context for Storage Commitment Push Model" in bench.reasons[0]


def test_request_that_is_refused_is_told_with_its_status(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    destination = at(pacs(status=0x0213).port)
    bench.send(destination)
    bench.prover(destination, keep_open_s=0.0).step()

    assert bench.states == SENT
    assert "refused the request for commitment (0x0213)" in bench.reasons[0]


def test_dead_peer_opens_the_breaker_and_nothing_is_lost(bench: Bench) -> None:
    destination = at(1)
    bench.send(destination)
    prover = bench.prover(destination)

    assert prover.step() > 0
    assert bench.states == SENT
    assert "no connection to ARCHIVE" in bench.reasons[0]


# ---- time-outs, old transactions, strangers


def test_lost_answer_is_asked_for_again_and_the_old_transaction_stays_good(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive = pacs()
    destination = at(archive.port)
    first = asked_once(bench, destination, archive)
    bench.clock.advance(TIMEOUT_S - 1)
    bench.prover(destination, keep_open_s=0.0).step()
    assert len(archive.asked) == 1

    bench.clock.advance(TIMEOUT_S)
    bench.prover(destination, keep_open_s=0.0).step()
    assert len({asked.TransactionUID for asked in archive.asked}) == 2

    with bench.listener(destination) as listener:
        assert tell(listener, *complete(first)) == 0x0000
    assert bench.states == DELIVERED


def test_old_failure_does_not_fail_what_was_sent_since(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs()
    destination = at(archive.port)
    first = asked_once(bench, destination, archive)
    with bench.listener(destination) as listener:
        assert tell(listener, *second_failed(first)) == 0x0000
        bench.clock.advance(60)
        assert len(bench.resend(destination)) == 1
        assert tell(listener, *second_failed(first)) == 0x0000  # of the sending before
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]


@pytest.mark.parametrize("answers", [True, False])
def test_stranger_cannot_confirm_deliveries(bench: Bench, pacs: Callable[..., Pacs], answers: bool) -> None:
    archive = pacs()
    destination = at(archive.port)
    asked = asked_once(bench, destination, archive)
    with bench.listener(destination, answers=answers) as listener:
        status = tell(listener, *complete(asked), ae_title="STRANGER")
    assert status == (0x0110 if answers else None)
    assert bench.states == SENT
    assert (ProofKind.COMMITMENT, True) not in bench.kinds()


def test_unknown_transaction_and_event_change_nothing(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs()
    destination = at(archive.port)
    asked = asked_once(bench, destination, archive)
    with bench.listener(destination) as listener:
        assert tell(listener, 3, complete(asked)[1]) == 0x0113
        asked.TransactionUID = "2.25.4711"
        assert tell(listener, *complete(asked)) == 0x0115
    assert bench.states == SENT


def test_objects_of_another_transaction_are_not_committed_by_this_one(bench: Bench) -> None:
    destination = at(1)
    bench.send(destination)
    first, second = bench.store.deliveries()
    bench.store.begin_transaction("2.25.77", "pacs", [first.id])
    told = Dataset()
    items = []
    for uid in UIDS:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = SegmentationStorage, UID(uid)
        items.append(item)
    told.TransactionUID, told.ReferencedSOPSequence = UID("2.25.77"), items
    with bench.listener(destination) as listener:
        assert tell(listener, 1, told, role=False) == 0x0000
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]
    assert second.state is DeliveryState.SENT


# ---- killed between two steps


def test_killed_before_the_request_went_out_it_is_asked_again(bench: Bench) -> None:
    destination, asker = at(1), PlainAsker()
    bench.send(destination)
    asker.dies_before = "taken on"
    with pytest.raises(KeyboardInterrupt):
        bench.prover(destination, asker).step()
    assert bench.store.transaction(asker.asked[0]) is not None  # committed before: an answer would be known

    asker.dies_before = ""
    bench.clock.advance(31)  # the lease of the dead one
    bench.prover(destination, asker).step()
    assert len(set(asker.asked)) == 2
    assert all(delivery.asked_at is not None for delivery in bench.store.deliveries())


def test_killed_after_the_request_was_taken_on_it_is_not_asked_twice(bench: Bench) -> None:
    destination, asker = at(1), PlainAsker()
    bench.send(destination)
    bench.prover(destination, asker).step()
    bench.clock.advance(120)
    bench.prover(destination, asker).step()
    assert len(asker.asked) == 1


# ---- queries


def test_object_counts_as_delivered_when_it_is_found(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs()
    destination = at(archive.port, commitment=False, query=True)
    bench.send(destination)
    bench.prover(destination).step()
    assert (bench.states, bench.reasons) == (SENT, [FINDING_AWAITED] * 2)
    assert [(q.StudyInstanceUID, q.SeriesInstanceUID) for q in archive.queries] == [(STUDY, SERIES)]

    archive.there = {UIDS[0], "2.25.4"}
    bench.clock.advance(10)
    bench.prover(destination).step()
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]

    bench.clock.advance(TIMEOUT_S)
    bench.prover(destination).step()
    assert archive.queries[-1].SOPInstanceUID == UIDS[1]
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.WAITING]
    assert "not found there 3600 s after it was stored" in bench.reasons[1]


def test_commitment_and_query_must_both_be_there(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs(here=complete)
    destination = at(archive.port, query=True)
    bench.send(destination)
    bench.prover(destination).step()
    assert bench.states == SENT

    archive.there = set(UIDS)
    bench.clock.advance(10)
    bench.prover(destination).step()
    assert bench.states == DELIVERED
    assert len(archive.asked) == 1


class Qido:
    """A web archive that answers QIDO-RS for instances."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.status, self.paths, outer = 200, list[str](), self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                found = outer.there & set(query["SOPInstanceUID"])
                body = json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in found]).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        url = f"http://127.0.0.1:{self.server.server_address[1]}/dicom-web"
        self.destination = WebDestination(name="web", url=url, query=True, timeout_s=20)


@pytest.fixture
def qido() -> Iterator[Qido]:
    made = Qido()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_web_archive_is_asked_by_qido(bench: Bench, qido: Qido) -> None:
    bench.send(qido.destination)
    qido.there = {UIDS[0]}
    bench.prover(qido.destination).step()

    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]
    wanted = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances?SOPInstanceUID={UIDS[0]}"
    assert qido.paths[0] == wanted


@pytest.mark.parametrize(("status", "words"), [(401, "HTTP 401"), (503, "HTTP 503")])
def test_web_archive_that_refuses_is_told_with_its_status(
    bench: Bench, qido: Qido, status: int, words: str
) -> None:
    bench.send(qido.destination)
    qido.status, qido.there = status, set(UIDS)
    bench.clock.advance(2 * TIMEOUT_S)
    bench.prover(qido.destination).step()

    assert bench.states == SENT  # no answer is no "not found"
    assert words in bench.reasons[0]


# ---- settings that change


def test_without_proofs_an_object_is_delivered_with_a_row_of_what_was_said(bench: Bench) -> None:
    destination = at(1, commitment=False)
    bench.send(destination)
    assert bench.states == DELIVERED
    assert [(p.kind, p.reason) for p in bench.store.proofs(1)] == [(ProofKind.STORE, "0x0000")] * 2


def test_what_is_no_longer_asked_for_is_settled(bench: Bench) -> None:
    bench.send(at(1))
    bench.store.settle("pacs", ())
    assert bench.states == DELIVERED
    assert [job.state for job in bench.store.jobs()] == [State.DONE]


def test_person_who_asks_again_has_the_question_put_now(bench: Bench) -> None:
    destination, asker = at(1), PlainAsker()
    bench.send(destination)
    bench.prover(destination, asker).step()
    bench.store.retry(1)
    bench.prover(destination, asker).step()
    assert len(asker.asked) == 2
    assert bench.clock.now + timedelta(0) == bench.store.deliveries()[0].asked_at
