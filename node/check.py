"""Trying out what the node needs, before it runs or while it does: `paxnode check`. Nothing is made."""

import errno
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pynetdicom.association import Association
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from sqlalchemy.exc import SQLAlchemyError

from ai.anatomy import chosen
from ai.errors import AiError
from ai.labels import LABELS
from ai.onnx_segmenter import OnnxSegmenter
from config.settings import AnyDestination, Destination, ModelSettings, NodeSettings, Settings
from node.database import existing_engine, is_current, shown_url
from node.errors import NodeError
from node.implementation import application_entity
from node.model import load_segmenter
from node.options import options_of
from node.spool import others_may
from node.statuses import SUCCESS

ECHO_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class CheckResult:
    """What one check found, in words for an admin."""

    name: str
    passed: bool
    words: str


def run_checks(settings: Settings) -> Iterator[CheckResult]:
    """Yield the result of each check; the settings themselves have been read already."""
    yield CheckResult("settings", True, f"read; AE title {settings.node.ae_title}")
    yield check_model(settings.model)
    yield check_data_folder(settings.node.data_dir, settings.node.disk_reserve_mb)
    yield check_database(settings)
    yield check_port(settings.node)
    if not settings.destinations:
        yield CheckResult("destinations", True, "none: results stay in the data folder")
    for destination in settings.destinations:
        yield check_profile(settings, destination)
        if isinstance(destination, Destination):
            yield check_destination(settings.node.ae_title, destination)


def check_profile(settings: Settings, destination: AnyDestination) -> CheckResult:
    """See what a destination gets, and whether its structures are known."""
    profile = settings.profile_named(destination.profile)
    name = f"profile of {destination.name}"
    try:
        options = options_of(profile, settings.results)
    except AiError as error:
        return CheckResult(name, False, str(error))
    kinds = {
        f"{options.seg} SEG of {len(chosen(options.structures))} structures": options.seg != "none",
        "report": options.report != "none",
        "report on structures": options.structure_report,
        "presentation state": options.presentation_state,
        "secondary capture": options.secondary_capture,
    }
    return CheckResult(
        name, True, f"{profile.name}: {', '.join(kind for kind, made in kinds.items() if made)}"
    )


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
        words = "no queue yet: it is made when the node starts"
        if engine is not None:
            words = "tables are up to date" if is_current(engine) else "the node will change its tables"
            engine.dispose()
        return CheckResult("database", True, f"{shown_url(*place)}, {words}")
    except (NodeError, SQLAlchemyError, OSError) as error:
        return CheckResult("database", False, str(error).splitlines()[0])


def check_port(settings: NodeSettings) -> CheckResult:
    """See whether the port can be listened on, or the node listens on it already."""
    place = f"{settings.host}:{settings.port}"
    try:
        with socket.create_server((settings.host, settings.port)):
            return CheckResult("port", True, f"{place} is free")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        in_use = error.errno == errno.EADDRINUSE
    if in_use and _answers_as_node(settings):
        return CheckResult("port", True, f"the node seems to run already: {place} answers C-ECHO")
    more = ", and what listens there does not answer C-ECHO as the node would" if in_use else ""
    return CheckResult("port", False, f"cannot listen on {place}: {why}{more}")


def _answers_as_node(settings: NodeSettings) -> bool:
    """Return whether whatever has the port answers C-ECHO to one of the titles that may call the node."""
    host = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    calling = (*settings.calling_ae_titles, settings.ae_title)[0]
    called = (*settings.called_ae_titles, settings.ae_title)[0]
    node = Destination(name="node", ae_title=called, host=host, port=settings.port)
    return check_destination(calling, node).passed


def check_destination(calling_ae_title: str, destination: Destination) -> CheckResult:
    """Reach the destination step by step: a connection, an association, C-ECHO (PS3.4 A)."""
    name = f"destination {destination.name}"
    peer = f"{destination.ae_title} at {destination.host}:{destination.port}"
    try:
        socket.create_connection((destination.host, destination.port), ECHO_TIMEOUT_S).close()
    except OSError as error:
        return CheckResult(name, False, f"no connection to {peer}: {error.strerror or error}")
    ae = application_entity(calling_ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ECHO_TIMEOUT_S
    ae.add_requested_context(Verification)
    association = ae.associate(destination.host, destination.port, ae_title=destination.ae_title)
    if not association.is_established:
        return CheckResult(name, False, f"{peer} {_why_not(association)}")
    status = association.send_c_echo().get("Status")
    association.release()
    if status != SUCCESS:
        answer = "nothing" if status is None else f"0x{status:04X}"
        return CheckResult(name, False, f"{peer} answered C-ECHO with {answer}")
    return CheckResult(name, True, f"{peer} answered C-ECHO")


def _why_not(association: Association) -> str:
    reject = association.acceptor.primitive
    if association.is_rejected and reject is not None:
        return f"rejected the association: {reject.reason_str} (its known AE titles hold ours?)"
    if association.rejected_contexts:
        return "does not accept Verification (C-ECHO)"
    return "aborted the association, or did not answer"
