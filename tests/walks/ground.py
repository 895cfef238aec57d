"""Where the blocks are run: a network, host names, system folders of their own; a folder for each stage."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deployment.engine import found
from tests.faults.postgresql import PostgresqlServer
from tests.house.pages import ROOT
from tests.walks.shell import Shell

PROGRAMS = Path(__file__).with_name("programs")
"""Scripts that a stage finds before the programs of the system."""

OWN_FOLDERS = ("/etc", "/opt", "/var/lib")
"""What is changed in them is gone afterwards."""

KEPT_FILES = ("/etc/resolv.conf",)
"""Mounted from elsewhere on some machines, so that an overlay would not show them."""

ADDRESSES = ("192.0.2.5", "192.0.2.10")
"""Of the node and of the archive, as the pages call them (RFC 5737)."""

NAMES = "127.0.0.1 localhost host dbserver {}\n192.0.2.10 pacs.example.org\n"


@dataclass(frozen=True)
class Ground:
    """What all stages stand on.

    Attributes:
        folder: For them.
        outside: Words before a command that sees the machine's own network.
    """

    folder: Path
    outside: tuple[str, ...]

    @contextmanager
    def stage(self, name: str) -> Iterator[Shell]:
        """Yield a shell in an empty folder, with what the pages of this stage presume."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        variables = {
            "ROOT": str(ROOT),
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "RADIOGRAPH": str(ROOT / "node" / "sample" / "radiograph.dcm"),
            "WALKS": str(self.folder),
            "OMP_NUM_THREADS": "1",
        }
        paths = (PROGRAMS, Path(sys.executable).parent)
        with Shell(folder, variables, paths, self.outside) as shell:
            if name == "howto_postgresql.md":
                with PostgresqlServer("127.0.0.1", 5432):
                    yield shell
            else:
                yield shell


def fence_off(folder: Path) -> None:
    """Make the network and the folders of this process's namespaces a machine of their own.

    Args:
        folder: Gets what is written below `OWN_FOLDERS`.
    """
    _do("ip", "link", "set", "lo", "up")
    for address in ADDRESSES:
        _do("ip", "address", "add", f"{address}/32", "dev", "lo")
    kept = {path: Path(path).read_bytes() for path in KEPT_FILES}
    _do("mount", "-t", "tmpfs", "tmpfs", str(folder))
    for place in OWN_FOLDERS:
        upper, work = (folder / f"{place.replace('/', '_')}.{kind}" for kind in ("upper", "work"))
        upper.mkdir()
        work.mkdir()
        options = f"lowerdir={place},upperdir={upper},workdir={work}"
        _do("mount", "-t", "overlay", "overlay", "-o", options, place)
    for path, content in kept.items():
        Path(path).write_bytes(content)
    Path("/etc/hosts").write_text(NAMES.format(os.uname().nodename), encoding="utf-8")


def fenced_off(words: list[str], outside: int) -> int:
    """Run this program in namespaces of its own, which end with it and all that it started.

    Args:
        words: Of the program.
        outside: Descriptor of the network outside, which it inherits.

    Returns:
        Its exit status.
    """
    own = ("--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child")
    return subprocess.run([found("unshare"), *own, *words], pass_fds=[outside], check=False).returncode


def _do(*words: str) -> None:
    subprocess.run(words, check=True)
