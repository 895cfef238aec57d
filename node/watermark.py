"""Turning senders away at the door while the disk is at its reserve (PS3.8 9.3.4)."""

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, Verification  # type: ignore[attr-defined]

from node.errors import OutOfSpaceError
from node.spool import Spool

TRANSIENT, PRESENTATION_RELATED, LOCAL_LIMIT_EXCEEDED = 0x02, 0x03, 0x02
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21): come again later."""

NEED_NO_SPACE = frozenset({Verification, StorageCommitmentPushModel})
"""Who asks for these alone is let in: probes are answered, and proofs that allow files to go arrive."""


def refuses_for_space(association: Association, spool: Spool) -> bool:
    """Reject an association that would store while there is no room for an object; tell whether it was.

    For the handler of EVT_REQUESTED. Results keep leaving: the node calls their destinations itself.
    """
    request = association.requestor.primitive
    asked = {c.abstract_syntax for c in request.presentation_context_definition_list} if request else set()
    if asked <= NEED_NO_SPACE:
        return False
    try:
        spool.check_space()
    except OutOfSpaceError:
        association.acse.send_reject(TRANSIENT, PRESENTATION_RELATED, LOCAL_LIMIT_EXCEEDED)
        evt.trigger(association, evt.EVT_REJECTED, {})
        association.kill()
        return True
    return False
