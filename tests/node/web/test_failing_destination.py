"""A destination that does not answer is told from its first failure on, wherever somebody looks."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from node.service import Node
from tests.conftest import MakeDx
from tests.node.web.conftest import SETTINGS, Browser, send, until

AWAY = """
[delivery]
first_retry_s = 3600
longest_retry_s = 3600
[[destination]]
name = "pacs"
ae_title = "ARCHIVE"
host = "127.0.0.1"
port = {port}
"""


@pytest.fixture
def settings_file(tmp_path: Path) -> Iterator[Path]:
    with socket.socket() as taken:  # bound and not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        path = tmp_path / "node.toml"
        away = AWAY.format(port=taken.getsockname()[1])
        path.write_text(SETTINGS.format(data=tmp_path / "data") + away)
        yield path


def failed(browser: Browser) -> Any:
    return browser.get("/api/v1/status").json()["lanes"][0]["failures"]


def job(browser: Browser) -> Any:
    return browser.get("/api/v1/jobs/1").json()


def test_first_failure_is_told_everywhere(node: Node, viewer: Browser, make_dx: MakeDx) -> None:
    assert failed(viewer) == {"count": 0, "since": None, "next_at": None, "has_answered": False}
    assert "<td>not tried yet</td>" in viewer.get("/status").text
    assert "no failure" in viewer.get("/peers").text
    send(node, make_dx(300, 256))
    until(lambda: failed(viewer)["count"] == 1)
    [lane] = viewer.get("/api/v1/status").json()["lanes"]
    since, next_at = failed(viewer)["since"], failed(viewer)["next_at"]
    told = f"1 failure since {since[11:16]}"

    assert lane["breaker"] == "closed"
    assert [each["failures"]["count"] for each in viewer.get("/api/v1/peers").json()] == [0, 1]
    for path in ("/", "/status", "/peers"):
        page = viewer.get(path).text
        assert told in page
        assert "tried again" in page
        assert next_at[11:19] in page
        assert '<span class="good">yes</span>' not in page

    until(lambda: all(each["delivery"]["attempts"] for each in job(viewer)["view"]["deliveries"]))
    shown = job(viewer)
    [wait] = shown["waits"]
    assert (wait["destination"], wait["tries"], wait["failures"]) == ("pacs", 1, failed(viewer))
    assert wait["reason"] == shown["view"]["deliveries"][0]["delivery"]["reason"] != ""
    assert wait["text"].startswith(f"waits for pacs: {wait['reason']}; {told}; next try at ")
    assert viewer.get("/api/v1/jobs").json()["lines"][0]["waits"] == [wait]
    for path in ("/jobs", "/jobs/1"):
        assert wait["text"][1:] in viewer.get(path).text
    [moment] = [each for each in shown["view"]["timeline"] if each["what"].startswith("1 try to deliver")]
    assert moment["detail"].startswith(f"{wait['reason']}; due again at ")


def test_time_of_failures_is_described_for_programs(viewer: Browser) -> None:
    known = viewer.get("/api/openapi.json").json()["components"]["schemas"]

    assert set(known["Failures"]["properties"]) == {"count", "since", "next_at", "has_answered"}
    assert "When the first of these failed" in known["Failures"]["description"]
    for schema in ("Lane", "PeerShown", "Wait"):
        assert known[schema]["properties"]["failures"]["$ref"].endswith("/Failures")
    for schema in ("JobLine", "JobDetails"):
        assert known[schema]["properties"]["waits"]["items"]["$ref"].endswith("/Wait")
