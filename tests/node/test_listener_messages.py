"""Messages that are seldom sent: cancelled requests, answers in small fragments, what no service expects."""

from typing import Any

from pynetdicom import evt
from pynetdicom.dimse_messages import C_CANCEL_RQ
from pynetdicom.dimse_primitives import C_CANCEL
from pynetdicom.pdu import A_ABORT_RQ, P_DATA_TF

from node.ps38 import IS_COMMAND, IS_LAST
from tests.node.test_listener_peers import wait_until

MANY_CANCELS = 16
"""More than pynetdicom keeps."""


def test_cancelling_is_left_aside(run: Any) -> None:
    node = run()
    request, message = C_CANCEL(), C_CANCEL_RQ()
    with node.association() as association:
        for number in range(MANY_CANCELS):
            request.MessageIDBeingRespondedTo = number
            message.primitive_to_message(request)
            for piece in message.encode_msg(association.accepted_contexts[0].context_id, 16_382):
                association.dul.send_pdu(piece)
        assert association.send_c_echo().Status == 0x0000


def test_message_that_cannot_be_served_leaves_no_connection_behind(run: Any) -> None:
    node = run()
    association = node.associate()
    [accepted] = node.listener._associations
    accepted.dimse.msg_queue.put((1, C_CANCEL()))  # pynetdicom has no answer to it
    wait_until(lambda: not association.is_established)
    wait_until(lambda: not (accepted.is_alive() or accepted.dul.is_alive()))


def test_answer_goes_in_fragments_of_which_the_last_is_marked(run: Any, make_dx: Any) -> None:
    node, units = run(), list[bytes]()
    association = node.associate(longest_unit=16)

    def note(event: evt.Event) -> None:
        if isinstance(event.pdu, P_DATA_TF):
            units.append(event.pdu.encode())

    association.bind(evt.EVT_PDU_RECV, note)
    assert association.send_c_store(make_dx(64, 64)).Status == 0x0000
    association.release()
    controls = [unit[11] for unit in units]
    assert controls == [IS_COMMAND] * (len(units) - 1) + [IS_COMMAND | IS_LAST]
    assert len(units) > 5
    assert all(len(unit) <= 16 + 6 for unit in units)


def test_peer_to_which_nothing_can_be_sent_is_hung_up_on(run: Any, make_dx: Any) -> None:
    association, received = run().associate(longest_unit=5), list[type]()
    association.bind(evt.EVT_PDU_RECV, lambda event: received.append(type(event.pdu)))
    assert association.send_c_store(make_dx(64, 64)).get("Status") is None
    assert received == [A_ABORT_RQ]
