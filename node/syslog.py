"""Sending syslog messages, by UDP or TLS, from a thread of its own: a dead server never holds up the node.

RFC 5424 (format), RFC 5426 (UDP), RFC 5425 (TLS, octet counting); PS3.15 A.6 names both for audit messages.
"""

import errno
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from node.backoff import Backoff
from node.logs import get_logger

PRIORITY = 10 * 8 + 5
"""Facility 10 (security and authorization), severity 5 (notice): RFC 5424 6.2.1."""

MESSAGE_ID = "DICOM+RFC3881"
"""MSGID of audit messages (PS3.15 A.6)."""

APPLICATION_NAME = "paxnode"

MAX_WAITING = 1000
"""So many messages wait for the server; what comes beyond is dropped, counted and told in the log."""

TIMEOUT_S = 5.0
"""How long a connection or a message may take."""

CLOSE_S = 2.0
"""How long messages that wait may take when the node stops."""

BACKOFF = Backoff(first_s=0.5, longest_s=30.0)

log = get_logger()


def framed(message: str, at: datetime, host: str) -> bytes:
    """Return a message with its header (RFC 5424 6), in UTF-8 with a byte order mark."""
    moment = at.astimezone(UTC).isoformat(timespec="milliseconds")
    head = f"<{PRIORITY}>1 {moment} {host} {APPLICATION_NAME} {os.getpid()} {MESSAGE_ID} - "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + message.encode("utf-8")


class Wire(Protocol):
    """Carries framed messages to a server."""

    def send(self, message: bytes) -> None:
        """Send one message; OSError where that fails."""
        ...

    def close(self) -> None:
        """End the connection, if there is one."""
        ...


class UdpWire:
    """One datagram for a message (RFC 5426 3.1). Nobody hears whether it arrived."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port

    def send(self, message: bytes) -> None:
        """Send one message; OSError where the host is not known, or the message is too long."""
        family, kind, protocol, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sender:
            sender.sendto(message, address)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class TlsWire:
    """One connection for many messages, each after its length (RFC 5425 4.3).

    Args:
        host: The server; its certificate must be for this name.
        port: Its port.
        context: Makes the connection's context: when it is needed, so that new certificates are taken up.
    """

    def __init__(self, host: str, port: int, context: Callable[[], ssl.SSLContext]) -> None:
        self._address = host, port
        self._context = context
        self._socket: ssl.SSLSocket | None = None

    def send(self, message: bytes) -> None:
        """Send one message; OSError where that fails."""
        if self._socket is None or self._is_ended(self._socket):
            self.close()
            context = self._context()
            plain = socket.create_connection(self._address, TIMEOUT_S)
            self._socket = context.wrap_socket(plain, server_hostname=self._address[0])
        self._socket.sendall(b"%d %s" % (len(message), message))

    @staticmethod
    def _is_ended(connection: ssl.SSLSocket) -> bool:
        """Return whether the server has hung up: what is sent then is lost without an error."""
        connection.settimeout(0.0)
        try:
            return connection.recv(1) == b""  # syslog servers say nothing
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True
        finally:
            connection.settimeout(TIMEOUT_S)

    def close(self) -> None:
        """End the connection, if there is one."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()


def client_context(certificate: str, key: str, authorities: str) -> ssl.SSLContext:
    """Return what a TLS connection to a syslog server is made with: TLS 1.2 at least (PS3.15 B.12)."""
    context = ssl.create_default_context(cafile=authorities or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class SyslogQueue:
    """Messages that wait for their server, and the thread that sends them.

    Args:
        wire: How they travel.
        backoff: The waits after failures; what waits for the server is tried again.
    """

    def __init__(self, wire: Wire, backoff: Backoff = BACKOFF) -> None:
        self._wire = wire
        self._backoff = backoff
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._closing = threading.Event()
        self._dropped = 0
        self._told = False
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """How many messages were given up."""
        return self._dropped

    def put(self, message: bytes) -> None:
        """Let a message be sent; never waits and never fails."""
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._dropped += 1
            if not self._told:
                self._told = True
                log.warning("audit messages are dropped, the syslog server does not take them")

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Send what waits for as long as given, give up the rest, and say how many were."""
        self.put_end()
        self._thread.join(timeout_s)
        self._closing.set()
        self._thread.join(TIMEOUT_S)
        left = sum(self._waiting.get_nowait() is not None for _ in range(self._waiting.qsize()))
        self._dropped += left
        if self._dropped:
            log.warning("audit messages were dropped", count=self._dropped)

    def put_end(self) -> None:
        """Let the thread end after what waits."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self._closing.set()

    def _run(self) -> None:
        while not self._closing.is_set() and (message := self._waiting.get()) is not None:
            self._deliver(message)
        self._wire.close()

    def _deliver(self, message: bytes) -> None:
        failures = 0
        while True:
            try:
                self._wire.send(message)
            except (OSError, ValueError) as error:
                self._wire.close()
                if getattr(error, "errno", None) == errno.EMSGSIZE:  # it will never fit into a datagram
                    self._dropped += 1
                    log.warning(
                        "an audit message is too long for a datagram, it is dropped", bytes=len(message)
                    )
                    return
                failures += 1
                if failures == 1:
                    log.warning("the syslog server cannot be reached", error=type(error).__name__)
                if self._closing.wait(self._backoff.delay_s(failures)):
                    self._dropped += 1
                    return
            else:
                self._tell_recovery(failures)
                return

    def _tell_recovery(self, failures: int) -> None:
        if failures:
            log.info("the syslog server is reached again", count=self._dropped)
        if self._told and self._waiting.qsize() < MAX_WAITING // 2:
            self._told = False
