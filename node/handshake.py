"""Trying out a connection and its TLS handshake, and saying in words what is wrong with it."""

import socket
import ssl
from dataclasses import dataclass

CERT_NOT_YET_VALID, CERT_HAS_EXPIRED = 9, 10
SELF_SIGNED, SELF_SIGNED_IN_CHAIN, NO_ISSUER, NO_FIRST_ISSUER = 18, 19, 20, 21
HOSTNAME_MISMATCH, ADDRESS_MISMATCH = 62, 64
"""OpenSSL's X509_V_ERR_*, of <openssl/x509_vfy.h>."""

UNKNOWN_ISSUER = "is signed by an authority that is not among the trusted ones"
OTHER_NAME = "is for another name than the one in the settings"
CERTIFICATE_WORDS = {
    CERT_NOT_YET_VALID: "is not valid yet",
    CERT_HAS_EXPIRED: "has expired",
    SELF_SIGNED: "is signed by itself, and not among the trusted ones",
    SELF_SIGNED_IN_CHAIN: UNKNOWN_ISSUER,
    NO_ISSUER: UNKNOWN_ISSUER,
    NO_FIRST_ISSUER: UNKNOWN_ISSUER,
    HOSTNAME_MISMATCH: OTHER_NAME,
    ADDRESS_MISMATCH: OTHER_NAME,
}
"""What is wrong with a peer's certificate."""

ALERT_WORDS = {
    "CERTIFICATE_REQUIRED": "asks for a certificate of ours, and [tls] names none",
    "UNKNOWN_CA": "does not trust who signed our certificate",
    "BAD_CERTIFICATE": "does not accept our certificate",
    "CERTIFICATE_EXPIRED": "says that our certificate has expired",
    "CERTIFICATE_REVOKED": "says that our certificate is revoked",
    "CERTIFICATE_UNKNOWN": "does not accept our certificate",
    "ACCESS_DENIED": "does not let our certificate in",
    "HANDSHAKE_FAILURE": "has no cipher suite in common with us, or asks for a certificate of ours",
    "PROTOCOL_VERSION": "speaks no version of TLS that is safe (1.2 or 1.3)",
    "UNSUPPORTED_PROTOCOL": "speaks no version of TLS that is safe (1.2 or 1.3)",
    "NO_PROTOCOLS_AVAILABLE": "speaks no version of TLS that is safe (1.2 or 1.3)",
    "WRONG_VERSION_NUMBER": "does not speak TLS on this port",
    "RECORD_LAYER_FAILURE": "does not speak TLS on this port",
    "UNEXPECTED_EOF_WHILE_READING": "closed the connection during the TLS handshake; does it speak TLS?",
}
"""What a failed handshake means, by the end of OpenSSL's name for it (RFC 8446 6.2 for alerts)."""

ALERT_PREFIXES = ("TLSV13_ALERT_", "TLSV1_ALERT_", "SSLV3_ALERT_")

AFTERMATH_S = 0.5
"""A peer tells only after the handshake that it dislikes our certificate, in TLS 1.3 (RFC 8446 4.4.2.4)."""


@dataclass(frozen=True)
class Handshake:
    """How a TLS handshake went.

    Attributes:
        problem: What was wrong, in words; empty: nothing.
        version: Such as "TLSv1.3".
        certificate: The peer's, in DER form.
        is_distrusted: Whether the peer's certificate was not accepted.
    """

    problem: str
    version: str = ""
    certificate: bytes = b""
    is_distrusted: bool = False


def connection_problem(
    host: str, port: int, peer: str, timeout_s: float, context: ssl.SSLContext | None = None
) -> str:
    """Connect, shake hands, and return in words why that does not work; "" when it does.

    Args:
        host: Its name or address; with TLS its certificate must be for this.
        port: Its port.
        peer: What it is called in the words.
        timeout_s: How long each step may take.
        context: For TLS; None: a plain connection.
    """
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as plain:
            return "" if context is None else shaken_hands(plain, host, peer, context).problem
    except OSError as error:
        return f"no connection to {peer} ({error.strerror or error})"


def shaken_hands(plain: socket.socket, host: str, peer: str, context: ssl.SSLContext) -> Handshake:
    """Secure a connection, and return how that went; it is closed then. Arguments as above."""
    try:
        secured = context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLError as error:
        return Handshake(
            tls_words(error, peer), is_distrusted=isinstance(error, ssl.SSLCertVerificationError)
        )
    except TimeoutError:
        return Handshake(f"{peer} does not answer the TLS handshake; does it speak TLS on this port?")
    except OSError as error:
        return Handshake(
            f"{peer} broke off the TLS handshake ({error.strerror or error}); does it speak TLS?"
        )
    with secured:
        version, certificate = secured.version() or "", secured.getpeercert(binary_form=True) or b""
        return Handshake(_aftermath(secured, peer), version, certificate)


def _aftermath(secured: ssl.SSLSocket, peer: str) -> str:
    secured.settimeout(AFTERMATH_S)
    try:
        secured.recv(1)
    except ssl.SSLError as error:
        return tls_words(error, peer)
    except OSError:  # it waits for what we say, or it hung up without a word: the handshake went well
        return ""
    return ""


def tls_words(error: ssl.SSLError, peer: str) -> str:
    """Return in words why a handshake failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        fault = CERTIFICATE_WORDS.get(error.verify_code, f"is not accepted ({error.verify_message})")
        return f"the certificate of {peer} {fault}"
    reason = error.reason or "UNKNOWN"
    for prefix in ALERT_PREFIXES:
        reason = reason.removeprefix(prefix)
    words = ALERT_WORDS.get(reason)
    return f"{peer} {words}" if words else f"the TLS handshake with {peer} failed ({reason})"
