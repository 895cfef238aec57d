"""What goes out on an association that we ask for: data sets go from files to the socket in large pieces.

pynetdicom reads a whole data set into its queue, in units of the length that the peer takes (often 16 KiB),
and encodes and sends each by itself. Here one entry of the queue stands for all of them, and knows the file.

PS3.8 9.2 (state machine; Sta6 is data transfer, Sta8: the peer asks for release), 9.3.5 (P-DATA-TF), E.2
(message control header).
"""

import math
import os
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dul import DULServiceProvider
from pynetdicom.pdu_primitives import A_ABORT, P_DATA

from node.connections import acknowledge_at_once

MAY_SEND = ("Sta6", "Sta8")
TRANSPORT_CLOSED = "Evt17"

P_DATA_TF = 0x04
NOT_LAST, LAST = 0x00, 0x02
"""Message control headers of a data set's fragments (PS3.8 E.2)."""

UNIT_HEADER = struct.Struct(">BxLLBB")
"""Of a P-DATA-TF with one fragment: PDU type, a reserved byte, PDU length; item length, context ID, message
control header (PS3.8 9.3.5)."""

FRAGMENT_HEADER_BYTES = 6
"""Item length, context ID and message control header: the length that a peer takes counts them."""

LONGEST_UNIT = 131_072
"""A longer unit is not sent, whatever the peer takes."""

BATCH_BYTES = 524_288
"""So much is read and sent at once, in as many units as it takes."""

MOST_UNITS = 1000
"""Pieces of memory that one call reads into; systems allow 1,024 (IOV_MAX)."""


