"""A node built from its settings: it listens first, and the rest is made then (`node.office`)."""

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ai.bundle import DEFAULT_BUNDLE, Bundle
from config.settings import Settings
from node.auditor import audit_trail
from node.clock import clock_for
from node.commitment_store import CommitmentStore
from node.crew import Crew
from node.database import engine_for, upgrade
from node.job_store import JobStore
from node.keeping_store import KeepingStore
from node.logs import get_logger
from node.memory import in_words, memory_bytes, suffices
from node.ownership import settle_ownership
from node.part import ALL_PARTS, STAND_IN, Part
from node.rules import check_profiles
from node.service import Node
from node.shared import Shared, listener_of
from node.spool import Spool, others_may

if TYPE_CHECKING:
    from ai.segmenter import Segmenter
    from node.office import Office
    from node.transport import Transport
    from node.web.server import WebServer

log = get_logger()


class _Staffing:
    """Makes crews, and the web server; imports and loads what they need when the first is asked for.

    Args:
        shared: By the settings of the start.
        segmenter: As in `build_node`.
        transport: Likewise.
        settings_file: Likewise.
    """

    def __init__(
        self,
        shared: Shared,
        segmenter: "Segmenter | None",
        transport: "Transport | None",
        settings_file: Path | None,
    ) -> None:
        self._shared = shared
        self._given = segmenter, transport
        self._settings_file = settings_file
        self._made: Office | None = None

    def crew(self, settings: Settings, before: Crew) -> Crew:
        """Return the crew for these settings; who can stay stays, nobody is started."""
        from node.office import crew_of

        office = self._office()
        return crew_of(office if settings is office.settings else office.by(settings), before)

    def web(self, node: Node) -> "WebServer | None":
        """Return who tells those that watch the node, and serves its console; None where nobody does."""
        from node.office import web_of

        if not self._shared.settings.web.enabled:
            return None
        return web_of(self._office(), self._settings_file, node)

    def _office(self) -> "Office":
        from node.office import office_for

        if self._made is None:
            self._made = office_for(self._shared, *self._given)
        return self._made


def build_node(
    settings: Settings,
    segmenter: "Segmenter | None" = None,
    transport: "Transport | None" = None,
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
        ai.errors.BundleError: A model bundle cannot be trusted.
        ai.errors.LabelError: A profile names a structure that is not known.
        node.errors.StorageError: The data directory or the database cannot be used.
    """
    check_profiles(settings)
    if Part.WORK in parts and segmenter is None:
        _check_bundles(settings)
    data_dir = Path(settings.node.data_dir)
    engine = engine_for(settings.database.url.get_secret_value(), data_dir)
    upgrade(engine)
    clock = clock_for(engine)
    store = JobStore(engine, settings.worker.max_attempts, clock)
    spool = Spool(data_dir, settings.node.disk_reserve_mb)
    shared = Shared(settings, parts, spool, store, CommitmentStore(engine, clock), audit_trail(settings))
    settle_ownership(spool, KeepingStore(engine, clock))
    if torn := spool.recover():
        log.info("spool swept", count=torn)
    if others_may(data_dir):
        log.warning("the data folder is open to other users of this machine")
    _tell_of_little_memory(settings, parts)
    listener = listener_of(shared) if Part.LISTEN in parts else None
    staffing = _Staffing(shared, segmenter, transport, settings_file)
    return Node(Crew(settings, listener), staffing.crew, shared.audit, engine, staffing.web)


def _check_bundles(settings: Settings) -> None:
    """Raise BundleError for weights that are not what their manifest says, before anything is touched."""
    for named in {settings.model.bundle, *(rule.model for rule in settings.rule if rule.model)}:
        if named != STAND_IN:
            Bundle.load(Path(named) if named else DEFAULT_BUNDLE)


def _tell_of_little_memory(settings: Settings, parts: Collection[Part]) -> None:
    """Warn where several workers might need more memory than there is."""
    workers, there_is = settings.worker.count, memory_bytes()
    if Part.WORK in parts and not suffices(workers, there_is):
        reason = in_words(workers, there_is)
        log.warning("large images in all workers need more memory than there is", reason=reason)
