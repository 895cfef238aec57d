"""A peer that has connected and not yet asked for an association: it costs a file descriptor, and no thread.

PS3.8 9.3.2 (A-ASSOCIATE-RQ), 9.2.3 (state 2: Transport connection open, awaiting A-ASSOCIATE-RQ).
"""

import socket
import ssl
import struct
from dataclasses import dataclass, field
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from node.server_tls import ServerTls

ASSOCIATE_RQ, ABORT = 0x01, 0x07
"""PDU types (PS3.8 9.3.2 and 9.3.8)."""

PDU_HEAD = struct.Struct(">BxL")
"""PDU type, a reserved byte, PDU length (PS3.8 9.3.1)."""

MAX_REQUEST_BYTES = 262_144
"""A longer A-ASSOCIATE-RQ is none: 128 presentation contexts with 28 transfer syntaxes each, all with UIDs of
64 characters, fit in (PS3.8 9.3.2)."""

SERVICE_USER_ABORT = bytes([ABORT, 0, 0, 0, 0, 4, 0, 0, 0, 0])
"""An A-ABORT PDU: the answer to anything but an A-ASSOCIATE-RQ in state 2 (PS3.8 table 9-10, AA-1; 9.3.8)."""

TLS_HANDSHAKE = 0x16
"""The first byte of whoever speaks TLS (RFC 8446 5.1)."""

_TLS_FAILURES = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate",
    "UNSUPPORTED_PROTOCOL": "it speaks only old versions of TLS",
    "VERSION_TOO_LOW": "it speaks only old versions of TLS",
    "NO_SHARED_CIPHER": "it has none of our cipher suites",
    "WRONG_VERSION_NUMBER": "it does not speak TLS on the port for TLS",
    "HTTP_REQUEST": "it does not speak TLS on the port for TLS",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know the authority of our certificate",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not take our certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not take our certificate",
}
"""What OpenSSL calls the failures that an admin meets most."""


class NotTakenError(Exception):
    """A peer that is not let in; the message says why, and is empty for one that only went away."""


@dataclass(frozen=True)
class Arrival:
    """A connection whose association request is here, whole and unanswered.

    Attributes:
        connection: The socket; it does not block.
        address: The peer's, as the socket tells it.
        request: The A-ASSOCIATE-RQ PDU, read from the socket.
    """

    connection: socket.socket
    address: tuple[Any, ...]
    request: bytes

    @property
    def calling_ae_title(self) -> str:
        """Who it says it is (PS3.8 table 9-11)."""
        return self.request[26:42].decode("ascii", "replace").strip()


@dataclass(eq=False)
class Caller:
    """Reads what a peer must bring, as far as it has come.

    Attributes:
        connection: Its socket; it does not block.
        address: As the socket tells it.
        deadline: When it is hung up on, on the clock of the porch.
        tls: Who may come in by TLS; None: it need not speak it.
    """

    connection: socket.socket
    address: tuple[Any, ...]
    deadline: float
    tls: ServerTls | None
    request: bytearray = field(default_factory=bytearray)
    _is_secured: bool = False

    def proceed(self) -> int:
        """Go on; return what the socket must be ready for before the next step, 0 when the request is whole.

        Raises:
            NotTakenError: It is not let in, or has gone.
        """
        try:
            self._secure()
            while missing := self._missing():
                self._read(missing)
        except (ssl.SSLWantReadError, BlockingIOError):
            return EVENT_READ
        except ssl.SSLWantWriteError:
            return EVENT_WRITE
        except ssl.SSLError as error:
            raise NotTakenError(_why(error)) from None
        except OSError:  # reset, or gone
            raise NotTakenError("") from None
        return 0

    def arrival(self) -> Arrival:
        """Return it with its request, once that is whole."""
        return Arrival(self.connection, self.address, bytes(self.request))

    def _secure(self) -> None:
        if self.tls is None or self._is_secured or not isinstance(self.connection, ssl.SSLSocket):
            return
        self.connection.do_handshake()
        self._is_secured = True
        if not self.tls.admits(self.connection.getpeercert(binary_form=True)):
            raise NotTakenError("the fingerprint of its certificate is not on the list")

    def _missing(self) -> int:
        """Return how many bytes of the request are still to come, as far as one can know."""
        if len(self.request) < PDU_HEAD.size:
            return PDU_HEAD.size - len(self.request)
        _kind, length = PDU_HEAD.unpack_from(self.request)
        if length > MAX_REQUEST_BYTES:
            raise NotTakenError("its association request is too long")
        return PDU_HEAD.size + int(length) - len(self.request)

    def _read(self, size: int) -> None:
        """Read at most so many bytes: what follows the request is not for us."""
        received = self.connection.recv(size)
        if not received:
            raise NotTakenError("")
        self.request += received
        if self.request[0] != ASSOCIATE_RQ:
            self._refuse_other_than_request(self.request[0])

    def _refuse_other_than_request(self, kind: int) -> None:
        if kind == ABORT:
            raise NotTakenError("")
        if kind == TLS_HANDSHAKE:
            raise NotTakenError("it speaks TLS on the port for DICOM without TLS")
        self.connection.send(SERVICE_USER_ABORT)
        raise NotTakenError("it does not begin with an association request")


def _why(error: ssl.SSLError) -> str:
    """Return in words why a handshake failed; empty where the peer only went away."""
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return ""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not good: {error.verify_message}"
    known = _TLS_FAILURES.get(error.reason or "")
    return known or f"the TLS handshake failed: {(error.reason or 'unknown').lower().replace('_', ' ')}"
