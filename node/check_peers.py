"""Trying out each destination step by step, in plain words: connection, TLS, association or credentials.

For `paxnode check`; nothing is stored there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import httpx
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from config.network import TlsSettings, WebDestination
from config.settings import Destination
from node.commitment_statuses import PUSH_MODEL
from node.contexts import LABEL_MAP_NAME, LABEL_MAP_STORAGE
from node.errors import TlsError
from node.handshake import connection_problem
from node.implementation import application_entity
from node.options import OutputOptions
from node.rejection import rejection
from node.statuses import SUCCESS
from node.stow_answer import JSON_TYPE, http_rule
from node.tls import client_context
from node.transcode import NATIVE
from node.web_client import web_client, web_context, web_peer, web_place

ECHO_TIMEOUT_S = 10.0
"""How long each step may take."""

QUERY_WORKS = {200, 204, 206}
NO_QUERY = {404, 405, 501}
"""Answers of a server that may well have STOW-RS, and no QIDO-RS (PS3.18 10.6)."""

CLEAR_TEXT = "; its credentials travel without encryption: use https"


@dataclass(frozen=True)
class CheckResult:
    """What one check found, in words for an admin."""

    name: str
    passed: bool
    words: str


def classes_of(options: OutputOptions) -> tuple[UID, ...]:
    """Return the SOP classes of what is written with these options."""
    report = Comprehensive3DSRStorage if options.report == "comprehensive-3d" else ComprehensiveSRStorage
    wanted = {
        LABEL_MAP_STORAGE if options.seg == "labelmap" else SegmentationStorage: options.seg != "none",
        report: options.report != "none" or options.structure_report,
        GrayscaleSoftcopyPresentationStateStorage: options.presentation_state,
        SecondaryCaptureImageStorage: options.secondary_capture,
    }
    return tuple(sop_class for sop_class, made in wanted.items() if made)


def check_destination(
    calling_ae_title: str,
    destination: Destination,
    tls: TlsSettings | None = None,
    sop_classes: Sequence[UID] = (),
    syntaxes: Sequence[UID] = (),
) -> CheckResult:
    """Reach the destination: a connection, the TLS handshake, an association, C-ECHO (PS3.4 A), its contexts.

    Args:
        calling_ae_title: Ours.
        destination: Which.
        tls: The certificate and the authorities; None: those of the system.
        sop_classes: What its profile makes.
        syntaxes: What its profile prefers, the best first.
    """
    name = f"destination {destination.name}"
    peer = f"{destination.ae_title} at {destination.host}:{destination.port}"
    try:
        context = client_context(tls or TlsSettings()) if destination.tls else None
    except TlsError as error:
        return CheckResult(name, False, f"[tls] {error}")
    problem = connection_problem(destination.host, destination.port, peer, ECHO_TIMEOUT_S, context)
    if problem:
        return CheckResult(name, False, problem)
    ae = application_entity(calling_ae_title)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = ECHO_TIMEOUT_S
    forms = tuple(dict.fromkeys((*syntaxes, *NATIVE)))
    services = _services(destination)
    contexts = [build_context(sop_class, [form]) for sop_class in sop_classes for form in forms]
    contexts += [build_context(service) for service in services.values()]
    association = ae.associate(
        destination.host,
        destination.port,
        contexts=[build_context(Verification), *contexts],
        ae_title=destination.ae_title,
        tls_args=None if context is None else (context, destination.host),
    )
    if not association.is_established:
        return CheckResult(name, False, f"{peer} {_why_not(association)}")
    try:
        return _established(name, peer, association, sop_classes, services)
    finally:
        association.release()


def _services(destination: Destination) -> dict[str, UID]:
    """Return the services by which a destination proves what it has, by the setting that asks for them."""
    asked = {
        "commitment = true": (destination.commitment, PUSH_MODEL),
        "query = true": (destination.query, UID(StudyRootQueryRetrieveInformationModelFind)),
    }
    return {setting: service for setting, (is_set, service) in asked.items() if is_set}


def _established(
    name: str, peer: str, association: Association, sop_classes: Sequence[UID], services: Mapping[str, UID]
) -> CheckResult:
    accepted = {(c.abstract_syntax, c.transfer_syntax[0]) for c in association.accepted_contexts}
    kinds = {sop_class for sop_class, _syntax in accepted}
    if Verification not in kinds:
        return CheckResult(name, False, f"{peer} does not accept Verification (C-ECHO)")
    status = association.send_c_echo().get("Status")
    if status != SUCCESS:
        answer = "nothing" if status is None else f"0x{status:04X}"
        return CheckResult(name, False, f"{peer} answered C-ECHO with {answer}")
    refused = [_name(sop_class) for sop_class in sop_classes if sop_class not in kinds]
    if refused:
        words = f"{peer} answers, but takes no {' and no '.join(refused)}, which its profile makes"
        return CheckResult(name, False, words)
    unproven = [setting for setting, service in services.items() if service not in kinds]
    if unproven:
        words = f"{peer} answers, but cannot do what is asked of it by {' and '.join(unproven)}"
        return CheckResult(name, False, f"{words}: nothing sent there would ever count as delivered")
    taken = [f"{_name(k)} in {_first_form(association, k)}" for k in sop_classes]
    return CheckResult(name, True, f"{peer} answered C-ECHO" + "".join(f"; takes {each}" for each in taken))


def _first_form(association: Association, sop_class: UID) -> str:
    forms = [c.transfer_syntax[0] for c in association.accepted_contexts if c.abstract_syntax == sop_class]
    return " or ".join(UID(form).name for form in forms)


def _name(sop_class: UID) -> str:
    return LABEL_MAP_NAME if sop_class == LABEL_MAP_STORAGE else sop_class.name


def _why_not(association: Association) -> str:
    reject = rejection(association)
    if reject is not None:
        return f"rejected the association: {reject.reason_str} (its known AE titles hold ours?)"
    if association.rejected_contexts:
        return "does not accept Verification (C-ECHO)"
    return "aborted the association, or did not answer"


def check_web_destination(destination: WebDestination, tls: TlsSettings | None = None) -> CheckResult:
    """Reach the destination: a connection, the TLS handshake, and a query with its credentials."""
    name, peer = f"destination {destination.name}", web_peer(destination)
    try:
        context = web_context(destination, tls or TlsSettings())
    except TlsError as error:
        return CheckResult(name, False, str(error))
    problem = connection_problem(*web_place(destination), peer, ECHO_TIMEOUT_S, context)
    if problem:
        return CheckResult(name, False, problem)
    try:
        with web_client(destination, context) as client:
            url = f"{destination.url}/studies"
            status = client.get(url, params={"limit": "1"}, headers={"Accept": JSON_TYPE}).status_code
    except httpx.TransportError as error:
        return CheckResult(name, False, f"{peer} breaks off a query ({type(error).__name__})")
    secret = destination.user or destination.token.get_secret_value()
    more = CLEAR_TEXT if secret and context is None else ""
    if status in QUERY_WORKS:
        return CheckResult(name, True, f"{peer} answers a query{more}")
    if status in NO_QUERY:
        words = f"{peer} answers, but no query (HTTP {status}): is the url right?"
        return CheckResult(name, not destination.query and status != min(NO_QUERY), words + more)
    return CheckResult(name, False, f"{peer}: {http_rule(status).reason} (HTTP {status}){more}")
