"""A real node with its console, and browsers that talk to it over HTTP."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from argon2 import PasswordHasher
from pydicom import Dataset

from ai.stand_in import StandInSegmenter
from config.settings import load_settings
from node.assembly import build_node
from node.implementation import Entity
from node.job_rows import utc_now
from node.service import Node
from node.web.accounts import AccountStore
from node.web.roles import Role

PASSWORD = "correct horse battery"
SETTINGS = """
[node]
host = "127.0.0.1"
port = 0
data_dir = "{data}"
disk_reserve_mb = 0
[web]
port = 0
trusted_proxies = ["127.0.0.1"]
[model]
bundle = "stand-in"
"""


class Browser(httpx.Client):
    """Talks to a console as a browser does: with cookies, and the token of the page in its forms.

    No console of the tests speaks TLS, so no certificates are read, which takes longer than an answer.
    """

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        """Send the form of the login page."""
        return self.post("/login", data={"name": name, "password": password, "next": "/"})

    @property
    def csrf(self) -> str:
        """The token that pages of this session hold; empty where nobody is logged in."""
        found = re.search(r'name="csrf" content="([^"]+)"', self.get("/").text)
        return found[1] if found else ""

    def submit(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page."""
        return self.post(path, data={"csrf": self.csrf, **fields})


@pytest.fixture(autouse=True)
def _passwords_are_hashed_in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the same form as by the node, at the least cost that argon2id knows."""
    monkeypatch.setattr("node.web.accounts.HASHER", PasswordHasher(1, memory_cost=8, parallelism=1))


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A settings file of a node that listens on free ports."""
    path = tmp_path / "node.toml"
    path.write_text(SETTINGS.format(data=tmp_path / "data"))
    return path


@pytest.fixture
def node(settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """A node that runs, with one account of each role, named like it."""
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    settings = load_settings(settings_file)
    running = build_node(settings, segmenter=StandInSegmenter(), settings_file=settings_file)
    accounts = AccountStore(running.engine, utc_now)
    for role in Role:
        accounts.add(role.value, PASSWORD, role)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def stranger(node: Node) -> Iterator[Browser]:
    """Nobody that the node knows."""
    assert node.web is not None
    with Browser(
        base_url=f"http://127.0.0.1:{node.web.port}", trust_env=False, timeout=60, verify=False
    ) as browser:
        yield browser


def logged_in(node: Node, role: Role) -> Browser:
    """Return the browser of somebody who has logged in."""
    assert node.web is not None
    browser = Browser(base_url=f"http://127.0.0.1:{node.web.port}", trust_env=False, timeout=60, verify=False)
    assert browser.log_in(role.value).status_code == 303
    return browser


@pytest.fixture
def viewer(node: Node) -> Iterator[Browser]:
    """Somebody who may look."""
    with closing(logged_in(node, Role.VIEWER)) as browser:
        yield browser


@pytest.fixture
def operator(node: Node) -> Iterator[Browser]:
    """Somebody who may send again."""
    with closing(logged_in(node, Role.OPERATOR)) as browser:
        yield browser


@pytest.fixture
def admin(node: Node) -> Iterator[Browser]:
    """Somebody who may change settings."""
    with closing(logged_in(node, Role.ADMIN)) as browser:
        yield browser


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that the node does by itself."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def send(node: Node, *images: Dataset) -> None:
    """Send images to a node by C-STORE."""
    assert node.listener is not None
    ae = Entity("CR_ROOM")
    ae.add_requested_context(images[0].SOPClassUID, images[0].file_meta.TransferSyntaxUID)
    association = ae.associate("127.0.0.1", node.listener.port, ae_title="PAXNODE")
    assert [association.send_c_store(image).Status for image in images] == [0] * len(images)
    association.release()
