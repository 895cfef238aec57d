"""Who works, delivers, proves and serves in a node: made once it listens, for it needs heavy libraries."""

import os
import socket
from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ai.onnx_segmenter import OnnxSegmenter
from ai.segmenter import Segmenter
from config.settings import AnyDestination, Destination, ModelSettings, Settings
from node.appearance import examiner_of
from node.auditor import AuditedTransport
from node.commitment_scu import CommitmentScu
from node.committer import Committer
from node.crew import Crew, staffed
from node.evidence import Evidence
from node.housekeeping import Housekeeper
from node.job_store import JobStore
from node.keeping_store import KeepingStore
from node.logs import get_logger
from node.meters import MeteredTransport, MeteredWork, Meters
from node.model import load_segmenter
from node.part import Part
from node.proofs import asked_of
from node.prover import ProofRules, Prover, Questions
from node.query import DimseFinder
from node.query_web import WebFinder
from node.routes import routes_of
from node.rules import check_profiles, decide
from node.sender import DeliveryRules, Sender
from node.service import Node
from node.shared import Shared, listener_of
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


@dataclass(frozen=True, kw_only=True)
class Office(Shared):
    """What workers and senders share, besides.

    Attributes:
        segmenters: What finds the anatomy, by the bundle that a rule names; "" is that of `[model]`. Empty in
            a process that does not work.
        transport: How results travel; None: as the settings say.
        meters: What is measured while the node works.
    """

    segmenters: Mapping[str, Segmenter] = field(default_factory=dict)
    transport: Transport | None = None
    meters: Meters = field(default_factory=Meters)

    @property
    def web_finder(self) -> WebFinder:
        """Who asks web destinations for what they have."""
        tls = self.settings.tls
        return WebFinder(lambda destination: client_context(tls, destination.authorities))


def office_for(shared: Shared, segmenter: Segmenter | None, transport: Transport | None) -> Office:
    """Return what workers and senders share: the networks are loaded, if the node works.

    Raises:
        ai.errors.BundleError: A network does not load.
    """
    meters, settings = Meters(), shared.settings
    segmenters: dict[str, Segmenter] = {}
    if Part.WORK in shared.parts:
        load = partial(load_segmenter, observe=meters.observe, note_run=meters.note_run, with_trial=True)
        segmenters = _segmenters(settings, segmenter or load(settings.model), load)
    return Office(**vars(shared), segmenters=segmenters, transport=transport, meters=meters)


def crew_of(office: Office, before: Crew) -> Crew:
    """Return who works by the settings of an office; who can stay stays, nobody is started.

    Args:
        office: Whose.
        before: Who works now. Where it is by the same settings its listener stays.
    """
    settings = office.settings
    terms = _terms(office) if office.segmenters else None
    listener = before.listener
    if Part.LISTEN in office.parts and before.settings is not settings:
        listener = listener_of(office)
    workers = before.workers or (_workers(office, terms) if terms else ())
    _tell_of_the_stranded(office.store, {destination.name for destination in settings.every_destination})
    if Part.DELIVER not in office.parts:
        return Crew(settings, listener, workers, terms)
    senders = staffed(_senders(office), before.senders)
    posts: dict[Hashable, Callable[[], Prover | Committer | Housekeeper]] = {
        **_provers(office),
        **_committers(office),
        **_housekeeper(office),
    }
    others = staffed(posts, before.others)
    return Crew(settings, listener, workers, terms, senders, others)


def web_of(office: Office, settings_file: Path | None, node: Node) -> WebServer:
    """Return who tells those that watch this node, and serves its console."""
    segmenter = office.segmenters.get("")
    model = segmenter.model if segmenter is not None else None
    provider = segmenter.providers[0] if isinstance(segmenter, OnnxSegmenter) else ""

    def parts() -> Parts:
        senders = tuple((sender.destination.name, sender) for sender in node.senders)
        return Parts(node.listener, (*node.workers, *node.senders, *node.others), senders, model, provider)

    store = office.store
    watched = Watched(
        lambda: node.settings,
        parts,
        store.engine,
        office.spool,
        store.clock,
        office.meters,
        lambda: node.version,
    )
    app = web_app(watched)
    if office.settings.console.enabled:
        add_console(app, desk_for(watched, store, settings_file))
    return WebServer(office.settings.web, app)


def _tell_of_the_stranded(store: JobStore, known: Collection[str]) -> None:
    """Name the destinations that results wait for and that the settings do not have."""
    for destination, count in store.waiting().items():
        if destination not in known:
            log.warning(
                "results wait for a destination that is not set", destination=destination, count=count
            )


