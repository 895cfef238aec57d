"""Where connections wait until they have asked for an association: one thread for all of them.

A connection comes to the rest of the node with its A-ASSOCIATE-RQ in hand. Until then it costs a file
descriptor: peers that say nothing, that stop in the middle of a TLS handshake or send a byte a minute, and
probes of load balancers hold nobody up, start no thread, and take no place among the associations.

PS3.8 9.1.5 (the ARTIM timer), 9.3.2 (A-ASSOCIATE-RQ).
"""

import errno
import ipaddress
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from node.caller import Arrival, Caller, NotTakenError
from node.connections import close, is_readable
from node.doors import Door, HouseRules
from node.logs import get_logger, place_of
from node.reception import shielded
from node.refusals import Refusals
from node.server_tls import ServerTls

AT_ONCE = 64
"""Connections taken from one door before those that wait get their turn."""

MAX_WAITING_BYTES = 64 * 1_048_576
"""Requests that have come in part take no more memory than this together: the oldest goes."""

NO_ROOM_PAUSE_S = 0.5
"""How long no connection is taken when the process can hold no more."""

CERTIFICATES_EVERY_S = 30.0
"""How often new TLS files are looked for when nobody comes."""

NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
"""What `accept` says when the process or the system has no room for another connection (accept(2))."""

STOP_S = 10.0
"""How long what it does for a caller may take when it stops, in seconds."""

log = get_logger()


@dataclass(frozen=True)
class Terms:
    """What a porch goes by; another one may take its place while it runs.

    Attributes:
        doors: Where connections come in.
        rules: Who may.
        arrived: Is called with each that asks for an association.
    """

    doors: tuple[Door, ...]
    rules: HouseRules
    arrived: Callable[[Arrival], None]

    @cached_property
    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """The addresses that may connect; none: any may."""
        return [ipaddress.ip_network(network) for network in self.rules.addresses]


