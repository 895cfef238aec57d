"""Making the tables of the database where there are none, and migrating those of an older version."""

from sqlalchemy import Connection

from node.database import MADE_BY_NEWER, MIGRATIONS, REVISIONS, VERSION_TABLE, metadata
from node.errors import DatabaseUnavailableError
from node.web import account_tables  # noqa: F401 - its tables belong to the metadata


def make_tables(connection: Connection) -> None:
    """Make the tables of this version where there are none: those that all migrations would make."""
    metadata.create_all(connection)
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
        f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ('{REVISIONS[-1]}')")


def migrate(connection: Connection, revision: str = "head") -> None:
    """Let alembic change the tables; it takes a while to import, and is needed once in each version.

    Args:
        connection: In a transaction that writes.
        revision: What they are brought to.

    Raises:
        DatabaseUnavailableError: The database was made by a newer version.
    """
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, revision)
    except CommandError as error:
        raise DatabaseUnavailableError(MADE_BY_NEWER) from error
