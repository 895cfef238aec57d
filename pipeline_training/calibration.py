"""Whether a probability is one: of the pixels given 0.8, do eight in ten belong to the structure?

Source of the error: Naeini et al., AAAI 2015 (expected calibration error); of the score: Brier 1950. Pixels
count where truth and answer are near, for a whole film of easy background would hide everything.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table
from scipy import ndimage
from scipy.special import expit

from ai.onnx_segmenter import OnnxSegmenter
from ai.preprocess import Letterbox
from ai.segmentation import ModelIdentity
from pipeline_training.errors import EvaluationError
from pipeline_training.radiograph_folders import RadiographSet, Structure, read_radiograph

BINS = 15
NEIGHBOURHOOD = 0.05
"""Pixels count within this share of the picture's width around truth and answer."""


@dataclass(frozen=True)
class Reliability:
    """How far the probabilities of a structure hold on a set.

    Attributes:
        set_name: The set.
        structure: Its mask folder.
        images: How many were counted, those without the structure that the model finds it in included.
        empty: Images left out, for neither the reader nor the model finds the structure.
        expected_error: Mean over bins of |share that belongs - mean probability|, weighted by pixels.
        brier: Mean square of (probability - truth).
        pixels: In each of the 15 bins of probability.
        probability: Mean in each bin; 0 where it is empty.
        share: That belongs to the structure in each bin; 0 where it is empty.
    """

    set_name: str
    structure: str
    images: int
    empty: int
    expected_error: float
    brier: float
    pixels: tuple[int, ...]
    probability: tuple[float, ...]
    share: tuple[float, ...]


@dataclass(frozen=True)
class Calibration:
    """A model's probabilities on sets of radiographs."""

    model: ModelIdentity
    structures: tuple[Reliability, ...]

    def to_json(self) -> str:
        """Return every figure as JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


class Tally:
    """Counts of pixels by probability, growing image by image."""

    def __init__(self) -> None:
        self.images = 0
        self.empty = 0
        self._pixels, self._probability, self._inside = (np.zeros(BINS) for _ in range(3))
        self._square = 0.0

    def add(self, probability: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_]) -> None:
        """Count an image's pixels; both arrays have any one shape."""
        values = probability.astype(np.float64).ravel()
        places = np.minimum((values * BINS).astype(int), BINS - 1)
        self._pixels += np.bincount(places, minlength=BINS)
        self._probability += np.bincount(places, values, BINS)
        self._inside += np.bincount(places, truth.ravel(), BINS)
        self._square += float(((values - truth.ravel()) ** 2).sum())
        self.images += 1

    def reliability(self, set_name: str, structure: str) -> Reliability:
        """Return the figures of what was counted."""
        filled = np.maximum(self._pixels, 1)
        mean, share, total = self._probability / filled, self._inside / filled, max(self._pixels.sum(), 1)
        error = float((np.abs(mean - share) * self._pixels).sum() / total)
        return Reliability(
            set_name,
            structure,
            self.images,
            self.empty,
            error,
            self._square / float(total),
            tuple(int(n) for n in self._pixels),
            tuple(float(v) for v in mean),
            tuple(float(v) for v in share),
        )


def calibrate(
    segmenter: OnnxSegmenter, sets: Sequence[RadiographSet], on_image: Callable[[], None] = lambda: None
) -> Calibration:
    """Return the reliability of every structure that the model and a set know one to one.

    Raises:
        EvaluationError: If there is none.
        pipeline_training.errors.RadiographSetError: If a picture or mask cannot be read.
    """
    one_label = {(name,) for name in segmenter.manifest.labels}
    found = []
    for each in sets:
        asked = [s for s in each.structures if s.labels in one_label and not s.note]
        tallies = {structure.folder: Tally() for structure in asked}
        for image in each.images:
            _count(segmenter, each, asked, image, tallies)
            on_image()
        found += [
            tally.reliability(each.name, name)
            for name, tally in tallies.items()
            if tally.images or tally.empty
        ]
    if not found:
        raise EvaluationError("no mask folder stands for exactly one structure that the model supports")
    return Calibration(segmenter.model, tuple(found))


def _count(
    segmenter: OnnxSegmenter,
    images: RadiographSet,
    asked: Sequence[Structure],
    path: Path,
    tallies: Mapping[str, Tally],
) -> None:
    """Add an image, on the grid of the network's logits."""
    radiograph = read_radiograph(path)
    inputs, _ = segmenter.prepare([radiograph])
    (output,) = segmenter.infer(inputs)
    box = Letterbox(radiograph.rows, radiograph.columns, output.logits.shape[-1])
    for structure in asked:
        truth = images.truth(structure, path, (radiograph.rows, radiograph.columns))
        if truth is not None:
            inside = box.to_network(truth.astype(np.float32)) >= 0.5
            probability = expit(output.logits[segmenter.manifest.labels.index(structure.labels[0])])
            region = inside | (probability >= 0.5)
            if not region.any():
                tallies[structure.folder].empty += 1
                continue
            near = _neighbourhood(region)
            tallies[structure.folder].add(probability[near], inside[near])


def _neighbourhood(region: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return the region with what lies near it; a region on the whole grid stays."""
    away = ndimage.distance_transform_edt(~region)
    return np.asarray(away <= NEIGHBOURHOOD * region.shape[1], np.bool_)


def calibration_table(calibration: Calibration) -> Table:
    """Return the figures for people; the bins are in the JSON."""
    table = Table("set", "structure", title=f"{calibration.model.id} {calibration.model.version}")
    for heading in ("images", "empty, left out", "expected calibration error", "Brier score"):
        table.add_column(heading, justify="right")
    for row in calibration.structures:
        figures = (f"{row.expected_error:.3f}", f"{row.brier:.3f}") if row.images else ("-", "-")
        table.add_row(row.set_name, row.structure, str(row.images), str(row.empty), *figures)
    return table
