"""What a worker does with one job: understand the radiograph once, write what each destination wants."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from ai.measurement import Measurements
from ai.segmenter import Segmenter, Shared
from node.appearance import Examiner
from node.attributes import text
from node.claiming import decided_priority
from node.decode import parse
from node.errors import IgnoredImageError, ResultError, UnmatchedImageError
from node.identities import identifiers_in
from node.job_store import JobStore
from node.jobs import AddressedResult, Job, Priority, StoredResult
from node.limits import MAX_OBJECT_BYTES
from node.logs import get_logger
from node.options import OutputOptions
from node.pipeline import ResultObject, Understood, understand, write
from node.report_frame import Predecessor
from node.rule_facts import Titles
from node.rules import Decision, Fate
from node.spool import Spool

NOTHING = "nothing that its profile asks for was found"

NEXT_STAGE = {"read": "judging", "judge": "segmenting", "segment": "measuring", "measure": "writing"}
"""What is done after each stage of `node.pipeline`, in words."""

Keep = Callable[[ResultObject], StoredResult]
"""Makes a finished result durable."""

Decide = Callable[[Dataset, Titles], Decision]
"""Says what becomes of an image, by its header and who sent it: `node.rules.decide`."""

log = get_logger()


@dataclass(frozen=True, eq=False)
class Model:
    """What understands a picture.

    Attributes:
        segmenter: Finds the anatomy.
        examiner: Looks at each picture first; None where nobody does.
    """

    segmenter: Segmenter
    examiner: Examiner | None = None

    def for_one(self, priority: Priority) -> "Model":
        """Return the same for an image of this priority: at the network, too, the urgent ones go first.

        All others go in the order in which they come: no more of them wait than there are workers, and one of
        low priority would be overtaken as long as routine ones come.
        """
        if not isinstance(self.segmenter, Shared):
            return self
        return replace(self, segmenter=self.segmenter.urged(max(priority, Priority.ROUTINE)))


@dataclass(frozen=True)
class Made:
    """What was made of a job, and kept.

    Attributes:
        results: With their destinations. One that several groups of destinations get stands there for each.
        remarks: Why some destinations get nothing, and that nothing was measured, one sentence each.
    """

    results: tuple[AddressedResult, ...]
    remarks: tuple[str, ...] = ()


class Work:
    """Makes the results of jobs.

    Args:
        models: By the bundle that a rule names; "" is the one of those that name none.
        decide: Says of each image what is written, and for which destinations.
        job_store: Knows what was made of an image before.
        spool: Where images and results lie.
    """

    def __init__(
        self, models: Mapping[str, Model], decide: Decide, job_store: JobStore, spool: Spool
    ) -> None:
        self._models = dict(models)
        self._decide = decide
        self._store = job_store
        self._spool = spool

    def __call__(self, job: Job, keep: Keep, tell: Callable[[str], None] = lambda _stage: None) -> Made:
        """Make the results of a job; errors as in `node.pipeline.process` and `node.spool.Spool.content`.

        Those of one profile are kept and let go before those of the next are made: with 159 structures they
        take 42 bytes for each pixel of the radiograph. A result that does not conform costs only the
        destinations of its profile their results, unless there is nothing for anybody else.

        Args:
            job: Which.
            keep: Makes results durable; what it raises goes on.
            tell: Told what is done now, such as "segmenting".

        Raises:
            IgnoredImageError: A rule ignores such an image.
            UnmatchedImageError: No rule says where its results go.
            LeaseLostError: Another worker has the job.
        """
        tell("reading")
        content = self._spool.content(job.path, MAX_OBJECT_BYTES + 1)
        decision = self._decision(job, content)
        priority = decided_priority(job, decision.priority)
        found = self._understood(content, self._model(decision).for_one(priority), tell)
        results: list[AddressedResult] = []
        remarks = list(decision.remarks)
        broken: ResultError | None = None
        for options, destinations in decision.outputs.items():
            try:
                written = list(self._written(found, job, options, destinations, keep))
            except ResultError as error:
                broken, written, reason = error, [], str(error)
            else:
                reason = NOTHING
            results += written
            if not written:
                remarks.append(f"nothing for {', '.join(destinations) or 'anybody'}: {reason}")
        if broken is not None and not results:
            raise broken
        if results and not found.measurements.computed:
            remarks.append(_unmeasured(found.measurements))
        return Made(tuple(results), tuple(remarks))

    def _decision(self, job: Job, content: bytes) -> Decision:
        """Ask what becomes of an image, and write it down with the job."""
        # A header of its own: who asks converts elements, and results copy them as they came.
        header = parse(content)
        decision = self._decide(header, Titles(job.calling_ae_title, job.called_ae_title))
        self._store.note_read(job, identifiers_in(header), decision.rules, decision.priority)
        if decision.fate is Fate.IGNORED:
            raise IgnoredImageError(decision.reason)
        if decision.fate is Fate.UNMATCHED:
            raise UnmatchedImageError(decision.reason)
        return decision

    def _model(self, decision: Decision) -> Model:
        found = self._models.get(decision.model)
        if found is None:
            raise UnmatchedImageError(
                f"the model bundle {decision.model} is loaded when the node starts next"
            )
        return found

    @staticmethod
    def _understood(content: bytes, model: Model, tell: Callable[[str], None]) -> Understood:
        def ended(stage: str, _seconds: float) -> None:
            judged = model.examiner is not None or stage != "read"
            tell(NEXT_STAGE[stage] if judged else NEXT_STAGE["judge"])

        return understand(BytesIO(content), model.segmenter, ended, model.examiner)

    def _written(
        self, found: Understood, job: Job, options: OutputOptions, destinations: tuple[str, ...], keep: Keep
    ) -> Iterator[AddressedResult]:
        """Yield the results of one profile: reports name what each destination itself has had before."""
        groups: dict[tuple[Predecessor, ...], list[str]] = {}
        for destination in destinations:
            groups.setdefault(self._reports(job, destination), []).append(destination)
        for reports, names in (groups or {self._reports(job): []}).items():
            kept = [keep(result) for result in write(found, options, reports)]
            yield from (AddressedResult(each, tuple(names)) for each in kept)

    def _reports(self, job: Job, *destinations: str) -> tuple[Predecessor, ...]:
        """Return the reports that a destination has of this image already, the oldest first."""
        kept = self._store.results(job.id, destinations)
        reports = (result for result in kept if result.kind.startswith("SR"))
        read = (_predecessor(result, self._spool.path(result.path)) for result in reports)
        return tuple(predecessor for predecessor in read if predecessor is not None)


def _unmeasured(measurements: Measurements) -> str:
    """Return what the list of jobs tells of an image of which results went out and no value."""
    first = next(iter(measurements.not_computed), None)
    return "nothing was measured" + (f": {first.name}: {first.reason}" if first else "")


def _predecessor(result: StoredResult, path: Path) -> Predecessor | None:
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    except (OSError, InvalidDicomError) as error:  # it cannot be named; that is no reason to stop
        log.warning("an earlier report cannot be read", error=type(error).__name__)
        return None
    series = text(header, "SeriesInstanceUID")
    return Predecessor(result.kind, result.sop_class_uid, result.sop_instance_uid, series)
