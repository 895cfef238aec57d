"""The tables that hold the node's state, and engines for SQLite and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    URL,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
    inspect,
    make_url,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from node.engines import postgresql_engine, sqlite_engine, turn
from node.errors import DatabaseUnavailableError, StorageError
from node.postgresql import check_encoding

FILE_NAME = "paxnode.sqlite"
"""The SQLite file in the data folder."""

MIGRATIONS = Path(__file__).with_name("migrations")

REVISIONS = sorted(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
"""Of the tables, the newest last; each migration's file is named after the one that it leads to."""

MADE_BY_NEWER = "the database was made by a newer version of this program"

VERSION_TABLE = "alembic_version"
"""Of alembic: one row says of which revision the tables are."""

_MIGRATION_LOCK = 0x7061786E6F6465
"""The PostgreSQL advisory lock under which tables are changed: "paxnode" in ASCII."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC; SQLite has no time zones, so they are taken off and put back on."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC, naive for SQLite."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the moment with its zone, UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, String, nullable=False, **options)


def _where(condition: str) -> dict[str, Any]:
    """Return what makes an index hold only some rows, on both databases."""
    return {"sqlite_where": text(condition), "postgresql_where": text(condition)}


jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("state"),
    _text("reason"),
    Column("attempts", Integer, nullable=False),
    Column("not_before", UtcDateTime, nullable=False),
    # The SOP Instance UID again, in the one job that may be worked on; null in those that conflict with it.
    Column("primary_uid", String, unique=True),
    _text("sop_class_uid"),
    _text("sop_instance_uid"),
    _text("study_instance_uid"),
    _text("series_instance_uid"),
    _text("transfer_syntax_uid"),
    _text("digest"),
    _text("path"),
    Column("size", BigInteger, nullable=False),
    _text("calling_ae_title"),
    Column("lease_owner", String),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),  # the higher, the sooner
    _text("trace", server_default=""),  # where its last attempt went wrong: file:line, innermost last
    Column("files_removed_at", UtcDateTime),
    *(_text(name, server_default="") for name in ("called_ae_title", "rule")),  # rules: names with commas
    UniqueConstraint("sop_instance_uid", "digest"),
    Index(None, "state", "priority", "id"),
    Index(None, "study_instance_uid"),
    Index("ix_jobs_with_files", "state", "updated_at", "id", **_where("files_removed_at IS NULL")),
    Index("ix_jobs_without_files", "state", "updated_at", "id", **_where("files_removed_at IS NOT NULL")),
    Index(None, "path"),
    Index(None, "calling_ae_title", "id"),
)

# By what people look for an image. The only table that names patients; its rows go with their job's.
identities = Table(
    "identities",
    metadata,
    Column("job_id", ForeignKey("jobs.id"), primary_key=True),
    _text("patient_id", index=True),
    _text("accession_number", index=True),
    *(_text(name) for name in ("issuer", "modality", "study_date")),
)

job_events = Table(
    "job_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    _text("event"),
    _text("from_state"),
    _text("to_state"),
    _text("reason"),
)

results = Table(
    "results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False),
    _text("kind"),
    _text("sop_class_uid"),
    _text("sop_instance_uid"),
    _text("path", index=True),
    _text("digest"),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("job_id", "sop_instance_uid"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id"), nullable=False, index=True),
    Column("result_id", ForeignKey("results.id"), nullable=False),
    _text("destination"),
    _text("state"),
    Column("priority", Integer, nullable=False, server_default="0"),  # its job's; never a low one
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    Column("status", Integer),
    _text("reason"),
    Column("lease_owner", String),
    Column("lease_until", UtcDateTime),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),  # the destination answered that it stored it
    Column("transaction_uid", String, index=True),  # of the storage commitment that was begun last
    Column("asked_at", UtcDateTime),  # the destination took that request on
    Column("resends", Integer, nullable=False, server_default="0"),  # since a person last asked for it
    UniqueConstraint("result_id", "destination"),
    Index(None, "destination", "state", "priority", "id"),
    Index(None, "destination", "state", "due_at"),
    Index(None, "destination", "state", "updated_at"),
)

# What destinations have said about a delivery, one row for each answer.
proofs = Table(
    "proofs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("delivery_id", ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("at", UtcDateTime, nullable=False),
    _text("kind"),
    Column("holds", Boolean, nullable=False),
    _text("reason"),
)

# Storage commitments that this node asks of destinations. A row is there before the request goes out.
transactions = Table(
    "transactions",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("transaction_uid", unique=True),
    _text("destination"),
    Column("begun_at", UtcDateTime, nullable=False, index=True),
    Column("newest_proof", Integer, nullable=False),  # the highest id in proofs when it was begun
    Column("delivery_ids", JSON, nullable=False),
)

# Storage commitments that others have asked of this node (PS3.4 J), and that must be answered.
commitments = Table(
    "commitments",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("transaction_uid"),
    _text("calling_ae_title"),
    Column("references", JSON, nullable=False),  # [[SOP Class UID, SOP Instance UID], ...]
    _text("state"),
    Column("attempts", Integer, nullable=False),
    Column("due_at", UtcDateTime, nullable=False),
    _text("reason"),
    Column("lease_owner", String),
    Column("lease_until", UtcDateTime),
    Column("created_at", UtcDateTime, nullable=False, index=True),
    UniqueConstraint("calling_ae_title", "transaction_uid"),
    Index(None, "state", "due_at"),
)

# Which content each SOP Instance UID had whose rows are gone; for ever: the UIDs of results follow from it.
tombstones = Table(
    "tombstones",
    metadata,
    Column("sop_instance_uid", String, primary_key=True),
    _text("digest"),
)

# One row: which database this is, and how often a house was kept by it; data folders remember both.
queue_identity = Table(
    "queue_identity",
    metadata,
    Column("id", Integer, primary_key=True),
    _text("value"),
    Column("passes", Integer, nullable=False),
)


def engine_for(url: str, data_dir: Path) -> Engine:
    """Return an engine; nothing is connected yet.

    Args:
        url: SQLAlchemy's, such as "postgresql+psycopg://user@host/name"; empty: the SQLite file in data_dir.
        data_dir: The data folder; it is made if missing.

    Raises:
        DatabaseUnavailableError: The URL is none of SQLite's or PostgreSQL's, or the folder cannot be made.
    """
    try:
        parsed = _parsed(url, data_dir)
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # patients' images are nobody else's
        if parsed.get_backend_name() == "sqlite":
            return sqlite_engine(parsed.render_as_string(hide_password=False))
        if parsed.drivername in {"postgresql", "postgresql+psycopg"}:
            return postgresql_engine(parsed.set(drivername="postgresql+psycopg"))
    except NoSuchModuleError as error:
        raise DatabaseUnavailableError("the database URL cannot be read") from error
    except OSError as error:
        raise DatabaseUnavailableError(f"{data_dir} cannot be made: {error.strerror}") from error
    raise DatabaseUnavailableError(f"a database must be sqlite or postgresql, found {parsed.drivername}")


def existing_engine(url: str, data_dir: Path) -> Engine | None:
    """Return an engine on a queue that is there; None where there is none, and nothing is made.

    Args:
        url: As in `engine_for`.
        data_dir: As in `engine_for`.

    Raises:
        DatabaseUnavailableError: The URL cannot be read, or the database does not answer.
    """
    parsed = _parsed(url, data_dir)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
        return None
    engine = engine_for(url, data_dir)
    with reading(engine) as connection:
        if inspect(connection).has_table(jobs.name):
            return engine
    engine.dispose()
    return None


def shown_url(url: str, data_dir: Path) -> str:
    """Return where the queue is, without password and options.

    >>> shown_url("postgresql://paxnode:secret@server/queue", Path("data"))
    'postgresql://paxnode:***@server/queue'
    """
    return _parsed(url, data_dir.resolve()).set(query={}).render_as_string(hide_password=True)


def _parsed(url: str, data_dir: Path) -> URL:
    try:
        return make_url(url or f"sqlite:///{data_dir / FILE_NAME}")
    except ArgumentError as error:
        raise DatabaseUnavailableError("the database URL cannot be read") from error


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLAlchemy raises for a database that does not work into DatabaseUnavailableError."""
    try:
        yield
    except (IntegrityError, ProgrammingError):  # ours to handle, or a mistake of ours
        raise
    except (DBAPIError, PoolTimeoutError) as error:
        kind = type(getattr(error, "orig", error)).__name__
        raise DatabaseUnavailableError(f"the database does not work: {kind}") from error


