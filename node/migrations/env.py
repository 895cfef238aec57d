"""Run by alembic inside `node.database.upgrade`, on the connection that it passes in."""

from alembic import context
from sqlalchemy import Connection

from node.database import metadata


def _migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


_migrate(context.config.attributes["connection"])
