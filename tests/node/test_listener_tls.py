"""DICOM over TLS: who comes in and who does not, with real certificates and real sockets."""

import io
import json
import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from config.network import TlsSettings
from node.implementation import Entity
from node.tls import client_context
from tests.authority import Authority, Identity

DEADLINE_S = 20.0
ASSOCIATE_AC = 0x02


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def modality(authority: Authority) -> Identity:
    return authority.identity("modality")


@pytest.fixture
def run_tls(run: Any, authority: Authority) -> Callable[..., Any]:
    """A function that starts a listener with a certificate; "tls" holds more of `[tls]`."""
    own = authority.identity("node")

    def start(tls: dict[str, Any] | None = None, **settings: Any) -> Any:
        return run(tls=own.settings(authority, **(tls or {})), **settings)

    return start


def shown_by(authority: Authority, identity: Identity | None) -> ssl.SSLContext:
    """Return how a peer with this identity calls a node whose authority it trusts."""
    if identity is None:
        return client_context(TlsSettings(authorities=str(authority.file)))
    return client_context(identity.settings(authority))


def request() -> bytes:
    """Return an A-ASSOCIATE-RQ PDU that asks for Verification."""
    ae = Entity("MODALITY")
    ae.add_requested_context(Verification)
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "MODALITY", "PAXNODE"
    primitive.presentation_context_definition_list = ae.requested_contexts
    ae.requested_contexts[0].context_id = 1
    primitive.maximum_length_received = 16_384
    primitive.implementation_class_uid = ae.implementation_class_uid
    return A_ASSOCIATE_RQ(primitive).encode()


def first_byte(peer: socket.socket) -> int | None:
    """Return the first byte of the answer, None when the connection was closed."""
    try:
        answer = peer.recv(1)
    except OSError:
        return None
    return answer[0] if answer else None


def connection_to(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), DEADLINE_S)


def reasons(lines: io.StringIO) -> list[str]:
    """Return why peers were refused, once that is logged: they learn of it a moment before."""
    until = time.monotonic() + DEADLINE_S
    while "connection refused" not in lines.getvalue() and time.monotonic() < until:
        time.sleep(0.005)
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line["reason"] for line in told if line["event"] == "connection refused"]


# ---- who comes in


def test_object_comes_by_tls_from_a_peer_that_shows_its_certificate(
    run_tls: Any, make_dx: Any, authority: Authority, modality: Identity
) -> None:
    node, dataset = run_tls(), make_dx(512, 512)
    with node.association(secured=shown_by(authority, modality)) as association:
        assert association.send_c_store(dataset).Status == 0x0000

    assert node.job().sop_instance_uid == dataset.SOPInstanceUID
    assert node.answers_echo(), "the port without TLS stays open"


def test_fingerprint_on_the_list_comes_in_and_another_does_not(
    run_tls: Any, authority: Authority, modality: Identity, lines: io.StringIO
) -> None:
    node = run_tls({"client_fingerprints": (modality.fingerprint,)})

    assert node.answers_echo(shown_by(authority, modality))
    other = shown_by(authority, authority.identity("other"))
    assert not node.associate(secured=other).is_established
    assert reasons(lines) == ["the fingerprint of its certificate is not on the list"]


def test_without_client_certificates_anybody_comes_in(run_tls: Any, authority: Authority) -> None:
    assert run_tls({"client_certificates": "none"}).answers_echo(shown_by(authority, None))


def test_only_tls_leaves_the_other_port_closed(
    run_tls: Any, authority: Authority, modality: Identity
) -> None:
    node = run_tls({"only": True})

    assert node.listener.port == 0
    assert node.answers_echo(shown_by(authority, modality))


# ---- who does not


def test_peer_without_a_certificate_is_refused_by_name(
    run_tls: Any, authority: Authority, lines: io.StringIO
) -> None:
    node = run_tls()

    assert not node.associate(secured=shown_by(authority, None)).is_established
    assert reasons(lines) == ["it showed no certificate"]
    assert node.listener.refusals == {"it showed no certificate": 1}


def test_certificate_of_another_authority_is_refused(
    run_tls: Any, authority: Authority, tmp_path: Path, lines: io.StringIO
) -> None:
    stranger = Authority(tmp_path / "strangers", "strangers").identity("stranger")

    assert not run_tls().associate(secured=shown_by(authority, stranger)).is_established
    [reason] = reasons(lines)
    assert reason.startswith("its certificate is not good: unable to get local issuer certificate")


