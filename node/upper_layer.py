"""The upper layer of an association that was asked for here: it waits without polling, and streams data.

pynetdicom's own looks a thousand times a second whether there is something to do, reads 4,096 bytes at a time
and copies each data PDU several times.

PS3.8 9.2 (state machine; Sta6 is data transfer), 9.3.5 (P-DATA-TF).
"""

import socket
import struct
import time
from contextlib import suppress

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.timer import Timer

from node.inflow import Inflow
from node.ps38 import DATA_TRANSFER, FRAGMENT_HEADER, IS_COMMAND, IS_LAST, P_DATA_TF, TRANSPORT_CLOSED
from node.reception import StreamingProvider, shielded
from node.turn import RungTurn

AWAITING_CLOSE, INVALID_PDU = "Sta13", "Evt19"

PDU_HEADER = struct.Struct(">BxL")
"""Type, a reserved byte, length of what follows (PS3.8 9.3.1)."""

LOOK_EVERY_S = 0.25
"""How often timers are looked at while nothing happens."""


class SteadyTimer(Timer):
    """pynetdicom's, by a clock that nobody sets: no jump ends an association, or lets a dead one stand."""

    @property
    def remaining(self) -> float:
        """Seconds until it has expired; 1 where it never does."""
        if self.timeout is None:
            return 1.0
        if self._start_time is None:
            return self.timeout
        end = time.monotonic() if self._end_time is None else self._end_time
        return self.timeout - (end - self._start_time)

    def start(self) -> None:
        """Run from now on."""
        self._start_time, self._end_time = time.monotonic(), None

    def stop(self) -> None:
        """Stand still."""
        self._end_time = time.monotonic()


class UpperLayer(DULServiceProvider):
    """What pynetdicom's does, for an association whose socket is an `Inflow`.

    Args:
        assoc: The association that it serves.

    Raises:
        OSError: There is no file descriptor left for it.
    """

    def __init__(self, assoc: Association) -> None:
        super().__init__(assoc)
        self.daemon = True  # a process that is told to end at once does not wait for peers
        self.artim_timer, self._idle_timer = SteadyTimer(None), SteadyTimer(None)
        self._run_loop_delay = 0.0  # it waits for the socket instead
        self._waker, self._woken = socket.socketpair()
        self._waker.setblocking(False)
        self._left = 0  # of the data PDU that is being read

    def run_reactor(self) -> None:
        """Serve the association until it ends."""
        try:
            super().run_reactor()
        finally:
            self._waker.close()
            self._woken.close()
            self._ring()

    def send_pdu(self, primitive: object) -> None:
        """Have something sent; the peer's silence counts from now on, and not while we were busy."""
        self._idle_timer.restart()
        super().send_pdu(primitive)  # type: ignore[arg-type]
        self._wake()

    def kill_dul(self) -> None:
        """Have the thread end."""
        super().kill_dul()
        self._wake()

    def stop_dul(self) -> bool:
        """Have the thread end, and wait for it, if no connection is left; tell whether none is."""
        if self.state_machine.current_state == "Sta1":
            self.kill_dul()
        return super().stop_dul()

    def _wake(self) -> None:
        with suppress(OSError):  # it is awake, or has ended
            self._waker.send(b"x")

    def _ring(self) -> None:
        """Tell the association's thread that there is something for it."""
        turn = self.assoc._reactor_checkpoint
        if isinstance(turn, RungTurn):
            turn.ring()

    def _ring_for_message(self) -> None:
        if not self.assoc.dimse.msg_queue.empty():
            self._ring()

    def _is_transport_event(self) -> bool:
        """Wait until something comes or is to be sent; read it, and tell whether there was something."""
        is_open = self.state_machine.current_state != AWAITING_CLOSE
        if is_open and isinstance(self.socket, Inflow) and self._wait(self.socket):
            self._read_pdu_data()
            return True
        return super()._is_transport_event()

    @property
    def _pause_s(self) -> float:
        """How long to wait for something to do."""
        return LOOK_EVERY_S if self.event_queue.empty() else 0.0

    def _wait(self, inflow: Inflow) -> bool:
        """Wait for something to do; tell whether there is something to read."""
        if not self.to_user_queue.empty():
            self._ring()
        self._ring_for_message()
        if inflow.wait(self._woken, self._pause_s):
            return True
        provider = self.assoc.dimse
        if not isinstance(provider, StreamingProvider) or not provider.is_streaming:
            inflow.let_go()
        with suppress(BlockingIOError):
            self._woken.recv(4096, socket.MSG_DONTWAIT)
        return False

    # ---- data

    def _read_pdu_data(self) -> None:
        provider, inflow = self.assoc.dimse, self.socket
        if isinstance(inflow, Inflow):
            inflow.expect(PDU_HEADER.size)
        is_transfer = self.state_machine.current_state == DATA_TRANSFER
        if is_transfer and isinstance(provider, StreamingProvider) and isinstance(inflow, Inflow):
            shielded(lambda: self._read_data(inflow, provider), self._end)
        else:
            super()._read_pdu_data()

    def _read_data(self, inflow: Inflow, provider: StreamingProvider) -> None:
        """Read data PDUs while there are some, or one PDU of another type; OSError; any other is nonsense."""
        self._left = 0
        while inflow.peek() == P_DATA_TF:
            _type, length = PDU_HEADER.unpack(inflow.exactly(PDU_HEADER.size))
            inflow.expect(length)
            self._left = length
            while self._left:
                self._read_fragment(inflow, provider)
            if not self._goes_on(inflow, provider):
                return
            inflow.expect(PDU_HEADER.size)
        super()._read_pdu_data()

    def _goes_on(self, inflow: Inflow, provider: StreamingProvider) -> bool:
        """Return whether more comes before anything else is to be done; a data set is waited for."""
        self._ring_for_message()
        more = inflow.has_buffered or (provider.is_streaming and inflow.wait(self._woken, LOOK_EVERY_S))
        return more and self.to_provider_queue.empty() and not self._kill_thread

    def _read_fragment(self, inflow: Inflow, provider: StreamingProvider) -> None:
        if self._left < FRAGMENT_HEADER.size:
            raise ValueError("a fragment is too short")
        length, context_id, control = FRAGMENT_HEADER.unpack(inflow.exactly(FRAGMENT_HEADER.size))
        self._left -= FRAGMENT_HEADER.size
        self._idle_timer.restart()  # an empty fragment is a sign of life too
        size = length - 2  # what was counted is read already
        if not 0 <= size <= self._left:
            raise ValueError("a fragment does not fit its PDU")
        if control & IS_COMMAND or not provider.is_streaming:
            self._left -= size
            provider.receive_fragment(context_id, bytes([control]) + inflow.exactly(size))
            return
        end = self._left - size
        while self._left > end:
            piece = inflow.piece(self._left - end)
            self._left -= len(piece)
            provider.receive_piece(context_id, piece)
            self._idle_timer.restart()
        if control & IS_LAST:
            provider.end_data_set()

    def _end(self, error: Exception) -> None:
        """End the connection that broke, or the association whose peer sends nonsense."""
        if isinstance(error, OSError):
            self.event_queue.put(TRANSPORT_CLOSED)
            return
        inflow, provider = self.socket, self.assoc.dimse
        assert isinstance(inflow, Inflow), "data was read from it"
        assert isinstance(provider, StreamingProvider), "data was read for it"
        with suppress(OSError):  # the rest of the PDU goes with it
            while self._left:
                self._left -= len(inflow.piece(self._left))
        provider.abort(error)
