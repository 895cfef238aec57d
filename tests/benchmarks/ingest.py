"""Taking images in: the same sender against the node, Orthanc and storescp, and what disk and loopback allow.

All receivers listen at once and are sent to in turns, so that what else the machine does hits all of them.
What one of them left for the disk to do is written, or removed, before the next has its turn.
"""

import os
import resource
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from config.durable import sync_folder
from tests.benchmarks.figure import Figure, Spread
from tests.faults.parts import HOST
from tests.faults.receivers import RECEIVERS, Receiver, send, until_idle, written_images

if TYPE_CHECKING:
    from tests.benchmarks.run_bench import Bench

ASSOCIATIONS = (1, 4, 16)
REPEATS = 5
OURS, UNSYNCED = "paxnode", "storescp"
NEW_IDENTITY = ("+IR", "1", "+IS", "1")
"""Options of storescu: every image is one of a study of its own."""

REMARKS = {
    "Orthanc": "SyncStorageArea: it syncs the file",
    UNSYNCED: "it syncs nothing, and keeps no database",
    "disk": "write and fsync of the same bytes and their folder, as many threads",
    "loopback": "the same bytes through as many sockets, thrown away",
}
PIECE_BYTES = 1_048_576


@dataclass(frozen=True)
class Load:
    """Images of one size.

    Attributes:
        name: In the table.
        shape: Rows and columns, of 16 bits.
        each: So many are sent in each association of a turn.
    """

    name: str
    shape: tuple[int, int]
    each: int

    @property
    def size(self) -> int:
        """Bytes of the pixels of one."""
        return 2 * self.shape[0] * self.shape[1]


LOADS = (Load("6 MB", (2048, 1536), 8), Load("0.5 MB", (512, 512), 24))

SINGLES = 24
"""So many small images are sent in a turn, one after the other, each in an association of its own."""


@dataclass(frozen=True)
class Sending:
    """What is sent to each receiver in a turn.

    Attributes:
        load: Images.
        associations: At once.
        each: Images in each of them.
        rounds: So often one after the other, each time in new associations.
    """

    load: Load
    associations: int
    each: int
    rounds: int = 1

    @property
    def name(self) -> str:
        """In the table."""
        return f"{self.load.name}, {self.associations} at once" + (", one in each" if self.each == 1 else "")


@dataclass(frozen=True)
class Turn:
    """What one receiver did with the images of one turn.

    Attributes:
        rate: Images a second.
        receiver_ms: Of processors, per image; what the kernel does for the disk on its own is not in it.
        sender_ms: Likewise, of storescu, its start included.
    """

    rate: float
    receiver_ms: float
    sender_ms: float


def measure(bench: "Bench") -> list[Figure]:
    """Return images a second and processor time an image, for each size and number of associations."""
    sendings = [Sending(load, at_once, bench.of(load.each)) for load in LOADS for at_once in ASSOCIATIONS]
    sendings.append(Sending(LOADS[-1], 1, 1, bench.of(SINGLES)))
    return [figure for sending in sendings for figure in _measured(sending, bench.of(REPEATS))]


def _measured(sending: Sending, repeats: int) -> list[Figure]:
    """Send to everybody in turns, `repeats` times after once that warms up."""
    turns: dict[str, list[Turn]] = {name: [] for name in RECEIVERS}
    limits: dict[str, list[float]] = {"disk": [], "loopback": []}
    load, at_once, each = sending.load, sending.associations, sending.each * sending.rounds
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        images = sorted(written_images(folder / "images", at_once, load.shape).iterdir())
        opened = {name: stack.enter_context(made(folder / name)) for name, made in RECEIVERS.items()}
        until_idle(opened[OURS])
        for _ in range(repeats + 1):
            for name, receiver in opened.items():
                turns[name].append(_sent(receiver, images, sending))
                _settle(folder / UNSYNCED)
            limits["disk"].append(_disk_rate(folder / "disk", load.size, at_once, each))
            limits["loopback"].append(_loopback_rate(load.size, at_once, each))
    return _figures(sending.name, turns, limits)


def _figures(size: str, turns: dict[str, list[Turn]], limits: dict[str, list[float]]) -> list[Figure]:
    kept = {name: found[1:] for name, found in turns.items()}  # the first warms up
    rates = {name: Spread.of([turn.rate for turn in found]) for name, found in kept.items()}
    rates |= {name: Spread.of(found[1:]) for name, found in limits.items()}
    needs = {name: Spread.of([turn.receiver_ms for turn in found]) for name, found in kept.items()}
    sender = Spread.of([turn.sender_ms for turn in kept[OURS]]).median
    beside = f"storescu needs {sender:.0f} ms an image"
    return [
        *(
            Figure("ingest", "images", size, "1/s", rates[OURS], name, rates[name], REMARKS[name])
            for name in rates
            if name != OURS
        ),
        *(
            Figure("ingest", "processors, an image", size, "ms", needs[OURS], name, needs[name], beside)
            for name in needs
            if name != OURS
        ),
    ]


def _sent(receiver: Receiver, images: Sequence[Path], sending: Sending) -> Turn:
    total = sending.each * sending.rounds * len(images)
    receiving, used, begun = receiver.processor_s, _children_s(), time.perf_counter()
    for _ in range(sending.rounds):
        send(receiver.port, images, ("--repeat", str(sending.each), *NEW_IDENTITY))
    seconds = time.perf_counter() - begun
    return Turn(
        total / seconds,
        1000 * (receiver.processor_s - receiving) / total,
        1000 * (_children_s() - used) / total,
    )


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _settle(unsynced: Path) -> None:
    """Let nothing wait for the disk."""
    for path in unsynced.iterdir():
        path.unlink()
    os.sync()


# ---- what the machine allows


def _rate(actions: Sequence[Callable[[], object]], each: int) -> float:
    """Return how often a second all actions are done, each in a thread of its own, `each` times."""

    def repeated(action: Callable[[], object]) -> None:
        for _ in range(each):
            action()

    threads = [threading.Thread(target=repeated, args=(action,)) for action in actions]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(actions) * each / (time.perf_counter() - begun)


def _disk_rate(folder: Path, size: int, threads: int, each: int) -> float:
    """Return how many files of a size are durable a second."""
    folder.mkdir()
    content, numbers = os.urandom(size), count()

    def write() -> None:
        with (folder / str(next(numbers))).open("xb", buffering=0) as file:
            file.write(content)
            os.fsync(file.fileno())
        sync_folder(folder)

    rate = _rate([write] * threads, each)
    shutil.rmtree(folder)
    return rate


def _loopback_rate(size: int, threads: int, each: int) -> float:
    """Return how many answers a second come for so many bytes."""
    content = bytes(size)
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server((HOST, 0)))
        actions = []
        for _ in range(threads):
            sender = stack.enter_context(socket.create_connection(server.getsockname()))
            receiver, _address = server.accept()
            threading.Thread(target=_throw_away, args=(receiver, size), daemon=True).start()
            actions.append(partial(_asked, sender, content))
        return _rate(actions, each)


def _asked(sender: socket.socket, content: bytes) -> None:
    sender.sendall(content)
    sender.recv(1)


def _throw_away(receiver: socket.socket, size: int) -> None:
    """Answer with a byte whenever so many have come, until the connection ends."""
    piece, left = bytearray(PIECE_BYTES), size
    with receiver:
        while got := receiver.recv_into(piece, min(left, PIECE_BYTES)):
            left -= got
            if not left:
                receiver.send(b"x")
                left = size
