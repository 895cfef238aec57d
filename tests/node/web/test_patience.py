"""Connections that say nothing, or too little, or do not listen, keep nobody else from the web server."""

import asyncio
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from config.network import WebSettings
from node.file_limit import raise_file_limit
from node.service import Node
from node.web import patience
from node.web.server import WebServer

DEADLINE_S = 30.0

Serve = Callable[[], "Served"]


class Served:
    """A web server with a few pages, and those who connect to it."""

    def __init__(self, lines: io.StringIO) -> None:
        self._lines, self._connections = lines, ExitStack()
        self.go_on, self.at_work = threading.Event(), threading.Semaphore(0)
        app = FastAPI()
        app.get("/livez")(lambda: Response("alive"))
        app.get("/large")(lambda: Response(b"x" * 64_000_000))
        app.get("/work")(self._work)
        app.post("/body")(self._body)
        app.post("/later")(self._later)
        self.server = WebServer(WebSettings(port=0), app)
        self.server.start()

    def connect(self, sends: bytes = b"") -> socket.socket:
        """Return a connection on which something was sent."""
        connection = socket.create_connection(("127.0.0.1", self.server.port), DEADLINE_S)
        self._connections.enter_context(connection)
        connection.sendall(sends)
        return connection

    def got(self, path: str) -> httpx.Response:
        """Return the answer to a new request."""
        url = f"http://127.0.0.1:{self.server.port}{path}"
        return httpx.get(url, timeout=DEADLINE_S, trust_env=False)

    def told(self) -> list[tuple[str, str]]:
        """Return what was logged of connections and requests: event and reason."""
        lines = (json.loads(line) for line in self._lines.getvalue().splitlines())
        return [(line["event"], line["reason"]) for line in lines if line["event"].startswith("web ")]

    def close(self) -> None:
        """Stop it all."""
        self.go_on.set()
        self._connections.close()
        self.server.stop()

    def _work(self) -> str:
        self.at_work.release()
        self.go_on.wait(DEADLINE_S)
        return "done"

    @staticmethod
    async def _body(request: Request) -> str:
        return str(len(await request.body()))

    async def _later(self, request: Request) -> str:
        await asyncio.to_thread(self._work)
        return await self._body(request)


@pytest.fixture
def served(lines: io.StringIO) -> Iterator[Served]:
    raise_file_limit()
    running = Served(lines)
    yield running
    running.close()


def head_of(length: int, path: str = "/body") -> bytes:
    """Return the head of a request whose body has so many bytes."""
    return f"POST {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {length}\r\n\r\n".encode()


def received(connection: socket.socket, end: bytes) -> bytes:
    """Return all that comes up to some bytes."""
    answer = b""
    while not answer.endswith(end):
        part = connection.recv(4096)
        assert part, "it was closed"
        answer += part
    return answer


