"""What the node reads in a certificate: its fingerprint, and until when it is good (RFC 5280 4.1).

Python's `ssl` tells neither of a certificate of one's own, and a library for certificates would be another
thing to keep up to date; the two dates stand at the same place in every certificate.
"""

import hashlib
import re
import ssl
from datetime import UTC, datetime
from pathlib import Path

from node.errors import TlsError

EXPIRES_SOON_DAYS = 30
"""With fewer days left than this an admin is warned: time enough to have a certificate signed by hand."""

UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
"""How dates before and after 2050 are written (RFC 5280 4.1.2.5)."""

COMMON_NAME, ORGANISATION = bytes.fromhex("0603550403"), bytes.fromhex("060355040a")
"""The attributes of a name that people know it by, as they are encoded: 2.5.4.3 and 2.5.4.10 (X.520)."""

VERSION = 0xA0
"""The tag of the version, which comes before the serial number or is left out (RFC 5280 4.1)."""

_FIRST_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def fingerprint(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate in DER form, in 64 small hexadecimal digits."""
    return hashlib.sha256(certificate).hexdigest()


def first_in(file: Path) -> bytes:
    """Return the first certificate of a PEM file in DER form: its owner's, those of authorities follow.

    Raises:
        TlsError: There is none.
    """
    try:
        found = _FIRST_CERTIFICATE.search(file.read_text("ascii", "replace"))
        return ssl.PEM_cert_to_DER_cert(found[0] if found else "")
    except (OSError, ValueError) as error:
        raise TlsError(f"{file} holds no certificate in PEM form") from error


def good_until(certificate: bytes) -> datetime:
    """Return the last moment at which a certificate in DER form is good (notAfter, RFC 5280 4.1.2.5).

    Raises:
        TlsError: The bytes are no certificate.
    """
    try:
        return _not_after(certificate)
    except (IndexError, ValueError, UnicodeDecodeError) as error:
        raise TlsError("a certificate has no validity that can be read") from error


def days_left(file: Path, now: datetime) -> int:
    """Return for how many whole days the certificate of a PEM file is still good; below 0: it has expired.

    Raises:
        TlsError: The file holds no certificate that can be read.
    """
    return (good_until(first_in(file)) - now).days


def issuer_of(certificate: bytes) -> str:
    """Return who signed a certificate in DER form: the common name, else the organisation; "": none is told.

    Source: RFC 5280 4.1.2.4.
    """
    try:
        begin = _issuer(certificate)
        name = certificate[begin : _content(certificate, begin)[2]]
        for attribute in (COMMON_NAME, ORGANISATION):
            _before, found, after = name.rpartition(attribute)
            if found:
                _tag, start, end = _content(after, 0)
                return "".join(
                    each for each in after[start:end].decode("utf-8", "replace") if each.isprintable()
                )
    except (IndexError, ValueError):
        pass
    return ""


def _issuer(certificate: bytes) -> int:
    """Return where the name of who signed begins (RFC 5280 4.1)."""
    to_be_signed = _content(certificate, _content(certificate, 0)[1])[1]
    at = to_be_signed if certificate[to_be_signed] != VERSION else _content(certificate, to_be_signed)[2]
    for _field in ("serial number", "signature"):
        at = _content(certificate, at)[2]
    return at


def _not_after(certificate: bytes) -> datetime:
    not_before = _content(certificate, _content(certificate, _issuer(certificate))[2])[1]
    tag, begin, end = _content(certificate, _content(certificate, not_before)[2])
    text = certificate[begin:end].decode("ascii")
    if tag == UTC_TIME:
        text = ("19" if text >= "50" else "20") + text
    elif tag != GENERALIZED_TIME:
        raise ValueError(f"a date with the tag 0x{tag:02X}")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _content(encoded: bytes, at: int) -> tuple[int, int, int]:
    """Return an element's tag, and where its content begins and ends (X.690 8.1)."""
    tag, length, begin = encoded[at], encoded[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        begin += size
        length = int.from_bytes(encoded[at + 2 : begin], "big")
    if begin + length > len(encoded):
        raise ValueError("an element that is longer than what holds it")
    return tag, begin, begin + length
