"""What is told at every scrape (Prometheus, text format 0.0.4): docs/metrics.md describes each metric.

Labels hold names from the settings, words of ours and statuses of DICOM, and never anything else: what comes
from the network may name a patient, and every new value would be a series for ever.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from node.backoff import BreakerState
from node.certificates import days_left
from node.errors import NodeError, TlsError
from node.health import PARTS, ready
from node.queue_figures import AGED, QueueFigures, queue_figures
from node.spool import MEGABYTE
from node.watched import Parts, Watched

MOST_REASONS = 50
"""Reasons why peers are not let in are told one by one up to here. There are about 30 of ours and PS3.8's;
OpenSSL has some more, which a peer may bring about."""

OTHER = "other"

DISTRIBUTION = "paxnode"


class Exposition(Collector):
    """Everything that is looked up when somebody asks.

    Args:
        watched: Which node.
    """

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        registry = watched.meters.registry
        registry.register(self)
        ProcessCollector(registry=registry)

    def text(self) -> bytes:
        """Return all metrics of the node."""
        return generate_latest(self._watched.meters.registry)

    def describe(self) -> list[Metric]:
        """Say nothing in advance, so that nothing is looked up before the node is there."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that are looked up."""
        parts = self._watched.parts()
        yield from self._identity(parts)
        yield from _reception(parts)
        yield from self._readiness()
        yield from self._disk()
        yield from _loops(parts)
        yield from _destinations(parts)
        with suppress(NodeError):  # the database is away: paxnode_ready tells
            names = [destination.name for destination in self._watched.settings().every_destination]
            figures = queue_figures(self._watched.engine, names, self._watched.clock)
            yield from _queues(figures)

    def _identity(self, parts: Parts) -> Iterator[Metric]:
        program = _gauge("paxnode_info", "Which program runs.", ["version"])
        program.add_metric([version(DISTRIBUTION)], 1)
        yield program
        active = "The active version of the settings; 0: versions are not kept."
        yield _gauge("paxnode_configuration_version", active, value=self._watched.version())
        model = _gauge("paxnode_model_info", "Which weights segment.", ["id", "version"])
        if parts.model is not None:
            model.add_metric([parts.model.id, parts.model.version], 1)
        yield model
        days = _gauge("paxnode_certificate_days_left", "How long the certificate in [tls] is good.")
        certificate = self._watched.settings().tls.certificate
        with suppress(TlsError):
            if certificate:
                days.add_metric([], days_left(Path(certificate), datetime.now(tz=UTC)))
        yield days

    def _readiness(self) -> Iterator[Metric]:
        broken = {problem.part for problem in ready(self._watched).problems}
        gauge = _gauge("paxnode_ready", "1: the part is ready, as /readyz sees it.", ["part"])
        for part in PARTS:
            gauge.add_metric([part], part not in broken)
        yield gauge

    def _disk(self) -> Iterator[Metric]:
        settings = self._watched.settings()
        free = _gauge("paxnode_disk_free_bytes", "Free space where the data folder is.")
        with suppress(NodeError):
            free.add_metric([], self._watched.spool.free_bytes())
        yield free
        reserve = settings.node.disk_reserve_mb * MEGABYTE
        yield _gauge("paxnode_disk_reserve_bytes", "With less, images are refused.", value=reserve)
        warning = settings.retention.disk_warning_mb * MEGABYTE
        yield _gauge("paxnode_disk_warning_bytes", "With less, the log warns.", value=warning)


def _reception(parts: Parts) -> Iterator[Metric]:
    if parts.listener is None:
        return
    counts = parts.listener.traffic.counts
    yield _gauge("paxnode_associations_active", "Associations now.", value=parts.listener.active)
    called = _counter("paxnode_associations", "Associations that were asked for.", ["sender"])
    received = _counter("paxnode_received_bytes", "Bytes of data sets that came.", ["sender"])
    for sender, count in counts.associations.items():
        called.add_metric([sender], count)
    for sender, count in counts.received_bytes.items():
        received.add_metric([sender], count)
    answers = _counter("paxnode_store_requests", "C-STORE requests by status.", ["sender", "status"])
    for (sender, status), count in counts.answers.items():
        answers.add_metric([sender, f"0x{status:04X}"], count)
    refused = _counter("paxnode_peers_refused", "Peers that were not let in.", ["reason"])
    for reason, count in bounded(parts.listener.refusals).items():
        refused.add_metric([reason], count)
    yield from (called, received, answers, refused)


def bounded(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts under at most `MOST_REASONS` names, the first ones, and `OTHER`.

    >>> len(bounded({str(number): 1 for number in range(1000)}))
    51
    """
    kept = dict(list(counts.items())[:MOST_REASONS])
    rest = sum(list(counts.values())[MOST_REASONS:])
    return kept | ({OTHER: rest} if rest else {})


def _loops(parts: Parts) -> Iterator[Metric]:
    ages = _gauge("paxnode_loop_age_seconds", "For how long a loop has made no step.", ["loop"])
    for name, loop in parts.loops():
        ages.add_metric([name], loop.age_s)
    yield ages


def _destinations(parts: Parts) -> Iterator[Metric]:
    breakers = _gauge(
        "paxnode_destination_breaker",
        "1 for the state that it is in: closed, open (it is taken for dead), half-open (it is probed).",
        ["destination", "state"],
    )
    for name, sender in parts.senders:
        for state in BreakerState:
            breakers.add_metric([name, state.value], sender.breaker is state)
    yield breakers


def _queues(figures: QueueFigures) -> Iterator[Metric]:
    count = _gauge("paxnode_jobs", "Jobs in a state; 100000: so many or more.", ["state"])
    oldest = _gauge("paxnode_jobs_oldest_seconds", "Since the oldest of a state came.", ["state"])
    for state, jobs in figures.jobs.items():
        count.add_metric([state.value], jobs.count)
        if state in AGED:
            oldest.add_metric([state.value], jobs.oldest_s)
    labels = ["destination", "state"]
    waiting = _gauge("paxnode_deliveries", "Deliveries in a state; 100000: so many or more.", labels)
    late = _gauge("paxnode_deliveries_oldest_seconds", "Since the oldest one's result was made.", labels)
    for (name, delivery_state), found in figures.deliveries.items():
        waiting.add_metric([name, delivery_state.value], found.count)
        late.add_metric([name, delivery_state.value], found.oldest_s)
    last = _gauge(
        "paxnode_last_delivered_timestamp_seconds",
        "When a destination last took something for good, in seconds since 1970.",
        ["destination"],
    )
    for name, at in figures.last_delivered_at.items():
        last.add_metric([name], at.timestamp())
    yield from (count, oldest, waiting, late, last)


def _gauge(
    name: str, words: str, labels: list[str] | None = None, value: float | None = None
) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value, labels=labels)


def _counter(name: str, words: str, labels: list[str]) -> CounterMetricFamily:
    return CounterMetricFamily(name, words, labels=labels)
