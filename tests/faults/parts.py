"""What proofs of the whole node are made of: images, a modality that sends them, a node that is a process."""

import importlib.util
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from node.implementation import Entity

HOST = "127.0.0.1"
LONGEST_WAIT_S = 600.0
PLAIN = ("-m", "node.cli")


@dataclass
class Modality:
    """Sends images one after the other, each until it is acknowledged.

    Attributes:
        port: The node's.
        images: Files.
        released: How many of them may be sent by now.
        acknowledged: SOP Instance UIDs answered with success.
        attempts: C-STOREs begun, also those that were not answered.
        answers: How often each status was answered.
    """

    port: int
    images: Sequence[Path]
    released: int = 0
    acknowledged: list[str] = field(default_factory=list)
    attempts: int = 0
    answers: Counter[int] = field(default_factory=Counter)

    def run(self) -> None:
        """Send everything."""
        for number, path in enumerate(self.images):
            dataset = dcmread(path)
            while number >= self.released or not self._sent(dataset):
                time.sleep(0.1)
            self.acknowledged.append(dataset.SOPInstanceUID)

    def _sent(self, dataset: Dataset) -> bool:
        ae = Entity("MODALITY")
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
        if "Status" not in answer:
            return False
        self.answers[answer.Status] += 1
        return bool(answer.Status == 0x0000)


class NodeProcess:
    """The node as an admin runs it.

    Args:
        config: Its settings.
        log: Where its log is appended.
        arguments: What stands between Python and `serve`.
        options: What follows the settings.
    """

    def __init__(
        self, config: Path, log: Path, arguments: Sequence[str] = PLAIN, options: Sequence[str] = ()
    ) -> None:
        self._config = config
        self._options = options
        self._log = log
        self.starts = 0
        self.start(arguments)

    @property
    def pid(self) -> int:
        """The number of the process that runs now, or ran last."""
        return self._process.pid

    def start(self, arguments: Sequence[str] = PLAIN) -> None:
        """Start it; it needs some seconds before it listens."""
        self.starts += 1
        command = [sys.executable, *arguments, "serve", "--config", str(self._config), *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stderr=log, stdout=log)

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it without warning, wherever it is."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def has_died(self, timeout_s: float, number: int = signal.SIGKILL) -> bool:
        """Wait for it to end by a signal; tell whether it has."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(timeout_s) == -number
        return False

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
    return [_write(folder, number) for number in range(count)]


def write_mixed_images(folder: Path, count: int) -> list[Path]:
    """Write likewise; of each six one is a foot, which is refused, and one is cut off and quarantined."""
    odd: dict[int, dict[str, object]] = {2: {"BodyPartExamined": "FOOT"}, 4: {"PixelData": bytes(100)}}
    return [_write(folder, number, **odd.get(number % 6, {})) for number in range(count)]


def _write(folder: Path, number: int, **attributes: object) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{number:05}.dcm"
    size = {"rows": 256 + 8 * (number % 5), "columns": 224 + number % 500}
    dataset = synthetic_images()._dx(**size, PatientID=f"SYNTHETIC-{number}", **attributes)
    dataset.save_as(path, enforce_file_format=True)
    return path


@cache
def synthetic_images() -> Any:
    """Return the module that makes the images of all tests."""
    conftest = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("shared_conftest", conftest)
    assert spec is not None
    assert spec.loader is not None
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    return shared
