"""What was measured on one image, read back from the report that its destinations have."""

from dataclasses import dataclass, field

from ai.measurement import Drawing, Measurements
from node.job_store import JobStore
from node.kept_results import job_with_files, read_result
from node.read_results import read_drawings, read_measurements, read_notes
from node.result_sets import current_sets, none_of, version_of
from node.spool import Spool


@dataclass(frozen=True)
class Reading:
    """What a report says.

    Attributes:
        measurements: With their remarks, or why they were not computed; and what the picture shows.
        drawings: Every line, in stored pixels; several measurements may share one.
        notes: What was odd about the image, and what was repaired in the masks.
        missing: Why there is nothing of all this; empty: there is.
        version: Of the results that it is read from, as `node.result_sets.version_of`.
    """

    measurements: Measurements = field(default_factory=lambda: Measurements(()))
    drawings: tuple[Drawing, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""
    version: str = ""


def reading_of(store: JobStore, spool: Spool, job_id: int) -> Reading:
    """Return what was measured, of several reports as the one that says most.

    Raises:
        NotThereError: There is no such job, nothing was made of it, or its files were removed.
        StorageError: A file was changed, or cannot be read.
    """
    sets = current_sets(store, spool, job_with_files(store, job_id))
    reports = dict.fromkeys(each.report for each in sets if each.report is not None)
    if not reports:
        return Reading(missing=f"no measurements: {none_of(sets, 'report')}", version=version_of(sets))
    read = [read_result(spool, report) for report in reports]
    version = version_of(sets)
    return max(
        (
            Reading(read_measurements(r), tuple(read_drawings(r)), tuple(read_notes(r)), version=version)
            for r in read
        ),
        key=lambda reading: len(reading.measurements.results),
    )
