"""Taking C-STORE requests off the network into the spool, fragment by fragment.

pynetdicom can write a data set to a file itself, but only in the system's temporary folder, and a full disk
then ends the association without a status. Here it goes to the spool's own disk, so that the final rename
is atomic; it is hashed on the way, and what goes wrong is kept for the answer.

PS3.7 9.3.1 (C-STORE), PS3.8 Annex E (fragments).
"""

import struct
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from pydicom.uid import UID
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.pdu_primitives import P_DATA

from node import store_command
from node.contexts import STORAGE_CLASSES
from node.errors import StorageError
from node.ps38 import FRAGMENT_HEADER, IS_COMMAND, IS_LAST
from node.spool import Incoming, Spool
from node.store_command import Answer, StoreRequest

T = TypeVar("T")

C_CANCEL_REQUEST, RESPONSE = 0x0FFF, 0x8000
"""The Command Field of the one request that has no answer, and is left aside, for nothing here takes so long
that it can be cancelled; and the bit of all answers (PS3.7 E.1)."""

MAX_COMMAND_BYTES = 65_536
"""A command set is a few hundred bytes; a longer one than this is no command set."""

MAX_HELD_BYTES = 4 * 1_048_576
"""A data set of another service than storage is held in memory; a request for commitment is shorter."""

MAX_UNANSWERED = 4
"""Requests without an answer yet. Without an Asynchronous Operations Window, which is never agreed on, a peer
sends the next after the answer (PS3.7 D.3.3.3)."""


