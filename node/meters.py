"""What is measured while the node works: how long stages, results and deliveries take, and how they end.

The meters wrap the parts that they measure, as `node.auditor.AuditedTransport` does.
"""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from ai.errors import NotAChestError, RadiographError
from config.settings import AnyDestination
from node.errors import (
    IgnoredImageError,
    RefusedImageError,
    ResultError,
    StorageError,
    UndecodableError,
    UnmatchedImageError,
)
from node.jobs import Job
from node.outcome import Outcome, Verdict
from node.transport import Outgoing, Transport
from node.work import Keep, Made
from node.worker import Doing

STAGE_BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100)
"""Half a decade each: reading takes 0.03 s, the network 0.1 s on a GPU, 3 s on a processor."""

LATENCY_BUCKETS_S = (1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400)
"""From an image alone in an idle node to a backlog of hours."""


RUN_BUCKETS = (1, 2, 3, 4, 8, 16)
"""Images in one run of the network, up to the largest `model.batch`."""


class Meters:
    """Counters and histograms of one process, in a registry of their own."""

    def __init__(self) -> None:
        # A second series of times for each counter says nothing here.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.stage_seconds = Histogram(
            "paxnode_stage_seconds",
            "How long a stage of an image took.",
            ["stage"],
            registry=self.registry,
            buckets=STAGE_BUCKETS_S,
        )
        self.run_images = Histogram(
            "paxnode_network_run_images",
            "How many images went through the network together.",
            registry=self.registry,
            buckets=RUN_BUCKETS,
        )
        self.result_latency = Histogram(
            "paxnode_receive_to_result_seconds",
            "From the reception of an image until its results are made, waiting included.",
            registry=self.registry,
            buckets=LATENCY_BUCKETS_S,
        )
        self.jobs = Counter(
            "paxnode_jobs_worked", "Images worked on, by how that ended.", ["outcome"], registry=self.registry
        )
        self.deliveries = Counter(
            "paxnode_delivery_attempts",
            "Objects sent, or tried to, by what came of it.",
            ["destination", "verdict"],
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "paxnode_delivery_seconds",
            "How long a destination took for an object.",
            ["destination"],
            registry=self.registry,
            buckets=STAGE_BUCKETS_S,
        )

    def observe(self, stage: str, seconds: float) -> None:
        """Record that a stage took so long; for `node.model.load_segmenter`."""
        self.stage_seconds.labels(stage).observe(seconds)

    def note_run(self, images: int) -> None:
        """Record a run of the network with so many images; for `node.model.load_segmenter`."""
        self.run_images.observe(images)


class MeteredWork:
    """Measures what `node.work.Work` does.

    Args:
        work: Makes results.
        meters: Where to.
        clock: Tells the time by which jobs are received, UTC.
        count: Counts seconds.
    """

    def __init__(
        self,
        work: Doing,
        meters: Meters,
        clock: Callable[[], datetime],
        count: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._work = work
        self._meters = meters
        self._clock = clock
        self._count = count

    def __call__(self, job: Job, keep: Keep, tell: Callable[[str], None] = lambda _stage: None) -> Made:
        """Make the results of a job; see `node.work.Work`."""
        stages = _Stages(self._meters, self._count)

        def told(stage: str) -> None:
            stages.begin(stage)
            tell(stage)

        outcome = "error"
        try:
            made = self._work(job, keep, told)
            outcome = "results"
        except (RefusedImageError, NotAChestError):
            outcome = "refused"
            raise
        except (UndecodableError, RadiographError, ResultError):
            outcome = "quarantined"
            raise
        except IgnoredImageError:
            outcome = "ignored"
            raise
        except UnmatchedImageError:
            outcome = "unmatched"
            raise
        except StorageError:
            outcome = "put off"
            raise
        finally:
            self._meters.jobs.labels(outcome).inc()
        stages.end()
        self._meters.result_latency.observe(max(0.0, (self._clock() - job.created_at).total_seconds()))
        return made


class _Stages:
    """Times the stages of one image: each lasts until the next begins."""

    def __init__(self, meters: Meters, count: Callable[[], float]) -> None:
        self._meters = meters
        self._count = count
        self._stage = ""
        self._began = 0.0

    def begin(self, stage: str) -> None:
        self.end()
        self._stage, self._began = stage, self._count()

    def end(self) -> None:
        if self._stage:
            self._meters.observe(self._stage, self._count() - self._began)
            self._stage = ""


class MeteredTransport:
    """Measures what a transport carries.

    Args:
        transport: Carries.
        meters: Where to.
        count: Counts seconds.
    """

    def __init__(
        self, transport: Transport, meters: Meters, count: Callable[[], float] = time.perf_counter
    ) -> None:
        self._transport = transport
        self._meters = meters
        self._count = count

    def send(self, destination: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
        """Send; see `node.transport.Transport.send`."""
        name, began = destination.name, self._count()
        with closing(self._transport.send(destination, objects)) as outcomes:
            for outcome in outcomes:
                self._meters.deliveries.labels(name, outcome.verdict.value).inc()
                if outcome.verdict is Verdict.STORED:
                    self._meters.delivery_seconds.labels(name).observe(self._count() - began)
                yield outcome
                began = self._count()