class DataSetStream(P_DATA):
    """The data set of a file, in the place of the P-DATA requests that it becomes.

    Args:
        path: The file.
        start: Where its data set begins.
        context_id: The presentation context that it goes in.
        longest_unit: The length that the peer takes, 0: any (PS3.8 D.1).
        patience_s: How long sending may take.

    Attributes:
        is_done: Whether nothing is left to be sent.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self, path: Path, start: int, context_id: int, longest_unit: int, patience_s: float = math.inf
    ) -> None:
        super().__init__()
        self.until = time.monotonic() + patience_s
        unit = min(longest_unit or LONGEST_UNIT, LONGEST_UNIT)
        self._fragment = max(2, (unit - FRAGMENT_HEADER_BYTES) // 2 * 2)  # even, as data sets are
        self._context_id = context_id
        self._file = path.open("rb", buffering=0)
        self._left = os.fstat(self._file.fileno()).st_size - start
        self._file.seek(start)
        self._step = UNIT_HEADER.size + self._fragment
        units = max(1, min(MOST_UNITS, BATCH_BYTES // self._step))
        self._buffer = memoryview(bytearray(self._step * units))
        for position in range(0, len(self._buffer), self._step):
            self._write_header(position, self._fragment, NOT_LAST)
        self.is_done = False

    def batch(self) -> memoryview:
        """Return the next units; they hold until the next ones are read.

        Raises:
            OSError: The file cannot be read, or has become shorter.
        """
        room = len(self._buffer) // self._step * self._fragment
        self.is_done = self._left <= room
        size = min(room, self._left)
        whole, rest = divmod(size, self._fragment)
        if self.is_done and whole and not rest:
            whole, rest = whole - 1, self._fragment
        sizes = [self._fragment] * whole + ([rest] if self.is_done else [])
        begins = [number * self._step + UNIT_HEADER.size for number in range(len(sizes))]
        pieces = [self._buffer[begin : begin + n] for begin, n in zip(begins, sizes, strict=True)]
        if os.readv(self._file.fileno(), pieces) != size:
            raise OSError("the file has become shorter")
        self._left -= size
        if self.is_done:
            self._write_header(begins[-1] - UNIT_HEADER.size, rest, LAST)
        return self._buffer[: begins[-1] + sizes[-1]]

    def _write_header(self, position: int, size: int, control: int) -> None:
        counted = size + 2  # the item length counts context ID and control header
        UNIT_HEADER.pack_into(
            self._buffer, position, P_DATA_TF, counted + 4, counted, self._context_id, control
        )

    def close(self) -> None:
        """Let the file go."""
        self._file.close()


class OutgoingProvider(DIMSEServiceProvider):
    """pynetdicom's, but the data set of a file that is stored is streamed.

    Attributes:
        failure: Why the data set that was sent last could not be read to its end.
    """

    failure: OSError | None = None

    def send_msg(self, primitive: Any, context_id: int) -> None:
        """Have a message sent; OSError where its file cannot be opened, and nothing was sent."""
        if not isinstance(primitive, C_STORE) or not isinstance(primitive._dataset_path, tuple):
            super().send_msg(primitive, context_id)
            return
        self.failure = None
        longest, patience_s = self.maximum_pdu_size, self.dimse_timeout or math.inf
        stream = DataSetStream(*primitive._dataset_path, context_id, longest, patience_s)
        message = C_STORE_RQ()
        message.primitive_to_message(primitive)
        message.context_id = context_id
        evt.trigger(self.assoc, evt.EVT_DIMSE_SENT, {"message": message})
        message._data_set_path = None  # it has been told that there is one
        for unit in message.encode_msg(context_id, longest):
            self.dul.send_pdu(unit)
        self.dul.send_pdu(stream)


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
                    left.close()

    def _process_recv_primitive(self) -> bool:
        """Send what is asked for; tell whether the state machine is to do it."""
        queue = self.to_provider_queue.queue
        if not queue or not isinstance(stream := queue[0], DataSetStream):
            return super()._process_recv_primitive()
        try:
            self._send_stream(stream)
        except OSError:  # the connection broke, or does not take anything any more
            stream.is_done = True
            self.event_queue.put(TRANSPORT_CLOSED)
        if stream.is_done:
            self.to_provider_queue.get(False)
            stream.close()
        return False

    def _is_transport_event(self) -> bool:
        """Read what has come; a peer that sends an answer in two pieces need not wait for our delay."""
        if self.socket is not None and self.socket.socket is not None:
            with suppress(OSError):  # it is closed
                acknowledge_at_once(self.socket.socket)
        return super()._is_transport_event()

    def _send_stream(self, stream: DataSetStream) -> None:
        """Send until nothing is left, nobody wants it any more, or something comes in; OSError: it broke."""
        while not stream.is_done and self.socket is not None and not self.socket.ready:
            if self.state_machine.current_state not in MAY_SEND or self._is_given_up():
                stream.is_done = True
                return
            try:
                units = stream.batch()
            except OSError as error:
                provider = self.assoc.dimse
                assert isinstance(provider, OutgoingProvider), "a stream is from it"
                provider.failure = error
                raise
            self._push(units, stream.until)

    def _push(self, units: memoryview, until: float) -> None:
        connection = self.socket.socket if self.socket is not None else None
        if connection is None:
            raise ConnectionError("the connection is closed")
        while units:
            if time.monotonic() > until:
                raise TimeoutError("the peer takes a data set too slowly")
            units = units[connection.send(units) :]

    def _is_given_up(self) -> bool:
        """Return whether the association is to be aborted: what is left of a data set is not sent then."""
        return any(isinstance(waiting, A_ABORT) for waiting in list(self.to_provider_queue.queue))


def stream_data_sets(association: Association) -> None:
    """Let an association that has not begun stream the data sets that it stores from files."""
    association.dul, association.dimse = OutgoingLayer(association), OutgoingProvider(association)
    # pynetdicom puts them into both
    association.acse_timeout = association.acse_timeout
    association.network_timeout = association.network_timeout
    association.dimse_timeout = association.dimse_timeout


def read_failure(association: Association) -> OSError | None:
    """Return why the file that an association sent last could not be read to its end; None: it could."""
    provider = association.dimse
    return provider.failure if isinstance(provider, OutgoingProvider) else None
