"""A prover: asks one destination for the proofs of what it was sent, until each one is there.

What a destination says is kept as it is said, and a node that dies between any two steps goes on where it
was: the Transaction UID is committed before a question goes out, and a question without a recorded answer is
asked again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from config.settings import AnyDestination, Destination
from node.backoff import Backoff, Breaker, BreakerState
from node.bell import Bell
from node.commitment_scu import Asker, Reference
from node.errors import ProofError
from node.heartbeat import Heartbeat
from node.job_store import JobStore
from node.logs import get_logger, reason_for_log
from node.loop import Loop
from node.proofs import ProofKind, Sought, Unproven, asked_of, awaited
from node.query import Finder
from node.spool import Spool

IDLE_S = 2.0
"""What another process has sent, or what is due again, is seen within so many seconds."""

BATCH = 64
"""Objects in one storage commitment, or asked about in one association."""

UNREADABLE = "it cannot be asked about: the result's file cannot be read"

log = get_logger()


@dataclass(frozen=True)
class Questions:
    """How a destination is asked; the plain ones of tests stand in their place.

    Attributes:
        asker: For storage commitments.
        finder: For queries.
    """

    asker: Asker
    finder: Finder


@dataclass(frozen=True)
class ProofRules:
    """How patiently a destination is asked.

    Attributes:
        backoff: The waits between questions, and before an object is sent again.
        breaker_failures: So many failures in a row make the destination count as dead.
        lease_s: How long claimed deliveries stay a prover's, in seconds.
    """

    backoff: Backoff
    breaker_failures: int
    lease_s: float


class Prover:
    """Asks one destination in a thread of its own.

    Args:
        name: Who holds the deliveries; different in every prover of every process.
        destination: Whom.
        job_store: Where deliveries and proofs are.
        spool: Where results lie.
        questions: How.
        rules: How patiently.
        finished: Rings when something may have been sent; rung when something is to be sent again.
    """

    def __init__(
        self,
        name: str,
        destination: AnyDestination,
        job_store: JobStore,
        spool: Spool,
        questions: Questions,
        rules: ProofRules,
        finished: Bell,
    ) -> None:
        self._name = name
        self._destination = destination
        self._asked = asked_of(destination)
        self._store = job_store
        self._spool = spool
        self._questions = questions
        self._rules = rules
        self._finished = finished
        self._breaker = Breaker(rules.breaker_failures, rules.backoff)
        self.loop = Loop(name, self.step, finished)

    @property
    def breaker(self) -> BreakerState:
        """Whether the destination answers."""
        return self._breaker.state

    def step(self) -> float:
        """Ask about what is due, at most one batch; return for how many seconds there is nothing to do."""
        if self._breaker.wait_s > 0:
            return self._breaker.wait_s
        store, lease_s = self._store, self._rules.lease_s
        due = store.claim_unproven(self._destination.name, self._name, lease_s, BATCH)
        if not due:
            return IDLE_S
        with self._held(due):
            commitments, findings = self._commitments(due), self._findings(due)
        held = store.held([each.delivery.id for each in due])  # now: an answer may have come meanwhile
        for each in due:  # what has been proven by now, or is to be sent again, is not touched by this
            lacking, number = self._asked - held.get(each.delivery.id, set()), each.delivery.id
            whys = {ProofKind.COMMITMENT: commitments.get(number), ProofKind.QUERY: findings.get(number)}
            self._await(each, awaited(lacking, {kind: why for kind, why in whys.items() if why}))
        return self._breaker.wait_s

    def _held(self, due: Sequence[Unproven]) -> Heartbeat:
        """Keep the leases however long the destination takes to answer."""
        ids, lease_s = [each.delivery.id for each in due], self._rules.lease_s
        return Heartbeat(lambda _stage: self._store.renew(ids, self._name, lease_s), lease_s)

    # ---- storage commitment

    def _commitments(self, due: Sequence[Unproven]) -> dict[int, str]:
        """Ask for the commitments that nobody was asked for, or not answered in time; return what failed."""
        lacking = [each for each in due if self._lacks(each, ProofKind.COMMITMENT) and self._is_unasked(each)]
        if not lacking or not isinstance(self._destination, Destination):
            return {}
        uid, ids = str(generate_uid()), [each.delivery.id for each in lacking]
        results = [each.delivery.result for each in lacking]
        references = [Reference(result.sop_class_uid, result.sop_instance_uid) for result in results]
        try:
            self._questions.asker.ask(
                self._destination,
                uid,
                references,
                lambda: self._store.begin_transaction(uid, self._destination.name, ids),
                lambda: self._store.commitment_asked(uid),
            )
        except ProofError as error:
            if not error.unanswered:
                self._store.forget_transaction(uid)  # it was refused: nothing more will be heard of it
            return self._failed(error, ids, ProofKind.COMMITMENT)
        self._succeeded(ids, ProofKind.COMMITMENT)
        return {}

    def _is_unasked(self, each: Unproven) -> bool:
        asked_at = each.delivery.asked_at
        return asked_at is None or self._store.clock() >= asked_at + self._timeout

    # ---- queries

    def _findings(self, due: Sequence[Unproven]) -> dict[int, str]:
        """Ask whether the destination finds what lacks that proof; return what failed."""
        lacking = [each for each in due if self._lacks(each, ProofKind.QUERY)]
        if not lacking or self.loop.stopping or self._breaker.wait_s > 0:
            return {}
        sought = {each.delivery.id: sought for each in lacking if (sought := self._sought(each)) is not None}
        unreadable = {e.delivery.id: UNREADABLE for e in lacking if e.delivery.id not in sought}
        newest = self._store.newest_proof()
        try:
            there = self._questions.finder.find(self._destination, list(sought.values()))
        except ProofError as error:
            return unreadable | self._failed(error, list(sought), ProofKind.QUERY)
        self._succeeded(list(sought), ProofKind.QUERY)
        found = [number for number, each in sought.items() if each.sop_instance_uid in there]
        self._store.found(found, self._asked, newest)
        missing = sought.keys() - set(found)
        late = [e.delivery.id for e in lacking if e.delivery.id in missing and self._is_late(e)]
        self._send_again(late, newest)
        return unreadable

    def _send_again(self, ids: Sequence[int], newest: int) -> None:
        if ids:
            told = f"not found there {self._destination.proof_timeout_s:g} s after it was stored"
            self._store.not_found(ids, told, self._rules.backoff, newest)
            self._finished.ring()

    def _sought(self, each: Unproven) -> Sought | None:
        """Return the three UIDs of a result; None where its file cannot be read."""
        tags = ["StudyInstanceUID", "SeriesInstanceUID"]
        try:
            path = self._spool.path(each.delivery.result.path)
            head = dcmread(path, stop_before_pixels=True, specific_tags=tags)
        except (OSError, InvalidDicomError):
            return None
        study, series = str(head.get("StudyInstanceUID", "")), str(head.get("SeriesInstanceUID", ""))
        return Sought(study, series, each.delivery.result.sop_instance_uid)

    def _is_late(self, each: Unproven) -> bool:
        sent_at = each.delivery.sent_at
        return sent_at is not None and self._store.clock() >= sent_at + self._timeout

    # ---- both

    @property
    def _timeout(self) -> timedelta:
        return timedelta(seconds=self._destination.proof_timeout_s)

    def _lacks(self, each: Unproven, kind: ProofKind) -> bool:
        return kind in self._asked and kind not in each.held

    def _failed(self, error: ProofError, ids: Sequence[int], kind: ProofKind) -> dict[int, str]:
        (self._breaker.failed if error.unanswered else self._breaker.answered)()
        log.warning(
            "proof not asked for",
            destination=self._destination.name,
            kind=str(kind),
            count=len(ids),
            reason=reason_for_log(str(error)),
            breaker=str(self._breaker.state),
        )
        return dict.fromkeys(ids, str(error))

    def _succeeded(self, ids: Sequence[int], kind: ProofKind) -> None:
        self._breaker.answered()
        log.info("proof asked for", destination=self._destination.name, kind=str(kind), count=len(ids))

    def _await(self, each: Unproven, words: str) -> None:
        """Give a delivery back until its next question is due, with what is awaited in words."""
        wait_s = max(self._age_s(each), self._rules.backoff.first_s)
        wait_s = min(wait_s, self._rules.backoff.longest_s, self._destination.proof_timeout_s)
        due_at = self._store.clock() + timedelta(seconds=max(wait_s, self._breaker.wait_s))
        self._store.await_proof([each.delivery.id], due_at, words)

    def _age_s(self, each: Unproven) -> float:
        """Return the seconds since it was sent: waiting as long again doubles the waits without a counter."""
        sent_at = each.delivery.sent_at or datetime.now(UTC)
        return (self._store.clock() - sent_at).total_seconds()
