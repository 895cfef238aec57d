"""Peers of the web server that keep it waiting: for how long they may, and how many of them at a time.

uvicorn waits for ever for a request that does not come, or not to its end, and for an answer to be taken.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from node.refusals import Refusals

HEAD_WITHIN_S = 10.0
"""For the whole head of a request, from the connection or from the answer before."""

BODY_SILENT_S = 10.0
"""Between two pieces of a body."""

BODY_WITHIN_S = 20.0
SLOWEST_BODY = 65_536
"""Bytes in a second: a body has `BODY_WITHIN_S`, and as long as its length takes at this speed."""

TAKEN_WITHIN_S = 60.0
"""For an answer, by whoever asked."""

MOST_SILENT, MOST_SENDING = 100, 50
"""Connections that have sent no whole head, and no whole body; beyond, the one furthest behind is closed."""

SILENT, SLOW = "it sent no whole request in time", "its request comes too slowly"
TOO_MANY = "too many connections wait: it was the furthest behind"
NOT_TAKEN = "it did not take its answer in time"


@dataclass(frozen=True)
class Waiting:
    """The connections of a server that are waited for, the oldest first.

    Attributes:
        refusals: Is told of those that are closed.
        heads: Those that have sent no whole head.
        bodies: Those that have sent no whole body.
    """

    refusals: Refusals
    heads: "dict[PatientProtocol, None]" = field(default_factory=dict)
    bodies: "dict[PatientProtocol, None]" = field(default_factory=dict)

    def protocol(self) -> type[asyncio.Protocol]:
        """Return what makes the protocol of a connection, for uvicorn."""
        return cast(type[asyncio.Protocol], partial(PatientProtocol, waiting=self))

    def begin(self, connection: "PatientProtocol", line: "dict[PatientProtocol, None]", most: int) -> None:
        """Let a connection wait; of too many that wait with it the one furthest behind is closed."""
        line[connection] = None
        if len(line) > most:
            min(line, key=lambda each: each.ahead_bytes).hang_up(TOO_MANY)

    def end(self, connection: "PatientProtocol") -> None:
        """Let a connection wait no more."""
        self.heads.pop(connection, None)
        self.bodies.pop(connection, None)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 on one connection, whose patience ends. Lives in the thread of the server's loop.

    Args:
        config: Of uvicorn.
        server_state: Likewise.
        app_state: Likewise.
        _loop: Likewise.
        waiting: The connections that wait.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        waiting: Waiting,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._waiting = waiting
        self._owed: object = None
        self._since = self._until = self._heard_at = 0.0
        self._received = 0
        self._has_begun = self._is_unread = False
        self._late_timer: asyncio.TimerHandle | None = None
        self._untaken_timer: asyncio.TimerHandle | None = None

    # ---- what asyncio and uvicorn call

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        """Wait for what is owed still."""
        self._has_begun = True
        self._received += len(data)
        super().data_received(data)
        self._hear()
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the answer to be taken, and for the next head; a body that nobody wants has not long."""
        self._watch_answer()
        super().on_response_complete()
        self._hear()
        self._until = min(self._until, self.loop.time() + HEAD_WITHIN_S)
        self._look()

    def pause_writing(self) -> None:
        """Wait for some of the answer to be taken."""
        self._watch_answer()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Wait for the rest of it."""
        self._watch_answer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything."""
        self._forget()
        self._unwatch_answer()
        super().connection_lost(exc)

    def hang_up(self, reason: str) -> None:
        """Close the connection at once, and say so."""
        self._forget()
        self._waiting.refusals.note("web connection closed", reason, self.client[0] if self.client else "")
        self.transport.abort()

    # ---- requests that do not come

    @property
    def ahead_bytes(self) -> float:
        """What was received beyond what `SLOWEST_BODY` asks for by now; negative: so much is lacking."""
        now = self._heard_at if self._is_unread else self.loop.time()
        return self._received - SLOWEST_BODY * (now - self._since)

    def _hear(self) -> None:
        """Count the silence from now on; the time for which it was we who did not read is given back."""
        now = self.loop.time()
        if self._is_unread:
            ours = now - self._heard_at
            self._since, self._until = self._since + ours, self._until + ours
        self._heard_at, self._is_unread = now, self.flow.read_paused

    def _look(self) -> None:
        """Begin to wait where the peer owes something else than before."""
        theirs = self.conn.their_state
        if theirs is self._owed or self.transport.is_closing():
            return
        self._forget()
        now = self._since = self._heard_at = self.loop.time()
        self._received = 0
        if theirs is h11.IDLE:
            self._owed, self._has_begun, self._until = h11.IDLE, False, now + HEAD_WITHIN_S
            self._waiting.begin(self, self._waiting.heads, MOST_SILENT)
        elif theirs is h11.SEND_BODY:
            self._owed, self._until = h11.SEND_BODY, now + BODY_WITHIN_S + self._announced() / SLOWEST_BODY
            self._waiting.begin(self, self._waiting.bodies, MOST_SENDING)
        else:
            return
        self._late_timer = self.loop.call_at(self._deadline(), self._late)

    def _announced(self) -> int:
        """Return how many bytes the body has, as the head says."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), 0)

    def _deadline(self) -> float:
        return self._until if self._owed is h11.IDLE else min(self._until, self._heard_at + BODY_SILENT_S)

    def _late(self) -> None:
        if self.flow.read_paused:
            self._hear()
        if (deadline := self._deadline()) > self.loop.time():
            self._late_timer = self.loop.call_at(deadline, self._late)
        elif self._owed is h11.IDLE and not self._has_begun:  # browsers connect before they ask
            self._forget()
            self.transport.abort()
        else:
            self.hang_up(SILENT if self._owed is h11.IDLE else SLOW)

    def _forget(self) -> None:
        self._waiting.end(self)
        self._owed = None
        if self._late_timer is not None:
            self._late_timer.cancel()
            self._late_timer = None

    # ---- answers that are not taken

    def _watch_answer(self) -> None:
        self._unwatch_answer()
        self._untaken_timer = self.loop.call_later(TAKEN_WITHIN_S, self._untaken)

    def _unwatch_answer(self) -> None:
        if self._untaken_timer is not None:
            self._untaken_timer.cancel()
            self._untaken_timer = None

    def _untaken(self) -> None:
        if self.transport.get_write_buffer_size():
            self.hang_up(NOT_TAKEN)
