"""The doctor with an AE: association, what it accepts, C-ECHO, and the services that prove a delivery.

Nothing is stored there. PS3.8 9.3 (association), PS3.4 A (Verification), J (storage commitment), C (query).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pydicom.uid import UID, generate_uid
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from config.network import TlsSettings
from config.settings import Destination, Peer
from node.commitment_statuses import PUSH_MODEL
from node.contexts import LABEL_MAP_NAME, LABEL_MAP_STORAGE
from node.doctor_network import Line
from node.doctor_steps import Finding, Step, Task, carried_out, failed, not_asked, passed
from node.errors import ProofError
from node.implementation import application_entity
from node.peer_call import Caller
from node.proofs import Sought
from node.query import DimseFinder
from node.rejection import rejection
from node.statuses import SUCCESS
from node.tls import client_context
from node.transcode import NATIVE

STEP_TIMEOUT_S = 10.0
"""How long each step may take."""

WOULD_NEVER_COUNT = "nothing sent there would ever count as delivered"

REJECT_ADVICE = {
    "Calling AE title not recognised": "let its admin add our AE title, {ours}, with this machine's address",
    "Called AE title not recognised": "is ae_title = {theirs!r} in the settings what the peer calls itself?",
    "Application context name not supported": "is this the port of a DICOM service?",
    "Local limit exceeded": "it has too many associations now, or no room: try again, or ask its admin",
    "Temporary congestion": "it is busy: try again, or ask its admin",
}
"""What to do about a rejection, by pynetdicom's words for its reason (PS3.8 Table 9-21)."""

REJECT_ADVICE_ELSE = "the peer's log says why"


@dataclass(frozen=True)
class Wanted:
    """What an AE must be able to do for us.

    Attributes:
        sop_classes: What it is sent, in the form of its profile; empty: nothing.
        syntaxes: What its profile prefers, the best first.
        commits: It is asked for storage commitment.
        is_told: It is told the answers to storage commitments that it asked of us (PS3.4 J.3.3).
        is_queried: It is asked by C-FIND for what it was sent.
    """

    sop_classes: Sequence[UID] = ()
    syntaxes: Sequence[UID] = ()
    commits: bool = False
    is_told: bool = False
    is_queried: bool = False

    @property
    def forms(self) -> tuple[UID, ...]:
        """Every transfer syntax that is proposed, the best first."""
        return tuple(dict.fromkeys((*self.syntaxes, *NATIVE)))


