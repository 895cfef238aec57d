"""Which of a job's results tell of it now: those of the weights that worked last, by destination."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from node.errors import NotThereError, StorageError
from node.job_store import JobStore
from node.jobs import Job, StoredResult
from node.kept_results import kept_results, read_header
from node.result_header import REPORT
from node.spool import Spool

EVIDENCE = "CurrentRequestedProcedureEvidenceSequence"
NOBODY = ""
"""In the place of a destination, where results stay in the data folder."""

WEIGHTS = "DeviceSerialNumber"
"""In the header of every result: the beginning of the weights' hash."""


@dataclass(frozen=True)
class ResultSet:
    """What one destination has of one run.

    Attributes:
        destination: Its name; `NOBODY` for results that stay here.
        segmentations: In the order in which they were made.
        report: The one with the measurements; None where its profile makes none.
    """

    destination: str
    segmentations: tuple[StoredResult, ...]
    report: StoredResult | None


def current_sets(store: JobStore, spool: Spool, job: Job) -> tuple[ResultSet, ...]:
    """Return what each destination has of the last run that made something new, in the order of their names.

    Raises:
        NotThereError: Nothing was made of the job, or files of its results are gone.
        StorageError: A file cannot be read.
    """
    kept = kept_results(store, job.id)
    if not kept:
        raise NotThereError(_why_nothing(store, job))
    weights = [_weights(spool, result) for result in kept]
    newest = [result for result, of in zip(kept, weights, strict=True) if of == weights[-1]]
    owners: dict[str, set[str]] = {}
    for delivery in store.deliveries(job.id):
        owners.setdefault(delivery.result.sop_instance_uid, set()).add(delivery.destination)
    owned = [(result, owners.get(result.sop_instance_uid, {NOBODY})) for result in newest]
    return tuple(
        _set(spool, name, [result for result, names in owned if name in names])
        for name in sorted({name for _, names in owned for name in names})
    )


def _weights(spool: Spool, result: StoredResult) -> str:
    found = str(read_header(spool, result, [WEIGHTS]).get(WEIGHTS, ""))
    if not found:
        raise StorageError(f"the file of the {result.kind} is damaged: it names no weights")
    return found


def _why_nothing(store: JobStore, job: Job) -> str:
    if store.results(job.id):
        return f"the files of the results of job {job.id} were removed; running it once more makes them anew"
    return (
        f"there are no results of job {job.id}: it is {job.state}{f' ({job.reason})' if job.reason else ''}"
    )


def _set(spool: Spool, destination: str, results: Sequence[StoredResult]) -> ResultSet:
    """Return the last of each kind; the report says which Segmentations were made with it."""
    latest = {result.kind: result for result in results}
    report = latest.get(str(REPORT))
    segs = [result for result in latest.values() if result.kind.startswith("SEG")]
    if report is not None and all(results.index(seg) < results.index(report) for seg in segs):
        beside = set(_evidence(read_header(spool, report, [EVIDENCE])))
        segs = [seg for seg in segs if seg.sop_instance_uid in beside]
    return ResultSet(destination, tuple(segs), report)


def _evidence(report: Dataset) -> Iterator[str]:
    for study in report.get(EVIDENCE, ()):
        for series in study.ReferencedSeriesSequence:
            yield from (str(sop.ReferencedSOPInstanceUID) for sop in series.ReferencedSOPSequence)


def version_of(sets: Sequence[ResultSet]) -> str:
    """Return what changes when other results tell of a job: 16 hexadecimal digits of their digests.

    >>> version_of([ResultSet("pacs", (), None)])
    'e3b0c44298fc1c14'
    """
    results = (each for one in sets for each in (*one.segmentations, *([one.report] if one.report else ())))
    digests = sorted({f"{each.sop_instance_uid} {each.digest}" for each in results})
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()[:16]


def none_of(sets: Sequence[ResultSet], what: str) -> str:
    """Return why there is none of something: whose profile makes none.

    >>> none_of([ResultSet("pacs", (), None)], "Segmentation")
    'the profile of pacs makes no Segmentation'
    """
    names = [each.destination or "[results]" for each in sets]
    whose = "the profile of" if len(names) == 1 else "the profiles of"
    return f"{whose} {' and '.join(names)} {'makes' if len(names) == 1 else 'make'} no {what}"
