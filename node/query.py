"""Asking an archive by C-FIND whether it has objects (PS3.4 C.4.1; Study Root, level IMAGE, C.6.2.1)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from pydicom import Dataset
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from config.settings import AnyDestination, Destination
from node.errors import ProofError
from node.peer_call import Caller
from node.proofs import Sought

PENDING = frozenset({0xFF00, 0xFF01})
"""A match follows (PS3.4 Table C.4-1)."""

SUCCESS = 0x0000
"""There are no more matches (PS3.4 Table C.4-1)."""

MAX_MATCHES = 10_000
"""More objects than this has no series of results; a peer that tells of more is not listened to."""


class Finder(Protocol):
    """Asks a destination what it has; `DimseFinder` and `node.query_web.WebFinder` are the real ones."""

    def find(self, destination: AnyDestination, sought: Sequence[Sought]) -> frozenset[str]:
        """Return the SOP Instance UIDs of those that the destination has.

        Raises:
            ProofError: It could not be asked, or gave no whole answer.
        """
        ...


class DimseFinder:
    """Asks by C-FIND: once for each series, all in one association.

    Where several objects of a series are sought the whole series is asked for: that is one question instead
    of many, and not every archive knows how to match a list of UIDs.

    Args:
        caller: Who calls.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def find(self, destination: AnyDestination, sought: Sequence[Sought]) -> frozenset[str]:
        """Ask in one association; see `Finder.find`."""
        if not isinstance(destination, Destination):
            raise TypeError(f"a DICOM destination is needed, found {type(destination).__name__}")
        model = StudyRootQueryRetrieveInformationModelFind
        found: set[str] = set()
        with self._caller.association(destination, model, destination.timeout_s) as association:
            for each in by_series(sought).values():
                found |= _matches(association, _identifier(each), destination.ae_title)
        return frozenset(found & {each.sop_instance_uid for each in sought})


def by_series(sought: Iterable[Sought]) -> Mapping[tuple[str, str], Sequence[Sought]]:
    """Return what is sought, in groups of one series."""
    groups: dict[tuple[str, str], list[Sought]] = {}
    for each in sought:
        groups.setdefault((each.study_instance_uid, each.series_instance_uid), []).append(each)
    return groups


def _identifier(sought: Sequence[Sought]) -> Dataset:
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE"
    identifier.StudyInstanceUID = sought[0].study_instance_uid
    identifier.SeriesInstanceUID = sought[0].series_instance_uid
    identifier.SOPInstanceUID = sought[0].sop_instance_uid if len(sought) == 1 else ""
    return identifier


def _matches(association: Association, identifier: Dataset, peer: str) -> set[str]:
    """Return the SOP Instance UIDs of every match; ProofError where the answer is not whole."""
    found: set[str] = set()
    if not association.is_established:
        raise ProofError(f"the association with {peer} ended before everything was asked", unanswered=True)
    model = StudyRootQueryRetrieveInformationModelFind
    for status, match in association.send_c_find(identifier, model):
        code = status.get("Status")
        if code is None:
            raise ProofError(f"{peer} gave no answer to the query", unanswered=True)
        if code == SUCCESS:
            return found
        if code not in PENDING:
            raise ProofError(f"{peer} answered the query with 0x{code:04X}")
        found.add(str(match.get("SOPInstanceUID", "")) if match is not None else "")
        if len(found) > MAX_MATCHES:
            association.abort()
            raise ProofError(f"{peer} told of more than {MAX_MATCHES} objects in a series of results")
    raise ProofError(f"{peer} gave no whole answer to the query", unanswered=True)
