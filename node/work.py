"""What a worker does with one job: understand the radiograph once, write what each destination wants."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from ai.segmenter import Segmenter
from node.appearance import Examiner
from node.attributes import text
from node.job_store import JobStore
from node.jobs import Job, StoredResult
from node.options import OutputOptions
from node.pipeline import ResultObject, understand, write
from node.report_frame import Predecessor
from node.spool import Spool


@dataclass(frozen=True, eq=False)
class AddressedObject:
    """A finished result, and the names of the destinations that get it."""

    result: ResultObject
    destinations: tuple[str, ...]


class Work:
    """Makes the results of jobs.

    Args:
        segmenter: Finds the anatomy.
        examiner: Looks at each picture first; None where nobody does.
        outputs: What is written, with the destinations that get it.
        job_store: Knows what was made of an image before.
        spool: Where images and results lie.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        examiner: Examiner | None,
        outputs: Mapping[OutputOptions, tuple[str, ...]],
        job_store: JobStore,
        spool: Spool,
    ) -> None:
        self._segmenter = segmenter
        self._examiner = examiner
        self._outputs = dict(outputs)
        self._store = job_store
        self._spool = spool

    def __call__(self, job: Job) -> Sequence[AddressedObject]:
        """Return the results of a job; errors as in `node.pipeline.process`."""
        found = understand(self._spool.path(job.path), self._segmenter, _unheard, self._examiner)
        made: list[AddressedObject] = []
        for options, destinations in self._outputs.items():
            earlier = self._reports(job, destinations)
            made += [AddressedObject(result, destinations) for result in write(found, options, earlier)]
        return made

    def _reports(self, job: Job, destinations: Sequence[str]) -> list[Predecessor]:
        """Return the reports that the destinations have of this image already, the oldest first."""
        kept = self._store.results(job.id, destinations)
        reports = [result for result in kept if result.kind.startswith("SR")]
        return [_predecessor(result, self._spool.path(result.path)) for result in reports]


def _predecessor(result: StoredResult, path: Path) -> Predecessor:
    header = dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    series = text(header, "SeriesInstanceUID")
    return Predecessor(result.kind, result.sop_class_uid, result.sop_instance_uid, series)


def _unheard(_stage: str, _seconds: float) -> None:
    """Take no note of how long a stage took."""
