"""The node, built from its settings: every part is made here, once, and given what it needs."""

import os
import signal
import socket
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy import Engine

from ai.segmenter import Segmenter
from config.settings import AnyDestination, Settings
from node.appearance import examiner_of
from node.backoff import Backoff
from node.bell import Bell
from node.clock import clock_for
from node.database import engine_for, upgrade
from node.job_store import JobStore
from node.listener import Listener
from node.logs import get_logger
from node.model import load_segmenter
from node.options import destinations_by_options
from node.routes import routes_of
from node.sender import DeliveryRules, Sender
from node.spool import Recovery, Spool
from node.transcode import SYNTAXES
from node.transport import Transport
from node.work import Work
from node.worker import Worker

GRACE_S = 20.0
"""How long the jobs and deliveries in hand may take to end when the node stops."""

log = get_logger()


class Part(StrEnum):
    """What a process of the node does; processes share the database and the data folder."""

    LISTEN = "listen"
    WORK = "work"
    DELIVER = "deliver"


ALL_PARTS = frozenset(Part)


@dataclass(frozen=True)
class Node:
    """A node with all its parts.

    Starting order: the listener, so that a port in use is told before anything moves; then workers and
    senders. Stopping order: the listener, so that nothing new comes; then the workers, whose jobs in hand end
    or are given back; then the senders, whose batches in hand end; then the database.

    Attributes:
        listener: None in a process that does not listen.
        workers: None in a process that does not work.
        senders: None in a process that does not deliver.
        engine: The database.
    """

    listener: Listener | None
    workers: tuple[Worker, ...]
    senders: tuple[Sender, ...]
    engine: Engine

    @property
    def port(self) -> int:
        """The TCP port without TLS, once the node is started; 0 where it does not listen on one."""
        return 0 if self.listener is None else self.listener.port

    def start(self) -> None:
        """Start every part; images are taken when this returns, where the node listens."""
        if self.listener is not None:
            self.listener.start()
        parts: tuple[Worker | Sender, ...] = (*self.workers, *self.senders)
        for part in parts:
            part.loop.start()
        ports = {"port": self.port, "tls_port": self.listener.tls_port} if self.listener else {}
        log.info("node started", **ports)

    def stop(self) -> None:
        """Stop every part in order; nothing acknowledged is lost, whatever is in hand."""
        if self.listener is not None:
            self.listener.stop()
        _ask_to_stop(self.workers)
        for worker in self.workers:
            if not worker.loop.join(GRACE_S):
                worker.give_back()
        _ask_to_stop(self.senders)
        for sender in self.senders:
            sender.loop.join(GRACE_S)
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


def _ask_to_stop(parts: Sequence[Worker | Sender]) -> None:
    for part in parts:
        part.loop.ask_to_stop()


def build_node(
    settings: Settings,
    segmenter: Segmenter | None = None,
    transport: Transport | None = None,
    parts: Collection[Part] = ALL_PARTS,
) -> Node:
    """Return a node that is ready to start. Tables are made or migrated, and what a crash left is tidied up.

    Several processes may run on the same data directory and database: each job and delivery is leased to one.

    Args:
        settings: What the admin wants.
        segmenter: What finds the anatomy; None loads the bundle that the settings name, if the node works.
        transport: How results travel; None sends them by C-STORE, or by STOW-RS to a web destination.
        parts: What this process does.

    Raises:
        ai.errors.BundleError: The model bundle cannot be trusted.
        node.errors.StorageError: The data directory or the database cannot be used.
    """
    if Part.WORK not in parts:
        segmenter = None
    elif segmenter is None:
        segmenter = load_segmenter(settings.model)
    data_dir = Path(settings.node.data_dir)
    engine = engine_for(settings.database.url.get_secret_value(), data_dir)
    upgrade(engine)
    spool = Spool(data_dir, settings.node.disk_reserve_mb)
    store = JobStore(engine, settings.worker.max_attempts, clock_for(engine))
    _tell(spool.recover(store.paths()))
    _tell_of_the_stranded(store, {destination.name for destination in settings.destinations})
    received, finished = Bell(), Bell()
    carrier = transport or routes_of(settings)
    return Node(
        _listener(settings, spool, store, received) if Part.LISTEN in parts else None,
        _workers(settings, store, spool, segmenter, received, finished) if segmenter else (),
        _senders(settings, store, spool, carrier, finished) if Part.DELIVER in parts else (),
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


def _listener(settings: Settings, spool: Spool, store: JobStore, received: Bell) -> Listener:
    return Listener(settings.node, spool, store, received.ring, settings.tls)


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
