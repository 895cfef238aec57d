"""What proofs of the whole node are made of: images, a modality that sends them, a node that is a process."""

import importlib.util
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset, dcmread
from pynetdicom import AE

HOST = "127.0.0.1"
LONGEST_WAIT_S = 600.0


@dataclass
class Modality:
    """Sends images one after the other, each until it is acknowledged.

    Attributes:
        port: The node's.
        images: Files.
        released: How many of them may be sent by now.
        acknowledged: SOP Instance UIDs answered with success.
        attempts: C-STOREs begun, also those that were not answered.
    """

    port: int
    images: Sequence[Path]
    released: int = 0
    acknowledged: list[str] = field(default_factory=list)
    attempts: int = 0

    def run(self) -> None:
        """Send everything."""
        for number, path in enumerate(self.images):
            dataset = dcmread(path)
            while number >= self.released or not self._sent(dataset):
                time.sleep(0.1)
            self.acknowledged.append(dataset.SOPInstanceUID)

    def _sent(self, dataset: Dataset) -> bool:
        ae = AE("MODALITY")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = 10
        ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = ae.associate(HOST, self.port, ae_title="PAXNODE")
        if not association.is_established:
            return False
        self.attempts += 1
        try:
            answer = association.send_c_store(dataset)
        except (OSError, RuntimeError, ValueError):
            return False
        finally:
            association.release()
        return getattr(answer, "Status", None) == 0x0000


class NodeProcess:
    """The node as an admin runs it."""

    def __init__(self, config: Path, log: Path) -> None:
        self._command = [sys.executable, "-m", "node.cli", "serve", "--config", str(config)]
        self._log = log
        self.starts = 0
        self.start()

    def start(self) -> None:
        """Start it; it needs some seconds before it listens."""
        self.starts += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stderr=log, stdout=log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it without warning, wherever it is."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> int:
        """Ask it to stop and return its exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
    return port


def until_it_listens(port: int) -> bool:
    """Wait until something listens there; tell whether it does."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.05)
    return False


def write_images(folder: Path, count: int) -> list[Path]:
    """Write synthetic DX images of chests, each with its own pixels and identity."""
    conftest = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("shared_conftest", conftest)
    assert spec is not None
    assert spec.loader is not None
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    folder.mkdir()
    paths = []
    for number in range(count):
        path = folder / f"{number:03}.dcm"
        dataset = shared._dx(rows=256 + 8 * (number % 5), columns=224 + number)
        dataset.PatientID = f"SYNTHETIC-{number}"
        dataset.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths
