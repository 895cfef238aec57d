"""A queue as it looks after so many images: most are done, delivered and proven; some wait or were put aside.

The rows are written by the database itself, in the SQL that SQLite and PostgreSQL share: a million images
with everything about them in a minute or two. The first image came `DAYS` days ago, the last now.
"""

from typing import Any

from sqlalchemy import Engine, MetaData, PoolProxiedConnection
from sqlalchemy.schema import CreateIndex, DropIndex

DAYS = 400
"""For so long images have come."""

FILES_DAYS = 90
"""Files of what is older were removed."""

SENDERS = 6
"""Modalities, named XRAY0, XRAY1 and so on."""

DESTINATIONS = ("pacs", "web")

ROOT = "1.2.826.0.1.3680043.10.1473.20250102."
"""Of UIDs; about as long as those of modalities."""

_MOMENTS = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('-%.3f seconds', {seconds}))",
    "postgresql": "now() - ({seconds}) * interval '1 second'",
}

_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})",
    "postgresql": "WITH numbers AS (SELECT generate_series(1, {count}) AS n) ",
}

_FASTER = {
    "sqlite": (
        *(f"PRAGMA {name}=OFF" for name in ("foreign_keys", "synchronous", "journal_mode")),
        "PRAGMA cache_size=-200000",
        "BEGIN",
    ),
    "postgresql": ("SET session_replication_role = replica", "SET maintenance_work_mem = '256MB'"),
}

_STATE = """CASE WHEN n > {count} - {waiting} THEN 'queued'
    WHEN n > {count} - {waiting} - {under_way} THEN 'delivering'
    WHEN n % 97 = 0 THEN 'refused' WHEN n % 211 = 0 THEN 'ignored' WHEN n % 503 = 0 THEN 'quarantined'
    WHEN n % 4999 = 0 THEN 'failed' ELSE 'done' END"""

_FILL = """
INSERT INTO jobs (id, state, reason, attempts, not_before, primary_uid, sop_class_uid, sop_instance_uid,
    study_instance_uid, series_instance_uid, transfer_syntax_uid, digest, path, size, calling_ae_title,
    created_at, updated_at, priority, trace, called_ae_title, rule)
{numbers} SELECT n, {state}, CASE WHEN n % 97 = 0 THEN 'no frontal view: ViewPosition is LATERAL' ELSE '' END,
    1, {at}, {uid} || '1.' || n, '1.2.840.10008.5.1.4.1.1.1.1', {uid} || '1.' || n, {uid} || '2.' || (n / 2),
    {uid} || '3.' || n,
    '1.2.840.10008.1.2.1', {digest} , 'objects/' || {digest} || '.dcm', 15000000,
    'XRAY' || (n % {senders}), {at}, {at}, 0, '', 'PAXNODE', '' FROM numbers;

INSERT INTO identities (job_id, patient_id, accession_number, issuer, modality, study_date)
SELECT id, 'P' || (id / 4), 'A' || id, 'HOSPITAL', 'DX', '20250102' FROM jobs;

INSERT INTO job_events (job_id, at, event, from_state, to_state, reason)
SELECT jobs.id, created_at, step, from_state, to_state, '' FROM jobs CROSS JOIN (
    SELECT 1 AS place, 'queue' AS step, 'received' AS from_state, 'queued' AS to_state
    UNION ALL SELECT 2, 'claim', 'queued', 'segmenting'
    UNION ALL SELECT 3, 'store', 'segmenting', 'stored'
    UNION ALL SELECT 4, 'deliver', 'stored', 'delivering'
    UNION ALL SELECT 5, 'complete', 'delivering', 'done'
) AS steps
WHERE place <= CASE state WHEN 'done' THEN 5 WHEN 'delivering' THEN 4 WHEN 'queued' THEN 1 ELSE 2 END;

INSERT INTO results (id, job_id, kind, sop_class_uid, sop_instance_uid, path, digest, created_at)
SELECT jobs.id * 2 + k, jobs.id, kind, made, {uid} || '4.' || jobs.id || '.' || k,
    'results/' || digest || k || '.dcm', digest, created_at FROM jobs CROSS JOIN (
    SELECT 0 AS k, 'SEG' AS kind, '1.2.840.10008.5.1.4.1.1.66.4' AS made
    UNION ALL SELECT 1, 'SR', '1.2.840.10008.5.1.4.1.1.88.34') AS kinds WHERE state IN ('done', 'delivering');

INSERT INTO deliveries (id, job_id, result_id, destination, state, priority, attempts, due_at, status, reason,
    updated_at, sent_at, transaction_uid, asked_at, resends)
SELECT results.id, job_id, results.id, CASE WHEN job_id % 10 = 9 THEN 'web' ELSE 'pacs' END,
    CASE WHEN jobs.state = 'done' THEN 'delivered' WHEN job_id % 7 = 0 THEN 'parked' ELSE 'waiting' END,
    0, 0, jobs.created_at, CASE WHEN jobs.state = 'done' THEN 0 END, '', jobs.updated_at,
    CASE WHEN jobs.state = 'done' THEN jobs.created_at END,
    CASE WHEN jobs.state = 'done' THEN {uid} || '5.' || job_id END,
    CASE WHEN jobs.state = 'done' THEN jobs.created_at END, 0
FROM results JOIN jobs ON jobs.id = results.job_id;

INSERT INTO proofs (delivery_id, at, kind, holds, reason)
SELECT deliveries.id, sent_at, kind, TRUE, why FROM deliveries CROSS JOIN (
    SELECT 'store' AS kind, '0x0000' AS why UNION ALL SELECT 'commitment', 'transaction 1.2.3') AS kinds
WHERE state = 'delivered';

INSERT INTO transactions (transaction_uid, destination, begun_at, newest_proof, delivery_ids)
SELECT transaction_uid, destination, sent_at, id, CAST('[' || id || ',' || (id + 1) || ']' AS {json})
FROM deliveries WHERE state = 'delivered' AND id % 2 = 0;

INSERT INTO commitments (transaction_uid, calling_ae_title, "references", state, attempts, due_at, reason,
    created_at)
SELECT {uid} || '6.' || id, calling_ae_title, '[]', 'answered', 0, created_at, '', created_at
FROM jobs WHERE id % 10 = 0;

INSERT INTO tombstones (sop_instance_uid, digest)
SELECT {uid} || '7.' || id, digest FROM jobs WHERE id % 2 = 0;

INSERT INTO deeds (at, who, address, what, about, detail)
SELECT created_at, 'radiologist' || (id % 7), '192.0.2.1', 'look at a study', study_instance_uid, '' FROM jobs
WHERE id % 5 = 0;

UPDATE jobs SET files_removed_at = {removed_at}
WHERE id < {removed} AND state != 'queued' AND state != 'delivering'
"""

