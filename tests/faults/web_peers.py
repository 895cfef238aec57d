"""A STOW-RS server that misbehaves on order."""

import hashlib
import json
import threading
from collections import Counter
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import TracebackType
from typing import cast

from pydicom import dcmread

from tests.faults.parts import HOST

PATIENCE_S = 120.0
"""How long a stalled connection is held open."""


class WebManner(StrEnum):
    """How a request is treated."""

    GOOD = "good"
    XML = "good, and answers in XML"
    PICKY = "skips parts that state their transfer syntax, as Orthanc's plugin 1.7 does"
    FAILS = "names each object in the Failed SOP Sequence"
    UNNAMED = "answers success and names no object"
    HTML = "answers success with a page for people"
    HTTP = "answers an HTTP status"
    CLOSE = "closes the connection in the middle of a request"
    STALL = "reads and never answers"
    NONSENSE = "answers what is no HTTP"


GOOD_MANNERS = {WebManner.GOOD, WebManner.XML, WebManner.PICKY}


@dataclass(frozen=True)
class WebOrder:
    """What the server does with requests.

    Attributes:
        manner: How it treats them.
        code: The Failure Reason for `WebManner.FAILS`, the HTTP status for `WebManner.HTTP`, the Warning
            Reason (0 for none) where it is good.
        only: For these SOP Instance UIDs only; the others fare well. Empty: for every one.
        headers: Of its answers.
    """

    manner: WebManner = WebManner.GOOD
    code: int = 0
    only: frozenset[str] = frozenset()
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WebArrival:
    """One object of a request.

    Attributes:
        uid: Its SOP Instance UID.
        digest: sha256 of the whole file, hexadecimal.
        syntax: The transfer syntax of the file.
        stated: The Content-Type of its part.
    """

    uid: str
    digest: str
    syntax: str
    stated: str


class BadWeb:
    """An archive behind HTTP.

    Args:
        order: Holds until `order` is set to another one.
        port: 0 takes a free one.

    Attributes:
        kept: What it keeps, in the order of arrival, repetitions included.
        requests: The UIDs in each request, kept or not.
        authorizations: The Authorization header of each request.
    """

    def __init__(self, order: WebOrder | None = None, port: int = 0) -> None:
        self.order = order or WebOrder()
        self.kept: list[WebArrival] = []
        self.requests: list[list[str]] = []
        self.authorizations: list[str] = []
        self.stopped = threading.Event()
        self._server = _Server((HOST, port), _Handler)
        self._server.peer = self
        self.port: int = self._server.server_address[1]

    @property
    def url(self) -> str:
        """What stands before /studies."""
        return f"http://{HOST}:{self.port}/dicom-web"

    @property
    def counts(self) -> Counter[str]:
        """How often each object was kept."""
        return Counter(arrival.uid for arrival in self.kept)

    def __enter__(self) -> "BadWeb":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    peer: BadWeb

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: the client hung up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        peer, order = cast("_Server", self.server).peer, cast("_Server", self.server).peer.order
        peer.authorizations.append(self.headers.get("Authorization", ""))
        size = int(self.headers["Content-Length"])
        if order.manner is WebManner.CLOSE:
            self.rfile.read(size // 2)
            self.close_connection = True
            return
        arrivals = _arrivals(self.headers["Content-Type"], self.rfile.read(size))
        peer.requests.append([arrival.uid for arrival in arrivals])
        if order.manner is WebManner.PICKY:
            arrivals = [arrival for arrival in arrivals if ";" not in arrival.stated]
        spoiled = order.manner not in GOOD_MANNERS and (
            not order.only or any(arrival.uid in order.only for arrival in arrivals)
        )
        if spoiled and order.manner is not WebManner.FAILS:
            self._misbehave(peer, order)
            return
        bad = {a.uid for a in arrivals if spoiled and (not order.only or a.uid in order.only)}
        peer.kept += [arrival for arrival in arrivals if arrival.uid not in bad]
        self._say([a.uid for a in arrivals if a.uid not in bad], sorted(bad), order)

    def do_GET(self) -> None:
        order = cast("_Server", self.server).peer.order
        status = order.code if order.manner is WebManner.HTTP else 200
        self._send(status, b"[]", "application/dicom+json", order)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""

    def _misbehave(self, peer: BadWeb, order: WebOrder) -> None:
        if order.manner is WebManner.STALL:
            peer.stopped.wait(PATIENCE_S)
            self.close_connection = True
        elif order.manner is WebManner.NONSENSE:
            self.wfile.write(b"\x02\x00\x00\x00\x00\x04nonsense")
            self.close_connection = True
        elif order.manner is WebManner.HTTP:
            self._send(order.code, b"", "text/plain", order)
        else:
            page = order.manner is WebManner.HTML
            content, kind = (
                (b"<!DOCTYPE html><p>Hi</p>", "text/html") if page else (b"{}", "application/json")
            )
            self._send(200, content, kind, order)

    def _say(self, stored: list[str], failed: list[str], order: WebOrder) -> None:
        status = 200 if not failed else 202 if stored else 409
        if order.manner is WebManner.XML:
            items = "".join(f'<Item number="1">{_xml("00081155", "UI", uid)}</Item>' for uid in stored)
            sequence = f'<DicomAttribute tag="00081199" vr="SQ">{items}</DicomAttribute>'
            content = f'<NativeDicomModel xmlns="http://dicom.nema.org/x">{sequence}</NativeDicomModel>'
            self._send(status, content.encode(), "application/dicom+xml", order)
            return
        warning = order.code if order.manner is WebManner.GOOD else 0
        answer = {
            "00081199": {"vr": "SQ", "Value": [_item(uid, "00081196", warning) for uid in stored]},
            "00081198": {"vr": "SQ", "Value": [_item(uid, "00081197", order.code) for uid in failed]},
        }
        self._send(status, json.dumps(answer).encode(), "application/dicom+json", order)

    def _send(self, status: int, content: bytes, kind: str, order: WebOrder) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in order.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _item(uid: str, tag: str, reason: int) -> dict[str, object]:
    named: dict[str, object] = {"00081155": {"vr": "UI", "Value": [uid]}}
    return named | ({tag: {"vr": "US", "Value": [reason]}} if reason else {})


def _xml(tag: str, vr: str, value: str) -> str:
    return f'<DicomAttribute tag="{tag}" vr="{vr}"><Value number="1">{value}</Value></DicomAttribute>'


def _arrivals(content_type: str, body: bytes) -> list[WebArrival]:
    """Take a request apart with a parser that is none of ours."""
    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode()
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    found = []
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        dataset = dcmread(BytesIO(content))
        found.append(
            WebArrival(
                str(dataset.SOPInstanceUID),
                hashlib.sha256(content).hexdigest(),
                str(dataset.file_meta.TransferSyntaxUID),
                part["Content-Type"],
            )
        )
    return found
