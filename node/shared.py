"""What the parts of one node share, and the listener: all that an image needs to be taken.

Nothing here needs the network, the writers of results, or the web: a node listens before it loads those.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Self

from config.settings import Settings
from node.auditor import AuditTrail
from node.backoff import Backoff
from node.bell import Bell
from node.commitment_scp import CommitmentScp
from node.commitment_scu import CommitmentEvents
from node.commitment_store import CommitmentStore
from node.evidence import Evidence
from node.job_store import JobStore
from node.listener import Listener
from node.part import Part
from node.peer_call import Caller
from node.priorities import priorities_of
from node.spool import Spool
from node.tls import client_context


@dataclass(frozen=True)
class Shared:
    """What the parts of one node share.

    Attributes:
        settings: What the admin wants.
        parts: What this process does.
        spool: Where files lie.
        store: Where jobs and deliveries are.
        commitments: Where requests for storage commitment are.
        audit: What is told to an audit repository.
        received: Rings when an image was received.
        finished: Rings when there may be something to deliver or to prove.
        taken_on: Rings when a storage commitment is to be answered.
    """

    settings: Settings
    parts: Collection[Part]
    spool: Spool
    store: JobStore
    commitments: CommitmentStore
    audit: AuditTrail
    received: Bell = field(default_factory=Bell)
    finished: Bell = field(default_factory=Bell)
    taken_on: Bell = field(default_factory=Bell)

    def by(self, settings: Settings) -> Self:
        """Return the same with other settings."""
        store = JobStore(self.store.engine, settings.worker.max_attempts, self.store.clock)
        spool = self.spool.with_reserve(settings.node.disk_reserve_mb)
        return replace(self, settings=settings, spool=spool, store=store)

    @property
    def backoff(self) -> Backoff:
        """The waits before something is sent or asked again."""
        delivery = self.settings.delivery
        return Backoff(delivery.first_retry_s, delivery.longest_retry_s)

    @property
    def events(self) -> CommitmentEvents:
        """Who hears what destinations say about storage commitment."""
        destinations = self.settings.every_destination
        return CommitmentEvents(self.store, destinations, self.backoff, self.finished.ring)

    @property
    def caller(self) -> Caller:
        """Who calls others."""
        tls = self.settings.tls
        return Caller(self.settings.node.ae_title, lambda peer: client_context(tls) if peer.tls else None)


def listener_of(shared: Shared) -> Listener:
    """Return who takes images; it does not listen yet."""
    settings, evidence = shared.settings, Evidence(shared.commitments, shared.spool)
    answers = settings.commitment.answer
    commitment = CommitmentScp(shared.commitments, evidence, shared.events, answers, shared.taken_on.ring)
    listener = Listener(
        settings.node,
        shared.spool,
        shared.store,
        shared.received.ring,
        settings.tls,
        commitment,
        shared.audit,
    )
    listener.traffic.know([peer.ae_title for peer in settings.peer])
    listener.priorities = priorities_of(settings)
    return listener
