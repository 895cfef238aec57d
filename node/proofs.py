"""What destinations say of what they were sent, and what they are asked: the values that travel.

PS3.4 J (storage commitment), PS3.4 C (C-FIND), PS3.18 10.6 (QIDO-RS).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from config.settings import AnyDestination, Destination
from node.jobs import Delivery


class ProofKind(StrEnum):
    """How a destination says that it has an object."""

    STORE = "store"  # its answer to the object itself
    COMMITMENT = "commitment"  # it commits itself to keep it
    QUERY = "query"  # it finds it


def asked_of(destination: AnyDestination) -> frozenset[ProofKind]:
    """Return the proofs that the settings ask of a destination beside its answer to the object."""
    asked = {ProofKind.QUERY} if destination.query else set()
    if isinstance(destination, Destination) and destination.commitment:
        asked.add(ProofKind.COMMITMENT)
    return frozenset(asked)


AWAITED = {
    ProofKind.COMMITMENT: "its commitment is awaited",
    ProofKind.QUERY: "it is not found there yet",
}
"""What is said of a proof that is not there; in this order."""


def awaited(lacking: Collection[ProofKind], failed: Mapping[ProofKind, str] | None = None) -> str:
    """Return what is awaited of an object that was stored, in words.

    Args:
        lacking: The proofs that are not there.
        failed: Why one of them could not be asked for.

    >>> awaited([ProofKind.QUERY, ProofKind.COMMITMENT])
    'stored there; its commitment is awaited; it is not found there yet'
    """
    words = {**AWAITED, **(failed or {})}
    return "; ".join(("stored there", *(words[kind] for kind in AWAITED if kind in lacking)))


@dataclass(frozen=True)
class Proof:
    """What a destination said of one object at one time.

    Attributes:
        delivery_id: Of which delivery.
        at: When, UTC.
        kind: In answer to what.
        holds: Whether it has the object.
        reason: The status, the transaction, or why not.
    """

    delivery_id: int
    at: datetime
    kind: ProofKind
    holds: bool
    reason: str


@dataclass(frozen=True)
class Said:
    """What a destination says of one object since it was last sent; None: it has not said so.

    Attributes:
        stored: That it stored it.
        committed: That it keeps it.
        found: That it finds it.
    """

    stored: Proof | None
    committed: Proof | None
    found: Proof | None


def said(delivery: Delivery, proofs: Sequence[Proof]) -> Said:
    """Return what is said of a delivery's last sending; nothing before a new one that a person asked for.

    Args:
        delivery: Which.
        proofs: The oldest first; those of other deliveries are left out.
    """
    if delivery.sent_at is None:
        return Said(None, None, None)
    heard = [proof for proof in proofs if proof.delivery_id == delivery.id]
    places = [place for place, proof in enumerate(heard) if proof.kind is ProofKind.STORE and proof.holds]
    since = heard[places[-1] :] if places else []
    return Said(
        since[0] if since else None, _last(since, ProofKind.COMMITMENT), _last(since, ProofKind.QUERY)
    )


def _last(proofs: Sequence[Proof], kind: ProofKind) -> Proof | None:
    return next((proof for proof in reversed(proofs) if proof.kind is kind and proof.holds), None)


@dataclass(frozen=True)
class Unproven:
    """A delivery that was sent and lacks a proof.

    Attributes:
        delivery: Which.
        held: The proofs that are there since it was last sent.
    """

    delivery: Delivery
    held: frozenset[ProofKind]


@dataclass(frozen=True)
class Transaction:
    """A storage commitment that this node has asked for.

    Attributes:
        uid: Its Transaction UID (0008,1195).
        destination: The name of the destination that was asked.
        begun_at: When it was recorded, before the request went out, UTC.
        newest_proof: The highest number of a proof at that time; what was sent later has a higher one.
        delivery_ids: What it asks about.
    """

    uid: str
    destination: str
    begun_at: datetime
    newest_proof: int
    delivery_ids: tuple[int, ...]


@dataclass(frozen=True)
class CommitmentAnswer:
    """What an N-EVENT-REPORT says, by SOP Instance UID.

    Attributes:
        committed: What the peer keeps.
        failed: What it does not keep, and why in words.
        ask_again: What the question itself was wrong for.
    """

    committed: frozenset[str] = frozenset()
    failed: Mapping[str, str] = field(default_factory=dict)
    ask_again: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Sought:
    """An object as a query names it: the three UIDs (PS3.4 C.6.2.1)."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
