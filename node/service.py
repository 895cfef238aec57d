"""The node, built from its settings: every part is made here, once, and given what it needs."""

import os
import signal
import socket
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from ai.segmenter import Segmenter
from config.settings import AnyDestination, Destination, Settings
from node.appearance import examiner_of
from node.backoff import Backoff
from node.bell import Bell
from node.commitment_scp import CommitmentScp
from node.commitment_scu import CommitmentEvents, CommitmentScu
from node.commitment_store import CommitmentStore
from node.committer import Committer
from node.database import engine_for, upgrade
from node.evidence import Evidence
from node.job_store import JobStore
from node.listener import Listener
from node.logs import get_logger
from node.model import load_segmenter
from node.options import destinations_by_options
from node.peer_call import Caller
from node.proofs import asked_of
from node.prover import ProofRules, Prover, Questions
from node.query import DimseFinder
from node.query_web import WebFinder
from node.sender import DeliveryRules, Sender
from node.spool import Recovery, Spool
from node.transcode import SYNTAXES
from node.transport import DimseTransport, Transport
from node.work import Work
from node.worker import Worker

GRACE_S = 20.0
"""How long the jobs and deliveries in hand may take to end when the node stops."""

log = get_logger()


Part = Worker | Sender | Prover | Committer
"""What runs in a loop of its own."""


