"""Installs the node without a network and runs its unit under a real systemd: `make service`.

Wheels are made with pip's index at hand, and installed in a clean root that has no network at all. That root
is booted in a container of systemd, with the units of `deploy/`. Needs root, debootstrap, systemd-container.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from node.archive import Archive
from node.logs import configure_logs
from tests.deployment.engine import NotInstalledError, check_root, clean_root, found
from tests.deployment.trial import ROOT, bounds_of, sent_and_answered, settings, until
from tests.faults.count import Count, told
from tests.faults.parts import free_port

SYSTEMD = ("systemd", "systemd-sysv", "dbus")
UNITS = ("paxnode.service", "paxnode@.service")
USER = 10002
MOST_EXPOSED = 2.0
LOW_PORT = """[Service]
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
AmbientCapabilities=CAP_NET_BIND_SERVICE
"""
"""As docs/installation.md has it for ports below 1024."""
HEALTH = ("/opt/paxnode/bin/paxnode-health", "--config", "/etc/paxnode/node.toml")
CONTAINER = ("--quiet", "--register=no", "--keep-unit", "--boot", "--setenv=SYSTEMD_LOG_LEVEL=warning")


def prove(folder: Path) -> list[Count]:
    """Make wheels, install them, boot, and look at the services."""
    check_root()
    wheels, root = folder / "wheels", folder / "system"
    counts = [*_judged(), *_wheels(wheels)]
    _make_root(folder, root)
    counts += _installed(wheels, root)
    with Archive(folder / "archive") as archive:
        port, web_port = free_port(), free_port()
        (root / "etc/paxnode/node.toml").write_text(_settings(port, web_port, archive))
        with _booted(root) as system:
            counts += _one_service(system, port, archive)
            counts += _three_services(system)
            counts += _at_the_old_port(system, root)
            (folder / "journal.log").write_text(system("journalctl", "--no-pager", "--boot")[1])
    return counts


def _settings(port: int, web_port: int, archive: Archive) -> str:
    return settings(port, web_port, archive, 'data_dir = "/var/lib/paxnode"\ndisk_reserve_mb = 0')


def _judged() -> list[Count]:
    """Let systemd-analyze judge the units."""
    counts = []
    for unit in UNITS:
        command = [found("systemd-analyze"), "security", "--offline=true", "--no-pager", f"deploy/{unit}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        score = float(re.findall(r"exposure level for .*: ([0-9.]+)", done.stdout)[0])
        words = f"systemd-analyze security of {unit} (0 best, 10 worst)"
        counts.append(Count(words, score, f"at most {MOST_EXPOSED}", score <= MOST_EXPOSED))
    return counts


def _wheels(folder: Path) -> list[Count]:
    """Make a wheel of the node and fetch all that it needs, as the machine with a network does."""
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    sizes = [each.stat().st_size for each in folder.glob("*.whl")]
    return [
        Count("wheels", len(sizes)),
        Count("MB of wheels", round(sum(sizes) / 1e6, 1)),
        Count("seconds to make and fetch them", round(time.monotonic() - began, 1)),
    ]


def _make_root(folder: Path, root: Path) -> None:
    """Make a Debian that can be booted."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    subprocess.run(["tar", "-C", str(root), "-xf", str(clean_root(folder))], check=True)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    install = "apt-get update -qq && apt-get install -y -qq --no-install-recommends " + " ".join(SYSTEMD)
    _in_root(root, "/bin/sh", "-c", f"DEBIAN_FRONTEND=noninteractive; {install}")


def _installed(wheels: Path, root: Path) -> list[Count]:
    """Follow docs/installation.md in the root, without any network."""
    shutil.copytree(wheels, root / "wheels")
    began = time.monotonic()
    _in_root(root, "python3", "-m", "venv", "/opt/paxnode", own_network=True)
    pip = ("/opt/paxnode/bin/pip", "install", "--quiet", "--no-index", "--find-links", "/wheels", "paxnode")
    _in_root(root, *pip, own_network=True)
    took_s = round(time.monotonic() - began, 1)
    _in_root(root, "useradd", "--system", "--uid", str(USER), "--home-dir", "/var/lib/paxnode", "paxnode")
    (root / "etc/paxnode").mkdir()
    for unit in UNITS:
        shutil.copyfile(ROOT / "deploy" / unit, root / "etc/systemd/system" / unit)
    (root / "etc/paxnode/listen.env").write_text("PAXNODE_WEB__PORT=0\n")
    (root / "etc/paxnode/deliver.env").write_text("PAXNODE_WEB__PORT=0\n")
    shutil.rmtree(root / "wheels")
    size = subprocess.run(
        ["du", "-sm", str(root / "opt/paxnode")], capture_output=True, text=True, check=True
    )
    return [
        Count("seconds to install them without a network", took_s),
        Count("MB installed", int(size.stdout.split()[0])),
    ]


