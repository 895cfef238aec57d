"""The connection of an association that we ask for: nothing on it is waited for without end.

pynetdicom waits for ever for the rest of a PDU, and for a peer that reads nothing. Over TLS it takes whatever
comes for data: a ticket or a new key (RFC 8446 4.6.1, 4.6.3), and then waits for a PDU that nobody sends.
"""

import math
import select
import socket
import ssl
import time
from contextlib import suppress

from pynetdicom.transport import T_CONNECT, AssociationSocket

from node.connections import acknowledge_at_once, is_ready

RECORD_BYTES = 16_384
"""Plaintext of a TLS record (RFC 8446 5.1)."""

LOOK_EVERY_S = 0.1
"""How often whoever waits for a peer that reads slowly looks whether something else is to be done."""


class Outlet(AssociationSocket):
    """A connection whose reads and writes end within the network timeout of its association."""

    _held = b""
    """Read by `ready`, and not yet by `recv`."""

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect, as pynetdicom does."""
        super().connect(primitive)
        if self._is_connected and self.socket is not None:
            self.socket.settimeout(self.assoc.network_timeout)
            # else the end of each object waits for a delayed acknowledgement
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def ready(self) -> bool:
        """Whether there is data to read, or the connection has ended."""
        if self._held:
            return True
        is_readable = is_ready(self)
        if not is_readable or not isinstance(self.socket, ssl.SSLSocket):
            return is_readable
        patience_s = self.socket.gettimeout()
        self.socket.settimeout(0)
        try:
            self._held = self.socket.recv(RECORD_BYTES)
        except ssl.SSLWantReadError:  # no data was in what came
            return False
        except OSError:
            self.event_queue.put("Evt17")  # transport connection closed, PS3.8 table 9-10
            return False
        finally:
            self.socket.settimeout(patience_s)
        return True  # an end, too, is read

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, fewer where the connection ends; OSError where they do not come in time."""
        found, self._held = bytearray(self._held[:nr_bytes]), self._held[nr_bytes:]
        until = time.monotonic() + (self.assoc.network_timeout or math.inf)
        while len(found) < nr_bytes and self.socket is not None:
            if time.monotonic() > until:
                raise TimeoutError("the rest of a PDU does not come")
            piece = self.socket.recv(nr_bytes - len(found))
            if not piece:
                break
            found += piece
        return found

    def push(self, content: memoryview) -> int:
        """Send the beginning of something, wait a moment until that can be; return how much was sent.

        Raises:
            OSError: It broke.
        """
        if self.socket is None or self.socket.fileno() < 0:
            raise ConnectionError("the connection is closed")
        poll = select.poll()
        poll.register(self.socket, select.POLLIN | select.POLLOUT)
        found = poll.poll(1000 * LOOK_EVERY_S)
        if not found or not found[0][1] & select.POLLOUT:
            return 0
        most = RECORD_BYTES if isinstance(self.socket, ssl.SSLSocket) else len(content)
        return self.socket.send(content[:most])

    def await_answer(self) -> None:
        """Acknowledge at once what comes: a peer that answers in two pieces need not wait for our delay."""
        if self.socket is not None:
            with suppress(OSError):  # it is closed
                acknowledge_at_once(self.socket)
