"""The node as it runs: its parts, the order in which they start and stop, and the signals that it knows."""

import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Engine

from config.settings import Settings
from node.auditor import AuditTrail, channel_of
from node.bound import in_effect
from node.crew import Crew, Looped, Outward
from node.errors import LeaseLostError, StorageError
from node.housekeeping import Housekeeper
from node.listener import Listener
from node.logs import configure_logs, get_logger, place_of

if TYPE_CHECKING:
    from node.committer import Committer
    from node.prover import Prover
    from node.sender import Sender
    from node.web.server import WebServer
    from node.worker import Worker

WAKE_S = 1.0
"""How often is looked for a signal, in seconds."""

GRACE_S = 20.0
"""How long the jobs and deliveries in hand may take to end when the node stops."""

log = get_logger()


class Watch(Protocol):
    """What sees to changed settings while a node runs: `node.uptake.Uptake`."""

    def start(self) -> None:
        """Begin to look."""

    def ask(self) -> None:
        """Look now."""

    def stop(self) -> None:
        """Change nothing any more when this returns."""


class Node:
    """A node with all its parts. It owns the settings that they go by: one frozen value, replaced as a whole.

    Starting order: the listener, so that a port in use is told before anything moves, and images are taken
    while libraries and networks are loaded; then workers, senders and provers; then who answers `/readyz`.
    Stopping order: the listener, so that nothing new comes; then the workers, whose jobs in hand
    end or are given back; then the others, whose batches in hand end; then the database and the audit trail.

    Args:
        crew: Who listens; the others are made when it does.
        crew_for: Makes the crew for other settings out of the one that works; starts nobody.
        audit: What is told to an audit repository; off where there is none.
        engine: The database.
        web_for: Makes who tells those that watch the node; started last and stopped last. None: nobody.

    Attributes:
        version: The number under which the settings are kept that it goes by; 0: they are not kept.
    """

    def __init__(
        self,
        crew: Crew,
        crew_for: Callable[[Settings, Crew], Crew],
        audit: AuditTrail,
        engine: Engine,
        web_for: "Callable[[Node], WebServer | None]" = lambda _node: None,
    ) -> None:
        self._crew = crew
        self._crew_for = crew_for
        self._retiring: tuple[Outward, ...] = ()
        self._is_running = False
        self.audit = audit
        self.engine = engine
        self.version = 0
        self._web_for = web_for
        self.web: WebServer | None = None

    @property
    def settings(self) -> Settings:
        """What the node goes by now."""
        return self._crew.settings

    @property
    def listener(self) -> Listener | None:
        """None in a process that does not listen. Another one after settings have changed."""
        return self._crew.listener

    @property
    def workers(self) -> "tuple[Worker, ...]":
        """None in a process that does not work."""
        return self._crew.workers

    @property
    def senders(self) -> "tuple[Sender, ...]":
        """None in a process that does not deliver."""
        return tuple(self._crew.senders.values())

    @property
    def others(self) -> "tuple[Prover | Committer | Housekeeper, ...]":
        """Who asks for proofs of delivery, who answers for commitments, and who keeps house."""
        return tuple(self._crew.others.values())

    @property
    def port(self) -> int:
        """The TCP port without TLS, once the node is started; 0 where it does not listen on one."""
        return 0 if self.listener is None else self.listener.port

    def start(self) -> None:
        """Start every part; images are taken before this returns, where the node listens.

        Raises:
            NodeError: A port cannot be had, a file of TLS is no good, or the database does not work.
            ai.errors.BundleError: A network does not load.
        """
        if self.listener is not None:
            self.listener.start()
        with ExitStack() as unless_all_is_there:
            unless_all_is_there.callback(self._give_up)
            self._crew = self._crew_for(self.settings, self._crew)
            self.web = self._web_for(self)
            unless_all_is_there.pop_all()
        _start((*self.workers, *self._crew.outward))
        self._is_running = True
        self.audit.started()
        if self.web is not None:
            self.web.start()
        ports = {"port": self.port, "tls_port": self.listener.tls_port} if self.listener else {}
        log.info("node started", **ports)

    def _give_up(self) -> None:
        """Let nobody in any more: what else there should be cannot be had."""
        if self.listener is not None:
            self.listener.stop()

    def take_up(self, wanted: Settings) -> None:
        """Go by other settings from now on, but for what is bound at the start (`node.bound`).

        Nothing is cut: associations in progress, jobs in hand and batches in hand end by the settings that
        they began with. Whoever comes later, the next job and the next batch meet the new ones. For one
        thread at a time, and not while the node starts or stops.

        Raises:
            ai.errors.LabelError: A profile names a structure that is not known; nothing has changed.
            TlsError: A file of TLS cannot be used; likewise.
        """
        before = self._crew
        crew = self._crew_for(in_effect(before.settings, wanted), before)
        if crew.listener is not None and before.listener is not None:
            crew.listener.take_over(before.listener)
        self._crew = crew
        if crew.terms is not None:
            for worker in crew.workers:
                worker.take_up(crew.terms)
        if self._is_running:
            _start(tuple(crew.without(before)))
        leaving = tuple(before.without(crew))
        for part in leaving:
            # a housekeeper goes by the new settings at once: what it has not removed yet may be wanted now
            (part.loop.ask_to_stop if isinstance(part, Housekeeper) else part.loop.ask_to_end)()
        self._retiring = (*(each for each in self._retiring if not each.loop.join(0)), *leaving)
        self._say_by(before.settings, crew.settings)

    def _say_by(self, before: Settings, now: Settings) -> None:
        """Log and audit as the settings of now say, where they say something else than those before."""
        if before.logging != now.logging:
            configure_logs(now.logging.level, now.logging.format)
        if _audited_by(before) != _audited_by(now):
            self.audit.take_up(channel_of(now))

    def stop(self) -> None:
        """Stop every part in order; nothing acknowledged is lost, whatever is in hand."""
        log.info("node stops")
        if self.listener is not None:
            self.listener.stop()
        _ask_to_stop(self.workers)
        for worker in self.workers:
            if not worker.loop.join(GRACE_S):
                _give_back(worker)
        outward = (*self._crew.outward, *self._retiring)
        _ask_to_stop(outward)
        for part in outward:
            part.loop.join(GRACE_S)
        if self.web is not None:
            self.web.stop()
        self.engine.dispose()
        self.audit.stopped()
        self.audit.close()
        log.info("node stopped")

    def run_until_signal(self, watch: Watch | None = None) -> None:
        """Start, wait for SIGTERM or SIGINT, and stop; a second signal ends at once. For the main thread.

        Args:
            watch: Sees to changed settings meanwhile, also when SIGHUP asks for it.
        """
        told: SimpleQueue[int] = SimpleQueue()  # a handler may put; an Event's lock it might find held
        signals = signal.SIGTERM, signal.SIGINT

        def note(number: int, _frame: object) -> None:
            told.put(number)
            for each in signals:  # the next one ends the process, also while networks load
                signal.signal(each, signal.SIG_DFL)

        for number in signals:
            signal.signal(number, note)
        if watch is not None:
            signal.signal(signal.SIGHUP, lambda _number, _frame: watch.ask())
        self.start()
        if watch is not None:
            watch.start()
        _first_in(told)
        if watch is not None:
            watch.stop()
        self.stop()


def _first_in(told: "SimpleQueue[int]") -> int:
    """Return the first signal; it looks by itself, for one that another thread was given wakes nobody."""
    while True:
        with suppress(Empty):
            return told.get(timeout=WAKE_S)


def _audited_by(settings: Settings) -> tuple[object, ...]:
    return settings.audit, settings.tls, settings.node.ae_title


def _start(parts: Sequence[Looped]) -> None:
    for part in parts:
        part.loop.start()


def _give_back(worker: "Worker") -> None:
    """Let another worker have the job in hand; where that cannot be recorded its lease ends by itself."""
    try:
        worker.give_back()
    except (StorageError, LeaseLostError) as error:
        log.error("a step failed", error=type(error).__name__, place=place_of(error))


def _ask_to_stop(parts: Sequence[Looped]) -> None:
    for part in parts:
        part.loop.ask_to_stop()
