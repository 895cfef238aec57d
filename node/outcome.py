"""What became of an object on its way to a destination, and what each C-STORE status means for it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What an outcome means for the delivery."""

    STORED = "stored"  # the peer has it
    TRANSIENT = "transient"  # it was sent, and sending it again can help
    PERMANENT = "permanent"  # sending it again helps only after somebody changed something
    UNSENT = "unsent"  # the peer could not be asked about this object
    BARRED = "barred"  # the peer takes nothing from us until somebody changes a setting, there or here


@dataclass(frozen=True)
class Outcome:
    """What became of one object.

    Attributes:
        sop_instance_uid: Of which.
        verdict: What follows.
        status: The DIMSE status that the peer answered; None when it gave none.
        reason: In words, for the admin.
        heard: Whether the peer took the object and answered, though without a status for it.
        wait_s: The peer asks to be left alone for so many seconds.
        next_is_known: Whether the outcome of the next object is known already: it was sent together with it.
        ours: Whether the node's own files went wrong: it says nothing about the peer.
    """

    sop_instance_uid: str
    verdict: Verdict
    status: int | None
    reason: str
    heard: bool = False
    wait_s: float = 0.0
    next_is_known: bool = False
    ours: bool = False

    @property
    def unanswered(self) -> bool:
        """Whether the peer could not be asked, or gave no answer."""
        told_nothing = self.status is None and not self.heard and not self.ours
        broken = told_nothing and self.verdict is Verdict.TRANSIENT
        return (self.unsent and not self.ours) or broken

    @property
    def unsent(self) -> bool:
        """Whether it waits for its peer and for nothing else."""
        return self.verdict in {Verdict.UNSENT, Verdict.BARRED}


@dataclass(frozen=True)
class StatusRule:
    """What the statuses first..last mean for a delivery."""

    first: int
    last: int
    verdict: Verdict
    reason: str


STATUS_RULES = (
    StatusRule(0x0000, 0x0000, Verdict.STORED, "stored"),
    StatusRule(0x0111, 0x0111, Verdict.STORED, "the archive has it already (Duplicate SOP Instance)"),
    StatusRule(0xB000, 0xB000, Verdict.STORED, "stored, with elements coerced"),
    StatusRule(0xB006, 0xB006, Verdict.STORED, "stored, with elements discarded"),
    StatusRule(0xB007, 0xB007, Verdict.STORED, "stored, though it does not match its SOP Class there"),
    StatusRule(0x0107, 0x0107, Verdict.STORED, "stored, with a warning (Attribute List Error)"),
    StatusRule(0x0116, 0x0116, Verdict.STORED, "stored, with a warning (Attribute Value Out of Range)"),
    StatusRule(0xB000, 0xBFFF, Verdict.STORED, "stored, with a warning"),
    StatusRule(0xA700, 0xA7FF, Verdict.TRANSIENT, "out of resources there"),
    StatusRule(0x0213, 0x0213, Verdict.TRANSIENT, "out of resources there (Resource Limitation)"),
    StatusRule(0x0110, 0x0110, Verdict.TRANSIENT, "Processing Failure there"),
    StatusRule(0x0122, 0x0122, Verdict.PERMANENT, "refused: SOP Class Not Supported"),
    StatusRule(0x0124, 0x0124, Verdict.PERMANENT, "refused: Not Authorized"),
    StatusRule(0xA900, 0xA9FF, Verdict.PERMANENT, "refused: the data set does not match its SOP Class"),
    StatusRule(0xC000, 0xCFFF, Verdict.PERMANENT, "the peer cannot understand it"),
)
"""The first rule that holds a status decides; any other status is permanent, so that somebody looks at it.

PS3.4 Table B.2-1: A7xx is a refusal for lack of resources, which passes; A9xx and Cxxx are errors in the
object, which stay. Warnings (Bxxx, and the two of PS3.7 C.4) mean that the object was stored. PS3.7 C.5:
0111 says that the peer holds this SOP Instance, which is what we wanted; 0110 and 0213 are conditions of
the peer and not of the object; 0122 and 0124 stay until its admin changes them.
"""


def judge(sop_instance_uid: str, status: int) -> Outcome:
    """Return the outcome that a C-STORE status means.

    >>> judge("1.2.3", 0xA702).verdict
    <Verdict.TRANSIENT: 'transient'>
    """
    for rule in STATUS_RULES:
        if rule.first <= status <= rule.last:
            return Outcome(sop_instance_uid, rule.verdict, status, f"{rule.reason} (0x{status:04X})")
    reason = f"a status that the Standard does not give for C-STORE (0x{status:04X})"
    return Outcome(sop_instance_uid, Verdict.PERMANENT, status, reason)
