"""An association that has ended can be aborted all the same."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA, MaximumLengthNotification
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from node.late_abort import AWAITING_CLOSE, close_on_late_abort


def _request() -> bytes:
    """Return an A-ASSOCIATE-RQ that calls an application entity which is not there."""
    primitive, longest, context = A_ASSOCIATE(), MaximumLengthNotification(), build_context(Verification)
    longest.maximum_length_received = 16384
    context.context_id = 1
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = "PAXNODE", "NOBODY"
    primitive.user_information = [longest]
    primitive.presentation_context_definition_list = [context]
    return A_ASSOCIATE_RQ(primitive).encode()


@contextmanager
def _rejecting(handler: Callable[[evt.Event], None]) -> Iterator[socket.socket]:
    """A connection to an application entity that rejects it; the handler sees its state machine move."""
    close_on_late_abort()
    ae = AE("ARCHIVE")
    ae.add_supported_context(Verification)
    ae.require_called_aet = True
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_FSM_TRANSITION, handler)])
    assert server is not None
    try:
        with socket.create_connection(server.server_address[:2], timeout=10) as client:
            client.sendall(_request())
            yield client
    finally:
        ae.shutdown()


def test_abort_of_a_rejected_association_closes_the_connection_and_breaks_no_thread() -> None:
    served: list[Association] = []

    def abort_too_late(event: evt.Event) -> None:
        if event.next_state == AWAITING_CLOSE:
            served.append(event.assoc)
            event.assoc.abort()

    with _rejecting(abort_too_late) as client:
        answer = b""
        while piece := client.recv(1024):
            answer += piece
        (association,) = served
        association.join(10)
    assert answer[:1] == b"\x03", "an A-ASSOCIATE-RJ, then the end of the connection"
    assert not association.is_alive()
    assert not association.dul.is_alive()


def test_data_for_an_association_that_is_about_to_end_is_discarded_and_breaks_no_thread() -> None:
    served: list[Association] = []

    def send_too_late(event: evt.Event) -> None:
        if event.next_state == AWAITING_CLOSE and not served:
            served.append(event.assoc)
            event.assoc.dul.send_pdu(P_DATA())

    with _rejecting(send_too_late) as client:
        assert client.recv(1024)[:1] == b"\x03"
        deadline = time.monotonic() + 10
        while not (served and served[0].dul.to_provider_queue.empty()) and time.monotonic() < deadline:
            time.sleep(0.01)
        client.close()
        (association,) = served
        association.join(10)
    assert association.dul.to_provider_queue.empty()
    assert not association.dul.is_alive()
