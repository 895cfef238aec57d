"""A C-STORE SCP that misbehaves on order, in front of one that does not."""

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from pynetdicom.transport import ThreadedAssociationServer

from node.archive import Archive
from node.transport import Outgoing
from tests.faults.parts import HOST

CUT_BYTES = 600
"""So much is let through of an association that is cut: the C-STORE command and the beginning of its data."""

PIECE_BYTES = 65_536
PDU_HEADER = struct.Struct(">BxL")
"""PS3.8 9.3.1: type, a reserved byte, length of what follows."""

PATIENCE_S = 120.0
"""How long a silent or stalled connection is held open."""


class Manner(StrEnum):
    """How a connection is treated."""

    GOOD = "good"
    STATUS = "answers a status"
    FORGET = "answers success and keeps nothing"
    ABORT = "aborts in the middle of a data set"
    STALL = "stops reading in the middle of a data set"
    REFUSE = "accepts no storage"
    REJECT_TRANSIENT = "rejects the association, transient"
    REJECT_PERMANENT = "rejects the association, permanent"
    CLOSE = "closes the connection"
    SILENT = "accepts the connection and says nothing"
    NONSENSE = "answers what is no DICOM"


ANSWERS = {
    Manner.REJECT_TRANSIENT: bytes.fromhex("03000000000400020302"),  # PS3.8 9.3.4: local limit exceeded
    Manner.REJECT_PERMANENT: bytes.fromhex("03000000000400010103"),  # calling AE title not recognised
    Manner.NONSENSE: b"HTTP/1.1 400 Bad Request\r\n\r\n",
    Manner.CLOSE: b"",
}
"""What is sent in answer to an association request, before the connection is closed."""

A_ABORT = bytes.fromhex("07000000000400000200")


@dataclass(frozen=True)
class Order:
    """What a peer does with connections; each keeps the order that held when it came.

    Attributes:
        manner: How it treats them.
        status: What it answers to each C-STORE, for `Manner.STATUS`.
    """

    manner: Manner = Manner.GOOD
    status: int = 0x0000


class BadPeer:
    """Listens on a port, and does with each connection what it is ordered to.

    Args:
        folder: For what it keeps.
        order: Holds until `order` is set to another one.
        port: 0 takes a free one; `port` tells which.

    Attributes:
        archive: What keeps objects; `archive.counts` tells how often each one was acknowledged and kept.
        answered: (SOP Instance UID, status) of every answer that was not success, in order.
    """

    def __init__(self, folder: Path, order: Order | None = None, port: int = 0) -> None:
        self.order = order or Order()
        self.port = port
        self.archive = Archive(folder)
        self.answered: list[tuple[str, int]] = []
        self._server: socket.socket | None = None
        self._others: list[ThreadedAssociationServer] = []
        self._stopped = threading.Event()

    def __enter__(self) -> "BadPeer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; `port` then holds the port in use."""
        self.archive.start()
        self._stopped.clear()
        self._answering = _serve(self._answer)
        self._refusing = _serve(None)
        self._server = socket.create_server((HOST, self.port), backlog=50)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening and end what is open."""
        self._stopped.set()
        if self._server is not None:
            with suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
            self._answering.shutdown()
            self._refusing.shutdown()
            self.archive.stop()

    def _answer(self, event: evt.Event) -> int:
        status = self.order.status if self.order.manner is Manner.STATUS else 0x0000
        self.answered.append((str(getattr(event.request, "AffectedSOPInstanceUID", "")), status))
        return status

    def _accept(self, server: socket.socket) -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _address = server.accept()
                threading.Thread(target=self._treat, args=(connection, self.order), daemon=True).start()

    def _treat(self, connection: socket.socket, order: Order) -> None:
        with suppress(OSError), connection:
            if order.manner is Manner.SILENT:
                self._stopped.wait(PATIENCE_S)
            elif order.manner in ANSWERS:
                _first_pdu(connection)
                connection.sendall(ANSWERS[order.manner])
            else:
                self._pass_on(connection, order.manner)

    def _pass_on(self, connection: socket.socket, manner: Manner) -> None:
        ports = {
            Manner.STATUS: self._answering.server_address[1],
            Manner.FORGET: self._answering.server_address[1],
            Manner.REFUSE: self._refusing.server_address[1],
        }
        with socket.create_connection((HOST, ports.get(manner, self.archive.port))) as inner:
            back = threading.Thread(target=_copy, args=(inner, connection), daemon=True)
            back.start()
            inner.sendall(_first_pdu(connection))
            if manner in {Manner.ABORT, Manner.STALL}:
                self._cut(connection, inner, manner)
            else:
                _copy(connection, inner)
            back.join(PATIENCE_S)

    def _cut(self, connection: socket.socket, inner: socket.socket, manner: Manner) -> None:
        left = CUT_BYTES
        while left > 0 and (piece := connection.recv(left)):
            inner.sendall(piece)
            left -= len(piece)
        if manner is Manner.STALL:
            self._stopped.wait(PATIENCE_S)
        else:
            connection.sendall(A_ABORT)
        for each in (connection, inner):
            each.shutdown(socket.SHUT_RDWR)


def _serve(answer: object) -> ThreadedAssociationServer:
    """Start an SCP; one without an answer accepts Verification only."""
    ae = AE("BAD")
    ae.add_supported_context(Verification)
    handlers: list[evt.EventHandlerType] = []
    if callable(answer):
        ae.supported_contexts = AllStoragePresentationContexts
        handlers = [(evt.EVT_C_STORE, answer)]
    server = ae.start_server((HOST, 0), block=False, evt_handlers=handlers)
    assert server is not None, "pynetdicom returns a server unless it blocks"
    return server


def _first_pdu(connection: socket.socket) -> bytes:
    header = _exactly(connection, PDU_HEADER.size)
    return header + _exactly(connection, PDU_HEADER.unpack(header)[1])


def _exactly(connection: socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        piece = connection.recv(count - len(content))
        if not piece:
            raise ConnectionError("the peer hung up")
        content += piece
    return content


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(PIECE_BYTES):
            target.sendall(piece)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def written_object(folder: Path, content: bytes) -> Outgoing:
    """Write an object that has nothing but its identity and so much Pixel Data."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, generate_uid()
    dataset.add_new(0x7FE00010, "OB", content)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return Outgoing(dataset.SOPInstanceUID, path)
