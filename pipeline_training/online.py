"""Projections made while a network trains: new bodies all the time, from the same anatomies.

What is drawn is a function of (seed, index), whichever process makes it and whenever, so that a resumed run
sees what an uninterrupted one does.
"""

import multiprocessing
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from pipeline_training.anatomy import Anatomy
from pipeline_training.dataset import STORED_SIZE, Source, from_projection
from pipeline_training.errors import DatasetError
from pipeline_training.poses import draw_pose, lean_of
from pipeline_training.projections import POSES_PER_BODY, load_anatomy, numbered_body, stored
from pipeline_training.projector import Projector
from pipeline_training.scanned import Scanned, extend

HELD_ANATOMIES = 2
"""Anatomies that a process keeps in memory, some 200 MB each; bodies of one case follow one another."""

BODIES_PER_CASE = 4
"""Bodies made of one case before the next case's turn comes: reading a case takes as long as some bodies."""

AHEAD = 2
"""Blocks of projections per process that are made before they are asked for."""


@dataclass(frozen=True)
class OnlineSources:
    """Projections without end, each a function of its index.

    Consecutive indices share a body (`POSES_PER_BODY` poses of each), consecutive bodies a case.

    Attributes:
        cases: Folders as for `paxnode-train project`.
        lateral_share: Share of lateral views, in [0, 1].
        seed: With the index, everything is a function of it.
        processes: That make projections in the background.
    """

    cases: tuple[Path, ...]
    lateral_share: float = 0.1
    seed: int = 1
    processes: int = 1

    def __post_init__(self) -> None:
        if not self.cases:
            raise DatasetError("there is no case to make projections of")
        if self.processes < 1:
            raise DatasetError(f"projections are made by one process or more, found {self.processes}")

    def draw(self, index: int) -> Source:
        """Return the projection of that number, made here and now.

        Raises:
            pipeline_training.errors.VolumeError: If its case cannot be used.
        """
        block, pose = divmod(index, POSES_PER_BODY)
        return render_block(self, block)[pose]

    def stream(self, start: int = 0) -> Generator[Source]:
        """Yield the projections from index `start` on, made by other processes ahead of time.

        Closing the iterator ends the processes.

        Raises:
            pipeline_training.errors.VolumeError: If a case cannot be used.
        """
        block, first = divmod(start, POSES_PER_BODY)
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.processes, mp_context=context, initializer=_on_one_thread)
        waiting: deque[Future[tuple[Source, ...]]] = deque()
        try:
            while True:
                while len(waiting) < AHEAD * self.processes:
                    waiting.append(pool.submit(render_block, self, block))
                    block += 1
                yield from waiting.popleft().result()[first:]
                first = 0
        finally:
            pool.shutdown(cancel_futures=True)


def render_block(sources: OnlineSources, block: int) -> tuple[Source, ...]:
    """Return all projections of the body of that number.

    Raises:
        pipeline_training.errors.VolumeError: If its case cannot be used.
    """
    case = sources.cases[case_of(block, len(sources.cases))]
    anatomy, scanned = _anatomy(case, sources.seed)
    generator = np.random.default_rng([sources.seed, block, *case.name.encode(), *b"online"])
    body = numbered_body(anatomy, scanned, block + 1, generator)
    lean = lean_of(body.anatomy)
    poses = [draw_pose(generator, sources.lateral_share, lean) for _ in range(POSES_PER_BODY)]
    projections = Projector(body.anatomy).project(poses, STORED_SIZE)
    return tuple(from_projection(stored(body, p, q)) for p, q in zip(poses, projections, strict=True))


def case_of(block: int, cases: int) -> int:
    """Return the number of the case that a body is made of.

    >>> [case_of(block, 2) for block in range(10)]
    [0, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    """
    return block // BODIES_PER_CASE % cases


@lru_cache(maxsize=HELD_ANATOMIES)
def _anatomy(case: Path, seed: int) -> tuple[Anatomy, Scanned]:
    return extend(load_anatomy(case, seed))


def _on_one_thread() -> None:
    """Leave the other cores to the network."""
    torch.set_num_threads(1)
