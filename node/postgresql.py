"""How a PostgreSQL server is called, so that one that has fallen silent holds nobody up for long."""

from typing import Any

from sqlalchemy import URL, Connection

from node.errors import DatabaseUnavailableError

CONNECT_TIMEOUT_S = 5
"""How long to wait for a PostgreSQL server to answer; senders wait for this, so it is short."""

KEEPALIVE_OPTIONS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds
}
"""A server whose machine lost its power says nothing: it is given up after 25 s while it is awaited,
after 15 s while something is sent to it. The names are libpq's (PostgreSQL, Parameter Key Words)."""

IDLE_IN_TRANSACTION_S = 30
"""The server ends a transaction in which nothing was asked for so long, and with it the locks of a machine
that lost its power; between two statements of ours there are milliseconds."""


def postgresql_options(url: URL) -> dict[str, Any]:
    """Return the arguments of a connection; what the URL says itself goes before.

    >>> from sqlalchemy import make_url
    >>> postgresql_options(make_url("postgresql://server/queue?options=-csearch_path=x"))["options"]
    '-cidle_in_transaction_session_timeout=30s -csearch_path=x'
    """
    own: dict[str, Any] = {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "client_encoding": "utf8",
    } | KEEPALIVE_OPTIONS
    stated = " ".join(url.normalized_query.get("options", ()))
    limit = f"-cidle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s"
    kept = {name: value for name, value in own.items() if name not in url.query}
    return kept | {"options": f"{limit} {stated}".strip()}


def check_encoding(connection: Connection) -> None:
    """Raise unless the database holds every character: a patient's name may have any.

    Raises:
        DatabaseUnavailableError: With what to do.
    """
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise DatabaseUnavailableError(
            f"the database's encoding is {encoding}: it must be UTF8 (CREATE DATABASE ... ENCODING 'UTF8' "
            "TEMPLATE template0)"
        )
