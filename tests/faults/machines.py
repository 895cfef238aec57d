"""Two machines share one queue, and one of them dies with jobs in hand: `python -m tests.faults.machines`.

Each machine is a node process of its own, in a network namespace of its own where the proof runs as root (a
veth pair joins it to this one), otherwise on this machine under a port of its own. Both reach one PostgreSQL
server over TCP and share one data folder. While the images are worked on, one machine is killed with SIGKILL
while it holds a job: once the machine that only works, once the machine that also listens. Every image's
results must be at the archive, under the UIDs that they have without any fault, and nothing else.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from rich.console import Console
from sqlalchemy import Engine, select

from ai.stand_in import StandInSegmenter
from config.settings import load_settings
from node.archive import Archive
from node.database import engine_for, jobs, reading, upgrade
from node.implementation import Entity
from node.job_store import JobStore
from node.options import options_of
from node.pipeline import process
from node.states import State
from tests.faults.command import run_proof
from tests.faults.count import Count
from tests.faults.parts import HOST, free_port, write_images
from tests.faults.postgresql import PostgresqlServer

LONGEST_WAIT_S = 300.0
LEASE_S = 5.0
IMAGES_PER_SIZE = 20
RESULTS_PER_IMAGE = 3  # a SEG and two reports
IN_QUEUE = (
    8  # images sent before the results of the first are there: some are received while others are worked on
)
SETTINGS = """
[web]
enabled = false

[node]
host = "{address}"
port = {port}
data_dir = "{data}"
disk_reserve_mb = 0
[database]
url = "{url}"
[model]
bundle = "stand-in"
[worker]
count = 2
lease_s = {lease_s}
[delivery]
first_retry_s = 0.2
longest_retry_s = 2.0
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "{gate}"
port = {archive_port}
"""


@dataclass(frozen=True)
class Network:
    """Where the machines are.

    Attributes:
        gate: The address of this machine that they reach.
        addresses: Theirs.
        namespaces: The network namespaces that they live in; empty names: this machine's own.
    """

    gate: str
    addresses: tuple[str, str]
    namespaces: tuple[str, str]


@contextmanager
def network() -> Iterator[Network]:
    """Make a namespace for each machine, joined to a bridge here; without root, do without."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        yield Network(HOST, (HOST, HOST), ("", ""))
        return
    tag = f"{os.getpid() % 100_000}"
    bridge, spaces = f"pxb{tag}", (f"px{tag}a", f"px{tag}b")
    subnet = f"10.213.{os.getpid() % 250}"
    with ExitStack() as undo:
        _ip(f"link add {bridge} type bridge")
        undo.callback(_ip, f"link del {bridge}")
        _ip(f"addr add {subnet}.1/24 dev {bridge}")
        _ip(f"link set {bridge} up")
        for number, space in enumerate(spaces, start=2):
            _ip(f"netns add {space}")
            undo.callback(_ip, f"netns del {space}")
            _ip(f"link add {space} type veth peer name eth0 netns {space}")
            _ip(f"link set {space} master {bridge} up")
            for words in (f"addr add {subnet}.{number}/24 dev eth0", "link set eth0 up", "link set lo up"):
                _ip(f"-n {space} {words}")
        yield Network(f"{subnet}.1", (f"{subnet}.2", f"{subnet}.3"), spaces)


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


class Machine:
    """A node process on one of the machines."""

    def __init__(self, namespace: str, config: Path, *parts: str) -> None:
        inside = ["ip", "netns", "exec", namespace] if namespace else []
        only = [word for part in parts for word in ("--only", part)]
        command = [*inside, sys.executable, "-m", "node.cli", "serve", "--config", str(config), *only]
        with config.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """Its number; `ip netns exec` becomes the node, with the same number."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill_while(self, holds: Callable[[], bool]) -> bool:
        """End it without warning, at a moment at which something holds; tell whether that is how it died.

        It is halted to look, so that the moment is not over when it is killed.
        """
        deadline = time.monotonic() + LONGEST_WAIT_S
        self._process.send_signal(signal.SIGSTOP)
        while not holds() and time.monotonic() < deadline:
            self._process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
            self._process.send_signal(signal.SIGSTOP)
        self._process.send_signal(signal.SIGKILL)
        return self._process.wait() == -signal.SIGKILL

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


@dataclass
class Shared:
    """What both machines reach.

    Attributes:
        folder: For everything.
        place: Where the machines are.
        archive: Gets the results.
        url: The database's.
        engine: The same for the proof.
    """

    folder: Path
    place: Network
    archive: Archive
    url: str
    engine: Engine

    def config(self, number: int, port: int) -> Path:
        """Write the settings of a machine."""
        path = self.folder / f"machine-{number}.toml"
        values = {"address": self.place.addresses[number], "gate": self.place.gate, "port": port}
        values |= {"data": self.folder / "data", "url": self.url, "lease_s": LEASE_S}
        path.write_text(SETTINGS.format(archive_port=self.archive.port, **values))
        return path

    def held_by(self, pid: int) -> list[int]:
        """Return the jobs that a process has in hand."""
        held = select(jobs.c.id, jobs.c.lease_owner).where(jobs.c.state == State.SEGMENTING)
        with reading(self.engine) as connection:
            return [job for job, owner in connection.execute(held) if f"-{pid}-" in str(owner)]

    def unfinished(self) -> int:
        """Return how many jobs are not done."""
        return sum(
            count for state, count in JobStore(self.engine).counts().items() if state is not State.DONE
        )


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Run both cases, with 20 images for each unit of size; `seed` chooses when the machine dies."""
    found: list[Count] = []
    for number, listener_dies in enumerate((False, True)):
        what = "listener killed" if listener_dies else "worker killed"
        counts = _case(IMAGES_PER_SIZE * size, random.Random(seed + number), listener_dies=listener_dies)
        found += [Count(f"{what}: {each.what}", each.found, each.wanted, each.holds) for each in counts]
        console.print(f"{what}: done")
    return found


