"""A crowd at the door: peers that connect and say nothing, that stop within a TLS handshake, that only probe.

A node runs as a process of its own and takes images from a sender by DICOM without TLS and over TLS. The time
for an image is compared with the time while as many silent connections and half-open handshakes as asked for
are held open. Afterwards ten times as many probes connect and close; threads and memory of the node are read
before and after.

    python -m tests.faults.crowd --size 1000
"""

import random
import resource
import selectors
import socket
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset, dcmread
from rich.console import Console

from node.connections import mend_sockets
from node.implementation import Entity
from node.tls import client_context
from tests.authority import Authority
from tests.faults.command import run_proof
from tests.faults.count import Count
from tests.faults.parts import HOST, NodeProcess, free_port, until_it_listens, write_images

SENDS = 15
"""Images in each series; of their times the median counts."""

WITHIN = 2.0
"""A send may take so many times as long while the crowd is there."""

PROBES = 10
"""Probes for each silent connection."""

LONGEST_GROWTH_MB = 8.0
"""What memory may differ by before and after the probes: the allocator keeps some; a leak of 1 kB for each of
10 000 probes would be 10 MB."""

SPARE_FILES = 200
"""Files of the process beside its connections."""

PATIENCE_S = 600
"""The node's patience with a handshake: the crowd stays as long as it is measured."""

SETTINGS = """
[web]
enabled = false

[node]
host = "{host}"
port = {port}
data_dir = "{folder}/data"
disk_reserve_mb = 0
network_timeout_s = {patience_s}
[model]
bundle = "stand-in"
[tls]
certificate = "{certificate}"
key = "{key}"
authorities = "{authorities}"
port = {tls_port}
handshake_timeout_s = {patience_s}
"""


