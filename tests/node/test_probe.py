"""`paxnode-health` asks a real web server of a node."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from fastapi import FastAPI, Response
from typer.testing import CliRunner

from config.network import WebSettings
from node.health import Health, Problem
from node.probe import READY, health, reached_at, told_by_node
from node.web.server import WebServer

HOST = "127.0.0.1"
DISK_FULL = Health((Problem("disk", "the spool's disk is full"),))


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a node that lives and is not ready."""
    app = FastAPI()
    app.get("/livez")(lambda: Response(Health().as_json()))
    app.get("/readyz")(lambda: Response(DISK_FULL.as_json(), status_code=503))
    server = WebServer(WebSettings(host=HOST, port=0), app)
    server.start()
    yield server.port
    server.stop()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "node.toml"


def asked(config: Path, *words: str) -> tuple[int, str]:
    """Run the command line; return its exit status and what it said."""
    app = typer.Typer()
    app.command()(health)
    done = CliRunner().invoke(app, ["--config", str(config), *words])
    return done.exit_code, done.output.strip()


def test_node_that_lives(port: int, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    config.write_text(f'[web]\nhost = "0.0.0.0"\nport = {port}\n')

    assert asked(config) == (0, "the node lives")


def test_program_by_itself(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    monkeypatch.setenv("PAXNODE_WEB__PORT", str(port))

    done = subprocess.run(
        [sys.executable, "-m", "node.probe"], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stdout) == (0, "the node lives\n")


def test_node_that_is_not_ready(port: int, config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    config.write_text(f"[web]\nport = {port}\n")

    assert asked(config, "--ready") == (1, "disk: the spool's disk is full")


def test_node_that_is_not_there(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    config.write_text("[web]\nport = 1\n")

    assert asked(config) == (1, "no node answers at 127.0.0.1:1")


def test_node_that_serves_nothing_cannot_be_asked(config: Path) -> None:
    config.write_text("[web]\nenabled = false\n")

    assert asked(config) == (1, "the node cannot be asked: [web] must be enabled and have a port")


def test_wrong_settings(config: Path) -> None:
    config.write_text("[wbe]\n")

    status, words = asked(config)

    assert status == 2
    assert words.startswith("paxnode-health: ")


def test_something_else_on_the_port_is_no_node() -> None:
    server = WebServer(WebSettings(host=HOST, port=0), FastAPI())
    server.start()
    try:
        assert told_by_node(WebSettings(host=HOST, port=server.port), READY) is None
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("host", "reached"),
    [("0.0.0.0", HOST), ("", HOST), ("::", "::1"), ("192.0.2.1", "192.0.2.1")],
)
def test_every_address_is_reached_at_loopback(host: str, reached: str) -> None:
    assert reached_at(host) == reached
