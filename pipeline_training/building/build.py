"""A data set from many volumes: each case a task of its own, resumable, with a verdict for each."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distributed import Client, Future, as_completed

from ai.labels import LABELS
from pipeline_training.anatomy import Anatomy
from pipeline_training.building.cluster import cluster, processes
from pipeline_training.building.outcome import CaseOutcome, Knowledge, Verdict, read_outcome
from pipeline_training.errors import BuildError, DatasetError, PipelineError
from pipeline_training.origin import check_origin
from pipeline_training.projections import ProjectOptions, build_projections, load_anatomy, projection_files
from pipeline_training.targets import TELL_VISIBLE_LUNG, VISIBLE_LUNG

CASES_FOLDER = "cases"
"""Holds one `<case>.json` for each volume of the last build."""

MAX_TRIES = 2
"""A task whose worker died is given to another one once; a second death is the volume's."""


@dataclass(frozen=True)
class BuildOptions:
    """What `paxnode-train build` makes, and where.

    Attributes:
        project: Which projections of which cases.
        scheduler: Address of a Dask scheduler; "" takes the cores of this machine.
        workers: Processes on this machine; 0 takes one for each core.
    """

    project: ProjectOptions
    scheduler: str = ""
    workers: int = 0


def build(options: BuildOptions, on_case: Callable[[CaseOutcome], None]) -> tuple[CaseOutcome, ...]:
    """Build the data set and return every case's outcome, in the order of the cases.

    A case that is complete is not made again; a rejected or failed one is tried again. Projections that are
    there stay, whatever becomes of their case later.

    Args:
        options: What, and where.
        on_case: Is told each outcome as it comes.

    Raises:
        BuildError: If no scheduler answers, or no case is given.
        pipeline_training.errors.DatasetError: If the folder holds another data set.
    """
    cases = options.project.cases
    if not cases:
        raise BuildError("nothing to build: no case is given")
    outcomes: dict[str, CaseOutcome] = {}
    for case in cases:
        if (done := _complete(case, options.project)) is not None:
            outcomes[case.name] = done
            on_case(done)
    left = [case for case in cases if case.name not in outcomes]
    if left:
        with cluster(options.scheduler, processes(options.workers, len(left))) as client:
            for outcome in _run(client, left, options.project):
                outcome.write(options.project.out / CASES_FOLDER)
                outcomes[outcome.case] = outcome
                on_case(outcome)
    return tuple(outcomes[case.name] for case in cases)


def _complete(case: Path, options: ProjectOptions) -> CaseOutcome | None:
    """Return the outcome of an earlier run if it built all that is asked for, and that is still there."""
    path = options.out / CASES_FOLDER / f"{case.name}.json"
    if not path.exists():
        return None
    outcome = read_outcome(path)
    whole = outcome.verdict is Verdict.BUILT and len(outcome.files) == options.per_case
    if not whole or not all((options.out / file).exists() for file in outcome.files):
        return None
    try:
        check_origin(options.out / case.name, case)
    except DatasetError:  # the worker says so
        return None
    return replace(outcome, made=0, seconds=0.0)


def _run(client: Client, cases: Sequence[Path], options: ProjectOptions) -> Iterator[CaseOutcome]:
    """Yield outcomes as they come; an error that no rule foresaw is an outcome, too."""
    futures = {
        client.submit(build_case, case, options, key=f"build-{case.name}", retries=MAX_TRIES - 1, pure=False):
        case.name
        for case in cases
    }  # fmt: skip
    for future in as_completed(futures):
        yield _outcome(future, futures[future])


def _outcome(future: Future, case: str) -> CaseOutcome:
    if future.status == "finished":
        found: CaseOutcome = future.result()
        return found
    error = future.exception()
    return CaseOutcome(case, Verdict.FAILED, f"{type(error).__name__}: {error}")


def build_case(case: Path, options: ProjectOptions) -> CaseOutcome:
    """Make the projections of one case that are not there yet; runs on a worker."""
    started = time.monotonic()
    try:
        anatomy = load_anatomy(case, options.seed, options.spacing_mm)
        made = list(build_projections(replace(options, cases=(case,))))
    except PipelineError as error:
        seconds = time.monotonic() - started
        return CaseOutcome(case.name, Verdict.REJECTED, str(error), seconds=seconds)
    return CaseOutcome(
        case.name,
        Verdict.BUILT,
        patient=anatomy.patient or case.name,
        files=tuple(
            file.relative_to(options.out).as_posix() for file in projection_files(options.out / case.name)
        ),
        made=len(made),
        seconds=time.monotonic() - started,
        knowledge=knowledge(anatomy),
    )


def knowledge(anatomy: Anatomy) -> dict[str, Knowledge]:
    """Return for every structure of ai/labels.csv what the anatomy tells of it."""
    present = set(anatomy.known())
    if present >= TELL_VISIBLE_LUNG:
        present |= VISIBLE_LUNG.keys()
    return {
        label.name: Knowledge.PRESENT
        if label.name in present
        else Knowledge.ABSENT
        if label.name in anatomy.absent
        else Knowledge.UNKNOWN
        for label in LABELS
    }