def _case(images: int, draw: random.Random, *, listener_dies: bool) -> list[Count]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        place = stack.enter_context(network())
        server = stack.enter_context(PostgresqlServer(place.gate, free_port()))
        archive = stack.enter_context(Archive(folder / "archive", host=place.gate))
        engine = engine_for(server.url, folder / "data")
        upgrade(engine)
        stack.callback(engine.dispose)
        shared = Shared(folder, place, archive, server.url, engine)
        return _run(shared, write_images(folder / "images", images), draw, listener_dies=listener_dies)


def _run(shared: Shared, paths: Sequence[Path], draw: random.Random, *, listener_dies: bool) -> list[Count]:
    ports = free_port(), free_port()
    configs = [shared.config(number, ports[number]) for number in range(2)]
    machines = [
        Machine(shared.place.namespaces[0], configs[0]),
        Machine(shared.place.namespaces[1], configs[1], "work", "deliver"),
    ]
    acknowledged: set[str] = set()
    sending = threading.Thread(target=_send, args=(shared, ports[0], paths, acknowledged), daemon=True)
    sending.start()
    try:
        doomed = machines[0 if listener_dies else 1]
        kill_after = draw.randint(1, len(paths) // 2)
        _until(lambda: shared.archive.wait_for(RESULTS_PER_IMAGE * kill_after, 0))
        died = doomed.kill_while(lambda: bool(shared.held_by(doomed.pid)))
        held = shared.held_by(doomed.pid)
        at_death = len(acknowledged)
        if listener_dies:  # somebody switches it on again, later; until then the other one works alone
            _until(lambda: not shared.held_by(doomed.pid))
            machines[0] = Machine(shared.place.namespaces[0], configs[0], "listen")
        _until(lambda: len(acknowledged) == len(paths) and not shared.unfinished())
    finally:
        statuses = [machine.stop() for machine in machines if machine.is_alive]
    finishers = _finishers(shared.engine, held)
    expected = _expected(paths, configs[0])
    counts = shared.archive.counts
    bytes_of = {(arrival.sop_instance_uid, arrival.digest) for arrival in shared.archive.arrivals}
    elsewhere = sum(f"-{doomed.pid}-" not in finisher for finisher in finishers)
    return [
        Count("machines in network namespaces of their own", sum(map(bool, shared.place.namespaces))),
        Count("killed by SIGKILL", int(died), "1", died),
        Count("jobs in its hands then", len(held), "at least 1", bool(held)),
        Count("images acknowledged then", at_death),
        Count.equal("of its jobs, done by another process", elsewhere, len(held)),
        Count.equal("images acknowledged", len(acknowledged), len(paths)),
        Count.none("jobs not done", shared.unfinished()),
        Count.equal("results at the archive", len(counts), len(expected)),
        Count.none("results missing", len(expected - set(counts))),
        Count.none("results under another identity", len(set(counts) - expected)),
        Count.none("results that came with different bytes", len(bytes_of) - len(counts)),
        Count("results that came again, the same bytes", sum(counts.values()) - len(counts)),
        Count.none("machines that did not stop well", sum(map(bool, statuses))),
    ]


def _finishers(engine: Engine, held: Sequence[int]) -> list[str]:
    with reading(engine) as connection:
        rows = connection.scalars(select(jobs.c.lease_owner).where(jobs.c.id.in_(held)))
        return [str(owner) for owner in rows]


def _send(shared: Shared, port: int, paths: Sequence[Path], acknowledged: set[str]) -> None:
    """Send every image until it is acknowledged."""
    address = shared.place.addresses[0]
    for number, path in enumerate(paths):
        dataset = dcmread(path)
        shared.archive.wait_for(RESULTS_PER_IMAGE * (number - IN_QUEUE), LONGEST_WAIT_S)
        while dataset.SOPInstanceUID not in acknowledged:
            ae = Entity("MODALITY")
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 10
            ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
            association = ae.associate(address, port, ae_title="PAXNODE")
            if not association.is_established:
                time.sleep(0.1)
                continue
            with suppress(OSError, RuntimeError, ValueError):  # the node died
                if getattr(association.send_c_store(dataset), "Status", None) == 0x0000:
                    acknowledged.add(str(dataset.SOPInstanceUID))
            association.release()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)


def _expected(paths: Sequence[Path], config: Path) -> set[str]:
    """Return the UIDs that the results must have, computed without the node."""
    settings = load_settings(config)
    options = options_of(settings.profile_named(""), settings.results)
    made = [each for path in paths for each in process(path, StandInSegmenter(), options).results]
    return {str(result.dataset.SOPInstanceUID) for result in made}


if __name__ == "__main__":
    run_proof(__doc__, prove, size=1, size_means="times 20 images, for each case")