@dataclass(frozen=True)
class Node:
    """A node with all its parts.

    Starting order: the listener, so that a port in use is told before anything moves; then workers, senders
    and provers. Stopping order: the listener, so that nothing new comes; then the workers, whose jobs in hand
    end or are given back; then senders and provers, whose batches in hand end; then the database.
    """

    listener: Listener
    workers: tuple[Worker, ...]
    senders: tuple[Sender, ...]
    provers: tuple[Prover | Committer, ...]
    engine: Engine

    @property
    def port(self) -> int:
        """The TCP port that the node listens on, once it is started."""
        return self.listener.port

    def start(self) -> None:
        """Start every part; images are taken when this returns."""
        self.listener.start()
        parts: tuple[Part, ...] = (*self.workers, *self.senders, *self.provers)
        for part in parts:
            part.loop.start()
        log.info("node started", port=self.port)

    def stop(self) -> None:
        """Stop every part in order; nothing acknowledged is lost, whatever is in hand."""
        self.listener.stop()
        _ask_to_stop(self.workers)
        for worker in self.workers:
            if not worker.loop.join(GRACE_S):
                worker.give_back()
        outgoing = (*self.senders, *self.provers)
        _ask_to_stop(outgoing)
        for part in outgoing:
            part.loop.join(GRACE_S)
        self.engine.dispose()
        log.info("node stopped")

    def run_until_signal(self) -> None:
        """Start, wait for SIGTERM or SIGINT, and stop; a second signal ends at once. For the main thread."""
        told = threading.Event()
        before = {
            number: signal.signal(number, lambda _number, _frame: told.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        self.start()
        told.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
        self.stop()


def _ask_to_stop(parts: Sequence[Part]) -> None:
    for part in parts:
        part.loop.ask_to_stop()


def build_node(
    settings: Settings, segmenter: Segmenter | None = None, transport: Transport | None = None
) -> Node:
    """Return a node that is ready to start. Tables are made or migrated, and what a crash left is tidied up.

    Several processes may run on the same data directory and database: each job and delivery is leased to one.

    Args:
        settings: What the admin wants.
        segmenter: What finds the anatomy; None loads the bundle that the settings name.
        transport: How results travel; None sends them by C-STORE.

    Raises:
        ai.errors.BundleError: The model bundle cannot be trusted.
        node.errors.StorageError: The data directory or the database cannot be used.
    """
    segmenter = segmenter or load_segmenter(settings.model)
    data_dir = Path(settings.node.data_dir)
    engine = engine_for(settings.database.url.get_secret_value(), data_dir)
    upgrade(engine)
    spool = Spool(data_dir, settings.node.disk_reserve_mb)
    store = JobStore(engine, settings.worker.max_attempts)
    _tell(spool.recover(store.paths()))
    _tell_of_the_stranded(store, {destination.name for destination in settings.destinations})
    received, finished, taken_on = Bell(), Bell(), Bell()
    events = CommitmentEvents(store, settings.destinations, _backoff(settings), finished.ring)
    asked = CommitmentStore(engine)
    evidence = Evidence(asked, spool)
    answers = settings.commitment.answer
    commitment = CommitmentScp(asked, evidence, events, answers, taken_on.ring)
    carrier = transport or DimseTransport(settings.node.ae_title)
    return Node(
        Listener(settings.node, spool, store, received.ring, commitment),
        _workers(settings, store, spool, segmenter, received, finished),
        _senders(settings, store, spool, carrier, finished),
        (
            *_provers(settings, store, spool, events, finished),
            *(_committers(settings, asked, evidence, taken_on) if answers else ()),
        ),
        engine,
    )


def _tell(recovery: Recovery) -> None:
    if recovery.torn:
        log.info("spool swept", count=recovery.torn)
    if recovery.orphans:
        told = "objects on disk without a job: kept, used when sent again"
        log.warning(told, count=len(recovery.orphans))


def _tell_of_the_stranded(store: JobStore, known: Collection[str]) -> None:
    """Name the destinations that results wait for and that the settings do not have."""
    for destination, count in store.waiting().items():
        if destination not in known:
            log.warning(
                "results wait for a destination that is not set", destination=destination, count=count
            )


def _workers(
    settings: Settings, store: JobStore, spool: Spool, segmenter: Segmenter, received: Bell, finished: Bell
) -> tuple[Worker, ...]:
    examiner = examiner_of(segmenter, settings.appearance)
    work = Work(segmenter, examiner, destinations_by_options(settings), store, spool)
    lease_s = settings.worker.lease_s
    names = [_holder(f"worker-{number}") for number in range(settings.worker.count)]
    return tuple(Worker(name, store, spool, work, lease_s, received, finished) for name in names)


def _senders(
    settings: Settings, store: JobStore, spool: Spool, carrier: Transport, finished: Bell
) -> tuple[Sender, ...]:
    return tuple(
        Sender(_holder(f"sender-{d.name}"), d, store, spool, carrier, _rules(settings, d), finished)
        for d in settings.destinations
    )


def _provers(
    settings: Settings, store: JobStore, spool: Spool, events: CommitmentEvents, finished: Bell
) -> tuple[Prover, ...]:
    """Return a prover for each destination that is asked for proofs; what others were sent is delivered."""
    caller, rules = Caller(settings.node.ae_title), _proof_rules(settings)
    asker, found = CommitmentScu(caller, events), []
    for destination in settings.destinations:
        if not asked_of(destination):
            store.settle(destination.name, ())
            continue
        finder = DimseFinder(caller) if isinstance(destination, Destination) else WebFinder()
        name = _holder(f"prover-{destination.name}")
        found.append(Prover(name, destination, store, spool, Questions(asker, finder), rules, finished))
    return tuple(found)


def _committers(
    settings: Settings, asked: CommitmentStore, evidence: Evidence, taken_on: Bell
) -> tuple[Committer, ...]:
    caller, name = Caller(settings.node.ae_title), _holder("committer")
    return (Committer(name, asked, evidence, caller, settings.peer, _backoff(settings), taken_on),)


def _backoff(settings: Settings) -> Backoff:
    return Backoff(settings.delivery.first_retry_s, settings.delivery.longest_retry_s)


def _proof_rules(settings: Settings) -> ProofRules:
    return ProofRules(_backoff(settings), settings.delivery.breaker_failures, settings.worker.lease_s)


def _rules(settings: Settings, destination: AnyDestination) -> DeliveryRules:
    delivery = settings.delivery
    wanted = settings.profile_named(destination.profile).transfer_syntaxes
    syntaxes = tuple(SYNTAXES[word] for word in wanted)
    return DeliveryRules(_backoff(settings), delivery.breaker_failures, settings.worker.lease_s, syntaxes)


def _holder(role: str) -> str:
    """Return a name for leases that no other process, and no earlier one with the same number, has."""
    return f"{role}:{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