def test_certificate_that_has_expired_is_refused(
    run_tls: Any, authority: Authority, lines: io.StringIO
) -> None:
    old = authority.identity("old", days=-3)

    assert not run_tls().associate(secured=shown_by(authority, old)).is_established
    assert reasons(lines) == ["its certificate is not good: certificate has expired"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_version_of_tls_is_refused(
    run_tls: Any, authority: Authority, modality: Identity, lines: io.StringIO
) -> None:
    old = shown_by(authority, modality)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 does not offer it otherwise

    with connection_to(run_tls().listener.tls_port) as peer, pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        old.wrap_socket(peer, server_hostname="127.0.0.1")
    assert reasons(lines) == ["it speaks only old versions of TLS"]


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"])
def test_suite_without_forward_secrecy_or_authenticated_encryption_is_refused(
    suite: str, run_tls: Any, authority: Authority, modality: Identity, lines: io.StringIO
) -> None:
    weak = shown_by(authority, modality)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers(suite)

    with connection_to(run_tls().listener.tls_port) as peer, pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        weak.wrap_socket(peer, server_hostname="127.0.0.1")
    assert reasons(lines) == ["it has none of our cipher suites"]


def test_bytes_without_tls_are_refused_on_the_port_for_tls(run_tls: Any, lines: io.StringIO) -> None:
    with connection_to(run_tls().listener.tls_port) as peer:
        peer.sendall(request())
        while first_byte(peer) is not None:
            pass  # an alert, and the end

    assert reasons(lines) == ["it does not speak TLS on the port for TLS"]


def test_tls_is_refused_on_the_port_without(run_tls: Any, authority: Authority, lines: io.StringIO) -> None:
    with connection_to(run_tls().listener.port) as peer, pytest.raises((ssl.SSLError, ConnectionError)):
        shown_by(authority, None).wrap_socket(peer, server_hostname="127.0.0.1")

    assert reasons(lines) == ["it speaks TLS on the port for DICOM without TLS"]


# ---- how bytes come


def test_half_open_handshakes_delay_nobody_and_end_in_time(
    run_tls: Any, authority: Authority, modality: Identity
) -> None:
    node = run_tls({"handshake_timeout_s": 3.0})
    half_open = [connection_to(node.listener.tls_port) for _ in range(20)]
    hello, context = ssl.MemoryBIO(), shown_by(authority, modality)
    client = context.wrap_bio(ssl.MemoryBIO(), hello, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    half = hello.read()[:100]
    for peer in half_open:
        peer.sendall(half)

    assert node.answers_echo(context)
    for peer in half_open:
        assert first_byte(peer) is None
        peer.close()


def test_request_in_single_bytes_is_answered(run: Any) -> None:
    with connection_to(run().listener.port) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request():
            peer.sendall(bytes([byte]))
        assert first_byte(peer) == ASSOCIATE_AC


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda v: v.name)
@pytest.mark.parametrize("size", [1, 3, 70, 10_000], ids="records of {}".format)
def test_request_in_records_that_come_together_is_answered(
    size: int, version: ssl.TLSVersion, run_tls: Any, authority: Authority, modality: Identity
) -> None:
    context, content = shown_by(authority, modality), request()
    context.minimum_version = context.maximum_version = version
    with connection_to(run_tls().listener.tls_port) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)  # all records in as few segments as can be
        with context.wrap_socket(raw, server_hostname="127.0.0.1", do_handshake_on_connect=False) as peer:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
            peer.do_handshake()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            for begin in range(0, len(content), size):
                peer.sendall(content[begin : begin + size])
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
            assert first_byte(peer) == ASSOCIATE_AC


def test_longest_pdus_come_by_tls_whole(
    run_tls: Any, make_dx: Any, authority: Authority, modality: Identity
) -> None:
    node = run_tls(max_pdu=1_048_576)
    with node.association(secured=shown_by(authority, modality)) as association:
        sent = [association.send_c_store(make_dx(1024, 1024)).Status for _ in range(2)]

    assert sent == [0x0000, 0x0000]


# ---- new files


def replaced(old: Identity, new: Identity) -> None:
    """Put one's files in the other's place, each in one step."""
    os.replace(new.key, old.key)
    os.replace(new.certificate, old.certificate)


def certificate_of(port: int, context: ssl.SSLContext) -> bytes | None:
    with connection_to(port) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as peer:
        return peer.getpeercert(binary_form=True)


def test_new_certificate_is_used_without_a_restart(
    run: Any, authority: Authority, lines: io.StringIO
) -> None:
    own, new, context = authority.identity("own"), authority.identity("new"), shown_by(authority, None)
    port = run(tls=own.settings(authority, client_certificates="none")).listener.tls_port
    assert certificate_of(port, context) == own.der

    replaced(own, new)

    assert certificate_of(port, context) == new.der
    assert "new tls files are in use" in lines.getvalue()


@pytest.mark.parametrize("file", ["certificate", "key"])
def test_broken_new_file_leaves_the_ones_before_in_use_and_is_told_once(
    file: str, run: Any, authority: Authority, lines: io.StringIO
) -> None:
    own, context = authority.identity(f"own-{file}"), shown_by(authority, None)
    port = run(tls=own.settings(authority, client_certificates="none")).listener.tls_port
    broken = own.certificate if file == "certificate" else own.key

    broken.write_text("half a file")

    for _ in range(3):
        assert certificate_of(port, context) == own.der
    assert lines.getvalue().count("new tls files cannot be used") == 1
    assert f"{broken} holds no" in lines.getvalue()
    assert "PRIVATE" not in lines.getvalue()
