"""Podman with a store of its own, and the clean root that stands for the base image."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.count import Count

BASE = "localhost/paxnode-base"
PACKAGES = "python3,python3-venv,ca-certificates"
"""What the clean root has besides Debian's essential packages: what python:3.11-slim-bookworm has."""

LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")
"""Podman would raise them, which not every machine allows."""

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_SETTINGS = Path("/etc/pip.conf")


class NotInstalledError(Exception):
    """A program that the proof needs is not on this machine."""


def found(program: str) -> str:
    """Return the path of an installed program.

    Raises:
        NotInstalledError: It is not there.
    """
    path = shutil.which(program)
    if path is None:
        raise NotInstalledError(f"{program} is not installed; docs/deployment.md names the packages")
    return path


class Podman:
    """Podman, on a store in a folder.

    Args:
        folder: For images and containers.
    """

    def __init__(self, folder: Path) -> None:
        store = ("--root", str(folder / "store"), "--runroot", str(folder / "run"))
        self._command = [found("podman"), "--storage-driver", "overlay", "--runtime", "runc", *store]

    def __call__(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of it; its output is in the answer, and goes on the screen when it fails."""
        done = subprocess.run([*self._command, *words], capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
        return done

    def build(self, context: Path, target: str, tag: str, tell: Callable[[str], None]) -> list[Count]:
        """Carry out each step of the Dockerfile on the clean root; tell and return how long each took."""
        words = ["build", "--format", "docker", "--pull=never", "--network", "host", *LIMITS]
        words += ["--build-arg", f"BASE={BASE}", "--target", target, "--tag", tag, *_mounts(), str(context)]
        lines: list[str] = []
        process = subprocess.Popen(
            [*self._command, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None, "it was asked for"
        began, step, counts = time.monotonic(), "", []
        for line in process.stdout:
            lines.append(line)
            if "STEP" in line or line.startswith("COMMIT"):
                counts += _timed(step, began)
                began, step = time.monotonic(), line.strip()
                tell(step)
        counts += _timed(step, began)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, words, "".join(lines[-40:]))
        return counts

    def make_base(self, folder: Path) -> Count:
        """Make the clean root, unless the store has it."""
        began = time.monotonic()
        if self("image", "exists", BASE, check=False).returncode:
            archive = clean_root(folder)
            self("import", "--quiet", str(archive), BASE)
        return Count("seconds for the clean root (0: it was there)", round(time.monotonic() - began, 1))

    def size_mb(self, image: str) -> float:
        """Return the size of an image in MB of 1000 x 1000 bytes."""
        return round(int(self("image", "inspect", "--format", "{{.Size}}", image).stdout) / 1e6, 1)


def clean_root(folder: Path) -> Path:
    """Return an archive of a fresh Debian 12 with Python 3.11, made with debootstrap."""
    archive, root = folder / "base.tar", folder / "base"
    if not archive.exists():
        shutil.rmtree(root, ignore_errors=True)
        command = [found("debootstrap"), "--variant=minbase", f"--include={PACKAGES}", "bookworm", str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        kept_out = [
            f"--exclude=./{each}" for each in ("proc/*", "sys/*", "var/cache/apt/*", "var/lib/apt/lists/*")
        ]
        partial = archive.with_suffix(".partial")
        subprocess.run(["tar", "-C", str(root), *kept_out, "-cf", str(partial), "."], check=True)
        shutil.rmtree(root)
        partial.rename(archive)
    return archive


def _mounts() -> Sequence[str]:
    """Let pip reach its index as on this machine; nothing of it gets into the image."""
    kept = [path for path in (CERTIFICATES, PIP_SETTINGS) if path.exists()]
    return [word for path in kept for word in ("--volume", f"{path}:{path}:ro")]


def _timed(step: str, began: float) -> list[Count]:
    took_s = time.monotonic() - began
    words = step if len(step) <= 100 else f"{step[:99]}…"
    return [Count(f"{words} (s)", round(took_s, 1))] if step and took_s >= 0.5 else []


def check_root() -> None:
    """End the proof where it is not run by root.

    Raises:
        NotInstalledError: The user is another one.
    """
    if os.geteuid() != 0:
        raise NotInstalledError("this proof needs root, for clean roots and namespaces")
