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
from config.settings import AnyDestination, Settings
from node.appearance import examiner_of
from node.auditor import AuditTrail, audit_trail
from node.backoff import Backoff
from node.bell import Bell
from node.database import engine_for, upgrade
from node.housekeeping import Housekeeper
from node.job_store import JobStore
from node.keeping_store import KeepingStore
from node.listener import Listener
from node.logs import get_logger
from node.model import load_segmenter
from node.options import destinations_by_options
from node.sender import DeliveryRules, Sender
from node.spool import Recovery, Spool, others_may
from node.transcode import SYNTAXES
from node.transport import DimseTransport, Transport
from node.work import Work
from node.worker import Worker

GRACE_S = 20.0
"""How long the jobs and deliveries in hand may take to end when the node stops."""

log = get_logger()


@dataclass(frozen=True)
class Node:
    """A node with all its parts.

    Starting order: the listener, so that a port in use is told before anything moves; then workers and
    senders. Stopping order: the listener, so that nothing new comes; then the workers, whose jobs in hand end
    or are given back; then the senders, whose batches in hand end; then the database; then the audit trail.
    """

    listener: Listener
    workers: tuple[Worker, ...]
    senders: tuple[Sender, ...]
    housekeeper: Housekeeper
    audit: AuditTrail
    engine: Engine

    @property
    def port(self) -> int:
        """The TCP port that the node listens on, once it is started."""
        return self.listener.port

    def start(self) -> None:
        """Start every part; images are taken when this returns."""
        self.listener.start()
        parts: tuple[Worker | Sender | Housekeeper, ...] = (*self.workers, *self.senders, self.housekeeper)
        for part in parts:
            part.loop.start()
        self.audit.started()
        log.info("node started", port=self.port)

    def stop(self) -> None:
        """Stop every part in order; nothing acknowledged is lost, whatever is in hand."""
        self.listener.stop()
        _ask_to_stop((*self.workers, self.housekeeper))
        for worker in self.workers:
            if not worker.loop.join(GRACE_S):
                worker.give_back()
        _ask_to_stop(self.senders)
        for sender in self.senders:
            sender.loop.join(GRACE_S)
        self.housekeeper.loop.join(GRACE_S)
        self.engine.dispose()
        self.audit.stopped()
        self.audit.close()
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


def _ask_to_stop(parts: Sequence[Worker | Sender | Housekeeper]) -> None:
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
    if others_may(data_dir):
        log.warning("the data folder is open to other users of this machine")
    _tell_of_the_stranded(store, {destination.name for destination in settings.destinations})
    received, finished = Bell(), Bell()
    audit = audit_trail(settings)
    carrier = audit.carrying(transport or DimseTransport(settings.node.ae_title))
    return Node(
        Listener(settings.node, spool, store, received.ring, audit),
        _workers(settings, store, spool, segmenter, received, finished),
        _senders(settings, store, spool, carrier, finished),
        Housekeeper(settings.retention, spool, KeepingStore(engine), audit.deleted(spool)),
        audit,
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


def _rules(settings: Settings, destination: AnyDestination) -> DeliveryRules:
    delivery = settings.delivery
    backoff = Backoff(delivery.first_retry_s, delivery.longest_retry_s)
    wanted = settings.profile_named(destination.profile).transfer_syntaxes
    syntaxes = tuple(SYNTAXES[word] for word in wanted)
    return DeliveryRules(backoff, delivery.breaker_failures, settings.worker.lease_s, syntaxes)


def _holder(role: str) -> str:
    """Return a name for leases that no other process, and no earlier one with the same number, has."""
    return f"{role}:{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
