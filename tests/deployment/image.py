"""Builds the Dockerfile's image on a clean root and runs it as the documentation says: `make image`.

The base image is replaced by a fresh Debian 12 with Python 3.11, and Docker by Podman. Needs root, podman,
runc, debootstrap, and pip's index; hadolint is asked where it is installed.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from node.archive import Archive
from node.logs import configure_logs
from tests.deployment.engine import BASE, LIMITS, NotInstalledError, Podman, check_root
from tests.deployment.trial import ROOT, UID, bounds_of, sent_and_answered, settings, until
from tests.faults.count import Count, told
from tests.faults.parts import free_port

IMAGE = "localhost/paxnode:cpu"
CUDA_IMAGE = "localhost/paxnode:cuda"
PROVIDERS = "import onnxruntime; print(*onnxruntime.get_available_providers())"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
CONFIG = "/etc/paxnode/node.toml"
TOOLS = ("gcc", "cc", "g++", "make", "pip", "pip3")
"""What no image needs that only runs."""

LIBRARIES = r"find /opt/paxnode -name '*.so*' -exec ldd {} + 2>/dev/null"
WRITABLE = r"find / -xdev -writable -not -type l -not -path '/proc/*' -not -path '/dev/*' 2>/dev/null"


def prove(folder: Path, console: Console, with_cuda: bool) -> list[Count]:
    """Build, look at what came of it, and run it."""

    def tell(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    check_root()
    podman = Podman(folder)
    counts = [*_linted(), podman.make_base(folder)]
    began = time.monotonic()
    counts += podman.build(ROOT, "cpu", IMAGE, tell)
    counts.append(Count("seconds for all steps", round(time.monotonic() - began, 1)))
    counts += [*_sizes(podman), *_configuration(podman), *_contents(podman), *_runs(podman)]
    return [*counts, *_cuda(podman, tell)] if with_cuda else counts


def _cuda(podman: Podman, tell: Callable[[str], None]) -> list[Count]:
    """Build the other target, and let it look at the model: without a GPU it works on the processor."""
    counts = podman.build(ROOT, "cuda", CUDA_IMAGE, tell)
    listed = ("run", "--rm", *LIMITS, "--entrypoint", "python3", CUDA_IMAGE, "-c", PROVIDERS)
    providers = podman(*listed).stdout.split()
    checked = podman("run", "--rm", *LIMITS, *HARDENED, CUDA_IMAGE, "check", check=False)
    device = re.findall(r" on (\w+),", checked.stdout)
    return [
        *counts,
        Count("MB of the image for CUDA", podman.size_mb(CUDA_IMAGE)),
        Count.equal("CUDA among its execution providers", providers.count("CUDAExecutionProvider"), 1),
        Count.none("exit status of its paxnode check", checked.returncode),
        Count("what it works on here", ", ".join(device)),
    ]


def _linted() -> list[Count]:
    program = shutil.which("hadolint")
    if program is None:
        return [Count("hadolint", "not installed")]
    done = subprocess.run([program, "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    return [Count.none("findings of hadolint", len(done.stdout.splitlines()) + bool(done.returncode))]


def _sizes(podman: Podman) -> list[Count]:
    base, image = podman.size_mb(BASE), podman.size_mb(IMAGE)
    return [Count("MB of the image", image), Count("MB of it that are the base", base)]


def _configuration(podman: Podman) -> list[Count]:
    [image] = json.loads(podman("image", "inspect", IMAGE).stdout)
    found = image["Config"]
    return [
        Count.equal("user", int(found["User"].split(":")[0]), UID),
        Count.equal(
            "health check with paxnode-health", int("paxnode-health" in image["Healthcheck"]["Test"]), 1
        ),
        Count.equal("volume /data", int("/data" in found["Volumes"]), 1),
        Count.equal("stop signal SIGTERM", int(found["StopSignal"] in {"SIGTERM", "15"}), 1),
    ]


def _contents(podman: Podman) -> list[Count]:
    """Look at what lies in the image, as its own user."""

    def shell(script: str) -> list[str]:
        words = ("run", "--rm", *LIMITS, "--entrypoint", "/bin/sh", IMAGE, "-c", script)
        return podman(*words, check=False).stdout.splitlines()

    libraries = shell(LIBRARIES)
    own = {Path(line).name for line in shell("find /opt/paxnode -name '*.so*'")}
    missing = {line.split()[0] for line in libraries if "not found" in line} - own
    outside = {line.split()[0] for line in libraries if "=> /" in line and "=> /opt/" not in line}
    standing = ("/data", "/tmp", "/var/tmp", "/run/lock", "/var/lock")
    writable = [path for path in shell(WRITABLE) if not path.startswith(standing)]
    return [
        Count.none("compilers and installers in it", len(shell(f"command -v {' '.join(TOOLS)}"))),
        Count.none("files that its user may change, besides /data and /tmp", len(writable)),
        Count.none("shared libraries that are missing", len(missing)),
        Count("shared libraries of the base that it needs", ", ".join(sorted(outside))),
    ]


def _runs(podman: Podman) -> list[Count]:
    """Run it with a read-only root as nobody in particular, send it an image, and stop it."""
    with tempfile.TemporaryDirectory() as temporary, Archive(Path(temporary) / "archive") as archive:
        port, web_port = free_port(), free_port()
        config = Path(temporary) / "node.toml"
        config.write_text(settings(port, web_port, archive))
        config.chmod(0o644)
        podman("volume", "create", "paxnode-proof")
        volumes = ("--volume", "paxnode-proof:/data", "--volume", f"{config}:{CONFIG}:ro")
        options = (*LIMITS, *HARDENED, "--network", "host", *volumes)
        try:
            checked = podman("run", "--rm", *options, IMAGE, "check", "-c", CONFIG, check=False)
            with _served(podman, options) as name:
                counts = _looked_at(podman, name, port, archive)
                began = time.monotonic()
                podman("stop", "--time", "90", name)
                stopped_s = round(time.monotonic() - began, 1)
                status = int(podman("inspect", "--format", "{{.State.ExitCode}}", name).stdout)
        finally:
            podman("volume", "rm", "--force", "paxnode-proof")
    return [
        Count.none("exit status of paxnode check", checked.returncode),
        *counts,
        Count.none("exit status when it was asked to stop", status),
        Count("seconds to stop", stopped_s),
    ]


@contextmanager
def _served(podman: Podman, options: Sequence[str]) -> Iterator[str]:
    name = podman("run", "--detach", *options, IMAGE).stdout.strip()
    try:
        yield name
    finally:
        podman("rm", "--force", name)


def _looked_at(podman: Podman, name: str, port: int, archive: Archive) -> list[Count]:
    def asked(*words: str) -> int:
        command = ("exec", name, "paxnode-health", "--config", CONFIG, *words)
        return podman(*command, check=False).returncode

    ready_s = until(lambda: asked("--ready") == 0)
    pid = int(podman("inspect", "--format", "{{.State.Pid}}", name).stdout)
    written = podman("exec", name, "/bin/sh", "-c", "echo x > /opt/paxnode/x", check=False).returncode
    return [
        Count("seconds until it is ready", ready_s),
        *sent_and_answered(port, archive),
        Count.none("exit status of paxnode-health", asked()),
        Count.none(
            "exit status of podman healthcheck run",
            podman("healthcheck", "run", name, check=False).returncode,
        ),
        *bounds_of(pid, UID),
        Count("writing to its root fails", "yes" if written else "no", "yes", bool(written)),
    ]


def main() -> None:
    """Print the figures; exit status 1 when one is wrong or something is not installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "deployment", help="images, clean root")
    parser.add_argument("--cuda", action="store_true", help="the target cuda as well: gigabytes to fetch")
    wanted = parser.parse_args()
    folder = wanted.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    configure_logs("ERROR")
    console, began = Console(), time.monotonic()
    try:
        holds = told("the image", prove(folder, console, wanted.cuda), console)
    except NotInstalledError as error:
        sys.exit(str(error))
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}\n{error.stdout or ''}{error.stderr or ''}")
    console.print(f"{'holds' if holds else 'does not hold'}, {time.monotonic() - began:.0f} s")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
