"""An archive that answers a query by QIDO-RS without an end."""

import itertools
import time
from collections.abc import Iterator

import httpx
import pytest

from node.errors import ProofError
from node.query_web import MAX_ANSWER_BYTES, _answer


def _client(pieces: Iterator[bytes]) -> httpx.Client:
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=pieces))
    return httpx.Client(transport=transport, base_url="http://archive", timeout=30.0)


def test_answer_that_drips_is_given_up_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = itertools.count(0.0, 20.0)
    monkeypatch.setattr(time, "monotonic", lambda: next(moments))
    with _client(itertools.repeat(b" ")) as client, pytest.raises(ProofError, match="within 30 s") as raised:
        _answer(client, "web", "/studies", {})
    assert raised.value.unanswered


def test_answer_that_is_absurdly_long_is_given_up() -> None:
    with (
        _client(itertools.repeat(bytes(MAX_ANSWER_BYTES))) as client,
        pytest.raises(ProofError, match="more"),
    ):
        _answer(client, "web", "/studies", {})


def test_answer_in_pieces_is_whole() -> None:
    with _client(iter([b"[", b"]"])) as client:
        assert _answer(client, "web", "/studies", {}) == (200, b"[]")
