"""Contexts for DICOM over TLS, made from `[tls]`: versions, cipher suites, certificates, authorities.

PS3.15 B.12 (BCP 195 TLS Secure Transport Connection Profile, RFC 8996 and RFC 9325).
"""

import ssl
import stat
from pathlib import Path

from config.network import TlsSettings
from node.errors import TlsError

CIPHER_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only (RFC 9325 4.2); of TLS 1.3 all are such."""

LARGEST_FILE = 4_000_000
"""Bytes of a file of certificates; those that systems trust, all in one, have 0.25 million."""

OPTIONS = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
"""No compression (RFC 9325 3.3), no renegotiation (3.5), no tickets that outlive a certificate (3.4)."""


def client_context(tls: TlsSettings, authorities: str | None = None) -> ssl.SSLContext:
    """Return what a destination is called with; the name it is called by must stand in its certificate.

    Args:
        tls: Whose certificate is shown to a peer that asks for one, where there is one.
        authorities: A PEM file of those that sign the peer's certificate; "": those of the system; None:
            those in `tls`, and those of the system where it names none.

    Raises:
        TlsError: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    trusted = tls.authorities if authorities is None else authorities
    if trusted:
        _trust(context, Path(trusted))
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if tls.certificate:
        _identify(context, Path(tls.certificate), Path(tls.key))
    return context


def server_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return what those that connect are answered with.

    Raises:
        TlsError: A file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    context.num_tickets = 0  # of TLS 1.3, which OP_NO_TICKET leaves
    _identify(context, Path(tls.certificate), Path(tls.key))
    if tls.client_certificates == "required":
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, Path(tls.authorities))
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHER_SUITES)
    context.options |= OPTIONS


def _trust(context: ssl.SSLContext, authorities: Path) -> None:
    _content(authorities, "authorities")
    try:
        context.load_verify_locations(authorities)
    except OSError:  # ssl.SSLError is one
        raise TlsError(f"'authorities' {authorities} holds no certificate in PEM form") from None


def _identify(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Load a certificate with its chain, and its key."""
    contents = _content(certificate, "certificate"), _content(key, "key")
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except _PasswordNeeded:
        raise TlsError(f"'key' {key} needs a password: give one without (openssl pkey -in ...)") from None
    except OSError as error:  # ssl.SSLError is one; its text may quote a file
        reason = getattr(error, "reason", "") or error.strerror or "damaged"
        raise TlsError(_why_not(reason, (certificate, key), contents)) from None


def _why_not(reason: str, files: tuple[Path, Path], contents: tuple[bytes, bytes]) -> str:
    certificate, key = files
    if reason == "KEY_VALUES_MISMATCH":
        return f"'key' {key} is not the key of 'certificate' {certificate}"
    if reason in {"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"}:
        return f"'certificate' {certificate} is too weak: RSA of at least 2048 bits, signed with SHA-256"
    if b"-----BEGIN CERTIFICATE-----" not in contents[0]:
        return f"'certificate' {certificate} holds no certificate in PEM form"
    if b"PRIVATE KEY-----" not in contents[1]:
        return f"'key' {key} holds no private key in PEM form"
    return f"'certificate' {certificate} and 'key' {key} cannot be used ({reason})"


def _content(path: Path, setting: str) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading another thing may never end
            raise TlsError(f"'{setting}' {path} is no file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise TlsError(f"'{setting}' {path} cannot be read: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise TlsError(f"'{setting}' {path} has more than {LARGEST_FILE} bytes: it holds no certificates")
    return content


class _PasswordNeeded(Exception):  # noqa: N818 - never leaves this module
    """OpenSSL asks for the password of a key."""


def _no_password() -> str:
    raise _PasswordNeeded
