"""A sender: carries the results of one destination to it, until each one is there or parked."""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from pydicom.uid import UID

from config.settings import AnyDestination
from node.backoff import Backoff, Breaker, BreakerState, Failures
from node.bell import Bell
from node.heartbeat import Heartbeat
from node.job_store import JobStore
from node.jobs import Delivery
from node.logs import get_logger, reason_for_log
from node.loop import Loop
from node.outcome import Outcome, Verdict
from node.proofs import asked_of
from node.rate import Rate
from node.spool import Spool
from node.transport import Outgoing, Transport

IDLE_S = 2.0
"""Deliveries that another process added, or that are due again, are seen within so many seconds."""

BATCH = 16
"""Deliveries claimed at a time, and sent in one association."""

HURRIED_AT_A_TIME = 500
"""Deliveries in one statement; databases limit its length."""

SETTLE_EVERY_S = 60.0
"""How often an idle sender looks for what still waits for proofs that nobody asks for."""

log = get_logger()


@dataclass(frozen=True)
class DeliveryRules:
    """How patiently a destination is tried, and in which form it gets objects.

    Attributes:
        backoff: The waits after failures.
        breaker_failures: So many failed associations in a row make it count as dead; then one object at a
            time probes it.
        lease_s: How long claimed deliveries stay a sender's without a sign of life, in seconds.
        syntaxes: Transfer syntaxes that it would have, the best first.
        clock: Seconds that only grow; for `objects_per_minute`.
    """

    backoff: Backoff
    breaker_failures: int
    lease_s: float
    syntaxes: tuple[UID, ...] = ()
    clock: Callable[[], float] = time.monotonic


