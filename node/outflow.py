"""What goes out on an association that we ask for: data sets go from files to the socket in large pieces.

pynetdicom reads a whole data set into its queue, in units of the length that the peer takes (often 16 KiB),
and encodes and sends each by itself. Here one entry of the queue stands for all of them, and knows the file.

PS3.8 9.2 (state machine; Sta6 is data transfer), 9.3.5 (P-DATA-TF), E.2 (message control header).
"""

import math
import os
import struct
import time
from io import BytesIO, FileIO
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ABORT, P_DATA

from node.outlet import Outlet
from node.ps38 import DATA_TRANSFER, FRAGMENT_HEADER, IS_LAST, P_DATA_TF, TRANSPORT_CLOSED

SENDING = (DATA_TRANSFER, "Sta8")
"""States in which a connection with a data set on it is there: the latter when the peer asks for release."""

NOT_LAST = 0x00
"""Message control header of a data set's fragments, the last one apart (PS3.8 E.2)."""

UNIT_HEADER = struct.Struct(">BxLLBB")
"""Of a P-DATA-TF with one fragment: PDU type, a reserved byte, PDU length; item length, context ID, message
control header (PS3.8 9.3.5)."""

SHORTEST_UNIT, LONGEST_UNIT = 8, 131_072
"""In a shorter unit no even fragment finds room; a longer one is not sent, whatever the peer takes."""

BATCH_BYTES = 524_288
"""So much is read and sent at once, in as many units as it takes."""

MOST_UNITS = 1000
"""Pieces of memory that one call reads into; systems allow 1,024 (IOV_MAX)."""

NOTHING_COMES = (None, None)
"""What pynetdicom puts into the place of an answer when there will be none."""


