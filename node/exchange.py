"""One request and its response in an association in which both sides may ask.

pynetdicom's own `send_n_action` and `send_n_event_report` take the next message for the response, whatever
it is, and see no release. In storage commitment (PS3.4 J.3) requests of both sides may cross.
"""

import queue
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import TypeVar

from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode

from node.errors import ProofError

Request = TypeVar("Request", N_ACTION, N_EVENT_REPORT)

POLL_S = 0.02
"""How often is looked whether the peer has asked for the release, in seconds."""


def context_of(association: Association, sop_class: UID) -> int:
    """Return the number of the accepted presentation context of a SOP class; ProofError: there is none."""
    for context in association.accepted_contexts:
        if context.abstract_syntax == sop_class and context.context_id is not None:
            return context.context_id
    raise ProofError(f"no presentation context was accepted for {sop_class.name}")


def encoded(association: Association, context_id: int, dataset: Dataset) -> BytesIO:
    """Return a data set in the transfer syntax of a context."""
    syntax = association._accepted_cx[context_id].transfer_syntax[0]
    content = encode(dataset, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
    if content is None:
        raise ValueError("the data set cannot be encoded")
    return BytesIO(content)


def is_ending(association: Association) -> bool:
    """Return whether the peer asks for the release, or the association has ended."""
    return association.dul.peek_next_pdu() is not None or not association.is_established


@contextmanager
def own_turn(association: Association) -> Iterator[None]:
    """Keep the association's own thread from taking messages, for use by another thread."""
    association._reactor_checkpoint.clear()
    try:
        while not association._is_paused and association.is_alive():
            time.sleep(POLL_S / 10)
        yield
    finally:
        association._reactor_checkpoint.set()


def exchange(association: Association, request: Request, context_id: int, timeout_s: float) -> Request | None:
    """Send a request and return its response; requests of the peer that come first are left for later.

    None: no response came in time, or the peer asked for the release or broke off before.
    """
    messages, aside = association.dimse.msg_queue, []
    association.dimse.send_msg(request, context_id)
    until = time.monotonic() + timeout_s
    try:
        while time.monotonic() < until:
            try:
                item = messages.get(timeout=POLL_S)
            except queue.Empty:
                if is_ending(association):
                    return None
                continue
            message = item[1]
            if isinstance(message, type(request)) and message.is_valid_response:
                return message
            aside.append(item)
    finally:
        for item in aside:
            messages.put(item)
    return None
