import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, func, insert, inspect, make_url, select
from sqlalchemy.exc import IntegrityError

from node.database import (
    MIGRATIONS,
    REVISIONS,
    VERSION_TABLE,
    engine_for,
    is_current,
    job_events,
    jobs,
    metadata,
    reading,
    results,
    upgrade,
    writing,
)
from node.errors import DatabaseUnavailableError
from node.making_tables import migrate
from node.postgresql import KEEPALIVE_OPTIONS
from node.web import account_tables  # noqa: F401 - its tables belong to the metadata
from tests.benchmarks.queue_rows import fill


def test_migrations_make_the_tables_that_the_code_uses(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})

        assert compare_metadata(context, metadata) == []


def test_new_tables_are_those_that_all_migrations_make(engine: Engine) -> None:
    made = _shape(engine)
    with writing(engine) as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        migrate(connection)

    assert _shape(engine) == made
    assert is_current(engine)


def test_a_postgresql_database_that_does_not_hold_every_character_is_refused(
    postgresql_url: str, tmp_path: Path
) -> None:
    base = make_url(postgresql_url).set(drivername="postgresql+psycopg")
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE narrow ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    engine = engine_for(base.set(database="narrow").render_as_string(hide_password=False), tmp_path)
    with pytest.raises(
        DatabaseUnavailableError, match="the database's encoding is SQL_ASCII: it must be UTF8"
    ):
        upgrade(engine)
    engine.dispose()


def test_revisions_are_those_of_the_migrations() -> None:
    migrations = ScriptDirectory(str(MIGRATIONS)).walk_revisions()

    assert [each.revision for each in migrations][::-1] == REVISIONS


def test_an_older_database_is_brought_to_this_version(engine: Engine) -> None:
    with writing(engine) as connection:
        metadata.drop_all(connection)
        connection.exec_driver_sql(f"DROP TABLE {VERSION_TABLE}")
        migrate(connection, REVISIONS[0])
    assert not is_current(engine)

    upgrade(engine)

    assert is_current(engine)


def _shape(engine: Engine) -> dict[str, Any]:
    """Return what the database says of each table, as text."""
    found = inspect(engine)
    return {
        table: (
            sorted(f"{each | {'type': str(each['type'])}}" for each in found.get_columns(table)),
            found.get_pk_constraint(table),
            sorted(map(str, found.get_foreign_keys(table))),
            sorted(
                f"{each | {'dialect_options': {key: str(of) for key, of in each['dialect_options'].items()}}}"
                for each in found.get_indexes(table)
            ),
            sorted(map(str, found.get_unique_constraints(table))),
        )
        for table in found.get_table_names()
    }


def test_upgrade_of_an_upgraded_database_changes_nothing(engine: Engine) -> None:
    before = sorted(inspect(engine).get_table_names())

    upgrade(engine)

    assert sorted(inspect(engine).get_table_names()) == before
    assert set(before) == {*metadata.tables, "alembic_version"}