class DataSetStream(P_DATA):
    """A data set, in the place of the P-DATA requests that it becomes.

    Args:
        source: Where it is read, from its position to its end; it is closed in the end.
        context_id: The presentation context that it goes in.
        longest_unit: The length that the peer takes, 0: any (PS3.8 D.1).

    Attributes:
        failure: Why it could not be read to its end.
        moved_at: When a part of it was sent last, on the monotonic clock.
    """

    def __init__(self, source: FileIO | BytesIO, context_id: int, longest_unit: int) -> None:
        super().__init__()
        self._source, self._context_id = source, context_id
        begin = source.tell()
        self._left = source.seek(0, os.SEEK_END) - source.seek(begin)
        unit = min(longest_unit or LONGEST_UNIT, LONGEST_UNIT)
        self._fragment = (unit - FRAGMENT_HEADER.size) // 2 * 2  # even, as data sets are
        self._step = UNIT_HEADER.size + self._fragment
        units = min(MOST_UNITS, BATCH_BYTES // self._step, -(-self._left // self._fragment))
        self._buffer = memoryview(bytearray(self._step * max(1, units)))
        for position in range(0, len(self._buffer), self._step):
            self._write_header(position, self._fragment, NOT_LAST)
        self._rest, self._is_read = self._buffer[:0], False
        self.failure: OSError | None = None
        self.moved_at = time.monotonic()

    @property
    def is_done(self) -> bool:
        """Whether all of it has been sent."""
        return self._is_read and not self._rest

    def rest(self) -> memoryview:
        """Return what is to be sent next, some units or what is left of them; it holds until that is sent.

        Raises:
            OSError: The file cannot be read, or not to the end that it had.
        """
        if not self._rest:
            self._rest = self._batch()
        return self._rest

    def sent(self, count: int) -> None:
        """Note that so many bytes of the rest were sent."""
        self._rest = self._rest[count:]
        if count:
            self.moved_at = time.monotonic()

    def _batch(self) -> memoryview:
        room = len(self._buffer) // self._step * self._fragment
        is_last = self._left <= room
        size = min(room, self._left)
        whole, rest = divmod(size, self._fragment)
        if is_last and whole and not rest:
            whole, rest = whole - 1, self._fragment
        sizes = [self._fragment] * whole + ([rest] if is_last else [])
        begins = [number * self._step + UNIT_HEADER.size for number in range(len(sizes))]
        self._read([self._buffer[at : at + n] for at, n in zip(begins, sizes, strict=True)], size)
        self._left -= size
        self._is_read = is_last
        if is_last:
            self._write_header(begins[-1] - UNIT_HEADER.size, rest, IS_LAST)
        return self._buffer[: begins[-1] + sizes[-1]]

    def _read(self, pieces: list[memoryview], size: int) -> None:
        try:
            if isinstance(self._source, BytesIO):
                found = sum(self._source.readinto(piece) for piece in pieces)
            else:
                found = os.readv(self._source.fileno(), pieces)
            if found != size:
                raise OSError("the file could not be read to its end")
        except OSError as error:
            self.failure = error
            raise

    def _write_header(self, position: int, size: int, control: int) -> None:
        counted = size + 2  # the item length counts context ID and control header
        UNIT_HEADER.pack_into(
            self._buffer, position, P_DATA_TF, counted + 4, counted, self._context_id, control
        )

    def close(self) -> None:
        """Let the file go."""
        self._source.close()


class OutgoingProvider(DIMSEServiceProvider):
    """pynetdicom's, but data sets that are stored are streamed, and an answer is one to what was asked.

    Attributes:
        stream: The data set that was sent last, or is on its way.
    """

    stream: DataSetStream | None = None
    _message_id: int | None = None

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Have a message sent.

        Raises:
            OSError: The file of its data set cannot be opened; nothing was sent.
            ValueError: The peer takes no units in which it could be sent; likewise.
        """
        if not isinstance(primitive, C_STORE) or primitive.MessageIDBeingRespondedTo is not None:
            super().send_msg(primitive, context_id)
            return
        longest = self.maximum_pdu_size
        if 0 < longest < SHORTEST_UNIT:
            raise ValueError(f"units of {longest} bytes are too short")
        message = C_STORE_RQ()
        message.primitive_to_message(primitive)
        message.context_id = context_id
        self.stream = stream = DataSetStream(_source(primitive), context_id, longest)
        self._message_id = primitive.MessageID
        evt.trigger(self.assoc, evt.EVT_DIMSE_SENT, {"message": message})
        message.data_set, message._data_set_path = None, None  # it has been told that there is one
        for unit in message.encode_msg(context_id, longest):
            self.dul.send_pdu(unit)
        self.dul.send_pdu(stream)
        if not self.dul.is_alive():  # the peer has gone meanwhile, and nobody looks into the queue
            stream.close()
            self.msg_queue.put(NOTHING_COMES)

    def get_msg(self, block: bool = False) -> Any:
        """Return the next message; an answer to what was asked before is none to what was stored last."""
        until = time.monotonic() + (self.dimse_timeout or math.inf)
        context_id, message = super().get_msg(block)
        while self._is_stale(message) and time.monotonic() < until:
            context_id, message = super().get_msg(block)
        return (None, None) if self._is_stale(message) else (context_id, message)

    def _is_stale(self, message: Any) -> bool:
        return isinstance(message, C_STORE) and message.MessageIDBeingRespondedTo != self._message_id


def _source(primitive: C_STORE) -> FileIO | BytesIO:
    """Return where the data set of a request is read; OSError: its file cannot be opened."""
    if isinstance(primitive._dataset_path, tuple):
        path, start = primitive._dataset_path
        file = path.open("rb", buffering=0)
        file.seek(start)
        return file
    source = primitive.DataSet
    assert isinstance(source, BytesIO), "pynetdicom has encoded it"
    source.seek(0)
    return source


class OutgoingLayer(DULServiceProvider):
    """The upper layer of an association that streams data sets; its thread reads and writes, as ever.

    So one thread uses a connection over TLS, and whoever aborts need not wait for the rest of a data set.
    """

    def run_reactor(self) -> None:
        """Serve the association until it ends."""
        try:
            super().run_reactor()
        finally:
            for left in list(self.to_provider_queue.queue):
                if isinstance(left, DataSetStream):
                    self._end(left)

    def _process_recv_primitive(self) -> bool:
        """Send what is asked for; tell whether the state machine is to do it."""
        queue = self.to_provider_queue.queue
        if not queue or not isinstance(stream := queue[0], DataSetStream):
            return super()._process_recv_primitive()
        try:
            self._send_stream(stream)
        except OSError:  # it cannot be read, the connection broke, or nobody wants the rest
            self.to_provider_queue.get(False)
            self._end(stream)
            if self.state_machine.current_state in SENDING:
                self.event_queue.put(TRANSPORT_CLOSED)  # within a unit nothing else can be said
            return False
        if stream.is_done:
            self.to_provider_queue.get(False)
            stream.close()
        return False

    def _end(self, stream: DataSetStream) -> None:
        """Let a stream go of which the rest will not be sent, and nobody wait for an answer to it."""
        stream.close()
        self.assoc.dimse.msg_queue.put(NOTHING_COMES)

    def _is_transport_event(self) -> bool:
        if isinstance(self.socket, Outlet):
            self.socket.await_answer()
        return super()._is_transport_event()

    def _send_stream(self, stream: DataSetStream) -> None:
        """Send until nothing is left, or something comes in.

        Raises:
            OSError: The file or the connection broke, or the association is to be aborted.
        """
        outlet = self.socket
        assert isinstance(outlet, Outlet), "it came with this layer"
        patience_s = self.network_timeout or math.inf
        while not (stream.is_done or outlet.ready):
            if self._is_given_up() or self.state_machine.current_state != DATA_TRANSFER:
                raise ConnectionAbortedError  # a peer that drips, or that asks for release, gets no rest
            if time.monotonic() > stream.moved_at + patience_s:
                raise TimeoutError("the peer does not read")
            stream.sent(outlet.push(stream.rest()))

    def _is_given_up(self) -> bool:
        """Return whether the association is to be aborted: what is left of a data set is not sent then."""
        return any(isinstance(waiting, A_ABORT) for waiting in list(self.to_provider_queue.queue))


def stream_data_sets(association: Association) -> None:
    """Let an association that has not begun, and whose connection is an `Outlet`, stream what it stores."""
    association.dul, association.dimse = OutgoingLayer(association), OutgoingProvider(association)
    # pynetdicom puts them into both
    association.acse_timeout = association.acse_timeout
    association.network_timeout = association.network_timeout


def sent_last(association: Association) -> DataSetStream | None:
    """Return the data set that an association sent last, or has on its way; None: it sent none."""
    provider = association.dimse
    return provider.stream if isinstance(provider, OutgoingProvider) else None