class Porch:
    """Takes connections and hands on those that ask for an association.

    Args:
        doors: Where they come in.
        rules: Who may.
        arrived: Is called, in the thread of the porch, with each; the socket is its own from then on.
        refusals: Is told of those that are not let in.
    """

    def __init__(
        self,
        doors: Sequence[Door],
        rules: HouseRules,
        arrived: Callable[[Arrival], None],
        refusals: Refusals,
    ) -> None:
        self._terms = Terms(tuple(doors), rules, arrived)
        self._doors = self._terms.doors
        self._refusals = refusals
        self._waiting: dict[Caller, None] = {}  # in the order of their deadlines
        self._bytes = 0
        self._closed_until = 0.0  # the doors; 0: they are open
        self._certificates_due = 0.0
        self._turned_at = time.monotonic()
        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="porch", daemon=True)

    @property
    def waiting(self) -> int:
        """How many connections wait."""
        return len(self._waiting)

    @property
    def age_s(self) -> float:
        """For how many seconds it has not looked for connections; it does so twice a minute at least."""
        return time.monotonic() - self._turned_at

    @property
    def is_turning(self) -> bool:
        """Whether its thread lives."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Take connections from now on."""
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._open_doors()
        self._thread.start()

    def take_up(self, terms: Terms) -> None:
        """Go by other terms from now on; their doors stand around the same sockets, which stay open.

        Those who wait keep their deadlines, and how they came in.
        """
        self._terms = terms
        self._wake.send(b"x")

    def stop(self) -> None:
        """Close the doors, and hang up on all that wait."""
        self._stopping.set()
        self._wake.send(b"x")
        self._thread.join(STOP_S)
        for door in self._doors:
            door.socket.close()
        for caller in list(self._waiting):
            self._hang_up(caller)
        self._selector.close()
        self._wake.close()
        self._woken.close()

    # ---- the loop

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._turned_at = time.monotonic()
            shielded(self._look_once, self._tell)

    def _look_once(self) -> None:
        for key, _events in self._selector.select(self._pause()):
            self._attend_shielded(key.data)
        if self._doors is not self._terms.doors:
            self._change_doors(self._terms.doors)
        self._hang_up_on_the_late()
        self._look_after_certificates()
        self._refusals.tell_due()
        if self._closed_until and time.monotonic() >= self._closed_until:
            self._open_doors()

    def _change_doors(self, doors: tuple[Door, ...]) -> None:
        """Let other doors stand around the same sockets."""
        if not self._closed_until:
            for door in doors:
                self._selector.modify(door.socket, selectors.EVENT_READ, door)
        self._doors = doors

    def _look_after_certificates(self) -> None:
        """Have new files noticed, and days counted, also while nobody comes."""
        now = time.monotonic()
        if now < self._certificates_due:
            return
        self._certificates_due = now + CERTIFICATES_EVERY_S
        for door in self._doors:
            if door.tls is not None:
                door.tls.current()

    def _pause(self) -> float:
        """Return for how long nothing is to be done unless somebody comes."""
        now = time.monotonic()
        due = [now + CERTIFICATES_EVERY_S, now + self._refusals.due_in_s]
        if self._closed_until:
            due.append(self._closed_until)
        if self._waiting:
            due.append(next(iter(self._waiting)).deadline)
        return max(0.0, min(due) - now)

    def _attend_shielded(self, subject: Door | Caller | None) -> None:
        shielded(lambda: self._attend(subject), self._tell)

    def _attend(self, subject: Door | Caller | None) -> None:
        if isinstance(subject, Door):
            self._take_from(subject)
        elif isinstance(subject, Caller):
            self._go_on_with(subject)
        else:
            self._woken.recv(AT_ONCE)

    @staticmethod
    def _tell(error: Exception) -> None:
        log.error("taking a connection failed", error=type(error).__name__, place=place_of(error))

    # ---- doors

    def _open_doors(self) -> None:
        self._closed_until = 0.0
        for door in self._doors:
            self._selector.register(door.socket, selectors.EVENT_READ, door)

    def _close_doors_for_a_while(self) -> None:
        self._closed_until = time.monotonic() + NO_ROOM_PAUSE_S
        for door in self._doors:
            self._selector.unregister(door.socket)

    def _take_from(self, door: Door) -> None:
        for _ in range(AT_ONCE):
            if self._closed_until or not is_readable(door.socket):
                return
            try:
                connection, address = door.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._make_room(error)
            else:
                self._take(connection, address, door.tls)

    def _make_room(self, error: OSError) -> None:
        """Let the oldest go when there is no room for another; any other error was the peer's, who has gone.

        One looks whether somebody is there before `accept`, which tells of no room also when nobody is.
        """
        if error.errno not in NO_ROOM:
            return
        self._refusals.note("connections wait", os.strerror(error.errno or 0), "")
        if self._waiting:
            self._hang_up(next(iter(self._waiting)))
        else:
            self._close_doors_for_a_while()

    def _take(self, connection: socket.socket, address: tuple[Any, ...], tls: ServerTls | None) -> None:
        if not self._may_connect(address[0]):
            self._refuse("its address is not on the list", address[0], is_alarming=True)
            connection.close()
            return
        connection.setblocking(False)
        if tls is not None:
            try:
                connection = tls.current().wrap_socket(
                    connection, server_side=True, do_handshake_on_connect=False
                )
            except (OSError, ValueError):  # gone already
                connection.close()
                return
        caller = Caller(connection, address, time.monotonic() + self._terms.rules.patience_s, tls)
        self._waiting[caller] = None
        self._selector.register(connection, selectors.EVENT_READ, caller)
        self._keep_within_bounds()

    def _may_connect(self, address: str) -> bool:
        if not self._terms.networks:
            return True
        found = ipaddress.ip_address(address.partition("%")[0])
        mapped = getattr(found, "ipv4_mapped", None)  # of a door for IPv6 that takes IPv4 as well
        return any((mapped or found) in network for network in self._terms.networks)

    # ---- those that wait

    def _go_on_with(self, caller: Caller) -> None:
        if caller not in self._waiting:  # hung up on in the same round
            return
        before = len(caller.request)
        try:
            wanted = caller.proceed()
        except NotTakenError as error:
            self._bytes += len(caller.request) - before
            self._refuse(str(error), caller.address[0], is_alarming=True)
            self._hang_up(caller)
            return
        self._bytes += len(caller.request) - before
        if wanted:
            self._selector.modify(caller.connection, wanted, caller)
            self._keep_within_bounds()
        else:
            self._forget(caller)
            self._hand_on(caller)

    def _hand_on(self, caller: Caller) -> None:
        def failed(error: Exception) -> None:
            self._tell(error)
            close(caller.connection)

        shielded(lambda: self._terms.arrived(caller.arrival()), failed)

    def _keep_within_bounds(self) -> None:
        while len(self._waiting) > self._terms.rules.max_waiting or self._bytes > MAX_WAITING_BYTES:
            oldest = next(iter(self._waiting))
            self._refuse("too many connections wait: it was the oldest", oldest.address[0])
            self._hang_up(oldest)

    def _hang_up_on_the_late(self) -> None:
        now = time.monotonic()
        while self._waiting and (oldest := next(iter(self._waiting))).deadline <= now:
            self._refuse("it did not ask for an association in time", oldest.address[0])
            self._hang_up(oldest)

    def _hang_up(self, caller: Caller) -> None:
        self._forget(caller)
        close(caller.connection)

    def _forget(self, caller: Caller) -> None:
        del self._waiting[caller]
        self._bytes -= len(caller.request)
        self._selector.unregister(caller.connection)

    def _refuse(self, reason: str, address: str, *, is_alarming: bool = False) -> None:
        if reason:
            self._refusals.note("connection refused", reason, address, is_alarming=is_alarming)
