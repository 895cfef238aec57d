"""Messages reach real syslog servers by UDP and TLS, and a dead one holds up nobody."""

import io
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from node.backoff import Backoff
from node.syslog import MAX_WAITING, SyslogQueue, TlsWire, UdpWire, client_context, framed

AT = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
HEADER = re.compile(rb"<85>1 2025-01-02T03:04:05\.000\+00:00 host paxnode \d+ DICOM\+RFC3881 - \xef\xbb\xbf")
AT_ONCE = Backoff(first_s=0.01, longest_s=0.01)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "syslog.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(*encoding))
    return str(pem), str(private)


class TlsServer:
    """Takes connections and keeps what comes, one after the other."""

    def __init__(self, certificate: tuple[str, str], port: int = 0) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        self.content = b""
        self.connections: list[ssl.SSLSocket] = []
        self._readers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._socket.accept()
                connection = self._context.wrap_socket(plain, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self.connections.append(connection)
            self._readers.append(threading.Thread(target=self._read, args=(connection,), daemon=True))
            self._readers[-1].start()

    def _read(self, connection: ssl.SSLSocket) -> None:
        try:
            while piece := connection.recv(65536):
                self.content += piece
        except OSError:
            return

    def hang_up(self) -> None:
        for connection in self.connections:
            connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)
        for reader, connection in zip(self._readers, self.connections, strict=True):
            reader.join(5)
            connection.close()


@pytest.fixture
def tls_server(certificate: tuple[str, str]) -> Iterator[TlsServer]:
    server = TlsServer(certificate)
    yield server
    server.close()


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def test_message_has_the_header_of_rfc_5424_and_a_byte_order_mark() -> None:
    message = framed("<AuditMessage name='Müller'/>", AT, "host")

    found = HEADER.match(message)
    assert found is not None
    assert message[found.end() :].decode("utf-8") == "<AuditMessage name='Müller'/>"


def test_udp_carries_one_message_in_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        queue = SyslogQueue(UdpWire("127.0.0.1", server.getsockname()[1]))
        queue.put(b"first")
        queue.put(b"second")
        queue.close()

        assert [server.recv(65536) for _ in range(2)] == [b"first", b"second"]
    assert queue.dropped == 0


def test_message_that_no_datagram_holds_is_dropped_and_stops_no_other(lines: io.StringIO) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        queue = SyslogQueue(UdpWire("127.0.0.1", server.getsockname()[1]))
        queue.put(b"x" * 70_000)
        queue.put(b"second")
        queue.close()

        assert server.recv(65536) == b"second"
    assert queue.dropped == 1
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["bytes"] for line in told if "too long" in line["event"]] == [70_000]


def test_tls_counts_the_octets_of_each_message(tls_server: TlsServer, certificate: tuple[str, str]) -> None:
    queue = SyslogQueue(TlsWire("127.0.0.1", tls_server.port, lambda: client_context("", "", certificate[0])))
    queue.put(b"first")
    queue.put(b"second one")
    queue.close()

    assert until(lambda: tls_server.content == b"5 first10 second one")
    assert len(tls_server.connections) == 1


def test_connection_that_broke_is_made_again(tls_server: TlsServer, certificate: tuple[str, str]) -> None:
    wire = TlsWire("127.0.0.1", tls_server.port, lambda: client_context("", "", certificate[0]))
    queue = SyslogQueue(wire, AT_ONCE)
    queue.put(b"first")
    assert until(lambda: tls_server.content == b"5 first")
    tls_server.hang_up()
    queue.put(b"second")

    assert until(lambda: tls_server.content == b"5 first6 second")
    queue.close()


def test_server_with_a_certificate_of_a_stranger_gets_nothing(tls_server: TlsServer) -> None:
    queue = SyslogQueue(TlsWire("127.0.0.1", tls_server.port, lambda: client_context("", "", "")), AT_ONCE)
    queue.put(b"first")
    queue.close(timeout_s=0.2)

    assert (tls_server.content, queue.dropped) == (b"", 1)


class Dead:
    """A server that takes nothing until it is told to."""

    def __init__(self) -> None:
        self.alive = threading.Event()
        self.taken: list[bytes] = []

    def send(self, message: bytes) -> None:
        if not self.alive.is_set():
            raise ConnectionRefusedError
        self.taken.append(message)

    def close(self) -> None:
        pass


def test_dead_server_holds_up_nobody_and_what_is_dropped_is_told(lines: io.StringIO) -> None:
    wire = Dead()
    queue = SyslogQueue(wire, AT_ONCE)
    began = time.monotonic()
    for _ in range(MAX_WAITING + 50):
        queue.put(b"a message")
    assert time.monotonic() - began < 2
    assert 49 <= queue.dropped <= 50  # one is in the thread's hand
    wire.alive.set()
    assert until(lambda: len(wire.taken) + queue.dropped == MAX_WAITING + 50)
    queue.close()

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [line["event"] for line in told].count(
        "audit messages are dropped, the syslog server does not take them"
    ) == 1
    assert told[-1]["event"] == "audit messages were dropped"
    assert told[-1]["count"] == queue.dropped


def test_dead_server_does_not_keep_the_node_from_stopping() -> None:
    queue = SyslogQueue(Dead(), AT_ONCE)
    for _ in range(MAX_WAITING):
        queue.put(b"a message")
    began = time.monotonic()
    queue.close(timeout_s=0.1)

    assert time.monotonic() - began < 5
    assert queue.dropped == MAX_WAITING