def _segmenters(
    settings: Settings, segmenter: Segmenter, load: Callable[[ModelSettings], Segmenter]
) -> dict[str, Segmenter]:
    """Return the segmenter as "", and one for each bundle that a rule names, loaded once."""
    found = {"": segmenter}
    for bundle in dict.fromkeys(rule.model for rule in settings.rule if rule.model):
        named = settings.model.model_copy(update={"bundle": bundle})
        found[bundle] = segmenter if bundle == settings.model.bundle else load(named)
    return found


def _terms(office: Office) -> Terms:
    settings, store, spool = office.settings, office.store, office.spool
    check_profiles(settings)
    models = {
        name: Model(each, examiner_of(each, settings.appearance)) for name, each in office.segmenters.items()
    }
    work = Work(models, partial(decide, settings), store, spool)
    metered = MeteredWork(work, office.meters, store.clock)
    return Terms(store, spool, metered, settings.worker.lease_s)


def _workers(office: Office, terms: Terms) -> tuple[Worker, ...]:
    names = [_holder(f"worker-{number}") for number in range(office.settings.worker.count)]
    bells, (store, spool, work) = (
        (office.received, office.finished),
        (terms.job_store, terms.spool, terms.work),
    )
    return tuple(Worker(name, store, spool, work, terms.lease_s, *bells) for name in names)


def _senders(office: Office) -> Mapping[Hashable, Callable[[], Sender]]:
    """Return a sender for each destination, by what it is made of."""
    settings = office.settings
    carrier = office.transport or routes_of(settings)
    if settings.audit.host:
        carrier = AuditedTransport(carrier, office.audit)
    metered = MeteredTransport(carrier, office.meters)
    called = settings.node.ae_title, settings.tls, bool(settings.audit.host)

    def make(destination: AnyDestination, rules: DeliveryRules) -> Sender:
        name = _holder(f"sender-{destination.name}")
        return Sender(name, destination, office.store, office.spool, metered, rules, office.finished)

    rules = {destination: _rules(office, destination) for destination in settings.every_destination}
    return {(*called, each, its): partial(make, each, its) for each, its in rules.items()}


def _provers(office: Office) -> Mapping[Hashable, Callable[[], Prover]]:
    """Return a prover for each destination that is asked for proofs, by what it is made of."""
    settings, delivery = office.settings, office.settings.delivery
    rules = ProofRules(office.backoff, delivery.breaker_failures, settings.worker.lease_s)
    asker = CommitmentScu(office.caller, office.events)

    def make(destination: AnyDestination) -> Prover:
        finder = DimseFinder(office.caller) if isinstance(destination, Destination) else office.web_finder
        name, questions = _holder(f"prover-{destination.name}"), Questions(asker, finder)
        return Prover(name, destination, office.store, office.spool, questions, rules, office.finished)

    called = settings.node.ae_title, settings.tls
    asked = [each for each in settings.every_destination if asked_of(each)]
    return {(Prover, *called, each, rules): partial(make, each) for each in asked}


def _committers(office: Office) -> Mapping[Hashable, Callable[[], Committer]]:
    """Return who answers for commitments, where the node does, by what it is made of."""
    settings = office.settings
    if not settings.commitment.answer:
        return {}

    def make() -> Committer:
        evidence, peers = Evidence(office.commitments, office.spool), settings.peer
        name, bell = _holder("committer"), office.taken_on
        return Committer(name, office.commitments, evidence, office.caller, peers, office.backoff, bell)

    return {(Committer, settings.node.ae_title, settings.tls, settings.peer, office.backoff): make}


def _housekeeper(office: Office) -> Mapping[Hashable, Callable[[], Housekeeper]]:
    def make() -> Housekeeper:
        store, spool = KeepingStore(office.store.engine, office.store.clock), office.spool
        return Housekeeper(office.settings.retention, spool, store, office.audit.deleted(spool))

    return {(Housekeeper, office.settings.retention): make}


def _rules(office: Office, destination: AnyDestination) -> DeliveryRules:
    wanted = office.settings.profile_named(destination.profile).transfer_syntaxes
    syntaxes = tuple(SYNTAXES[word] for word in wanted)
    delivery, lease_s = office.settings.delivery, office.settings.worker.lease_s
    return DeliveryRules(office.backoff, delivery.breaker_failures, lease_s, syntaxes)


def _holder(role: str) -> str:
    """Return a name for leases that no other process, and no earlier one with the same number, has."""
    return f"{role}:{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
