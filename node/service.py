"""The node as it runs: its parts, the order in which they start and stop, and the signal that ends it."""

import signal
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Engine

from node.auditor import AuditTrail
from node.committer import Committer
from node.housekeeping import Housekeeper
from node.listener import Listener
from node.logs import get_logger
from node.prover import Prover
from node.sender import Sender
from node.web.server import WebServer
from node.worker import Worker

GRACE_S = 20.0
"""How long the jobs and deliveries in hand may take to end when the node stops."""

Looped = Worker | Sender | Prover | Committer | Housekeeper
"""What runs in a loop of its own."""

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

    Starting order: the listener, so that a port in use is told before anything moves; then workers, senders
    and provers. Stopping order: the listener, so that nothing new comes; then the workers, whose jobs in hand
    end or are given back; then the others, whose batches in hand end; then the database and the audit trail.

    Attributes:
        listener: None in a process that does not listen.
        workers: None in a process that does not work.
        senders: None in a process that does not deliver.
        others: Who asks for proofs of delivery, who answers for commitments, and who keeps house.
        audit: What is told to an audit repository; off where there is none.
        engine: The database.
        web: Who tells those that watch the node; started last and stopped last. None: nobody.
    """

    listener: Listener | None
    workers: tuple[Worker, ...]
    senders: tuple[Sender, ...]
    others: tuple[Prover | Committer | Housekeeper, ...]
    audit: AuditTrail
    engine: Engine
    web: WebServer | None = None

    @property
    def port(self) -> int:
        """The TCP port without TLS, once the node is started; 0 where it does not listen on one."""
        return 0 if self.listener is None else self.listener.port

    def start(self) -> None:
        """Start every part; images are taken when this returns, where the node listens."""
        if self.listener is not None:
            self.listener.start()
        parts: tuple[Looped, ...] = (*self.workers, *self.senders, *self.others)
        for part in parts:
            part.loop.start()
        self.audit.started()
        if self.web is not None:
            self.web.start()
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
        outward = (*self.senders, *self.others)
        _ask_to_stop(outward)
        for part in outward:
            part.loop.join(GRACE_S)
        if self.web is not None:
            self.web.stop()
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


def _ask_to_stop(parts: Sequence[Looped]) -> None:
    for part in parts:
        part.loop.ask_to_stop()
