"""Who takes images in: this node and other archives, each in a folder that is thrown away; and who sends."""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from pydicom.uid import generate_uid

from node.archive import Archive
from tests.faults.parts import HOST, NodeProcess, free_port, synthetic_images, until_it_listens
from tests.faults.rig import Rig
from tests.viewers.orthanc import Orthanc, found

MOST_SENDERS = 16
"""Orthanc has so many threads for associations."""

LONGEST_SEND_S = 7200.0

LOOK_AGAIN_S = 1.0


@dataclass(frozen=True)
class Receiver:
    """Something that takes images in.

    Attributes:
        port: Where it listens.
        pid: The number of its process; there may be children.
    """

    port: int
    pid: int

    @property
    def processor_s(self) -> float:
        """Seconds of processors that it and its children have used so far."""
        process = psutil.Process(self.pid)
        used = process.cpu_times()
        ended = used.user + used.system + used.children_user + used.children_system
        return float(ended + sum(_own_s(child) for child in process.children(recursive=True)))


def until_idle(receiver: Receiver) -> None:
    """Wait until a receiver has loaded what it needs; a node takes images in long before."""
    before, now = -1.0, receiver.processor_s
    while now > before:
        time.sleep(LOOK_AGAIN_S)
        before, now = now, receiver.processor_s


Opened = Callable[[Path], AbstractContextManager[Receiver]]


def _own_s(process: psutil.Process) -> float:
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system)


@contextmanager
def paxnode(folder: Path) -> Iterator[Receiver]:
    """A node that only receives; every image is synced and recorded before it is acknowledged."""
    folder.mkdir()
    with Archive(folder / "archive") as archive:
        rig = Rig(folder, (), archive)
        node = NodeProcess(rig.config, folder / "node.log", options=("--only", "listen"))
        try:
            until_it_listens(rig.modality.port)
            yield Receiver(rig.modality.port, node.pid)
        finally:
            node.stop()


@contextmanager
def orthanc(folder: Path) -> Iterator[Receiver]:
    """Orthanc as it comes, which syncs what it stores (SyncStorageArea)."""
    with Orthanc(folder, {"SyncStorageArea": True, "DicomThreadsCount": MOST_SENDERS}) as other:
        yield Receiver(other.destination.port, other.pid)


@contextmanager
def storescp(folder: Path) -> Iterator[Receiver]:
    """DCMTK's receiver, one process for each association; it syncs nothing."""
    folder.mkdir()
    port = free_port()
    command = [found("storescp"), "--fork", "--output-directory", str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_it_listens(port)
        yield Receiver(port, process.pid)
    finally:
        process.terminate()
        process.wait()


RECEIVERS: dict[str, Opened] = {"paxnode": paxnode, "Orthanc": orthanc, "storescp": storescp}


def send(port: int, sources: Sequence[Path], options: Sequence[str] = ()) -> None:
    """Let DCMTK's storescu send each folder or file, all at once, each in an association of its own.

    Raises:
        RuntimeError: Not every image was taken.
    """
    command = [found("storescu"), *options, "+sd", "-aec", "PAXNODE", HOST, str(port)]
    senders = [subprocess.Popen([*command, str(source)], stdout=subprocess.DEVNULL) for source in sources]
    for sender in senders:
        if sender.wait(LONGEST_SEND_S):
            raise RuntimeError(f"storescu ended with {sender.returncode}: not every image was taken")


def written_images(folder: Path, count: int, shape: tuple[int, int]) -> Path:
    """Write images that differ in their identity and in one pixel; return their folder.

    Args:
        folder: Where; it is made.
        count: How many.
        shape: Rows and columns of each.
    """
    folder.mkdir(parents=True)
    dataset = synthetic_images()._dx(*shape)
    pixels = bytearray(dataset.PixelData)
    for number in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        pixels[:4] = number.to_bytes(4, "little")
        pixels[1] &= 0x0F
        pixels[3] &= 0x0F
        dataset.PixelData = bytes(pixels)
        dataset.save_as(folder / f"{number:05}.dcm", enforce_file_format=True)
    return folder