_DIGEST = "((n * 2654435761) % 4294967296) || '{tail}'"
_TAIL = "d" * 54

_GIVEN_NUMBERS = ("jobs", "results", "deliveries")
"""Tables whose rows are given their numbers here, so that those of the others are known."""


def waiting_of(count: int) -> int:
    """Return how many of so many images wait for a worker; as many are on their way to destinations."""
    return max(4, min(300, count // 10))


def uid(kind: int, number: int) -> str:
    """Return a UID of the rows: 1 an image, 2 a study, 5 a storage commitment."""
    return f"{ROOT}{kind}.{number}"


def path(number: int) -> str:
    """Return where the image of a job lies."""
    return f"objects/{number * 2654435761 % 4294967296}{_TAIL}.dcm"


def fill(engine: Engine, count: int, waiting: int | None = None) -> None:
    """Fill upgraded, empty tables as `count` images would; indexes are made afterwards, which is faster.

    Args:
        engine: Of their database; nobody else uses it.
        count: How many images.
        waiting: How many of them wait for a worker, and as many for destinations; None: `waiting_of`.
    """
    found = MetaData()
    found.reflect(engine)
    indexes = [index for table in found.tables.values() for index in table.indexes]
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        for statement in (
            *_FASTER[engine.dialect.name],
            *(str(DropIndex(index).compile(engine)) for index in indexes),
            *_statements(engine.dialect.name, count, waiting_of(count) if waiting is None else waiting),
            *(str(CreateIndex(index).compile(engine)) for index in indexes),
        ):
            cursor.execute(statement)
        _count_on(cursor, engine.dialect.name)
        connection.commit()
        _take_notice(connection, engine.dialect.name)
    finally:
        connection.detach()  # it keeps no promises any more
        connection.close()
    engine.dispose()


def _statements(dialect: str, count: int, waiting: int) -> list[str]:
    kept = FILES_DAYS * 86400.0
    seconds = f"(({count} - n) * {DAYS * 86400.0 / count})"
    values = {
        "numbers": _NUMBERS[dialect].format(count=count),
        "state": _STATE.format(count=count, waiting=waiting, under_way=waiting),
        "at": _MOMENTS[dialect].format(seconds=seconds),
        "removed_at": _MOMENTS[dialect].format(seconds=f"({seconds.replace(' n)', ' id)')} - {kept})"),
        "uid": f"'{ROOT}'",
        "digest": _DIGEST.format(tail=_TAIL),
        "senders": SENDERS,
        "json": "TEXT" if dialect == "sqlite" else "JSON",
        "removed": count - round(count * FILES_DAYS / DAYS),
    }
    return _FILL.format(**values).split(";")


def _count_on(cursor: Any, dialect: str) -> None:
    """Let PostgreSQL give the next rows numbers after those that were given here."""
    if dialect == "sqlite":
        return
    for table in _GIVEN_NUMBERS:
        cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}")


def _take_notice(connection: PoolProxiedConnection, dialect: str) -> None:
    """Let PostgreSQL know what the tables hold now, as its autovacuum does sometime; nobody tells SQLite.

    With autovacuum's own moment left to chance, a count by an index alone would read rows or not.
    """
    if dialect == "sqlite":
        return
    raw: Any = connection.driver_connection
    raw.autocommit = True
    raw.execute("VACUUM (ANALYZE)")
