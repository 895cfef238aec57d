"""An association as pynetdicom makes it for a connection that it has accepted, with our own parts in it.

What `pynetdicom.transport.RequestHandler` does, for a connection whose request has been read already.
"""

import socket
from collections.abc import Sequence
from contextlib import suppress
from copy import copy
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation

from node.caller import Arrival
from node.connections import close
from node.inflow import Inflow
from node.reception import Reception, StreamingProvider, shielded
from node.upper_layer import UpperLayer

LOCAL_LIMIT_EXCEEDED = bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 2])
"""An A-ASSOCIATE-RJ PDU: rejected-transient, by the presentation service provider, local-limit-exceeded
(PS3.8 9.3.4)."""


class _HangUp:
    """All that an association asks of the server it belongs to."""

    @staticmethod
    def shutdown_request(request: socket.socket) -> None:
        close(request)


class Accepted(Association):
    """An association that was asked for here: C-STORE is served without pynetdicom's service classes."""

    def _serve_request(self, msg: Any, context_id: int) -> None:
        provider, serve = self.dimse, super()._serve_request
        assert isinstance(provider, StreamingProvider), "the listener gives it one"
        if isinstance(msg, Reception):
            provider.serve(msg)
        else:
            shielded(lambda: serve(msg, context_id), provider.abort)


def association_for(
    arrival: Arrival, ae: AE, handlers: Sequence[evt.EventHandlerType], network_timeout_s: float
) -> Association:
    """Return an association that has not started; its first bytes to read are the request.

    Args:
        arrival: The connection. It may block from now on, for `network_timeout_s`.
        ae: Who accepts.
        handlers: What is to be called when something happens on it.
        network_timeout_s: A PDU that stops halfway would block for ever.

    Raises:
        OSError: The peer has gone.
    """
    connection = arrival.connection
    connection.settimeout(network_timeout_s)
    association = Accepted(ae, "acceptor")
    association._server = _HangUp()  # type: ignore[assignment]
    association.name = f"association-{arrival.address[0]}:{arrival.address[1]}"
    association.dul = UpperLayer(association)
    association.acse_timeout = association.acse_timeout  # pynetdicom puts them into the upper layer
    association.network_timeout = association.network_timeout
    association.set_socket(Inflow(association, connection, arrival.request, network_timeout_s))
    acceptor = association.acceptor
    acceptor.maximum_length = ae.maximum_pdu_size
    acceptor.ae_title = ae.ae_title
    acceptor.address_info = AddressInformation.from_tuple(connection.getsockname())
    acceptor.implementation_class_uid = ae.implementation_class_uid
    acceptor.implementation_version_name = ae.implementation_version_name
    acceptor.supported_contexts = [copy(context) for context in ae.supported_contexts]
    association.requestor.address_info = AddressInformation.from_tuple(arrival.address)
    for handler in handlers:
        association.bind(*handler)
    return association


def reject_for_now(arrival: Arrival) -> None:
    """Tell a peer that there are too many associations, and end the connection."""
    with suppress(OSError):  # gone, or it does not read
        arrival.connection.send(LOCAL_LIMIT_EXCEEDED)
    close(arrival.connection)
