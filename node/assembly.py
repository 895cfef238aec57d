"""A node built from its settings: every part is made here, once, and given what it needs."""

import os
import socket
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ai.segmenter import Segmenter
from config.settings import AnyDestination, Destination, Settings
from node.appearance import examiner_of
from node.auditor import AuditTrail, audit_trail
from node.backoff import Backoff
from node.bell import Bell
from node.clock import clock_for
from node.commitment_scp import CommitmentScp
from node.commitment_scu import CommitmentEvents, CommitmentScu
from node.commitment_store import CommitmentStore
from node.committer import Committer
from node.database import engine_for, upgrade
from node.evidence import Evidence
from node.housekeeping import Housekeeper
from node.job_store import JobStore
from node.keeping_store import KeepingStore
from node.listener import Listener
from node.logs import get_logger
from node.meters import MeteredTransport, MeteredWork, Meters
from node.model import load_segmenter
from node.ownership import settle_ownership
from node.peer_call import Caller
from node.priorities import priorities_of
from node.proofs import asked_of
from node.prover import ProofRules, Prover, Questions
from node.query import DimseFinder
from node.query_web import WebFinder
from node.routes import routes_of
from node.rules import check_profiles, decide
from node.sender import DeliveryRules, Sender
from node.service import ALL_PARTS, Node, Part
from node.spool import Spool, others_may
from node.tls import client_context
from node.transcode import SYNTAXES
from node.transport import Transport
from node.watched import Parts, Watched
from node.web.app import web_app
from node.web.server import WebServer
from node.work import Model, Work
from node.worker import Worker

log = get_logger()


@dataclass(frozen=True)
class _Common:
    """What the parts of one node share.

    Attributes:
        settings: What the admin wants.
        spool: Where files lie.
        store: Where jobs and deliveries are.
        commitments: Where requests for storage commitment are.
        audit: What is told to an audit repository.
        received: Rings when an image was received.
        finished: Rings when there may be something to deliver or to prove.
        taken_on: Rings when a storage commitment is to be answered.
        meters: What is measured while the node works.
    """

    settings: Settings
    spool: Spool
    store: JobStore
    commitments: CommitmentStore
    audit: AuditTrail
    received: Bell = field(default_factory=Bell)
    finished: Bell = field(default_factory=Bell)
    taken_on: Bell = field(default_factory=Bell)
    meters: Meters = field(default_factory=Meters)

    @property
    def backoff(self) -> Backoff:
        delivery = self.settings.delivery
        return Backoff(delivery.first_retry_s, delivery.longest_retry_s)

    @property
    def events(self) -> CommitmentEvents:
        destinations = self.settings.every_destination
        return CommitmentEvents(self.store, destinations, self.backoff, self.finished.ring)

    @property
    def caller(self) -> Caller:
        tls = self.settings.tls
        return Caller(self.settings.node.ae_title, lambda peer: client_context(tls) if peer.tls else None)

    @property
    def web_finder(self) -> WebFinder:
        tls = self.settings.tls
        return WebFinder(lambda destination: client_context(tls, destination.authorities))


def build_node(
    settings: Settings,
    segmenter: Segmenter | None = None,
    transport: Transport | None = None,
    parts: Collection[Part] = ALL_PARTS,
) -> Node:
    """Return a node that is ready to start. Tables are made or migrated, and what a crash left is tidied up.

    Several processes may run on the same data directory and database: each job and delivery is leased to one.

    Args:
        settings: What the admin wants.
        segmenter: What finds the anatomy; None loads the bundle that the settings name, if the node works.
        transport: How results travel; None sends them by C-STORE, or by STOW-RS to a web destination.
        parts: What this process does.

    Raises:
        ai.errors.BundleError: The model bundle cannot be trusted.
        node.errors.StorageError: The data directory or the database cannot be used.
    """
    meters = Meters()
    if Part.WORK not in parts:
        segmenter = None
    elif segmenter is None:
        segmenter = load_segmenter(settings.model, meters.observe)
    data_dir = Path(settings.node.data_dir)
    engine = engine_for(settings.database.url.get_secret_value(), data_dir)
    upgrade(engine)
    clock = clock_for(engine)
    store = JobStore(engine, settings.worker.max_attempts, clock)
    spool = Spool(data_dir, settings.node.disk_reserve_mb)
    common = _Common(
        settings, spool, store, CommitmentStore(engine, clock), audit_trail(settings), meters=meters
    )
    settle_ownership(spool, KeepingStore(engine, clock))
    if torn := spool.recover():
        log.info("spool swept", count=torn)
    if others_may(data_dir):
        log.warning("the data folder is open to other users of this machine")
    _tell_of_the_stranded(store, {destination.name for destination in settings.every_destination})
    carrier = MeteredTransport(common.audit.carrying(transport or routes_of(settings)), meters)
    delivers = Part.DELIVER in parts
    models = _models(settings, segmenter) if segmenter else {}
    node = Node(
        _listener(common) if Part.LISTEN in parts else None,
        _workers(common, models) if models else (),
        _senders(common, carrier) if delivers else (),
        (*_provers(common), *_committers(common), _housekeeper(common)) if delivers else (),
        common.audit,
        engine,
    )
    return replace(node, web=_web(common, node, segmenter)) if settings.web.enabled else node


