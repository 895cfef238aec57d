"""What comes in on a connection, read in large pieces: each call may cost the interpreter's turn."""

import math
import select
import socket
import ssl
import time

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from node.connections import acknowledge_at_once, is_ready

MAX_PDU_BYTES = 4 * 1_048_576
"""A longer protocol data unit is not read. What we offer is smaller, and so is any association request."""

BUFFER_BYTES = 262_144
"""So much is read at once, if it is there: two data PDUs of the length that we offer."""

SLOWEST_BYTES_PER_S = 1000
"""A protocol data unit that comes more slowly than this, by more than a network timeout, does not come."""


class Inflow(AssociationSocket):
    """A connection of which the first bytes have been read already, and which reads no PDU of absurd length.

    Args:
        assoc: The association that it is for.
        connection: The socket; it blocks, for a limited time.
        first: What was read from it.
        patience_s: A PDU may take so much longer than its length explains.
    """

    def __init__(
        self, assoc: Association, connection: socket.socket, first: bytes = b"", patience_s: float = math.inf
    ) -> None:
        super().__init__(assoc, client_socket=connection)
        self._patience_s, self._until = patience_s, math.inf
        self._buffer = memoryview(bytearray(first))
        self._begin, self._end = 0, len(first)

    @property
    def has_buffered(self) -> bool:
        """Whether bytes wait that were read already."""
        return self._begin < self._end

    @property
    def ready(self) -> bool:
        """Whether there is something to read."""
        return self.has_buffered or is_ready(self)

    def recv(self, nr_bytes: int) -> bytearray:
        """Read so many bytes, fewer where the connection ends; for pynetdicom.

        Raises:
            OSError: They are too many to fit in memory, or do not come.
        """
        self.expect(nr_bytes)
        return self._read(nr_bytes)

    def expect(self, count: int) -> None:
        """Give the peer the time that so many bytes may take; who drips them holds a thread for ever.

        Raises:
            OSError: They are too many to fit in memory.
        """
        if count > MAX_PDU_BYTES:
            raise OSError(f"a PDU of {count} bytes")
        self._until = time.monotonic() + self._patience_s + count / SLOWEST_BYTES_PER_S

    def peek(self) -> int:
        """Return the next byte, which stays; OSError where none comes."""
        if not self.has_buffered and not self._fill():
            raise ConnectionError("the peer hung up")
        return self._buffer[self._begin]

    def exactly(self, count: int) -> bytes:
        """Read so many bytes, of what is expected; OSError where they do not come."""
        found = bytes(self._read(count))
        if len(found) < count:
            raise ConnectionError("the peer hung up")
        return found

    def piece(self, most: int) -> memoryview:
        """Read at least one byte, and `most` at most; what is returned holds until more is read.

        Raises:
            OSError: None comes.
        """
        self.peek()
        return self._taken(most)

    def wait(self, other: socket.socket, timeout_s: float) -> bool:
        """Wait until there is something to read here or on another socket, for so long; tell if here."""
        if self.has_buffered or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        poll = select.poll()
        poll.register(other, select.POLLIN)
        if self.socket is not None and self.socket.fileno() >= 0:
            acknowledge_at_once(self.socket)
            poll.register(self.socket, select.POLLIN)
        return any(descriptor != other.fileno() for descriptor, _event in poll.poll(1000 * timeout_s))

    def let_go(self) -> None:
        """Give the memory back until something comes."""
        if not self.has_buffered:
            self._buffer, self._begin, self._end = memoryview(b""), 0, 0

    def _read(self, count: int) -> bytearray:
        found = bytearray()
        while len(found) < count and (self.has_buffered or self._fill()):
            found += self._taken(count - len(found))
        return found

    def _taken(self, most: int) -> memoryview:
        begin = self._begin
        self._begin = min(self._end, begin + most)
        return self._buffer[begin : self._begin]

    def _fill(self) -> int:
        """Read what there is into the empty buffer, one byte at least; return how many, 0: the end."""
        if self.socket is None:
            raise ConnectionError("the connection is closed")
        if time.monotonic() > self._until:
            raise TimeoutError("the rest of a PDU does not come")
        if len(self._buffer) < BUFFER_BYTES:
            self._buffer = memoryview(bytearray(BUFFER_BYTES))
        acknowledge_at_once(self.socket)
        self._begin, self._end = 0, self.socket.recv_into(self._buffer)
        return self._end
