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
from pipeline_training.mirror import can_be_mirrored, mirrored
from pipeline_training.ranks import Ranks
from pipeline_training.style import histogram_of

QUEUED = 4
"""Batches that wait, at least one for each worker: at 320 one of 24 samples takes 0.2 GB."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples stacked.

    image (n, 1, s, s), target (n, labels, s/2, s/2), known (n, labels), view (n,),
    told (n, PLANES, s/2, s/2), place (n, labels).

    Targets are of half precision: they are most of what goes from process to process.
    """

    image: torch.Tensor
    target: torch.Tensor
    known: torch.Tensor
    view: torch.Tensor
    told: torch.Tensor
    place: torch.Tensor

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> "Batch":
        """Return samples of one size, one or more, in their order."""
        return cls(
            torch.stack([s.image for s in samples]),
            torch.stack([s.target.half() for s in samples]),
            torch.stack([s.known for s in samples]),
            torch.tensor([s.view for s in samples]),
            torch.stack([s.told for s in samples]),
            torch.stack([s.place for s in samples]),
        )

    def to(self, device: str) -> "Batch":
        """Return the batch on another device."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self.tensors()))

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Return its parts in order."""
        return self.image, self.target, self.known, self.view, self.told, self.place


class Fresh(Protocol):
    """Sources without end, made while the network trains; `pipeline_training.online.OnlineSources` is one."""

    def stream(self, start: int = 0) -> Generator[Source]:
        """Yield the sources from a number on; closing it ends what makes them."""
        ...


@dataclass(frozen=True)
class Drawing:
    """How the looks of a batch are drawn, and by how many processes.

    Attributes:
        batch: Looks in a batch, of all ranks together.
        seed: Of every draw.
        real_share: Of a batch that are looks at radiographs, its first places; where there are any.
        style_share: Of the projections that are shown in the grey values of radiographs.
        told_share: Of a projection's structures that a look tells of, others in each: targets and loss go
            through what is told only, and what one look does not tell another one does.
        always: Indices into NAMES of structures that each look tells of.
        mirror_share: Of the frontal projections that are shown mirrored, with nothing but bones known.
        fresh_share: Of a batch that are looks at projections made meanwhile, its last places; where any are.
        workers: Processes that prepare batches.
    """

    batch: int
    seed: int
    real_share: float = 0.0
    style_share: float = 0.0
    told_share: float = 1.0
    always: tuple[int, ...] = ()
    mirror_share: float = 0.0
    fresh_share: float = 0.0
    workers: int = 1


class Batches(torch.utils.data.Dataset[Batch]):
    """The batch of each step, by its number.

    Args:
        sources: What is looked at.
        labels: The structures that targets hold, indices into NAMES.
        size: Of a look, in pixels; may be set anew between steps.
        drawing: How looks are drawn.
        ranks: That share each batch.
        fresh: Makes projections while the network trains.

    Raises:
        DatasetError: Without any projection.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        labels: Sequence[int],
        size: int,
        drawing: Drawing,
        ranks: Ranks | None = None,
        fresh: Fresh | None = None,
    ) -> None:
        self._projections = [s for s in sources if not s.is_real]
        self._real = [s for s in sources if s.is_real]
        if not self._projections:
            raise DatasetError("there is no projection to train on")
        self.size = size
        self._labels, self._drawing = labels, drawing
        self._real_count = round(drawing.real_share * drawing.batch) if self._real else 0
        self._histograms = _histograms(self._real) if drawing.style_share else []
        self._always = np.isin(labels, drawing.always)
        self._share = (ranks or Ranks()).share(drawing.batch)
        self._fresh, self._fresh_count = fresh, round(drawing.fresh_share * drawing.batch)

    def __getitem__(self, step: int) -> Batch:
        """Return this rank's share of the batch of a step; the same step gives the same batch."""
        samples = [self._sample(step, k) for k in self._share]
        return Batch.of(samples)

    def _sample(self, step: int, k: int) -> Sample:
        generator = np.random.default_rng([self._drawing.seed, step, k])
        pool = self._real if k < self._real_count else self._projections
        source = pool[int(generator.integers(len(pool)))]
        histogram = self._drawn_histogram(generator)
        return self._look(source, generator, histogram)

    def _look(
        self, source: Source, generator: np.random.Generator, histogram: npt.NDArray[np.float32] | None = None
    ) -> Sample:
        labels = self._drawn_structures(source, generator)
        share = self._drawing.mirror_share
        if share and can_be_mirrored(source) and generator.random() < share:
            source = mirrored(source)
        return make_sample(source, labels, self.size, generator, histogram=histogram)

    def _drawn_structures(self, source: Source, generator: np.random.Generator) -> Sequence[int]:
        if source.is_real or self._drawing.told_share == 1:
            return self._labels
        asked = self._always | (generator.random(len(self._labels)) < self._drawing.told_share)
        return [int(label) for label in np.where(asked, self._labels, UNASKED)]

    def _drawn_histogram(self, generator: np.random.Generator) -> npt.NDArray[np.float32] | None:
        if not self._histograms or generator.random() >= self._drawing.style_share:
            return None
        return self._histograms[int(generator.integers(len(self._histograms)))]

    def steps(self, start: int, stop: int) -> Iterator[Batch]:
        """Yield the batches of steps start..stop-1 in order, prepared by processes of their own."""
        workers = self._drawing.workers
        loader = torch.utils.data.DataLoader(
            self,
            batch_size=None,
            sampler=range(start, stop),
            num_workers=workers,
            prefetch_factor=max(1, QUEUED // workers),
        )
        if self._fresh is None or not self._fresh_count:
            yield from loader
            return
        with closing(self._fresh.stream(start * self._fresh_count)) as sources:
            for step, batch in zip(range(start, stop), loader, strict=True):
                self._refresh(batch, step, [next(sources) for _ in range(self._fresh_count)])
                yield batch

    def _refresh(self, batch: Batch, step: int, sources: Sequence[Source]) -> None:
        """Put looks at sources into the last places of a whole batch: into those that this rank holds."""
        first = self._drawing.batch - len(sources)
        for row, k in enumerate(self._share):
            if k >= first:
                generator = np.random.default_rng([self._drawing.seed, step, k])
                sample = self._look(sources[k - first], generator)
                view = torch.tensor(sample.view)
                parts = sample.image, sample.target, sample.known, view, sample.told, sample.place
                for stacked, part in zip(batch.tensors(), parts, strict=True):
                    stacked[row] = part


def _histograms(radiographs: Sequence[Source]) -> list[npt.NDArray[np.float32]]:
    return [histogram_of(each.tissues[0].astype(np.float32), each.film) for each in radiographs]
