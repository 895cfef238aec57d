"""An archive that is played PDU by PDU, for what no program does on purpose (PS3.8 9.3)."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from pydicom.uid import SegmentationStorage
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ, P_DATA_TF
from pynetdicom.pdu_primitives import MaximumLengthNotification
from pynetdicom.presentation import build_context, negotiate_as_acceptor

HEADER = struct.Struct(">BxL")
COMMAND, LAST = 0x01, 0x02
ABORT = bytes.fromhex("07000000000400000000")
RELEASE_REQUEST = bytes.fromhex("05000000000400000000")
RELEASE_RESPONSE = bytes.fromhex("06000000000400000000")


@dataclass
class RawPeer:
    """One association, as whoever was called has it.

    Attributes:
        connection: To whoever called.
        ended: Whether nobody looks at it any more.
    """

    connection: socket.socket
    ended: threading.Event

    def pdu(self) -> tuple[int, bytes]:
        """Return the type of the next PDU, and what is in it; ConnectionError: there is none."""
        kind, length = HEADER.unpack(self._exactly(HEADER.size))
        return kind, self._exactly(length)

    def accept(self, longest_unit: int = 16_384, syntax: str = "") -> None:
        """Accept what is asked for; with a syntax, in that one only."""
        kind, content = self.pdu()
        asked = A_ASSOCIATE_RQ()
        asked.decode(HEADER.pack(kind, len(content)) + content)
        primitive = asked.to_primitive()
        wanted = primitive.presentation_context_definition_list
        offered = {str(each.abstract_syntax): each for each in wanted}
        ours = [
            build_context(name, syntax or [str(s) for each in wanted for s in each.transfer_syntax])
            for name in offered
        ]
        primitive.presentation_context_definition_results_list = negotiate_as_acceptor(wanted, ours)[0]
        primitive.presentation_context_definition_list = []
        for item in primitive.user_information:
            if isinstance(item, MaximumLengthNotification):
                item.maximum_length_received = longest_unit
        primitive.result = 0
        self.connection.sendall(A_ASSOCIATE_AC(primitive).encode())

    def command(self) -> None:
        """Read a command set."""
        self._until(COMMAND | LAST)

    def data(self, most: int | None = None) -> None:
        """Read a data set, or so many bytes of it and the rest of their unit."""
        self._until(LAST, most)

    def answer(self, message_id: int, status: int = 0) -> None:
        """Answer a C-STORE."""
        self.connection.sendall(response(message_id, status))

    def _until(self, control: int, most: int | None = None) -> None:
        taken = 0
        while most is None or taken < most:
            kind, content = self.pdu()
            if kind != 4:
                raise ConnectionError(f"a PDU of type {kind}")
            taken += len(content)
            if content[5] == control:
                return

    def _exactly(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            piece = self.connection.recv(count - len(content))
            if not piece:
                raise ConnectionError("the caller hung up")
            content += piece
        return content


def response(message_id: int, status: int) -> bytes:
    """Return the PDU of a C-STORE response in the first presentation context."""
    primitive = C_STORE()
    primitive.MessageIDBeingRespondedTo, primitive.Status = message_id, status
    primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID = SegmentationStorage, "1.2.3"
    message = C_STORE_RSP()
    message.primitive_to_message(primitive)
    return b"".join(P_DATA_TF(unit).encode() for unit in message.encode_msg(1, 16_384))


@contextmanager
def raw_peer(play: Callable[[RawPeer], None], tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Yield the port of a peer that plays so with the first who calls; then the connection stays open."""
    ended = threading.Event()

    def treat(server: socket.socket) -> None:
        with suppress(OSError):
            connection, _ = server.accept()
            with tls.wrap_socket(connection, server_side=True) if tls else connection as used:
                with suppress(OSError):
                    play(RawPeer(used, ended))
                ended.wait(60)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=treat, args=(server,))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join()