def is_closed(connection: socket.socket) -> bool:
    """Wait until the other side closes a connection; False: it answers."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def trickle(connection: socket.socket) -> None:
    """Send a byte now and then until the other side has closed the connection."""
    until = time.monotonic() + DEADLINE_S
    connection.settimeout(0.05)
    while time.monotonic() < until:
        try:
            connection.sendall(b"x")
            if connection.recv(1) == b"":
                return
        except TimeoutError:
            continue
        except OSError:
            return
    raise AssertionError("it was not closed")


def test_health_is_told_while_500_connections_are_silent(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    assert node.web is not None
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", 2.0)
    place = ("127.0.0.1", node.web.port)
    with ExitStack() as opened:
        silent = [opened.enter_context(socket.create_connection(place, DEADLINE_S)) for _ in range(500)]
        for path in ("/livez", "/readyz", "/login"):
            answer = httpx.get(f"http://127.0.0.1:{place[1]}{path}", timeout=DEADLINE_S, trust_env=False)
            assert answer.status_code == 200, path
        assert all(is_closed(connection) for connection in silent)


def test_silent_connection_is_closed_without_a_word_and_half_a_head_with_one(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", 0.5)
    assert is_closed(served.connect())
    assert served.told() == []
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", 1.5)
    trickle(served.connect(b"GET /livez HTTP/1.1\r\nX: "))
    assert served.told() == [("web connection closed", patience.SILENT)]


def test_head_after_an_answer_is_waited_for_no_longer(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", 1.5)
    connection = served.connect(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
    assert received(connection, b"alive")
    trickle(connection)
    assert served.told() == [("web connection closed", patience.SILENT)]


@pytest.mark.parametrize("limit", ["BODY_SILENT_S", "BODY_WITHIN_S"])
def test_body_that_comes_slowly_is_not_waited_for(
    served: Served, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(patience, limit, 0.5)
    connection = served.connect(head_of(1000))
    if limit == "BODY_SILENT_S":
        assert is_closed(connection)
    else:
        trickle(connection)
    assert served.told() == [("web connection closed", patience.SLOW)]


def test_body_that_takes_its_time_comes_whole(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "HEAD_WITHIN_S", 1.0)
    connection = served.connect(head_of(1000))
    for _ in range(10):
        time.sleep(0.12)
        connection.sendall(b"x" * 100)
    assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_body_that_we_do_not_read_is_not_late(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("BODY_SILENT_S", "BODY_WITHIN_S"):
        monkeypatch.setattr(patience, limit, 1.0)
    monkeypatch.setattr(patience, "SLOWEST_BODY", 10**9)
    connection = served.connect(head_of(400_000, "/later") + b"x" * 400_000)
    assert served.at_work.acquire(timeout=DEADLINE_S)
    time.sleep(2.5)
    served.go_on.set()
    assert received(connection, b'"400000"').startswith(b"HTTP/1.1 200")
    assert served.told() == []


def test_bodies_that_do_not_come_leave_room_for_others(served: Served) -> None:
    slow = [served.connect(head_of(1000)) for _ in range(3 * patience.MOST_SENDING)]
    assert served.got("/livez").status_code == 200
    whole = served.connect(head_of(1000) + b"x" * 1000)
    assert whole.recv(4096).startswith(b"HTTP/1.1 200")
    assert all(is_closed(connection) for connection in slow[: patience.MOST_SENDING])
    assert ("web connection closed", patience.TOO_MANY) in served.told()


def test_long_body_is_not_closed_for_those_that_do_not_come(served: Served) -> None:
    long = served.connect(head_of(4_000_001) + b"x" * 4_000_000)
    slow = [served.connect(head_of(1000)) for _ in range(2 * patience.MOST_SENDING)]
    assert all(is_closed(connection) for connection in slow[: patience.MOST_SENDING])
    long.sendall(b"x")
    assert received(long, b'"4000001"').startswith(b"HTTP/1.1 200")


def test_head_after_an_answer_is_waited_for_as_long_as_the_first(
    lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.server.HEAD_WITHIN_S", 1.0)
    with closing(Served(lines)) as served:
        connection = served.connect(b"GET /livez HTTP/1.1\r\nHost: here\r\n\r\n")
        assert received(connection, b"alive")
        answered_at = time.monotonic()
        assert is_closed(connection)
    assert time.monotonic() - answered_at < 4.5  # uvicorn's own patience is 5 s


def test_answer_that_is_not_taken_is_given_up(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "TAKEN_WITHIN_S", 0.5)
    served.connect(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
    until = time.monotonic() + DEADLINE_S
    while not served.told():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert served.told() == [("web connection closed", patience.NOT_TAKEN)]


def test_requests_that_are_too_many_are_turned_away_and_health_is_told(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.web.server.MOST_AT_ONCE", 2)
    for _ in range(2):
        served.connect(b"GET /work HTTP/1.1\r\nHost: here\r\n\r\n")
    assert all(served.at_work.acquire(timeout=DEADLINE_S) for _ in range(2))

    assert [served.got(path).status_code for path in ("/work", "/livez")] == [503, 200]
    served.go_on.set()
    while served.got("/work").status_code == 503:
        time.sleep(0.02)
    assert set(served.told()) == {("web request turned away", "too many are in hand")}
