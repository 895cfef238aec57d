"""The doctor's first steps with every peer: its name, the connection, the TLS handshake."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from node.certificates import EXPIRES_SOON_DAYS, good_until, issuer_of
from node.doctor_steps import Finding, Task, failed, not_asked, passed
from node.errors import TlsError
from node.handshake import Handshake, shaken_hands

NOT_FOUND = "is the host in the settings right? This machine's name servers do not know it"
REFUSED = "nothing listens there: is the peer running, and is the port in the settings right?"
SILENT = "a firewall may drop it, or the host in the settings is another machine's: ask the network's admin"
NO_WAY = "this machine has no way there: ask the network's admin"
TRUST = "let [tls] authorities (a web destination: its authorities) name who signed it"
RENEWED = "the peer's admin needs a new certificate"
TLS_ADVICE = "is tls right in the settings, and the port the one for TLS? Else the peer's log says more"


class Line:
    """The way to one peer, tried from the name to the TLS handshake.

    Args:
        host: Its name or address.
        port: Its port.
        peer: What it is called in sentences.
        timeout_s: How long each step may take.
        context: Makes the TLS context; None: it is reached without TLS.
    """

    def __init__(
        self, host: str, port: int, peer: str, timeout_s: float, context: Callable[[], ssl.SSLContext] | None
    ) -> None:
        self._place = host, port
        self._peer = peer
        self._timeout_s = timeout_s
        self._context = context

    def tasks(self) -> tuple[Task, ...]:
        """Return the steps; each needs the one before."""
        return (
            Task("name resolution", self._resolve, is_needed=True),
            Task("TCP connection", self._connect, is_needed=True),
            Task("TLS", self._secure, is_needed=True),
        )

    def _resolve(self) -> Finding:
        host = self._place[0]
        try:
            found = socket.getaddrinfo(*self._place, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not a name"
            return failed(f"{host} has no address ({why or error})", NOT_FOUND)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        return passed("is an address already" if addresses == [host] else f"{host} is {', '.join(addresses)}")

    def _connect(self) -> Finding:
        try:
            with socket.create_connection(self._place, timeout=self._timeout_s) as connection:
                address = connection.getpeername()[0]
        except OSError as error:
            words = f"no connection to {self._peer} ({error.strerror or error})"
            return failed(words, _advice_on(error))
        return passed(f"{address} answers on port {self._place[1]}")

    def _secure(self) -> Finding:
        if self._context is None:
            return not_asked("the settings say that it is reached without TLS")
        try:
            context = self._context()
        except TlsError as error:
            return failed(f"[tls] {error}", "put the file right, or the setting that names it")
        try:
            with socket.create_connection(self._place, timeout=self._timeout_s) as plain:
                return self._judged(shaken_hands(plain, self._place[0], self._peer, context))
        except OSError as error:
            return failed(f"no connection to {self._peer} ({error.strerror or error})", _advice_on(error))

    def _judged(self, found: Handshake) -> Finding:
        if found.is_distrusted:
            shown = self._shown()
            advice = _certificate_advice(found)
            return failed(found.problem, f"{advice}; it is {shown}" if shown else advice)
        if found.problem:
            return failed(found.problem, TLS_ADVICE)
        days = _days(found.certificate)
        soon = RENEWED if days is not None and days < EXPIRES_SOON_DAYS else ""
        return passed(
            f"{found.version.replace('v', ' ')}; its certificate is {_told(found.certificate)}", soon
        )

    def _shown(self) -> str:
        """Return what the certificate says that was not accepted, in words; empty where it is not shown."""
        with suppress(OSError, ValueError):
            shown = ssl.get_server_certificate(self._place, timeout=self._timeout_s)
            return _told(ssl.PEM_cert_to_DER_cert(shown))
        return ""


def _advice_on(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return REFUSED
    return SILENT if isinstance(error, TimeoutError) else NO_WAY


def _certificate_advice(found: Handshake) -> str:
    if "for another name" in found.problem:
        return "give host (a web destination: url) the name that stands in the certificate"
    return RENEWED if "expired" in found.problem else TRUST


def _days(certificate: bytes) -> int | None:
    with suppress(TlsError):
        return (good_until(certificate) - datetime.now(tz=UTC)).days
    return None


def _told(certificate: bytes) -> str:
    days, issuer = _days(certificate), issuer_of(certificate)
    signed = f"signed by {issuer!r}" if issuer else "signed by nobody who is named"
    if days is None:
        return signed
    return f"{signed}, good for {days} days" if days >= 0 else f"{signed}, expired {-days} days ago"
