"""Jobs with real files, some of them old, in a data folder and a database."""

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from sqlalchemy import Engine

from config.network import RetentionSettings
from node.housekeeping import Housekeeper
from node.job_store import JobStore
from node.jobs import AddressedResult, Identifiers, Job, ReceivedObject, StoredResult
from node.keeping_store import KeepingStore
from node.spool import Kept, Spool
from tests.node.conftest import Clock

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
RULES = RetentionSettings(files_days=30, refused_days=60, rows_days=90)


@dataclass
class House:
    """A data folder and its database; the clock stands until it is told to move."""

    folder: Path
    engine: Engine
    clock: Clock
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.spool = Spool(self.folder / "data").prepare()
        self.store = JobStore(self.engine, clock=self.clock)
        self.keeping = KeepingStore(self.engine, self.clock)

    def keeper(self, rules: RetentionSettings = RULES) -> Housekeeper:
        return Housekeeper(rules, self.spool, self.keeping)

    def pass_days(self, days: float) -> None:
        self.clock.advance(timedelta(days=days).total_seconds())

    def files(self) -> list[str]:
        return sorted(self.spool.kept_files())

    def age(self) -> None:
        """Make every file older than a day."""
        for path in self.files():
            os.utime(self.spool.path(path), (1, 1))

    def keep(self, content: bytes) -> Kept:
        incoming = self.spool.begin()
        incoming.write(content)
        return incoming.keep()

    def received(self, content: bytes = b"", uid: str = "") -> Job:
        """Receive an image; its content is its own unless it is given."""
        number = next(self.numbers)
        kept = self.keep(content or b"image %d" % number)
        received = ReceivedObject(
            sop_class_uid=str(DigitalXRayImageStorageForPresentation),
            sop_instance_uid=uid or f"2.25.{number}",
            study_instance_uid=f"2.25.9{number}",
            series_instance_uid="2.25.8",
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            digest=kept.digest,
            path=kept.path,
            size=10,
            calling_ae_title="CR",
            identifiers=Identifiers(patient_id=f"P{number}"),
        )
        self.store.add_received(received)
        self.age()
        return self.store.jobs(limit=1)[0]

    def claimed(self) -> Job:
        job = self.store.claim("worker", 60.0)
        assert job is not None
        return job

    def finished(self, *destinations: str, result: bytes = b"") -> Job:
        """Receive an image and finish its job with one result for the destinations."""
        self.received()
        job = self.claimed()
        kept = self.spool.store_result(result or b"result %d" % job.id)
        stored = StoredResult("SEG", SEG, f"2.25.7{job.id}", kept.path, kept.digest)
        self.store.finish(job.id, "worker", [AddressedResult(stored, destinations)])
        self.age()
        return job

    def deliver(self, destination: str = "pacs") -> None:
        for delivery in self.store.claim_deliveries(destination, "sender", 60.0, 100):
            self.store.delivered(delivery.id, 0x0000)

    def delivered(self, result: bytes = b"") -> Job:
        """Receive an image, finish its job and deliver its result."""
        job = self.finished("pacs", result=result)
        self.deliver()
        return job

    def has_files(self, job: Job) -> bool:
        found = self.store.job(job.id)
        assert found is not None
        return found.files_removed_at is None
