"""Where a build runs: the cores of this machine, or a Dask scheduler elsewhere. The same code on both."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from dask.system import CPU_COUNT
from distributed import Client, LocalCluster

from pipeline_training.errors import BuildError

logging.getLogger("distributed.nanny").setLevel(logging.ERROR)
"""At its end it warns of processes that took some seconds to stop, which is no fault."""

CONNECT_S = 5
"""How long a scheduler may take to answer."""


def processes(asked: int, cases: int) -> int:
    """Return how many processes to start here: what was asked for, or one a core for 0; no more than cases.

    >>> processes(4, 2), processes(3, 9)
    (2, 3)
    """
    return min(asked or CPU_COUNT, cases)


@contextmanager
def cluster(scheduler: str = "", workers: int = 0) -> Iterator[Client]:
    """Yield a client of the scheduler, or of a cluster of this machine's processes, closed at the end.

    Args:
        scheduler: Address such as "tcp://host:8786"; "" starts processes here.
        workers: Processes started here, one thread each; 0 takes one for each core.

    Raises:
        BuildError: If the scheduler does not answer.
    """
    if scheduler:
        with _remote(scheduler) as client:
            yield client
        return
    with (
        LocalCluster(
            n_workers=workers or None,
            threads_per_worker=1,
            dashboard_address=":0",
            silence_logs=logging.ERROR,
        ) as here,
        Client(here) as client,
    ):
        yield client


def _remote(scheduler: str) -> Client:
    try:
        return Client(scheduler, timeout=CONNECT_S)
    except (OSError, TimeoutError, ValueError) as exc:
        raise BuildError(f"no Dask scheduler answers at {scheduler}: {exc}") from exc
