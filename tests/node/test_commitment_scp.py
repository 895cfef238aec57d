"""The node commits itself to what it received: it looks at the bytes, and tells whoever asked."""

import errno
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dsutils import create_file_meta
from sqlalchemy import Engine

from config.settings import NodeSettings, Peer
from node.backoff import Backoff
from node.bell import Bell
from node.commitment_scp import CommitmentScp, _information
from node.commitment_scu import CommitmentEvents
from node.commitment_statuses import PUSH_MODEL, PUSH_MODEL_INSTANCE
from node.commitment_store import HOLD_BACK_S, CommitmentState, CommitmentStore, Pair
from node.committer import Committer
from node.errors import DatabaseUnavailableError, StorageError
from node.evidence import Evidence
from node.implementation import Entity
from node.job_store import JobStore
from node.listener import Listener
from node.peer_call import Caller
from node.reception import MAX_HELD_BYTES
from node.spool import Spool
from tests.node.conftest import DX, Clock, Running

UNCONNECTED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = pytest.mark.filterwarnings(UNCONNECTED)

BACKOFF = Backoff(1.0, 60.0)
KEPT: Pair = (str(DX), "2.25.7")
ELSEWHERE: Pair = (str(DX), "2.25.8")
OTHER_CLASS: Pair = ("1.2.840.10008.5.1.4.1.1.2", "2.25.7")


