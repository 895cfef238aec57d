"""A node with its console as an admin has it: a process, settings, accounts, radiographs, an archive."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydicom import dcmread

from node.archive import Archive
from node.implementation import Entity
from tests.faults.parts import HOST, NodeProcess, free_port, synthetic_images, until_it_listens

PASSWORD = "correct horse battery"
LONGEST_WAIT_S = 180.0
SAMPLE = Path(__file__).parents[2] / "node" / "sample" / "radiograph.dcm"
ACCESSION = "CONSOLE-1"
SECRET = "canary-of-the-console"

SETTINGS = """[node]
host = "{host}"
port = {port}
data_dir = "{data}"
disk_reserve_mb = 0

[web]
port = {web_port}

[delivery]
first_retry_s = 1.0
longest_retry_s = 2.0

# Where results go: nobody listens there at first.
[[destination]]
name = "pacs"
ae_title = "ARCHIVE"
host = "{host}"
port = {archive_port}
profile = "orthanc"

[[web_destination]]
name = "web-pacs"
url = "http://{host}:9/dicom-web"
user = "paxnode"
password = "{secret}"

[routing]
match = "first"

[[rule]]
name = "feet"
when = [{{ attribute = "BodyPartExamined", is = "FOOT" }}]
ignore = "feet are looked at by people"

[[rule]]
name = "chests"
destinations = ["pacs"]
"""


@dataclass(frozen=True)
class Site:
    """What the browser is driven against.

    Attributes:
        folder: Everything is in it.
        url: Of the console.
        config: The node's settings file.
        archive: The destination's other end; not started.
        port: The node's DICOM port.
        first_text: What the settings file holds at first.
    """

    folder: Path
    url: str
    config: Path
    archive: Archive
    port: int
    first_text: str

    @property
    def log(self) -> Path:
        """What the node logs."""
        return self.folder / "node.log"

    def command(self, *words: str, stdin: str = "") -> str:
        """Run a command of `paxnode` as an admin would; return what it prints."""
        command = [sys.executable, "-m", "node.cli", *words, "--config", str(self.config)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"paxnode {' '.join(words)}: {done.stderr}")
        return done.stdout

    def token(self, account: str) -> str:
        """Return a token of an account."""
        return self.command("users", "token", account).strip()

    def send(self, path: Path) -> None:
        """Send a radiograph to the node by C-STORE."""
        dataset = dcmread(path)
        ae = Entity("MODALITY1")
        ae.add_requested_context(dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID)
        association = ae.associate(HOST, self.port, ae_title="PAXNODE")
        status = association.send_c_store(dataset).get("Status")
        association.release()
        if status != 0x0000:
            raise RuntimeError(f"the node answered {status}")


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Yield a node that runs, with an account for each role and two radiographs on their way."""
    ports = free_port(), free_port(), free_port()
    config = folder / "node.toml"
    names = dict(zip(("port", "web_port", "archive_port"), ports, strict=True))
    config.write_text(SETTINGS.format(host=HOST, data=folder / "data", secret=SECRET, **names))
    archive = Archive(folder / "archive", port=ports[2])
    made = Site(folder, f"http://{HOST}:{ports[1]}", config, archive, ports[0], config.read_text())
    for role in ("viewer", "operator", "admin"):
        made.command("users", "add", role, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")
    node = NodeProcess(config, made.log)
    try:
        until_it_listens(ports[0])
        until_it_listens(ports[1])
        for path in radiographs(folder):
            made.send(path)
        yield made
    finally:
        archive.stop()
        node.stop()


def radiographs(folder: Path) -> tuple[Path, Path]:
    """Write a chest, which is the sample under a name of its own, and a foot, which a rule ignores."""
    chest, foot = folder / "chest.dcm", folder / "foot.dcm"
    dataset = dcmread(SAMPLE)
    dataset.AccessionNumber = ACCESSION
    dataset.save_as(chest)
    synthetic_images()._dx(BodyPartExamined="FOOT").save_as(foot, enforce_file_format=True)
    return chest, foot


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for something that the node does by itself."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while not holds():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come in {LONGEST_WAIT_S:g} s")
        time.sleep(0.2)


def client(made: Site, account: str) -> httpx.Client:
    """Return a program that acts as an account."""
    headers = {"Authorization": f"Bearer {made.token(account)}"}
    return httpx.Client(base_url=made.url, headers=headers, trust_env=False, timeout=120)