def _in_root(root: Path, *command: str, own_network: bool = False) -> None:
    alone = ["unshare", "--net"] if own_network else []
    subprocess.run(
        [*alone, "chroot", str(root), *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


class System:
    """A booted container.

    Args:
        leader: The process number of its systemd.
    """

    def __init__(self, leader: int) -> None:
        spaces = ("--mount", "--uts", "--ipc", "--pid", "--root", "--wd")
        self._enter = [found("nsenter"), "--target", str(leader), *spaces]

    def __call__(self, *command: str) -> tuple[int, str]:
        """Run a command in it; return its exit status and what it printed."""
        done = subprocess.run([*self._enter, *command], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout.strip() + done.stderr.strip()

    def shown(self, unit: str, key: str) -> str:
        """Return a property of a unit."""
        return self("systemctl", "show", "--value", "--property", key, unit)[1]

    def is_active(self, unit: str) -> bool:
        """Whether a unit runs."""
        return self("systemctl", "is-active", "--quiet", unit)[0] == 0


@contextmanager
def _booted(root: Path) -> Iterator[System]:
    command = [found("systemd-nspawn"), "--directory", str(root), *CONTAINER]
    with (root.parent / "boot.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until(lambda: bool(children.read_text().split()), 30.0)
        system = System(int(children.read_text().split()[0]))
        until(lambda: system("systemctl", "is-active", "--quiet", "multi-user.target")[0] == 0, 120.0)
        try:
            yield system
        finally:
            system("systemctl", "poweroff")
            process.wait(120)
    finally:
        process.kill()
        process.wait()


def _one_service(system: System, port: int, archive: Archive) -> list[Count]:
    """Start paxnode.service, send it an image, reload and stop it."""
    status, words = system("systemctl", "enable", "--now", "paxnode")
    ready_s = until(lambda: system(*HEALTH, "--ready")[0] == 0, 120.0)
    pid = int(system.shown("paxnode", "ExecMainPID"))
    outside = _outside(pid, system)
    counts = [
        Count(
            f"systemctl enable --now paxnode: {words.splitlines()[-1] if words else ''}",
            status,
            "0",
            status == 0,
        ),
        Count("seconds until it is ready", ready_s),
        *sent_and_answered(port, archive),
        *bounds_of(outside, USER),
        Count.equal("mode of its data folder", int(system("stat", "-c", "%a", "/var/lib/paxnode")[1]), 700),
        Count.none("exit status of systemctl reload", system("systemctl", "reload", "paxnode")[0]),
        Count.none("restarts", int(system.shown("paxnode", "NRestarts"))),
    ]
    began = time.monotonic()
    system("systemctl", "stop", "paxnode")
    counts.append(Count("seconds to stop", round(time.monotonic() - began, 1)))
    result = system.shown("paxnode", "Result")
    return [*counts, Count("how it ended", result, "success", result == "success")]


def _outside(pid: int, system: System) -> int:
    """Return the number that a process of the container has here: its mount namespace is its own."""
    space = system("readlink", f"/proc/{pid}/ns/mnt")[1]
    return min(int(each.name) for each in Path("/proc").glob("[0-9]*") if _space(each) == space)


def _space(process: Path) -> str:
    try:
        return str((process / "ns/mnt").readlink())
    except OSError:
        return ""


def _three_services(system: System) -> list[Count]:
    """Start a process for each part of the node."""
    names = ("paxnode@listen", "paxnode@work", "paxnode@deliver")
    system("systemctl", "disable", "paxnode")
    system("systemctl", "start", *names)
    until(lambda: system(*HEALTH, "--ready")[0] == 0, 120.0)  # that of paxnode@work, which has the port
    active = sum(system.is_active(name) for name in names)
    restarts = sum(int(system.shown(name, "NRestarts")) for name in names)
    system("systemctl", "stop", *names)
    return [
        Count.equal("parts that run as services of their own", active, 3),
        Count.none("their restarts", restarts),
    ]


def _at_the_old_port(system: System, root: Path) -> list[Count]:
    """Let it have a port below 1024, as docs/installation.md says."""
    (root / "etc/systemd/system/paxnode.service.d").mkdir(exist_ok=True)
    (root / "etc/systemd/system/paxnode.service.d/override.conf").write_text(LOW_PORT)
    (root / "etc/paxnode/environment").write_text("PAXNODE_NODE__PORT=104\n")
    system("systemctl", "daemon-reload")
    system("systemctl", "start", "paxnode")
    until(lambda: system(*HEALTH, "--ready")[0] == 0, 120.0)
    ready = system(*HEALTH, "--ready")[0] == 0
    system("systemctl", "stop", "paxnode")
    return [Count.equal("ready on port 104, with the right to it", int(ready), 1)]


def main() -> None:
    """Print the figures; exit status 1 when one is wrong or something is not installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "deployment", help="roots and wheels")
    folder = parser.parse_args().folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "archive", ignore_errors=True)
    configure_logs("ERROR")
    console, began = Console(), time.monotonic()
    try:
        holds = told("the service", prove(folder), console)
    except NotInstalledError as error:
        sys.exit(str(error))
    console.print(f"{'holds' if holds else 'does not hold'}, {time.monotonic() - began:.0f} s")
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