def _web(common: _Common, node: Node, segmenter: Segmenter | None) -> WebServer:
    """Return who tells those that watch this node."""
    names = [destination.name for destination in common.settings.every_destination] if node.senders else []
    senders = tuple(zip(names, node.senders, strict=True))
    model = segmenter.model if segmenter is not None else None
    parts = Parts(node.listener, (*node.workers, *node.senders, *node.others), senders, model)
    watched = Watched(
        lambda: common.settings,
        lambda: parts,
        common.store.engine,
        common.spool,
        common.store.clock,
        common.meters,
    )
    return WebServer(common.settings.web, web_app(watched))


def _tell_of_the_stranded(store: JobStore, known: Collection[str]) -> None:
    """Name the destinations that results wait for and that the settings do not have."""
    for destination, count in store.waiting().items():
        if destination not in known:
            log.warning(
                "results wait for a destination that is not set", destination=destination, count=count
            )


def _listener(common: _Common) -> Listener:
    settings, evidence = common.settings, Evidence(common.commitments, common.spool)
    answers = settings.commitment.answer
    commitment = CommitmentScp(common.commitments, evidence, common.events, answers, common.taken_on.ring)
    listener = Listener(
        settings.node,
        common.spool,
        common.store,
        common.received.ring,
        settings.tls,
        commitment,
        common.audit,
    )
    listener.traffic.know([peer.ae_title for peer in settings.peer])
    listener.priorities = priorities_of(settings)
    return listener


def _models(settings: Settings, segmenter: Segmenter) -> dict[str, Model]:
    """Return what understands pictures: the segmenter, and each bundle that a rule names, loaded once."""
    found = {"": segmenter}
    for bundle in dict.fromkeys(rule.model for rule in settings.rule if rule.model):
        named = settings.model.model_copy(update={"bundle": bundle})
        found[bundle] = segmenter if bundle == settings.model.bundle else load_segmenter(named)
    return {name: Model(each, examiner_of(each, settings.appearance)) for name, each in found.items()}


def _workers(common: _Common, models: Mapping[str, Model]) -> tuple[Worker, ...]:
    settings, store, spool = common.settings, common.store, common.spool
    check_profiles(settings)
    work = Work(models, partial(decide, settings), store, spool)
    lease_s, bells = settings.worker.lease_s, (common.received, common.finished)
    names = [_holder(f"worker-{number}") for number in range(settings.worker.count)]
    metered = MeteredWork(work, common.meters, store.clock)
    return tuple(Worker(name, store, spool, metered, lease_s, *bells) for name in names)


def _senders(common: _Common, carrier: Transport) -> tuple[Sender, ...]:
    store, spool, finished = common.store, common.spool, common.finished
    return tuple(
        Sender(_holder(f"sender-{d.name}"), d, store, spool, carrier, _rules(common, d), finished)
        for d in common.settings.every_destination
    )


def _provers(common: _Common) -> tuple[Prover, ...]:
    """Return a prover for each destination that is asked for proofs."""
    delivery, lease_s = common.settings.delivery, common.settings.worker.lease_s
    rules = ProofRules(common.backoff, delivery.breaker_failures, lease_s)
    asker, found = CommitmentScu(common.caller, common.events), []
    for destination in common.settings.every_destination:
        if not asked_of(destination):
            continue
        finder = DimseFinder(common.caller) if isinstance(destination, Destination) else common.web_finder
        name, questions = _holder(f"prover-{destination.name}"), Questions(asker, finder)
        found.append(Prover(name, destination, common.store, common.spool, questions, rules, common.finished))
    return tuple(found)


def _committers(common: _Common) -> tuple[Committer, ...]:
    """Return who answers for commitments, where the node does."""
    if not common.settings.commitment.answer:
        return ()
    evidence, peers = Evidence(common.commitments, common.spool), common.settings.peer
    name, bell = _holder("committer"), common.taken_on
    return (Committer(name, common.commitments, evidence, common.caller, peers, common.backoff, bell),)


def _housekeeper(common: _Common) -> Housekeeper:
    store, spool = KeepingStore(common.store.engine, common.store.clock), common.spool
    return Housekeeper(common.settings.retention, spool, store, common.audit.deleted(spool))


def _rules(common: _Common, destination: AnyDestination) -> DeliveryRules:
    wanted = common.settings.profile_named(destination.profile).transfer_syntaxes
    syntaxes = tuple(SYNTAXES[word] for word in wanted)
    delivery, lease_s = common.settings.delivery, common.settings.worker.lease_s
    return DeliveryRules(common.backoff, delivery.breaker_failures, lease_s, syntaxes)


def _holder(role: str) -> str:
    """Return a name for leases that no other process, and no earlier one with the same number, has."""
    return f"{role}:{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