@contextmanager
def writing(engine: Engine, *, durable: bool = True) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on any error.

    Args:
        engine: From `engine_for`.
        durable: Whether it must outlast a loss of power. A lease need not, and waits for no disk in SQLite,
            where a commit that is not synced still outlasts the death of every process.
    """
    options = engine.execution_options(writes=True, durable=durable)
    with turn(engine), translated(), options.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with translated(), engine.begin() as connection:
        yield connection


def is_current(engine: Engine) -> bool:
    """Return whether the tables are those of this version; False where they are older.

    Raises:
        DatabaseUnavailableError: The database does not work, or was made by a newer version.
    """
    with reading(engine) as connection:
        return _revision(connection) == REVISIONS[-1]


def check_current(engine: Engine) -> None:
    """Raise StorageError for tables of an older version: no command changes them under a running node.

    Raises:
        DatabaseUnavailableError: The database does not work, or was made by a newer version.
    """
    if not is_current(engine):
        engine.dispose()
        raise StorageError("the tables are those of an older version; the node brings them to this one")


def _revision(connection: Connection) -> str | None:
    """Return which revision the tables are of; None where there are none, or nothing says it.

    Raises:
        DatabaseUnavailableError: The database was made by a newer version.
    """
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar_one_or_none()
    if found is not None and found not in REVISIONS:
        raise DatabaseUnavailableError(MADE_BY_NEWER)
    return found


def upgrade(engine: Engine) -> None:
    """Bring the tables to what this version needs; nothing happens where they are so already.

    Raises:
        DatabaseUnavailableError: The database does not work, or was made by a newer version.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            check_encoding(connection)
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        from node.making_tables import make_tables, migrate

        found = _revision(connection)
        if found is None and not inspect(connection).has_table(jobs.name):
            make_tables(connection)
        elif found != REVISIONS[-1]:
            migrate(connection)