def shielded(action: Callable[[], T], otherwise: Callable[[Exception], T]) -> T:
    """Return what an action returns, or what `otherwise` makes of its error: peers send anything."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - the catch-all around the network: recorded and answered
        return otherwise(error)


class Reception:
    """A C-STORE request, and its data set on its way into the spool.

    Attributes:
        request: The command.
        syntax: The transfer syntax of the data set.
        incoming: The object in the spool; None when it could not be begun.
        failure: Why it cannot be kept; None: it can.
        is_too_large: Whether more came than is allowed.
    """

    def __init__(self, request: StoreRequest, spool: Spool, syntax: UID, max_bytes: int) -> None:
        self.request = request
        self.syntax = syntax
        self.incoming: Incoming | None = None
        self.failure: StorageError | None = None
        self.is_too_large = False
        self._max_bytes = max_bytes
        if not request.has_data_set:
            return
        try:
            self.incoming = spool.begin(_file_header(request, syntax), str(syntax))
        except StorageError as error:
            self.failure = error

    def write(self, content: bytes | memoryview) -> None:
        """Append; after a failure the rest is read and thrown away, because the sender must be answered."""
        if self.incoming is None or self.failure or self.is_too_large:
            return
        if self.incoming.size + len(content) > self._max_bytes:
            self.is_too_large = True
            return
        try:
            self.incoming.write(content)
        except StorageError as error:
            self.failure = error

    @property
    def size(self) -> int:
        """Bytes of the data set that were taken."""
        return 0 if self.incoming is None else self.incoming.size

    def discard(self) -> None:
        """Leave nothing of it, unless it was kept."""
        if self.incoming is not None:
            self.incoming.discard()


class StreamingProvider(DIMSEServiceProvider):
    """Decodes DIMSE messages like its parent, except for C-STORE requests, whose data sets are streamed.

    Args:
        assoc: The association that it serves.
        spool: Where objects go.
        max_bytes: Larger data sets are not kept.
        store: Answers a C-STORE request whose data set is complete.
        report: Is told of an error in what the peer sent, before the association is aborted.
    """

    def __init__(
        self,
        assoc: Association,
        spool: Spool,
        max_bytes: int,
        store: Callable[[Association, Reception], Answer],
        report: Callable[[Exception], None],
    ) -> None:
        super().__init__(assoc)
        self._spool = spool
        self._max_bytes = max_bytes
        self._store = store
        self._report = report
        self._command = bytearray()
        self._current: Reception | None = None
        self._complete: list[Reception] = []
        self._unanswered = 0
        self._lock = threading.Lock()
        self._held_bytes = 0
        self._then: Callable[[], object] | None = None

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Send a message, and then do what `after_next_message` was given, in the same thread."""
        super().send_msg(primitive, context_id)
        if primitive.MessageIDBeingRespondedTo is not None:
            self._count_answer()
        then, self._then = self._then, None
        if then is not None:
            then()

    def after_next_message(self, action: Callable[[], object]) -> None:
        """Let something be done once, after the next message that is sent; nothing is then on its way."""
        self._then = action

    @property
    def is_busy(self) -> bool:
        """Whether a request is on its way, is being worked on, or its answer is not sent yet."""
        return self._unanswered > 0 or not self.dul.to_provider_queue.empty()

    def serve(self, reception: Reception) -> None:
        """Answer a C-STORE request; in the association's thread, as all that is asked."""
        with self._lock:
            is_open = reception in self._complete
            if is_open:
                self._complete.remove(reception)
        if is_open:
            shielded(lambda: self._answer(reception), self.abort)
        self._count_answer()

    def _answer(self, reception: Reception) -> None:
        try:
            answer = self._store(self.assoc, reception)
        finally:
            reception.discard()
        if self.assoc.is_established:
            self._send(reception.request.context_id, store_command.response(reception.request, answer))

    def _send(self, context_id: int, command_set: bytes) -> None:
        most = (self.maximum_pdu_size or MAX_COMMAND_BYTES) - FRAGMENT_HEADER.size
        if most < 1:
            raise ValueError("the peer takes PDUs that hold nothing")
        for begin in range(0, len(command_set), most):
            end, piece = begin + most, P_DATA()
            control = bytes([IS_COMMAND | (IS_LAST if end >= len(command_set) else 0)])
            piece.presentation_data_value_list.append((context_id, control + command_set[begin:end]))
            self.dul.send_pdu(piece)

    def _count_answer(self) -> None:
        with self._lock:
            self._unanswered -= 1

    def close(self) -> None:
        """Leave nothing of what will not be answered any more."""
        with self._lock:
            left = [*self._complete, *([self._current] if self._current else [])]
            self._complete, self._current = [], None
        for reception in left:
            reception.discard()

    @property
    def is_streaming(self) -> bool:
        """Whether the data set of a C-STORE request is on its way."""
        return self._current is not None

    def abort(self, error: Exception) -> None:
        """End the association of a peer that sends nonsense."""
        self._report(error)
        self.close()
        self.dul.event_queue.put("Evt19")  # an invalid PDU: PS3.8 9.2.2

    def receive_fragment(self, context_id: int, fragment: bytes) -> None:
        """Take a fragment of a command, or of a data set that is not streamed; any exception: it is nonsense.

        It begins with its message control header. This and what follows runs in the association's network
        thread.
        """
        header, content = fragment[0], fragment[1:]
        if header & IS_COMMAND:
            self._take_command(context_id, content, is_last=bool(header & IS_LAST))
        else:
            self._count(len(content), is_last=bool(header & IS_LAST))
            self._pass_on(context_id, fragment)

    def receive_piece(self, context_id: int, content: bytes | memoryview) -> None:
        """Append to the data set that is on its way; ValueError: messages of two contexts are mixed."""
        if self._current is None:
            return
        if context_id != self._current.request.context_id:
            raise ValueError("a fragment of another presentation context")
        self._current.write(content)

    def end_data_set(self) -> None:
        """Queue the request whose data set is complete."""
        if self._current is not None:
            self._hand_over(self._current)

    def _count(self, size: int, *, is_last: bool) -> None:
        """Count the bytes of a data set that is held in memory; ValueError for one that is too long."""
        self._held_bytes += size
        if self._held_bytes > MAX_HELD_BYTES:
            raise ValueError("the data set is too long for its service")
        if is_last:
            self._held_bytes = 0

    def _take_command(self, context_id: int, content: bytes, *, is_last: bool) -> None:
        self._command += content
        if len(self._command) > MAX_COMMAND_BYTES:
            raise ValueError("the command set is too long")
        if not is_last:
            return
        encoded, self._command = bytes(self._command), bytearray()
        values = store_command.elements(encoded)
        field = store_command.number(values, store_command.COMMAND_FIELD)
        if field == C_CANCEL_REQUEST:
            return
        self._expect_answer(field)
        if field == store_command.REQUEST:
            self._begin(store_command.store_request(context_id, values))
        else:
            self._pass_on(context_id, bytes([IS_COMMAND | IS_LAST]) + encoded)

    def _expect_answer(self, command_field: int) -> None:
        """Count a request that is answered; ValueError: there are too many."""
        if command_field & RESPONSE:
            return
        with self._lock:
            self._unanswered += 1
        if self._unanswered > MAX_UNANSWERED:
            raise ValueError("requests are sent without waiting for their answers")

    def _begin(self, request: StoreRequest) -> None:
        if self._current is not None:
            raise ValueError("a command set in the middle of a data set")
        context = self.assoc._accepted_cx[request.context_id]
        if context.abstract_syntax not in STORAGE_CLASSES:
            raise ValueError("a C-STORE request to another service")
        self._current = Reception(request, self._spool, context.transfer_syntax[0], self._max_bytes)
        if not request.has_data_set:
            self._hand_over(self._current)

    def _hand_over(self, reception: Reception) -> None:
        """Queue the complete request for the association's thread."""
        with self._lock:
            self._complete.append(reception)
            self._current = None
        self.msg_queue.put((reception.request.context_id, reception))  # type: ignore[arg-type]

    def _pass_on(self, context_id: int, fragment: bytes) -> None:
        single = P_DATA()
        single.presentation_data_value_list = [[context_id, fragment]]  # type: ignore[list-item]
        super().receive_primitive(single)


def _file_header(request: StoreRequest, transfer_syntax: UID) -> bytes:
    """Return the preamble and the File Meta Information (PS3.10 7.1) for a data set as it comes."""
    uids = {
        0x0002: request.sop_class_uid,
        0x0003: request.sop_instance_uid,
        0x0010: transfer_syntax,
        0x0012: PYNETDICOM_IMPLEMENTATION_UID,
    }
    elements = b"".join(_element(number, b"UI", uid.encode("latin-1")) for number, uid in uids.items())
    content = _VERSION + elements + _NAME
    return bytes(128) + b"DICM" + _element(0x0000, b"UL", len(content).to_bytes(4, "little")) + content


def _element(number: int, vr: bytes, value: bytes) -> bytes:
    """Return an element of group 0002 with a short length (PS3.5 7.1.2); its value is padded (PS3.5 6.2)."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", 0x0002, number, vr, len(value)) + value


_VERSION = struct.pack("<HH2sxxL", 0x0002, 0x0001, b"OB", 2) + b"\0\1"
_NAME = _element(0x0013, b"SH", PYNETDICOM_IMPLEMENTATION_VERSION.encode())