def test_queue_of_an_earlier_version_keeps_its_rows_and_gets_the_indexes(
    database_url: str, tmp_path: Path
) -> None:
    engine = engine_for(database_url, tmp_path)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with writing(engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
    fill(engine, 100)
    assert not is_current(engine)

    upgrade(engine)

    with reading(engine) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        assert connection.execute(select(func.count()).select_from(jobs)).scalar_one() == 100
    partial = {
        str(each["name"]): each.get("dialect_options", {}) for each in inspect(engine).get_indexes("jobs")
    }
    where = f"{engine.dialect.name}_where"
    assert "IS NULL" in str(partial["ix_jobs_with_files"][where])
    assert "IS NOT NULL" in str(partial["ix_jobs_without_files"][where])
    engine.dispose()


def test_database_of_a_newer_version_is_refused_in_words(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(DatabaseUnavailableError, match="newer"):
        upgrade(engine)


def test_no_column_but_those_that_people_search_is_named_after_a_patient() -> None:
    searched = {"identities.patient_id", "accounts.name"}  # the latter of who logs in to the console
    names = {str(column) for table in metadata.tables.values() for column in table.columns}

    assert {name for name in names if "patient" in name or "name" in name or "birth" in name} == searched


def test_foreign_keys_are_enforced(engine: Engine) -> None:
    values = {"at": datetime.now(UTC), "event": "x", "from_state": "x", "to_state": "x", "reason": ""}

    with pytest.raises(IntegrityError), writing(engine) as connection:
        connection.execute(insert(job_events).values(job_id=77, **values))


def test_moments_come_back_in_utc_to_the_microsecond(engine: Engine) -> None:
    moment = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=5)))
    text = [
        column.name for column in jobs.columns if column.name.endswith(("uid", "digest", "path", "title"))
    ]
    values: dict[str, object] = dict.fromkeys(text, "x")
    values |= {"state": "queued", "reason": "", "attempts": 0, "size": 2**40}
    values |= dict.fromkeys(("not_before", "created_at", "updated_at"), moment)
    with writing(engine) as connection:
        connection.execute(insert(jobs).values(values))

    with reading(engine) as connection:
        row = connection.execute(select(jobs.c.created_at, jobs.c.size, jobs.c.lease_until)).one()

    assert row == (moment, 2**40, None)
    assert row.created_at.utcoffset() == timedelta(0)


def test_sqlite_is_durable_and_lets_readers_read(tmp_path: Path) -> None:
    engine = engine_for("", tmp_path)

    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    engine.dispose()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 20_000}
    assert (tmp_path / "paxnode.sqlite").exists()


def test_reading_goes_on_while_another_writes(engine: Engine) -> None:
    with writing(engine) as writer:
        writer.execute(select(jobs.c.id))
        with reading(engine) as reader:
            assert reader.execute(select(results.c.id)).all() == []


def test_machine_without_power_keeps_no_lock_and_holds_nobody_up(postgresql_url: str, tmp_path: Path) -> None:
    engine = engine_for(postgresql_url, tmp_path)
    with engine.connect() as connection:
        limit = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one()
        raw: Any = connection.connection.driver_connection
        called = raw.info.get_parameters()
    engine.dispose()

    assert limit == "30s"
    assert {name: called[name] for name in KEEPALIVE_OPTIONS} == {
        name: str(value) for name, value in KEEPALIVE_OPTIONS.items()
    }
    assert called["connect_timeout"] == "5"


def test_options_of_the_url_go_before_ours(postgresql_url: str, tmp_path: Path) -> None:
    own = {"options": "-cidle_in_transaction_session_timeout=7s", "keepalives_idle": "77"}
    url = make_url(postgresql_url).update_query_dict(own).render_as_string(hide_password=False)
    engine = engine_for(url, tmp_path)
    with engine.connect() as connection:
        limit = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar_one()
        raw: Any = connection.connection.driver_connection
        called = raw.info.get_parameters()
    engine.dispose()

    assert (limit, called["keepalives_idle"]) == ("7s", "77")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://server/name", "sqlite or postgresql, found mysql"),
        ("nonsense", "cannot be read"),
        ("postgresql+psycopg2://server/name", "found postgresql"),
    ],
)
def test_url_of_another_database_is_refused(url: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=words):
        engine_for(url, tmp_path)


def test_server_that_is_not_there_is_unavailable_and_its_password_is_not_told(tmp_path: Path) -> None:
    engine = engine_for("postgresql://user:secret@127.0.0.1:1/name", tmp_path)

    with pytest.raises(DatabaseUnavailableError) as caught:
        upgrade(engine)

    assert "secret" not in str(caught.value)
    engine.dispose()


def test_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "paxnode.sqlite").write_bytes(b"no database" * 1000)
    engine = engine_for("", tmp_path)

    with pytest.raises(DatabaseUnavailableError) as caught:
        upgrade(engine)

    assert isinstance(caught.value.__cause__.__cause__, sqlite3.DatabaseError)  # type: ignore[union-attr]
    engine.dispose()


def test_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(DatabaseUnavailableError, match="file/data"):
        engine_for("", tmp_path / "file" / "data")
