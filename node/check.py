"""Trying out what the node needs, before it runs or while it does: `paxnode check`. Nothing is made."""

import errno
import os
import shutil
import ssl
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from ai.errors import AiError
from ai.labels import LABELS
from ai.onnx_segmenter import OnnxSegmenter
from config.network import TlsSettings
from config.settings import AnyDestination, Destination, ModelSettings, NodeSettings, Settings
from node.certificates import EXPIRES_SOON_DAYS, days_left, first_in
from node.check_peers import CheckResult, check_destination, check_web_destination, classes_of, unheard
from node.database import existing_engine, is_current, shown_url
from node.doors import listening_socket
from node.errors import NodeError, TlsError
from node.memory import in_words, memory_bytes, suffices
from node.model import load_segmenter
from node.options import options_of
from node.probe import reached_at
from node.rule_trial import kinds_of
from node.spool import OWNER_FILE, others_may
from node.tls import client_context, server_context
from node.transcode import SYNTAXES
from node.unmatched import unmatched_warning

SHOWN_WITHIN_S = 10.0
"""How long to wait for whatever has a port of ours to show its certificate, or to answer C-ECHO."""


def run_checks(settings: Settings) -> Iterator[CheckResult]:
    """Yield the result of each check; the settings themselves have been read already."""
    yield CheckResult("settings", True, f"read; AE title {settings.node.ae_title}")
    if settings.rule:
        yield check_rules(settings)
    yield check_model(settings.model)
    for bundle in dict.fromkeys(rule.model for rule in settings.rule if rule.model):
        found = check_model(settings.model.model_copy(update={"bundle": bundle}))
        yield replace(found, name=f"model {bundle} of a rule")
    yield check_memory(settings.worker.count, memory_bytes())
    yield check_data_folder(settings.node.data_dir, settings.node.disk_reserve_mb)
    yield check_database(settings)
    if not settings.tls.only:
        yield check_port(settings.node)
    if settings.tls.certificate:
        yield check_tls(settings.tls)
        yield check_tls_port(settings.node.host, settings.tls)
    if not settings.every_destination:
        yield CheckResult("destinations", True, "none: results stay in the data folder")
    for destination in settings.every_destination:
        yield check_profile(settings, destination)
        yield check_peer(settings, destination)


def check_rules(settings: Settings) -> CheckResult:
    """See whether some rule holds for every image; that none does is no error."""
    if warning := unmatched_warning(settings):
        return CheckResult("rules", True, warning, is_warning=True)
    return CheckResult("rules", True, f"{len(settings.rule)}; one of them holds for every image")


def check_peer(settings: Settings, destination: AnyDestination) -> CheckResult:
    """See whether a destination is there, and takes what its profile makes."""
    if not isinstance(destination, Destination):
        return check_web_destination(destination, settings.tls)
    profile = settings.profile_named(destination.profile)
    try:
        sop_classes = classes_of(options_of(profile, settings.results))
    except AiError:  # the check of its profile tells
        sop_classes = ()
    syntaxes = [SYNTAXES[word] for word in profile.transfer_syntaxes]
    found = check_destination(settings.node.ae_title, destination, settings.tls, sop_classes, syntaxes)
    problem = unheard(settings.node, destination)
    return replace(found, passed=False, words=f"{found.words}; {problem}") if problem else found


def check_profile(settings: Settings, destination: AnyDestination) -> CheckResult:
    """See what a destination gets, and whether its structures are known."""
    profile = settings.profile_named(destination.profile)
    name = f"profile of {destination.name}"
    try:
        options = options_of(profile, settings.results)
    except AiError as error:
        return CheckResult(name, False, str(error))
    return CheckResult(name, True, f"{profile.name}: {', '.join(kinds_of(options))}")


def check_model(settings: ModelSettings) -> CheckResult:
    """Load the bundle and start its network."""
    try:
        segmenter = load_segmenter(settings)
    except AiError as error:
        return CheckResult("model", False, str(error))
    words = f"{segmenter.model.id} {segmenter.model.version}"
    if isinstance(segmenter, OnnxSegmenter):
        device = segmenter.providers[0].removesuffix("ExecutionProvider")
        words += f", {len(segmenter.manifest.labels)} of {len(LABELS)} structures, on {device}"
        words += ", with a judge of pictures" if segmenter.judge else ""
    else:
        words += ": it draws shapes and is never for patients"
    return CheckResult("model", True, words)


def check_memory(workers: int, there_is: int) -> CheckResult:
    """See whether there is memory for the largest images in all workers; arguments as in `node.memory`."""
    words = in_words(workers, there_is)
    passed = suffices(workers, there_is)
    return CheckResult("memory", passed, words if passed else f"{words}: lower worker.count")


