"""What tests of proofs share: results that were sent, archives that are asked, a node that hears them."""

import json
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)
from sqlalchemy import func, select

from config.settings import AnyDestination, Destination, NodeSettings, WebDestination
from node.backoff import Backoff
from node.bell import Bell
from node.commitment_scp import CommitmentScp
from node.commitment_scu import CommitmentEvents, CommitmentScu
from node.commitment_statuses import PUSH_MODEL, PUSH_MODEL_INSTANCE
from node.commitment_store import CommitmentStore
from node.database import reading, transactions
from node.evidence import Evidence
from node.implementation import Entity
from node.job_store import JobStore
from node.jobs import AddressedResult, Delivery, DeliveryState, ReceivedObject, StoredResult
from node.listener import Listener
from node.peer_call import Caller
from node.proofs import ProofKind, asked_of
from node.prover import ProofRules, Prover, Questions
from node.query import DimseFinder
from node.query_web import WebFinder
from node.spool import Spool

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

    def ask(
        self,
        _destination: Destination,
        uid: str,
        references: Sequence[Any],
        begin: Callable[[], None],
        taken_on: Callable[[], None],
    ) -> None:
        self.asked.append(uid)
        begin()
        if self.dies_before == "taken on":
            raise KeyboardInterrupt
        taken_on()


class Bench:
    """Two results that were sent to an archive, and what asks for their proofs."""

    def __init__(self, store: JobStore, clock: Any, folder: Path) -> None:
        self.store, self.clock, self.spool = store, clock, Spool(folder / "data").prepare()
        self.folder, self.bell = folder, Bell()

    def transactions(self) -> int:
        """Return how many storage commitments are on record."""
        with reading(self.store.engine) as connection:
            return connection.scalar(select(func.count()).select_from(transactions)) or 0

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
    ae = Entity(ae_title)
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


class Qido:
    """A web archive that answers QIDO-RS for instances."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.status, self.root_status, self.paths, outer = 200, 200, list[str](), self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.paths.append(self.path)
                query = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query)
                found = outer.there & set(query.get("SOPInstanceUID", []))
                body = json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in found]).encode()
                is_search = urllib.parse.urlparse(self.path).path.endswith("/studies")
                self.send_response(outer.root_status if is_search else outer.status)
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


SENT, DELIVERED = [DeliveryState.SENT] * 2, [DeliveryState.DELIVERED] * 2
