"""Trying out each destination for `paxnode check`: what the doctor finds there, in one line.

Nothing is stored there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from config.network import NodeSettings, TlsSettings, WebDestination
from config.settings import Destination
from node.contexts import LABEL_MAP_STORAGE
from node.doctor_dicom import STEP_TIMEOUT_S, DicomExamination, Wanted
from node.doctor_steps import Step, StepState
from node.doctor_web import WebExamination
from node.options import OutputOptions
from node.web_client import web_peer

TOLD_OF_SUCCESS = frozenset(
    {"presentation contexts", "C-ECHO", "storage commitment", "authentication", "STOW-RS", "query"}
)
"""The steps whose findings are told when all went well."""


@dataclass(frozen=True)
class CheckResult:
    """What one check found.

    Attributes:
        name: Of what was looked at.
        passed: Whether the node can do with it.
        words: For an admin.
        is_warning: Whether an admin should look at it though it passed.
    """

    name: str
    passed: bool
    words: str
    is_warning: bool = False


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


def unheard(node: NodeSettings, destination: Destination) -> str:
    """Return why a destination's answers to storage commitment are not heard; empty: they are.

    It may send them on an association of its own (PS3.4 J.3.3), by which it is a sender like any other.
    """
    if not destination.commitment or not node.calling_ae_titles:
        return ""
    if destination.ae_title in node.calling_ae_titles:
        return ""
    return f"{destination.ae_title} is not in node.calling_ae_titles: what it commits itself to is not heard"


def wanted_of(destination: Destination, sop_classes: Sequence[UID], syntaxes: Sequence[UID]) -> Wanted:
    """Return what a destination must be able to do."""
    return Wanted(sop_classes, syntaxes, commits=destination.commitment, is_queried=destination.query)


def check_destination(
    calling_ae_title: str,
    destination: Destination,
    tls: TlsSettings | None = None,
    sop_classes: Sequence[UID] = (),
    syntaxes: Sequence[UID] = (),
    timeout_s: float = STEP_TIMEOUT_S,
) -> CheckResult:
    """Reach the destination: a connection, the TLS handshake, an association, C-ECHO (PS3.4 A), its contexts.

    Args:
        calling_ae_title: Ours.
        destination: Which.
        tls: The certificate and the authorities; None: those of the system.
        sop_classes: What its profile makes.
        syntaxes: What its profile prefers, the best first.
        timeout_s: How long each step may take.
    """
    wanted = wanted_of(destination, sop_classes, syntaxes)
    looked = DicomExamination(calling_ae_title, destination, tls or TlsSettings(), wanted, timeout_s)
    return _in_a_line(f"destination {destination.name}", looked.peer, looked.steps())


def check_web_destination(destination: WebDestination, tls: TlsSettings | None = None) -> CheckResult:
    """Reach the destination: a connection, the TLS handshake, its credentials, STOW-RS and queries."""
    steps = WebExamination(destination, tls or TlsSettings(), STEP_TIMEOUT_S).steps()
    return _in_a_line(f"destination {destination.name}", web_peer(destination), steps)


def _in_a_line(name: str, peer: str, steps: Iterable[Step]) -> CheckResult:
    """Return what failed, or what went well, in a sentence that names the peer."""
    found = list(steps)
    bad = [step for step in found if step.state is StepState.FAILED]
    if bad:
        return CheckResult(name, False, "; ".join(_with(peer, step.words) for step in bad))
    good = [s for s in found if s.state is StepState.PASSED and s.name in TOLD_OF_SUCCESS]
    told = "; ".join(f"{step.words} ({step.advice})" if step.advice else step.words for step in good)
    return CheckResult(name, True, f"{peer} {told}")


def _with(peer: str, words: str) -> str:
    return words if peer in words or words.startswith("[tls]") else f"{peer} {words}"