def check_data_folder(folder: Path, reserve_mb: int) -> CheckResult:
    """Write a file where the data folder is, or will be, and look how much room is left."""
    name = "data folder"
    place = next(place for place in (folder, *folder.resolve().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"x")
        free_mb = shutil.disk_usage(place).free // 1_000_000
    except OSError as error:
        return CheckResult(name, False, f"{folder} cannot be written: {error.strerror}")
    if free_mb <= reserve_mb:
        words = f"{folder} has {free_mb} MB free, its reserve is {reserve_mb} MB: images will be refused"
        return CheckResult(name, False, words)
    if open_to := others_may(folder):
        words = f"{folder} {open_to}, and it holds images of patients: chmod -R go-rwx {folder}"
        return CheckResult(name, False, words)
    words = "can be written" if place == folder else "is made when the node starts"
    return CheckResult(name, True, f"{folder.resolve()} {words}, {free_mb} MB free")


def check_database(settings: Settings) -> CheckResult:
    """Connect, and look at the tables."""
    place = settings.database.url.get_secret_value(), settings.node.data_dir
    try:
        engine = existing_engine(*place)
        passed, words = _no_queue(settings.node.data_dir) if engine is None else _queue(engine)
        return CheckResult("database", passed, f"{shown_url(*place)}, {words}")
    except (NodeError, SQLAlchemyError, OSError) as error:
        return CheckResult("database", False, str(error).splitlines()[0])


def _no_queue(data_dir: Path) -> tuple[bool, str]:
    if (data_dir / OWNER_FILE).exists():
        return False, (
            f"no queue, and {data_dir} holds the files of one: is this the node's database "
            "(database.url, PAXNODE_DATABASE__URL)?"
        )
    return True, "no queue yet: it is made when the node starts"


def _queue(engine: Engine) -> tuple[bool, str]:
    words = "tables are up to date" if is_current(engine) else "the node will change its tables"
    file = engine.url.database if engine.url.get_backend_name() == "sqlite" else None
    engine.dispose()
    if file is not None and not os.access(file, os.W_OK):
        return False, f"{words}, but this user cannot write to it"
    return True, words


def check_port(settings: NodeSettings) -> CheckResult:
    """See whether the port can be listened on, or the node listens on it already."""
    place = f"{settings.host}:{settings.port}"
    try:
        with listening_socket(settings.host, settings.port):
            return CheckResult("port", True, f"{place} is free")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        in_use = error.errno == errno.EADDRINUSE
    if in_use and _answers_as_node(settings):
        return CheckResult("port", True, f"the node seems to run already: {place} answers C-ECHO")
    more = ", and what listens there does not answer C-ECHO as the node would" if in_use else ""
    return CheckResult("port", False, f"cannot listen on {place}: {why}{more}")


def check_tls(tls: TlsSettings) -> CheckResult:
    """Load certificate, key and authorities, and look how long the certificate is still good."""
    try:
        server_context(tls)
        client_context(tls)
        days = days_left(Path(tls.certificate), datetime.now(tz=UTC))
    except TlsError as error:
        return CheckResult("tls", False, str(error))
    if days < 0:
        return CheckResult("tls", False, f"{tls.certificate} has expired: peers will refuse it")
    peers = (
        "peers must show a certificate" if tls.client_certificates == "required" else "anybody may connect"
    )
    soon = "; have a new one signed" if days < EXPIRES_SOON_DAYS else ""
    return CheckResult("tls", True, f"{tls.certificate} is good for {days} days{soon}; {peers}")


def check_tls_port(host: str, tls: TlsSettings) -> CheckResult:
    """See whether the port for TLS can be listened on, or somebody, such as the node, speaks TLS there."""
    place, name = f"{host}:{tls.port}", "tls port"
    try:
        with listening_socket(host, tls.port):
            return CheckResult(name, True, f"{place} is free")
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (while")[0]
        in_use = error.errno == errno.EADDRINUSE
    if in_use and _speaks_tls(host, tls):
        return CheckResult(name, True, f"the node seems to run already: {place} shows its certificate")
    return CheckResult(name, False, f"cannot listen on {place}: {why}")


def _speaks_tls(host: str, tls: TlsSettings) -> bool:
    """Return whether whatever has the port shows the certificate that the node would."""
    try:
        shown = ssl.get_server_certificate((reached_at(host), tls.port), timeout=SHOWN_WITHIN_S)
        return ssl.PEM_cert_to_DER_cert(shown) == first_in(Path(tls.certificate))
    except (OSError, ValueError, TlsError):
        return False


def _answers_as_node(settings: NodeSettings) -> bool:
    """Return whether whatever has the port answers C-ECHO to one of the titles that may call the node."""
    host = reached_at(settings.host)
    calling = (*settings.calling_ae_titles, settings.ae_title)[0]
    called = (*settings.called_ae_titles, settings.ae_title)[0]
    node = Destination(name="node", ae_title=called, host=host, port=settings.port)
    return check_destination(calling, node, timeout_s=SHOWN_WITHIN_S).passed