class Modality:
    """Asks for commitment, and hears the answer on whichever association it comes."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Dataset]] = []
        self.answers, self.unanswered = 0x0000, False
        self.rang = threading.Event()
        ae = AE("MODALITY")
        ae.add_supported_context(PUSH_MODEL, scu_role=True, scp_role=True)
        server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=self.handlers)
        assert server is not None
        self.ae, self.port = ae, int(server.server_address[1])

    @property
    def handlers(self) -> list[evt.EventHandlerType]:
        return [(evt.EVT_N_EVENT_REPORT, self._hear), (evt.EVT_PDU_SENT, self._note_sent)]

    def _hear(self, event: evt.Event) -> tuple[int, None]:
        self.heard.append((event.event_type or 0, event.event_information))
        self.unanswered = True
        return self.answers, None

    def _note_sent(self, _event: evt.Event) -> None:
        """Ring when the answer to the event has left: a release before it would cross it."""
        if self.unanswered:
            self.unanswered = False
            self.rang.set()

    @contextmanager
    def association(self, port: int) -> Iterator[Association]:
        ae = Entity("MODALITY")
        ae.add_requested_context(PUSH_MODEL)
        association = ae.associate("127.0.0.1", port, ae_title="PAXNODE", evt_handlers=self.handlers)
        yield association
        if association.is_established:
            association.release()

    @property
    def failures(self) -> list[tuple[str, int]]:
        [(kind, told)] = self.heard
        failed = told.get("FailedSOPSequence", None) or []
        assert (kind == 2) == bool(failed)
        return [(str(i.ReferencedSOPInstanceUID), int(i.FailureReason)) for i in failed]


@pytest.fixture
def modality() -> Iterator[Modality]:
    made = Modality()
    yield made
    made.ae.shutdown()


class Node:
    """A listener that answers requests, with one received object on its disk."""

    def __init__(self, engine: Engine, clock: Clock, folder: Path, make_received: Any) -> None:
        self.store, self.clock = CommitmentStore(engine, clock), clock
        self.jobs, self.spool, self.bell = JobStore(engine, clock=clock), Spool(folder).prepare(), Bell()
        self.evidence = Evidence(self.store, self.spool)
        syntax, content = "1.2.840.10008.1.2.1", Running.explicit(_dataset())
        header = _header(UID(syntax))
        incoming = self.spool.begin(header, syntax)
        incoming.write(content)
        kept = incoming.keep()
        received = make_received(
            sop_instance_uid=KEPT[1], digest=kept.digest, path=kept.path, transfer_syntax_uid=syntax
        )
        self.jobs.add_received(replace(received, size=len(content)))
        self.path, self.folder = self.spool.path(kept.path), folder

    @contextmanager
    def listening(self, *, answers: bool = True) -> Iterator[Listener]:
        events = CommitmentEvents(self.jobs, (), BACKOFF)
        scp = CommitmentScp(self.store, self.evidence, events, answers, self.bell.ring)
        settings = NodeSettings(host="127.0.0.1", port=0, data_dir=self.folder, disk_reserve_mb=0)
        listener = Listener(settings, self.spool, self.jobs, commitment=scp)
        listener.start()
        try:
            yield listener
        finally:
            listener.stop()

    def committer(self, *peers: Peer) -> Committer:
        caller = Caller("PAXNODE")
        return Committer("committer", self.store, self.evidence, caller, peers, BACKOFF, self.bell)


def _dataset() -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DX, UID(KEPT[1])
    dataset.PatientName = "Synthetic"
    return dataset


def _header(syntax: UID) -> bytes:
    meta = create_file_meta(sop_class_uid=DX, sop_instance_uid=UID(KEPT[1]), transfer_syntax=syntax)
    encoded = DicomBytesIO()
    write_file_meta_info(encoded, meta)
    return bytes(128) + b"DICM" + encoded.getvalue()


@pytest.fixture
def node(engine: Engine, clock: Clock, tmp_path: Path, make_received: Any) -> Node:
    (tmp_path / "node").mkdir()
    return Node(engine, clock, tmp_path / "node", make_received)


def ask(
    association: Association, *pairs: Pair, uid: str = "2.25.99", action: int = 1, instance: str = ""
) -> int:
    asked = Dataset()
    asked.TransactionUID = UID(uid)
    items = []
    for sop_class, sop_instance in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = UID(sop_class), UID(sop_instance)
        items.append(item)
    asked.ReferencedSOPSequence = items
    instance = instance or PUSH_MODEL_INSTANCE
    status, _ = association.send_n_action(asked, action, PUSH_MODEL, UID(instance))
    return int(status.Status)


def stand(node: Node) -> tuple[CommitmentState, str]:
    asked = node.store.asked(1)
    return asked.state, asked.reason


def test_who_waits_is_told_on_the_same_association(node: Node, modality: Modality) -> None:
    with node.listening() as listener:
        with modality.association(listener.port) as association:
            assert ask(association, KEPT, ELSEWHERE) == 0x0000
            assert modality.rang.wait(20)
        assert modality.failures == [(ELSEWHERE[1], 0x0112)]
    assert stand(node) == (CommitmentState.ANSWERED, "")


def test_who_releases_is_told_on_another_association(node: Node, modality: Modality) -> None:
    with node.listening() as listener:
        with modality.association(listener.port) as association:
            assert ask(association, KEPT) == 0x0000
        assert node.bell.wait(0, 20)  # the listener leaves it to the committer
    assert modality.heard == []

    node.committer(Peer(ae_title="MODALITY", host="127.0.0.1", port=modality.port)).step()

    assert modality.failures == []
    assert stand(node) == (CommitmentState.ANSWERED, "")


def test_answer_survives_a_restart_and_a_peer_that_is_away(node: Node, modality: Modality) -> None:
    node.store.take_on("MODALITY", "2.25.99", [KEPT])
    away = node.committer(Peer(ae_title="MODALITY", host="127.0.0.1", port=1))
    node.clock.advance(HOLD_BACK_S)
    away.step()
    state, reason = stand(node)
    assert (state, "no connection to MODALITY" in reason) == (CommitmentState.WAITING, True)

    node.clock.advance(60)
    node.committer(Peer(ae_title="MODALITY", host="127.0.0.1", port=modality.port)).step()
    assert modality.failures == []


def test_answer_to_an_unknown_peer_is_parked_until_it_is_known(node: Node, modality: Modality) -> None:
    node.store.take_on("MODALITY", "2.25.99", [KEPT])
    node.clock.advance(HOLD_BACK_S)
    node.committer().step()
    assert stand(node) == (
        CommitmentState.PARKED,
        "no [[peer]] has the AE title MODALITY, and its association is gone",
    )
    assert node.store.parked() == 1

    node.committer(Peer(ae_title="MODALITY", host="127.0.0.1", port=modality.port)).step()
    assert modality.failures == []


def test_peer_that_does_not_accept_the_event_is_told_again(node: Node, modality: Modality) -> None:
    modality.answers = 0x0110
    node.store.take_on("MODALITY", "2.25.99", [KEPT])
    node.clock.advance(HOLD_BACK_S)
    node.committer(Peer(ae_title="MODALITY", host="127.0.0.1", port=modality.port)).step()
    assert stand(node) == (CommitmentState.WAITING, "MODALITY answered the event with 0x0110")


def test_an_answer_that_was_heard_is_not_told_again_by_who_failed_meanwhile(node: Node) -> None:
    number = node.store.take_on("MODALITY", "2.25.99", [KEPT])
    assert number is not None
    node.store.answered(number)
    node.store.not_told(number, "0x0110", node.clock())
    assert stand(node) == (CommitmentState.ANSWERED, "")


def test_a_clock_that_was_put_back_does_not_hold_up_an_answer(node: Node) -> None:
    number = node.store.take_on("MODALITY", "2.25.99", [KEPT])
    node.clock.advance(HOLD_BACK_S)
    assert node.store.claim("committer", 60.0) is not None
    node.clock.advance(-86400.0)
    found = node.store.claim("committer", 60.0)
    assert found is not None
    assert found.id == number


def failing(node: Node, *pairs: Pair) -> dict[Pair, int]:
    number = node.store.take_on("MODALITY", f"2.25.{len(pairs)}9", pairs)
    assert number is not None
    return node.evidence.failures(node.store.asked(number))


def test_object_is_committed_only_while_its_bytes_are_what_came(node: Node) -> None:
    assert failing(node, KEPT) == {}
    content = node.path.read_bytes()

    node.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert failing(node, KEPT) == {KEPT: 0x0112}
    node.path.write_bytes(content[:-2])
    assert failing(node, KEPT) == {KEPT: 0x0112}
    node.path.unlink()
    assert failing(node, KEPT) == {KEPT: 0x0112}


def test_object_without_a_header_is_not_whole(node: Node) -> None:
    node.path.write_bytes(bytes(200))

    assert failing(node, KEPT) == {KEPT: 0x0112}


@pytest.mark.parametrize("what", ["folder", "file"])
def test_disk_that_does_not_work_says_nothing_of_an_object(
    node: Node, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.spool.set_owner("ours", 0)
    node.spool.expect("ours")
    node.store.take_on("MODALITY", "2.25.99", [KEPT])
    node.clock.advance(HOLD_BACK_S)
    committer = node.committer(Peer(ae_title="MODALITY", host="127.0.0.1", port=1))

    def broken(_path: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    if what == "folder":
        node.folder.rename(node.folder.with_name("away"))
        node.folder.mkdir()
    else:
        monkeypatch.setattr("node.evidence.split_dataset", broken)

    with pytest.raises(StorageError):
        committer.step()
    assert stand(node) == (CommitmentState.WAITING, "")


def test_object_of_another_class_and_one_that_never_came_are_told_apart(node: Node) -> None:
    assert failing(node, OTHER_CLASS, ELSEWHERE) == {OTHER_CLASS: 0x0119, ELSEWHERE: 0x0112}


def test_object_that_is_named_twice_fails_once(node: Node) -> None:
    number = node.store.take_on("MODALITY", "2.25.5", [ELSEWHERE, ELSEWHERE])
    assert number is not None
    asked = node.store.asked(number)
    told = _information(asked, node.evidence.failures(asked))
    assert len(told.FailedSOPSequence) == 1
    assert "ReferencedSOPSequence" not in told


@pytest.mark.parametrize(
    ("pairs", "options", "status"),
    [
        ([KEPT], {"action": 2}, 0x0123),
        ([KEPT], {"instance": "2.25.1"}, 0x0112),
        ([], {}, 0x0115),
    ],
)
def test_request_that_is_wrong_is_refused(
    node: Node, modality: Modality, pairs: Sequence[Pair], options: dict[str, Any], status: int
) -> None:
    with node.listening() as listener, modality.association(listener.port) as association:
        assert ask(association, *pairs, **options) == status
    assert node.store.claim("c", 60) is None


def test_request_is_answered_again_but_its_transaction_names_no_other_objects(
    node: Node, modality: Modality
) -> None:
    with node.listening() as listener, modality.association(listener.port) as association:
        assert ask(association, KEPT) == 0x0000
        assert modality.rang.wait(20)
        modality.rang.clear()
        assert ask(association, ELSEWHERE) == 0x0115
        assert ask(association, KEPT) == 0x0000
        assert modality.rang.wait(20)
    assert len(modality.heard) == 2


def test_database_that_is_away_is_a_passing_failure(
    node: Node, modality: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: object) -> None:
        raise DatabaseUnavailableError("the database does not work")

    monkeypatch.setattr(CommitmentStore, "take_on", away)
    with node.listening() as listener, modality.association(listener.port) as association:
        assert ask(association, KEPT) == 0x0213


def test_without_the_setting_the_context_is_not_accepted(node: Node, modality: Modality) -> None:
    with node.listening(answers=False) as listener, modality.association(listener.port) as association:
        assert not association.accepted_contexts


def test_data_set_that_would_fill_the_memory_ends_the_association(node: Node, modality: Modality) -> None:
    with node.listening() as listener:
        with modality.association(listener.port) as association:
            asked = Dataset()
            asked.TransactionUID = UID("2.25.99")
            asked.add_new(0x00091010, "OB", bytes(2 * MAX_HELD_BYTES))
            status, _ = association.send_n_action(asked, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
            assert "Status" not in status
        with modality.association(listener.port) as association:
            assert ask(association, KEPT) == 0x0000
