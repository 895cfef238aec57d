"""A node under load: images that are sent to it, and when the last result of each came to its archive."""

import threading
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from pynetdicom import evt

from config.settings import load_settings
from node.archive import Archive
from node.implementation import Entity
from node.options import options_of
from node.plan import kinds_of
from node.statuses import SUCCESS
from tests.benchmarks.memory import forget_peak, peak_mb
from tests.faults.parts import HOST, NodeProcess, free_port, synthetic_images, until_it_listens

SHAPE = (2048, 1536)
"""Rows and columns of an image: 6 MB."""

HIGH, MEDIUM = 1, 0
"""Priority (0000,0700) of a C-STORE request."""

LONGEST_S = 600.0
SETTINGS = """
[web]
enabled = false
[node]
host = "{host}"
port = {port}
data_dir = "{folder}/data"
disk_reserve_mb = 0
[model]
threads = {threads}
[worker]
count = {workers}
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "{host}"
port = {archive_port}
"""


@dataclass(frozen=True)
class Sent:
    """An image that was taken: its study, and when it was acknowledged (`time.monotonic`)."""

    study_uid: str
    acknowledged_at: float


class Arrivals(Archive):
    """An archive that keeps nothing but the moments at which the results of each study came."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.moments: dict[str, list[float]] = {}
        self.came = threading.Condition()

    def handlers(self) -> list[evt.EventHandlerType]:
        return [(evt.EVT_C_STORE, self._note)]

    def _note(self, event: evt.Event) -> int:
        header = dcmread(event.dataset_path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
        with self.came:
            self.moments.setdefault(str(header.StudyInstanceUID), []).append(time.monotonic())
            self.came.notify_all()
        return SUCCESS


class LoadedNode:
    """One node in processes of its own, with the bundle that is shipped, and an archive.

    Args:
        folder: For everything it writes; it is made.
        workers: Of each process.
        processes: The first does everything, each further one only works.
        threads: Of the network in each process; 0: as many as there are processors.
    """

    def __init__(self, folder: Path, workers: int = 1, processes: int = 1, threads: int = 0) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._workers = workers * processes
        self._archive = Arrivals(folder / "archive")
        self._archive.start()
        self._port = free_port()
        config = folder / "node.toml"
        places = {"host": HOST, "port": self._port, "folder": folder, "archive_port": self._archive.port}
        config.write_text(SETTINGS.format(**places, threads=threads, workers=workers), encoding="utf-8")
        settings = load_settings(config)
        self.results_per_image = len(kinds_of(options_of(settings.profile_named(""), settings.results)))
        self._image = synthetic_images()._dx(*SHAPE)
        self._processes = [NodeProcess(config, folder / "node.log")]
        until_it_listens(self._port)
        only_working = ("--only", "work")
        for number in range(1, processes):
            log = folder / f"work-{number}.log"
            self._processes.append(NodeProcess(config, log, options=only_working))

    def __enter__(self) -> "LoadedNode":
        """Work on two images for each worker first, so that everything is loaded."""
        try:
            self.latencies_s(self.send_together(2 * self._workers))
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
        self._archive.stop()

    def send(self, priority: int = MEDIUM) -> Sent:
        """Send an image on an association of its own, until it is acknowledged."""
        [sent] = self.send_together(1, priority)
        return sent

    def send_together(self, count: int, priority: int = MEDIUM) -> list[Sent]:
        """Send images one after the other on one association."""
        ae = Entity("MODALITY")
        ae.add_requested_context(self._image.SOPClassUID, self._image.file_meta.TransferSyntaxUID)
        association = ae.associate(HOST, self._port, ae_title="PAXNODE")
        if not association.is_established:
            raise RuntimeError("the node lets nobody in: " + self._last_words())
        sent = []
        for _ in range(count):
            image = self._another()
            answer = association.send_c_store(image, priority=priority)
            if answer.get("Status") != SUCCESS:
                raise RuntimeError("the node did not take an image: " + self._last_words())
            sent.append(Sent(str(image.StudyInstanceUID), time.monotonic()))
        association.release()
        return sent

    def latencies_s(self, sent: Sequence[Sent]) -> list[float]:
        """Wait for all results of these; return the seconds from acknowledgement to the last one of each."""
        moments = self._archive.moments
        with self._archive.came:
            done = self._archive.came.wait_for(
                lambda: all(len(moments.get(s.study_uid, ())) >= self.results_per_image for s in sent),
                LONGEST_S,
            )
        if not done:
            raise RuntimeError("results are missing: " + self._last_words())
        return [max(moments[each.study_uid]) - each.acknowledged_at for each in sent]

    def work_off(self, count: int) -> float:
        """Send images as fast as they are taken; return how many a second are done once all workers are busy.

        Args:
            count: More than there are workers.
        """
        sent = self.send_together(count)
        ends = sorted(each.acknowledged_at + s for each, s in zip(sent, self.latencies_s(sent), strict=True))
        return (count - self._workers) / (ends[-1] - ends[self._workers - 1])

    def peak_mb(self) -> float:
        """Return the most resident memory of its first process since `forget_peak`, MB of 10^6 bytes."""
        return peak_mb(self._processes[0].pid)

    def forget_peak(self) -> None:
        """Let the most resident memory of its first process be counted anew."""
        forget_peak(self._processes[0].pid)

    def processor_s(self) -> float:
        """Return the seconds of processors that its processes have used so far."""
        used = [psutil.Process(process.pid).cpu_times() for process in self._processes]
        return float(sum(each.user + each.system for each in used))

    def swapped_mb(self) -> float:
        """Return how much of its first process has been swapped out, MB."""
        return float(psutil.Process(self._processes[0].pid).memory_full_info().swap / 1e6)

    def _another(self) -> Dataset:
        image: Any = copy(self._image)
        image.file_meta = copy(self._image.file_meta)
        image.StudyInstanceUID, image.SeriesInstanceUID = generate_uid(), generate_uid()
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        return image  # type: ignore[no-any-return]

    def _last_words(self) -> str:
        return (self._folder / "node.log").read_text(encoding="utf-8")[-500:]
