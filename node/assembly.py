"""A node built from its settings: every part is made here and given what it needs, also when they change."""

import os
import socket
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ai.onnx_segmenter import OnnxSegmenter
from ai.segmenter import Segmenter
from config.settings import AnyDestination, Destination, Settings
from node.appearance import examiner_of
from node.auditor import AuditedTransport, AuditTrail, audit_trail
from node.backoff import Backoff
from node.bell import Bell
from node.clock import clock_for
from node.commitment_scp import CommitmentScp
from node.commitment_scu import CommitmentEvents, CommitmentScu
from node.commitment_store import CommitmentStore
from node.committer import Committer
from node.crew import Crew, staffed
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
from node.web.console import add_console
from node.web.desk import desk_for
from node.web.server import WebServer
from node.work import Model, Work
from node.worker import Terms, Worker

log = get_logger()


@dataclass(frozen=True)
class _Common:
    """What the parts of one node share.

    Attributes:
        settings: What the admin wants.
        parts: What this process does.
        segmenters: What finds the anatomy, by the bundle that a rule names; "" is that of `[model]`. Empty in
            a process that does not work.
        transport: How results travel; None: as the settings say.
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
    parts: Collection[Part]
    segmenters: Mapping[str, Segmenter]
    transport: Transport | None
    spool: Spool
    store: JobStore
    commitments: CommitmentStore
    audit: AuditTrail
    received: Bell = field(default_factory=Bell)
    finished: Bell = field(default_factory=Bell)
    taken_on: Bell = field(default_factory=Bell)
    meters: Meters = field(default_factory=Meters)

    def by(self, settings: Settings) -> "_Common":
        """Return the same with other settings."""
        store = JobStore(self.store.engine, settings.worker.max_attempts, self.store.clock)
        spool = self.spool.with_reserve(settings.node.disk_reserve_mb)
        return replace(self, settings=settings, spool=spool, store=store)

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
    settings_file: Path | None = None,
) -> Node:
    """Return a node that is ready to start. Tables are made or migrated, and what a crash left is tidied up.

    Several processes may run on the same data directory and database: each job and delivery is leased to one.

    Args:
        settings: What the admin wants.
        segmenter: What finds the anatomy; None loads the bundle that the settings name, if the node works.
        transport: How results travel; None sends them by C-STORE, or by STOW-RS to a web destination.
        parts: What this process does.
        settings_file: Where the settings come from, for the console; None: they are the packaged ones.

    Raises:
        ai.errors.BundleError: The model bundle cannot be trusted.
        node.errors.StorageError: The data directory or the database cannot be used.
    """
    meters = Meters()
    if Part.WORK not in parts:
        segmenter = None
    elif segmenter is None:
        segmenter = load_segmenter(settings.model, meters.observe, with_trial=True)
    data_dir = Path(settings.node.data_dir)
    engine = engine_for(settings.database.url.get_secret_value(), data_dir)
    upgrade(engine)
    clock = clock_for(engine)
    store = JobStore(engine, settings.worker.max_attempts, clock)
    spool = Spool(data_dir, settings.node.disk_reserve_mb)
    commitments, audit = CommitmentStore(engine, clock), audit_trail(settings)
    segmenters = _segmenters(settings, segmenter) if segmenter is not None else {}
    common = _Common(settings, parts, segmenters, transport, spool, store, commitments, audit, meters=meters)
    settle_ownership(spool, KeepingStore(engine, clock))
    if torn := spool.recover():
        log.info("spool swept", count=torn)
    if others_may(data_dir):
        log.warning("the data folder is open to other users of this machine")
    web_for = partial(_web, common, settings_file) if settings.web.enabled else lambda _node: None
    return Node(_crew(common), partial(_next_crew, common), audit, engine, web_for)


def _next_crew(common: _Common, settings: Settings, before: Crew) -> Crew:
    """Return the crew for other settings; who can stay stays, nobody is started."""
    return _crew(common.by(settings), before)


def _crew(common: _Common, before: Crew | None = None) -> Crew:
    settings, before = common.settings, before or Crew(common.settings)
    terms = _terms(common) if common.segmenters else None
    listener = _listener(common) if Part.LISTEN in common.parts else None
    workers = before.workers or (_workers(common, terms) if terms else ())
    _tell_of_the_stranded(common.store, {destination.name for destination in settings.every_destination})
    if Part.DELIVER not in common.parts:
        return Crew(settings, listener, workers, terms)
    senders = staffed(_senders(common), before.senders)
    posts: dict[Hashable, Callable[[], Prover | Committer | Housekeeper]] = {
        **_provers(common),
        **_committers(common),
        **_housekeeper(common),
    }
    others = staffed(posts, before.others)
    return Crew(settings, listener, workers, terms, senders, others)


def _web(common: _Common, settings_file: Path | None, node: Node) -> WebServer:
    """Return who tells those that watch this node, and serves its console."""
    segmenter = common.segmenters.get("")
    model = segmenter.model if segmenter is not None else None
    provider = segmenter.providers[0] if isinstance(segmenter, OnnxSegmenter) else ""

    def parts() -> Parts:
        senders = tuple((sender.destination.name, sender) for sender in node.senders)
        return Parts(node.listener, (*node.workers, *node.senders, *node.others), senders, model, provider)

    store = common.store
    watched = Watched(
        lambda: node.settings,
        parts,
        store.engine,
        common.spool,
        store.clock,
        common.meters,
        lambda: node.version,
    )
    app = web_app(watched)
    if common.settings.console.enabled:
        add_console(app, desk_for(watched, store, settings_file))
    return WebServer(common.settings.web, app)


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


def _segmenters(settings: Settings, segmenter: Segmenter) -> dict[str, Segmenter]:
    """Return the segmenter as "", and one for each bundle that a rule names, loaded once."""
    found = {"": segmenter}
    for bundle in dict.fromkeys(rule.model for rule in settings.rule if rule.model):
        named = settings.model.model_copy(update={"bundle": bundle})
        found[bundle] = (
            segmenter if bundle == settings.model.bundle else load_segmenter(named, with_trial=True)
        )
    return found


def _terms(common: _Common) -> Terms:
    settings, store, spool = common.settings, common.store, common.spool
    check_profiles(settings)
    models = {
        name: Model(each, examiner_of(each, settings.appearance)) for name, each in common.segmenters.items()
    }
    work = Work(models, partial(decide, settings), store, spool)
    metered = MeteredWork(work, common.meters, store.clock)
    return Terms(store, spool, metered, settings.worker.lease_s)


def _workers(common: _Common, terms: Terms) -> tuple[Worker, ...]:
    names = [_holder(f"worker-{number}") for number in range(common.settings.worker.count)]
    bells, (store, spool, work) = (
        (common.received, common.finished),
        (terms.job_store, terms.spool, terms.work),
    )
    return tuple(Worker(name, store, spool, work, terms.lease_s, *bells) for name in names)


def _senders(common: _Common) -> Mapping[Hashable, Callable[[], Sender]]:
    """Return a sender for each destination, by what it is made of."""
    settings = common.settings
    carrier = common.transport or routes_of(settings)
    if settings.audit.host:
        carrier = AuditedTransport(carrier, common.audit)
    metered = MeteredTransport(carrier, common.meters)
    called = settings.node.ae_title, settings.tls, bool(settings.audit.host)

    def make(destination: AnyDestination, rules: DeliveryRules) -> Sender:
        name = _holder(f"sender-{destination.name}")
        return Sender(name, destination, common.store, common.spool, metered, rules, common.finished)

    rules = {destination: _rules(common, destination) for destination in settings.every_destination}
    return {(*called, each, its): partial(make, each, its) for each, its in rules.items()}


def _provers(common: _Common) -> Mapping[Hashable, Callable[[], Prover]]:
    """Return a prover for each destination that is asked for proofs, by what it is made of."""
    settings, delivery = common.settings, common.settings.delivery
    rules = ProofRules(common.backoff, delivery.breaker_failures, settings.worker.lease_s)
    asker = CommitmentScu(common.caller, common.events)

    def make(destination: AnyDestination) -> Prover:
        finder = DimseFinder(common.caller) if isinstance(destination, Destination) else common.web_finder
        name, questions = _holder(f"prover-{destination.name}"), Questions(asker, finder)
        return Prover(name, destination, common.store, common.spool, questions, rules, common.finished)

    called = settings.node.ae_title, settings.tls
    asked = [each for each in settings.every_destination if asked_of(each)]
    return {(Prover, *called, each, rules): partial(make, each) for each in asked}


def _committers(common: _Common) -> Mapping[Hashable, Callable[[], Committer]]:
    """Return who answers for commitments, where the node does, by what it is made of."""
    settings = common.settings
    if not settings.commitment.answer:
        return {}

    def make() -> Committer:
        evidence, peers = Evidence(common.commitments, common.spool), settings.peer
        name, bell = _holder("committer"), common.taken_on
        return Committer(name, common.commitments, evidence, common.caller, peers, common.backoff, bell)

    return {(Committer, settings.node.ae_title, settings.tls, settings.peer, common.backoff): make}


def _housekeeper(common: _Common) -> Mapping[Hashable, Callable[[], Housekeeper]]:
    def make() -> Housekeeper:
        store, spool = KeepingStore(common.store.engine, common.store.clock), common.spool
        return Housekeeper(common.settings.retention, spool, store, common.audit.deleted(spool))

    return {(Housekeeper, common.settings.retention): make}


def _rules(common: _Common, destination: AnyDestination) -> DeliveryRules:
    wanted = common.settings.profile_named(destination.profile).transfer_syntaxes
    syntaxes = tuple(SYNTAXES[word] for word in wanted)
    delivery, lease_s = common.settings.delivery, common.settings.worker.lease_s
    return DeliveryRules(common.backoff, delivery.breaker_failures, lease_s, syntaxes)


def _holder(role: str) -> str:
    """Return a name for leases that no other process, and no earlier one with the same number, has."""
    return f"{role}:{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
