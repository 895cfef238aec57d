"""A certification authority for tests: real keys, real certificates, made in a moment."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.network import TlsSettings
from node.certificates import fingerprint


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, in PEM files."""

    certificate: Path
    key: Path
    der: bytes

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.der)

    def settings(self, authority: "Authority", **more: Any) -> TlsSettings:
        """Return `[tls]` for whoever has this identity and trusts the authority; the port is a free one."""
        values: dict[str, Any] = {"certificate": str(self.certificate), "key": str(self.key), "port": 0}
        return TlsSettings(**(values | {"authorities": str(authority.file)} | more))


class Authority:
    """Signs certificates for 127.0.0.1 and localhost; its own is in `file`."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(self._name, self._key, days=100, ca=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(certificate))

    def identity(self, name: str, days: int = 100) -> Identity:
        """Make files for somebody; with negative days they have expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(_name(name), key, days, ca=False)
        files = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        files[0].write_bytes(_pem(certificate))
        files[1].write_bytes(key_pem(key))
        return Identity(*files, certificate.public_bytes(serialization.Encoding.DER))

    def _certificate(self, subject: x509.Name, key: Any, days: int, *, ca: bool) -> x509.Certificate:
        now = datetime.now(tz=UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=200))
            .not_valid_after(now + timedelta(days=days, hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            names = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    """Return a private key in PEM form."""
    protection: Any = serialization.NoEncryption()
    if password is not None:
        protection = serialization.BestAvailableEncryption(password)
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection))


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
