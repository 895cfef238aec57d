"""The batch of each step: looks at projections and radiographs, drawn by seed.

Every draw is a function of (seed, step, place in the batch), so that a resumed run sees what an
uninterrupted one does.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from pipeline_training.dataset import UNASKED, Sample, Source, make_sample
from pipeline_training.errors import DatasetError
from pipeline_training.ranks import Ranks
from pipeline_training.style import histogram_of

QUEUED = 4
"""Batches that wait, at least one for each worker: at 320 one of 24 samples takes 0.2 GB."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples stacked: image (n, 1, s, s), target (n, labels, s/2, s/2), known, view, told (n, s/2, s/2).

    Targets are of half precision: they are most of what goes from process to process.
    """

    image: torch.Tensor
    target: torch.Tensor
    known: torch.Tensor
    view: torch.Tensor
    told: torch.Tensor

    def to(self, device: str) -> "Batch":
        """Return the batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self.tensors()))

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return its parts in order."""
        return self.image, self.target, self.known, self.view, self.told


class Fresh(Protocol):
    """Sources without end, made while the network trains; `pipeline_training.online.OnlineSources` is one."""

    def stream(self, start: int = 0) -> Generator[Source]:
        """Yield the sources from a number on; closing it ends what makes them."""
        ...


class Batches(torch.utils.data.Dataset[Batch]):
    """The batch of each step, by its number."""

    def __init__(
        self,
        sources: Sequence[Source],
        labels: Sequence[int],
        size: int,
        batch: int,
        real_share: float,
        seed: int,
        ranks: Ranks | None = None,
    ) -> None:
        self.projections = [s for s in sources if not s.is_real]
        self.real = [s for s in sources if s.is_real]
        if not self.projections:
            raise DatasetError("there is no projection to train on")
        self.labels, self.size, self.batch, self.seed = labels, size, batch, seed
        self.real_share = real_share if self.real else 0.0
        self.style_share = 0.0
        self.histograms: list[npt.NDArray[np.float32]] = []
        self.share = (ranks or Ranks()).share(batch)
        self.workers = 1
        self.always = np.ones(len(labels), np.bool_)
        self.told_share = 1.0
        self.fresh: Fresh | None = None
        self.fresh_count = 0

    def __getitem__(self, step: int) -> Batch:
        """Return this rank's share of the batch of a step; the same step gives the same batch."""
        samples = [self._sample(step, k) for k in self.share]
        return Batch(
            torch.stack([s.image for s in samples]),
            torch.stack([s.target.half() for s in samples]),
            torch.stack([s.known for s in samples]),
            torch.tensor([s.view for s in samples]),
            torch.stack([s.told for s in samples]),
        )

    def _sample(self, step: int, k: int) -> Sample:
        generator = np.random.default_rng([self.seed, step, k])
        pool = self.real if k < round(self.real_share * self.batch) else self.projections
        source = pool[int(generator.integers(len(pool)))]
        histogram = self._drawn_histogram(generator)
        labels = self._drawn_structures(source, generator)
        return make_sample(source, labels, self.size, generator, histogram=histogram)

    def tell(self, share: float, always: Sequence[int]) -> None:
        """Let each look at a projection tell of a share of its structures only, others each time.

        Targets and loss go through what is told; what one look does not tell another one does.

        Args:
            share: Of the structures.
            always: Indices into NAMES of structures that each look tells of.
        """
        self.told_share = share
        self.always = np.isin(self.labels, always)

    def _drawn_structures(self, source: Source, generator: np.random.Generator) -> Sequence[int]:
        if source.is_real or self.told_share == 1:
            return self.labels
        asked = self.always | (generator.random(len(self.labels)) < self.told_share)
        return [int(label) for label in np.where(asked, self.labels, UNASKED)]

    def style_with(self, share: float) -> None:
        """Let a share of the projections be shown in the grey values of the radiographs."""
        self.style_share = share if self.real else 0.0
        taken = self.real if self.style_share else []
        self.histograms = [histogram_of(each.tissues[0].astype(np.float32), each.film) for each in taken]

    def _drawn_histogram(self, generator: np.random.Generator) -> npt.NDArray[np.float32] | None:
        if not self.histograms or generator.random() >= self.style_share:
            return None
        return self.histograms[int(generator.integers(len(self.histograms)))]

    def steps(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches of steps start..stop-1 in order, prepared by `workers` processes of their own."""
        loader = torch.utils.data.DataLoader(
            self,
            batch_size=None,
            sampler=range(start, stop),
            num_workers=self.workers,
            prefetch_factor=max(1, QUEUED // self.workers),
        )
        if self.fresh is None or not self.fresh_count:
            yield from loader
            return
        with closing(self.fresh.stream(start * self.fresh_count)) as sources:
            for step, batch in zip(range(start, stop), loader, strict=True):
                self._refresh(batch, step, [next(sources) for _ in range(self.fresh_count)])
                yield batch

    def refresh_with(self, fresh: Fresh, share: float) -> None:
        """Let a share of each batch, its last places, be made while the network trains."""
        self.fresh, self.fresh_count = fresh, round(share * self.batch)

    def _refresh(self, batch: Batch, step: int, sources: Sequence[Source]) -> None:
        """Put looks at sources into the last places of a whole batch: into those that this rank holds."""
        first = self.batch - len(sources)
        for row, k in enumerate(self.share):
            if k >= first:
                generator = np.random.default_rng([self.seed, step, k])
                labels = self._drawn_structures(sources[k - first], generator)
                sample = make_sample(sources[k - first], labels, self.size, generator)
                parts = (sample.image, sample.target, sample.known, torch.tensor(sample.view), sample.told)
                for stacked, part in zip(batch.tensors(), parts, strict=True):
                    stacked[row] = part