class DicomExamination:
    """Looks at one AE.

    Args:
        calling_ae_title: Ours.
        place: Which AE, and where it is reached.
        tls: Our certificate and the authorities.
        wanted: What it must be able to do.
        timeout_s: How long each step may take.
    """

    def __init__(
        self,
        calling_ae_title: str,
        place: Destination | Peer,
        tls: TlsSettings,
        wanted: Wanted,
        timeout_s: float = STEP_TIMEOUT_S,
    ) -> None:
        self._ours = calling_ae_title
        self._place = place
        self._wanted = wanted
        self._timeout_s = timeout_s
        self._caller = Caller(calling_ae_title, lambda peer: client_context(tls) if peer.tls else None)
        context = (lambda: client_context(tls)) if place.tls else None
        self._line = Line(place.host, place.port, self.peer, timeout_s, context)
        self._make_context = context
        self._association: Association | None = None

    @property
    def peer(self) -> str:
        """What it is called in sentences."""
        return f"{self._place.ae_title} at {self._place.host}:{self._place.port}"

    def steps(self) -> tuple[Step, ...]:
        """Try everything, in order."""
        tasks = (
            *self._line.tasks(),
            Task("association", self._associate, is_needed=True),
            Task("presentation contexts", self._contexts),
            Task("C-ECHO", self._echo),
            Task("storage commitment", self._commitment),
            Task("query", self._query),
        )
        with self._released():
            return carried_out(tasks)

    @contextmanager
    def _released(self) -> Iterator[None]:
        try:
            yield
        finally:
            if self._association is not None and self._association.is_established:
                self._association.release()

    def _associate(self) -> Finding:
        ae = application_entity(self._ours)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = self._timeout_s
        wanted = self._wanted
        contexts = [build_context(kind, [form]) for kind in wanted.sop_classes for form in wanted.forms]
        contexts += [build_context(PUSH_MODEL)] if wanted.commits else []
        contexts += [build_context(StudyRootQueryRetrieveInformationModelFind)] if wanted.is_queried else []
        context = self._make_context() if self._make_context else None
        association = ae.associate(
            self._place.host,
            self._place.port,
            contexts=[build_context(Verification), *contexts],
            ae_title=self._place.ae_title,
            tls_args=None if context is None else (context, self._place.host),
        )
        if not association.is_established:
            return self._why_not(association)
        self._association = association
        return passed(f"{self._ours} may call {self._place.ae_title}")

    def _why_not(self, association: Association) -> Finding:
        reject = rejection(association)
        if reject is not None:
            advice = next(
                (a for why, a in REJECT_ADVICE.items() if why in reject.reason_str), REJECT_ADVICE_ELSE
            )
            words = f"{self.peer} rejected the association ({reject.result_str}: {reject.reason_str})"
            return failed(words, advice.format(ours=self._ours, theirs=self._place.ae_title))
        if association.rejected_contexts:
            words = f"{self.peer} accepts nothing of what we propose, not even Verification (C-ECHO)"
            return failed(words, "the peer's admin has to allow it the storage of our results")
        words = f"{self.peer} aborted the association, or did not answer within {self._timeout_s:g} s"
        return failed(words, "is this the port of a DICOM service, with TLS where it wants TLS?")

    # ---- in the association

    def _accepted(self, sop_class: UID) -> list[UID]:
        """Return the transfer syntaxes in which a SOP class was accepted, the best first."""
        contexts = self._association.accepted_contexts if self._association is not None else []
        found = {c.transfer_syntax[0] for c in contexts if c.abstract_syntax == sop_class}
        return sorted(found, key=lambda form: (*self._wanted.forms, form).index(form))

    def _contexts(self) -> Finding:
        classes = self._wanted.sop_classes
        if not classes:
            return not_asked("nothing is sent there")
        refused = [named(each) for each in classes if not self._accepted(each)]
        if refused:
            words = f"takes no {' and no '.join(refused)}, which its profile makes"
            return failed(
                words, "choose another profile for it (docs/profiles.md), or let its admin allow it"
            )
        taken = (f"{named(each)} in {' or '.join(f.name for f in self._accepted(each))}" for each in classes)
        return passed(f"takes {'; takes '.join(taken)}")

    def _echo(self) -> Finding:
        if not self._accepted(UID(Verification)):
            return failed("does not accept Verification (C-ECHO)", "let the peer's admin allow it")
        association = self._association
        status = association.send_c_echo().get("Status") if association is not None else None
        if status == SUCCESS:
            return passed("answered C-ECHO")
        answer = "nothing" if status is None else f"0x{status:04X}"
        return failed(f"answered C-ECHO with {answer}", "the peer's log says why")

    def _commitment(self) -> Finding:
        if self._wanted.is_told:
            return self._would_be_told()
        if not self._wanted.commits:
            return not_asked("it is not asked to commit itself")
        if self._accepted(UID(PUSH_MODEL)):
            return passed("accepts requests for storage commitment")
        words = f"cannot do what is asked of it by commitment = true: {WOULD_NEVER_COUNT}"
        return failed(words, "set commitment = false for it, or let its admin allow storage commitment")

    def _would_be_told(self) -> Finding:
        try:
            with self._caller.association(self._place, PUSH_MODEL, self._timeout_s, as_scp=True):
                return passed("hears our answers to storage commitment")
        except ProofError as error:
            return failed(str(error), "answers are told on its own association only, until this works")

    def _query(self) -> Finding:
        place = self._place
        if not self._wanted.is_queried or not isinstance(place, Destination):
            return not_asked("it is not asked what it has")
        advice = "set query = false for it, or let its admin allow queries (C-FIND, Study Root)"
        if not self._accepted(UID(StudyRootQueryRetrieveInformationModelFind)):
            return failed(f"cannot do what is asked of it by query = true: {WOULD_NEVER_COUNT}", advice)
        nothing = Sought(*(str(generate_uid()) for _ in range(3)))
        try:
            DimseFinder(self._caller).find(place, [nothing])
        except ProofError as error:
            return failed(str(error), advice)
        return passed("answers queries (C-FIND, Study Root)")


def named(sop_class: UID) -> str:
    """Return the name of a SOP class."""
    return LABEL_MAP_NAME if sop_class == LABEL_MAP_STORAGE else sop_class.name