class Sender:
    """Delivers to one destination in a thread of its own, so that a dead one delays nobody else.

    Every outcome is committed as soon as the peer has answered. Only when the node dies between an answer and
    its commit is an object sent again, byte for byte the same under the same SOP Instance UID.

    Args:
        name: Who holds the deliveries; different in every sender of every process.
        destination: Where to.
        job_store: Where deliveries are.
        spool: Where results lie.
        transport: How.
        rules: How patiently.
        finished: Rings when there are new deliveries.
    """

    def __init__(
        self,
        name: str,
        destination: AnyDestination,
        job_store: JobStore,
        spool: Spool,
        transport: Transport,
        rules: DeliveryRules,
        finished: Bell,
    ) -> None:
        self._name = name
        self._destination = destination
        self._store = job_store
        self._spool = spool
        self._transport = transport
        self._rules = rules
        self._breaker = Breaker(rules.breaker_failures, rules.backoff, moment=job_store.clock)
        self._rate = Rate(destination.objects_per_minute, rules.clock)
        self._begun = False
        self._settled_at = -SETTLE_EVERY_S
        self._unsent: set[int] = set()  # what waits for the destination's return and for nothing else
        self.loop = Loop(name, self.step, finished)

    @property
    def destination(self) -> AnyDestination:
        """Where to."""
        return self._destination

    @property
    def breaker(self) -> BreakerState:
        """Whether the destination answers."""
        return self._breaker.state

    @property
    def failures(self) -> Failures:
        """How often the destination has not answered since it last did."""
        return self._breaker.failures

    def step(self) -> float:
        """Send what is due, at most one batch; return for how many seconds there is nothing to do.

        Raises:
            StorageError: The database or the data folder is away; no delivery is held against it.
        """
        wait_s = max(self._breaker.wait_s, self._rate.wait_s)
        if wait_s > 0:
            return wait_s
        self._spool.check_there()
        if not self._begun:
            self._begin()
        limit = 1 if self._breaker.state is BreakerState.HALF_OPEN else min(BATCH, self._rate.allowed)
        due = self._store.claim_deliveries(self._destination.name, self._name, self._rules.lease_s, limit)
        if not due:
            self._settle_again()
            return IDLE_S
        self._rate.spend(len(due))
        self._send(due)
        self._hurry()
        return max(self._breaker.wait_s, self._rate.wait_s)

    def _begin(self) -> None:
        """Try at once what an earlier run had put off, and end what waits for proofs no longer asked for."""
        name, asked = self._destination.name, asked_of(self._destination)
        self._store.hurry(name)
        last: int | None = 0
        while last is not None and not self.loop.stopping:
            last = self._store.settle(name, asked, last)
        self._begun = True

    def _settle_again(self) -> None:
        """End what waits for proofs that are not asked for any more: another sender may have just sent it."""
        now = time.monotonic()
        if not asked_of(self._destination) and now >= self._settled_at + SETTLE_EVERY_S:
            self._store.settle(self._destination.name, ())
            self._settled_at = now

    def _hurry(self) -> None:
        """Make due what could not be sent, once the destination answers again.

        Not what it broke off at: that waits its own time, or it would break off at it again and again.
        """
        if self._unsent and self._breaker.state is BreakerState.CLOSED and self._breaker.wait_s == 0:
            ids, self._unsent = sorted(self._unsent), set()
            for start in range(0, len(ids), HURRIED_AT_A_TIME):
                self._store.hurry(self._destination.name, ids[start : start + HURRIED_AT_A_TIME])

    def _send(self, due: Sequence[Delivery]) -> None:
        objects = [
            Outgoing(d.result.sop_instance_uid, self._spool.path(d.result.path), self._rules.syntaxes)
            for d in due
        ]
        left = list(due)
        unanswered = is_known = False
        with self._held(due), closing(self._transport.send(self._destination, objects)) as outcomes:
            while left and (is_known or not self.loop.stopping):
                outcome = next(outcomes)
                is_known = outcome.next_is_known
                if outcome.unanswered and not unanswered:
                    # an association fails once, however many objects it leaves unsent
                    self._breaker.failed(self._least_wait_s(outcome))
                elif not outcome.unanswered and not outcome.ours:
                    self._breaker.answered()
                unanswered |= outcome.unanswered
                delivery = left.pop(0)
                self._record(delivery, outcome)
                self._log(delivery, outcome)
                self.loop.turned()
        for delivery in left:
            again = self._store.clock()
            self._store.delivery_failed(delivery.id, "the node stopped", again)

    def _held(self, due: Sequence[Delivery]) -> Heartbeat:
        """Keep the leases of a batch however long one of its objects takes."""
        ids, lease_s = [delivery.id for delivery in due], self._rules.lease_s
        return Heartbeat(lambda _stage: self._store.renew(ids, self._name, lease_s), lease_s)

    def _record(self, delivery: Delivery, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.STORED and outcome.status is not None:
            self._store.delivered(delivery.id, outcome.status, asked_of(self._destination))
            return
        parked = outcome.verdict is Verdict.PERMANENT
        if parked and outcome.status is None:  # a file that is gone: not if they all are
            self._spool.check_there()
        (self._unsent.add if outcome.unsent else self._unsent.discard)(delivery.id)
        retry_at = None if parked else self._retry_at(delivery, outcome)
        self._store.delivery_failed(delivery.id, outcome.reason, retry_at, outcome.status)

    def _least_wait_s(self, outcome: Outcome) -> float:
        """Return how long the peer is to be left alone: a barred one until somebody may have looked."""
        longest_s = self._rules.backoff.longest_s
        return longest_s if outcome.verdict is Verdict.BARRED else min(outcome.wait_s, longest_s)

    def _retry_at(self, delivery: Delivery, outcome: Outcome) -> datetime:
        """Return when to try again: one that was sent waits longer each time, an unsent one for its peer."""
        wait_s = self._breaker.wait_s
        if outcome.verdict is Verdict.TRANSIENT:
            wait_s = max(wait_s, self._rules.backoff.delay_s(delivery.attempts + 1))
        return self._store.moment(wait_s)

    def _log(self, delivery: Delivery, outcome: Outcome) -> None:
        stored = outcome.verdict is Verdict.STORED
        (log.info if stored else log.warning)(
            "delivery tried",
            destination=self._destination.name,
            delivery_id=delivery.id,
            job_id=delivery.job_id,
            result_uid=delivery.result.sop_instance_uid,
            verdict=str(outcome.verdict),
            breaker=str(self._breaker.state),
            **({} if stored else {"reason": reason_for_log(outcome.reason)}),
            **({} if outcome.status is None else {"status": f"0x{outcome.status:04X}"}),
        )
