"""The node's side of TLS: which context answers a connection, renewed with its files, and who is let in."""

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from config.network import TlsSettings
from node.certificates import EXPIRES_SOON_DAYS, days_left, fingerprint
from node.errors import TlsError
from node.logs import get_logger
from node.tls import server_context

log = get_logger()

_Stamp = tuple[tuple[int, int, int] | None, ...]


class ServerTls:
    """Holds the context that connections are answered with.

    Args:
        tls: `[tls]`, with a certificate.
        today: Tells the time.

    Raises:
        TlsError: A file cannot be used.
    """

    def __init__(
        self, tls: TlsSettings, today: Callable[[], datetime] = lambda: datetime.now(tz=UTC)
    ) -> None:
        self._tls = tls
        self._today = today
        self._stamp = self._stamp_now()
        self._context = server_context(tls)
        self._told = ""
        self._tell_days_left()

    def current(self) -> ssl.SSLContext:
        """Return the context of the files as they are now; of those before where a new one cannot be used."""
        stamp = self._stamp_now()
        if stamp != self._stamp:
            self._stamp = stamp
            self._renew()
        self._tell_days_left()
        return self._context

    def admits(self, certificate: bytes | None) -> bool:
        """Return whether a peer with this certificate (DER) may connect."""
        allowed = self._tls.client_fingerprints
        return not allowed or (certificate is not None and fingerprint(certificate) in allowed)

    def _renew(self) -> None:
        try:
            self._context = server_context(self._tls)
        except TlsError as error:
            log.error("new tls files cannot be used: the ones before stay", reason=_for_log(error))
        else:
            log.info("new tls files are in use")
            self._told = ""

    def _tell_days_left(self) -> None:
        """Say once a day when the certificate is about to expire, or has."""
        today = self._today()
        if self._told == today.date().isoformat():
            return
        self._told = today.date().isoformat()
        try:
            days = days_left(Path(self._tls.certificate), today)
        except TlsError:  # a broken new file: told when it came
            return
        if days < 0:
            log.error("the tls certificate has expired", days_left=days)
        elif days < EXPIRES_SOON_DAYS:
            log.warning("the tls certificate expires soon", days_left=days)

    def _stamp_now(self) -> _Stamp:
        """Return what changes when a file is replaced or written."""
        return tuple(
            _stamp(Path(name))
            for name in (self._tls.certificate, self._tls.key, self._tls.authorities)
            if name
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _for_log(error: TlsError) -> str:
    """Return the sentence as the log admits it: without quotes, whose text would be hidden."""
    return str(error).replace("'", "")[:300]
