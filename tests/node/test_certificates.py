"""What is read in a certificate agrees with what a library for certificates reads."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from node.certificates import days_left, fingerprint, first_in, good_until
from node.errors import TlsError
from node.server_tls import ServerTls
from tests.authority import Authority


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize("days", [-100, 1, 100, 30_000], ids=["expired", "today", "soon", "after 2050"])
def test_validity_and_fingerprint_are_those_of_the_certificate(days: int, authority: Authority) -> None:
    identity = authority.identity(f"of {days} days", days)
    read = x509.load_der_x509_certificate(identity.der)

    assert first_in(identity.certificate) == identity.der
    assert good_until(identity.der) == read.not_valid_after_utc
    assert days_left(identity.certificate, datetime.now(tz=UTC)) == days
    assert fingerprint(identity.der) == read.fingerprint(hashes.SHA256()).hex()


def test_first_certificate_of_a_chain_counts(authority: Authority, tmp_path: Path) -> None:
    own, chain = authority.identity("own"), tmp_path / "chain.pem"
    chain.write_bytes(own.certificate.read_bytes() + authority.file.read_bytes())

    assert first_in(chain) == own.der


@pytest.mark.parametrize("length", [0, 1, 2, 10, 50, 100, 150])
def test_bytes_that_are_no_certificate_are_told(length: int, authority: Authority) -> None:
    with pytest.raises(TlsError, match="no validity"):
        good_until(authority.identity("cut").der[:length])


@pytest.mark.parametrize(
    ("days", "event"),
    [(-3, "the tls certificate has expired"), (20, "the tls certificate expires soon"), (40, None)],
)
def test_days_left_are_told_once_a_day_when_they_are_few(
    days: int, event: str | None, authority: Authority, lines: io.StringIO
) -> None:
    now = [datetime.now(tz=UTC)]
    tls = ServerTls(authority.identity(f"for {days}", days).settings(authority), lambda: now[0])
    tls.current()
    now[0] += timedelta(days=1)
    tls.current()

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    wanted = [(event, days), (event, days - 1)] if event else []
    assert [(line["event"], line["days_left"]) for line in told] == wanted
