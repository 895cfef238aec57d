"""The rejection with which a peer has answered an association request (PS3.8 9.3.4)."""

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE


def rejection(association: Association) -> A_ASSOCIATE | None:
    """Return how a peer rejected an association that was asked of it; None: it did not.

    A peer that rejects and closes the connection at once can be faster than pynetdicom, which then takes the
    closed connection for an abort and leaves the answer unread in its queue.
    """
    if association.is_rejected:
        return association.acceptor.primitive
    if association.is_established or association.acceptor.primitive is not None:
        return None
    unread = list(association.dul.to_user_queue.queue)
    return next((each for each in unread if isinstance(each, A_ASSOCIATE) and each.result), None)
