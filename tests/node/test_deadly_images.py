"""An image that kills the process that works on it is put aside, and does not keep the others waiting."""

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydicom import Dataset

from node.database import engine_for, upgrade
from node.job_store import JobStore
from node.jobs import ReceivedObject
from node.spool import Spool
from node.states import State

DEADLY_COLUMNS = 96
LONGEST_S = 120.0


def _receive(folder: Path, store: JobStore, dataset: Dataset, scratch: Path) -> None:
    dataset.save_as(scratch, enforce_file_format=True)
    incoming = Spool(folder).prepare().begin()
    incoming.write(scratch.read_bytes())
    kept = incoming.keep()
    store.add_received(
        ReceivedObject(
            sop_class_uid=dataset.SOPClassUID,
            sop_instance_uid=dataset.SOPInstanceUID,
            study_instance_uid=dataset.StudyInstanceUID,
            series_instance_uid=dataset.SeriesInstanceUID,
            transfer_syntax_uid=dataset.file_meta.TransferSyntaxUID,
            digest=kept.digest,
            path=kept.path,
            size=incoming.size,
            calling_ae_title="TEST",
        )
    )


def test_image_that_kills_the_process_is_put_aside_and_the_others_are_done(
    tmp_path: Path, make_dx: Callable[..., Dataset]
) -> None:
    folder = tmp_path / "data"
    engine = engine_for("", folder)
    upgrade(engine)
    store = JobStore(engine)
    for columns in (DEADLY_COLUMNS, 128, 128):  # the deadly one comes first
        _receive(folder, store, make_dx(rows=128, columns=columns), tmp_path / "scratch.dcm")
    command = [sys.executable, "-m", "tests.node.deadly_node", str(folder), str(DEADLY_COLUMNS)]
    deaths: Counter[int] = Counter()
    ended = {State.DONE: 2, State.FAILED: 1}
    deadline = time.monotonic() + LONGEST_S
    process = subprocess.Popen(command)
    while {s: n for s, n in store.counts().items() if n} != ended and time.monotonic() < deadline:
        try:
            deaths[process.wait(0.1)] += 1
        except subprocess.TimeoutExpired:
            continue
        process = subprocess.Popen(command)  # as systemd would
    process.terminate()
    process.wait(30)
    found = store.jobs()
    engine.dispose()

    assert [job.state for job in found] == [State.DONE, State.DONE, State.FAILED]
    assert deaths == {-signal.SIGKILL: 2}
    assert found[-1].reason.startswith("its worker died while ")
    assert found[-1].trace.startswith("while ")