class Sender:
    """Sends one image after the other, each in an association of its own, and takes the time.

    Args:
        images: DICOM files.
        ports: Of the node, without TLS and with it.
        context: What it shows over TLS.
    """

    def __init__(self, images: list[Path], ports: tuple[int, int], context: ssl.SSLContext) -> None:
        self._images = iter(images)
        self._ports = ports
        self._context = context
        self.lost = 0

    def medians_s(self) -> tuple[float, float]:
        """Return the median time of an image without TLS and with it, in seconds."""
        plain, secured = [], []
        for _ in range(SENDS):
            plain.append(self._seconds(dcmread(next(self._images)), self._ports[0], None))
            secured.append(self._seconds(dcmread(next(self._images)), self._ports[1], self._context))
        return statistics.median(plain), statistics.median(secured)

    def _seconds(self, dataset: Dataset, port: int, context: ssl.SSLContext | None) -> float:
        ae = Entity("MODALITY")
        ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        begun = time.monotonic()
        tls_args = (context, HOST) if context else None
        association = ae.associate(HOST, port, ae_title="PAXNODE", tls_args=tls_args)
        taken = association.is_established and association.send_c_store(dataset).get("Status") == 0x0000
        seconds = time.monotonic() - begun
        association.release()
        self.lost += not taken
        return seconds


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Return what a crowd of `size` silent and `size` half-open connections does to a node.

    Args:
        size: Connections of each kind.
        seed: Where the handshakes stop.
        console: Where progress is told.
    """
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    mend_sockets()  # the sender's descriptors come after those of the crowd, beyond what `select` knows
    if 2 * size + SPARE_FILES > most:
        raise SystemExit(f"{2 * size} connections need more files than this process may open ({most})")
    with tempfile.TemporaryDirectory() as scratch, running_node(Path(scratch)) as (node, sender, ports):
        usual = sender.medians_s()
        console.print(f"alone: {usual[0]:.3f} s, over TLS {usual[1]:.3f} s for an image")
        with crowd(size, ports, random.Random(seed)) as connections:
            console.print(f"{len(connections)} connections are open")
            threads_in_crowd = threads_of(node.pid)
            crowded = sender.medians_s()
            held = sum(map(is_open, connections))
        settle(lambda: threads_of(node.pid))
        before = threads_of(node.pid), memory_mb_of(node.pid)
        probe(PROBES * size, ports)
        settle(lambda: threads_of(node.pid))
        after = threads_of(node.pid), memory_mb_of(node.pid)
        still = sender.medians_s()
    return [
        Count.equal("silent and half-open connections held to the end", held, 2 * size),
        Count.equal("threads of the node more than without the crowd", threads_in_crowd - before[0], 0),
        _not_slower("an image, s", crowded[0], usual[0]),
        _not_slower("an image over TLS, s", crowded[1], usual[1]),
        Count(f"threads after {PROBES * size} probes", after[0], f"{before[0]}", after[0] == before[0]),
        Count(
            "memory after the probes more than before, MB",
            round(after[1] - before[1], 1),
            f"at most {LONGEST_GROWTH_MB:g}",
            after[1] - before[1] <= LONGEST_GROWTH_MB,
        ),
        _not_slower("an image after the probes, s", still[0], usual[0]),
        Count.none("images not taken", sender.lost),
    ]


def _not_slower(what: str, found: float, usual: float) -> Count:
    wanted = f"at most {WITHIN:g} x {usual:.3f}"
    return Count(what, round(found, 3), wanted, found <= WITHIN * usual)


@contextmanager
def running_node(folder: Path) -> Iterator[tuple[NodeProcess, Sender, tuple[int, int]]]:
    """Run a node without a destination; give its process, a sender, and its ports without TLS and with it."""
    authority, ports = Authority(folder), (free_port(), free_port())
    own, modality = authority.identity("node"), authority.identity("modality")
    config = folder / "node.toml"
    files = {"certificate": own.certificate, "key": own.key, "authorities": authority.file}
    values = {"host": HOST, "port": ports[0], "tls_port": ports[1], "folder": folder}
    config.write_text(SETTINGS.format(**values, **files, patience_s=PATIENCE_S))
    images = write_images(folder / "images", 6 * SENDS + 2)
    node = NodeProcess(config, folder / "node.log")
    try:
        if not all(map(until_it_listens, ports)):
            raise SystemExit("the node did not start: " + (folder / "node.log").read_text()[-500:])
        yield node, Sender(images, ports, client_context(modality.settings(authority))), ports
    finally:
        node.stop()


@contextmanager
def crowd(size: int, ports: tuple[int, int], chance: random.Random) -> Iterator[list[socket.socket]]:
    """Hold connections open: `size` that say nothing, and `size` that stop somewhere in their ClientHello."""
    hello = client_hello()
    connections = []
    for _ in range(size):
        connections.append(socket.create_connection((HOST, ports[0])))
        half_open = socket.create_connection((HOST, ports[1]))
        half_open.sendall(hello[: chance.randrange(1, len(hello))])
        connections.append(half_open)
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def client_hello() -> bytes:
    """Return the first message of a TLS client."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="node")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a server")


def is_open(connection: socket.socket) -> bool:
    """Return whether the node still holds a connection."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return not selector.select(0)


def probe(times: int, ports: tuple[int, int]) -> None:
    """Connect and close, as a load balancer does to see whether the port is open."""
    for number in range(times):
        socket.create_connection((HOST, ports[number % 2])).close()


def threads_of(pid: int) -> int:
    """Return how many threads a process has."""
    return _status_of(pid, "Threads")


def memory_mb_of(pid: int) -> float:
    """Return the resident memory of a process, in MB of 1000 x 1000 bytes."""
    return _status_of(pid, "VmRSS") * 1024 / 1e6


def _status_of(pid: int, key: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))


def settle(figure: Callable[[], int], steady_s: float = 2.0, longest_s: float = 60.0) -> None:
    """Wait until a figure has not changed for a while."""
    last, since, pause = figure(), time.monotonic(), threading.Event()
    until = since + longest_s
    while time.monotonic() < min(until, since + steady_s):
        pause.wait(0.05)
        if (now := figure()) != last:
            last, since = now, time.monotonic()


if __name__ == "__main__":
    run_proof(__doc__, prove, size=1000, size_means="connections of each kind")
