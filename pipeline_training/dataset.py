"""What the network learns from: looks at projections and radiographs, fully and partly labelled."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from ai.preprocess import Letterbox, normalise
from pipeline_training.augment import draw_tissue_factors, mix, radiographed, restyle
from pipeline_training.errors import DatasetError
from pipeline_training.network import OUTPUT_STRIDE
from pipeline_training.projections import NAMES, StoredProjection, projection_files, read_projection
from pipeline_training.radiograph_folders import RadiographSet, Structure, read_radiograph
from pipeline_training.style import in_style
from pipeline_training.told import PLANES

FRONTAL, LATERAL = 0, 1
GRID = 160
"""Rows and columns at which masks are kept; each holds the share of four pixels that belongs to the
structure."""

STORED_SIZE = GRID * 2

LEAST_TOLD = 0.01
"""Share of the frontal projections that must know a structure for it to be supported."""

TOLD_SHARE = 0.01
"""A cell of a look teaches nothing when this share of it, or more, comes from where nothing is told."""

UNASKED = -1
"""In place of a structure's index: whatever is known of it, it is not told."""

BOTH_SIDES = (("visible lung right", "visible lung left"), ("right lung", "left lung"))
"""Labels that a reader's mask of both lungs is parted into."""


@dataclass(frozen=True, eq=False)
class Source:
    """One picture to learn from, before augmentation.

    Attributes:
        patient: The unit that data are split by.
        tissues: float16 (len(CHANNELS), 320, 320) of a projection, or (1, 320, 320) display values.
        coverage: uint8 (known structures, 160, 160): quarters of a grid cell, 0..4.
        known: Indices into NAMES of the structures in `coverage`; of the others nothing is known.
        view: FRONTAL or LATERAL.
        told: bool (PLANES, 160, 160): where structures are known; of a real radiograph everywhere.
        place: uint8 (len(NAMES),): which of these planes holds for each structure.
        film: bool (320, 320): where the picture is, not what a radiograph that is not square is padded with.
    """

    patient: str
    tissues: npt.NDArray[np.float16]
    coverage: npt.NDArray[np.uint8]
    known: npt.NDArray[np.intp]
    view: int
    told: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones((PLANES, GRID, GRID), np.bool_))
    film: npt.NDArray[np.bool_] = field(default_factory=lambda: np.ones((GRID * 2, GRID * 2), np.bool_))
    place: npt.NDArray[np.uint8] = field(default_factory=lambda: np.zeros(len(NAMES), np.uint8))

    @property
    def is_real(self) -> bool:
        """Whether it is a radiograph, not a projection."""
        return len(self.tissues) == 1


def quarters(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Return for masks (n, 320, 320) how many of each 2 x 2 pixels belong, uint8 (n, 160, 160)."""
    blocks = masks.reshape(len(masks), GRID, 2, GRID, 2).astype(np.uint8)
    return np.asarray(blocks.sum(axis=(2, 4)), np.uint8)


def from_projection(stored: StoredProjection) -> Source:
    """Return a projection as a source.

    Raises:
        DatasetError: If it was not made at 320 x 320.
    """
    if stored.size != STORED_SIZE:
        raise DatasetError(
            f"projections are {STORED_SIZE} pixels wide, found {stored.size}: "
            f"project with --size {STORED_SIZE}"
        )
    known = np.flatnonzero(stored.known)
    view = LATERAL if stored.lateral else FRONTAL
    if stored.lateral:  # how a reader draws the visible lung is defined for frontal views
        known = np.array([i for i in known if not NAMES[i].startswith("visible lung")])
    told = quarters(stored.told) == 4  # a cell of which a part is unknown teaches nothing
    coverage = quarters(stored.masks()[known])
    return Source(stored.patient, stored.tissues, coverage, known, view, told, place=stored.place)


def from_radiograph(images: RadiographSet, path: Path) -> Source | None:
    """Return a real radiograph with its readers' masks; None where no structure can be told.

    A mask of both lungs is parted into right and left by its connected components. Structures whose readers
    are known to draw something else than our label means (`Structure.note`) are not learned from, nor are
    masks that are the union of labels other than both lungs.
    """
    radiograph = read_radiograph(path)
    box = Letterbox(radiograph.rows, radiograph.columns, STORED_SIZE)
    masks: dict[str, npt.NDArray[np.bool_]] = {}
    for structure in images.structures:
        truth = images.truth(structure, path, (radiograph.rows, radiograph.columns))
        if truth is None:
            continue
        masks |= _teaching(structure, box.to_network(truth.astype(np.float32)) >= 0.5)
    if not masks:
        return None
    pixels = box.to_network(normalise(radiograph.pixels))[None].astype(np.float16)
    known = np.array([NAMES.index(name) for name in masks])
    drawn = quarters(np.stack(list(masks.values())))
    return Source(images.patient_of(path), pixels, drawn, known, FRONTAL, film=box.film())


def _teaching(structure: Structure, mask: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return what a reader's mask says about our labels, by name; nothing where it cannot be told."""
    if structure.note:
        return {}
    if len(structure.labels) == 1:
        return {structure.labels[0]: mask}
    sides = part_sides(mask) if structure.labels in BOTH_SIDES else None
    return {} if sides is None else dict(zip(structure.labels, sides, strict=True))


def part_sides(
    lungs: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]] | None:
    """Return (right, left) of a mask of both lungs: each component goes to the side of its centre.

    None where one side would stay empty: a single lung, or two that touch.
    """
    pieces, count = ndimage.label(lungs)
    columns = np.flatnonzero(lungs.any(axis=0))
    right = np.zeros_like(lungs)
    for piece in range(1, count + 1):
        if np.nonzero(pieces == piece)[1].mean() < (columns[0] + columns[-1]) / 2:
            right |= pieces == piece
    left = lungs & ~right
    return (right, left) if right.any() and left.any() else None


@dataclass(frozen=True)
class Look:
    """How a source is laid on the network's grid: an affine map of the image plane.

    Attributes:
        rotation_deg: Of the frame over the picture.
        scale: (x, y) factors of the frame; above 1 it holds more than the picture.
        shift: (x, y) of the frame, in halves of the picture's width.
    """

    rotation_deg: float
    scale: tuple[float, float]
    shift: tuple[float, float]

    def theta(self) -> torch.Tensor:
        """Return float32 (1, 2, 3): from frame to picture, both in [-1, 1], as affine_grid takes it."""
        c, s = np.cos(np.radians(self.rotation_deg)), np.sin(np.radians(self.rotation_deg))
        rows = [
            [c * self.scale[0], -s * self.scale[1], self.shift[0]],
            [s * self.scale[0], c * self.scale[1], self.shift[1]],
        ]
        return torch.tensor([rows], dtype=torch.float32)


def draw_look(generator: np.random.Generator) -> Look:
    """Return a look: rotated by some 6 degrees, scaled 0.8 to 1.25, squashed by some 7 %, moved up to 9 %."""
    zoom, squash = np.exp(generator.uniform(-0.22, 0.22)), np.exp(generator.normal(0, 0.07))
    shift = generator.uniform(-0.18, 0.18, 2)
    rotation = float(generator.normal(0, 6))
    scale = (float(zoom * squash), float(zoom / squash))
    return Look(rotation, scale, (float(shift[0]), float(shift[1])))


@dataclass(frozen=True, eq=False)
class Sample:
    """One training example.

    Attributes:
        image: float32 (1, size, size), as `ai.preprocess.network_input` gives it.
        target: float32 (labels, size / 2, size / 2), share of each cell that belongs to the structure.
        known: bool (labels,); the targets of the others mean nothing.
        view: FRONTAL or LATERAL.
        told: bool (PLANES, size / 2, size / 2); targets elsewhere mean nothing. What lies beyond the picture
            is told.
        place: int64 (labels,): which of these planes holds for each structure.
        film: bool (size, size): where the image holds picture, not padding.
    """

    image: torch.Tensor
    target: torch.Tensor
    known: torch.Tensor
    view: int
    told: torch.Tensor
    place: torch.Tensor
    film: torch.Tensor

    @property
    def truths(self) -> torch.Tensor:
        """Bool (labels, size / 2, size / 2): where the target of each structure holds, if it is known."""
        return self.told[self.place]


def make_sample(
    source: Source,
    labels: Sequence[int],
    size: int,
    generator: np.random.Generator,
    look: Look | None = None,
    restyled: bool = True,
    histogram: npt.NDArray[np.float32] | None = None,
) -> Sample:
    """Return one look at a source.

    Args:
        source: A projection or a radiograph.
        labels: Structures wanted, indices into NAMES; of UNASKED nothing is told.
        size: Rows and columns of the image.
        generator: Draws the look, and the style.
        look: Instead of a drawn one.
        restyled: Whether the picture is shown as another machine would have shown it.
        histogram: Of a radiograph, whose grey values a projection shall have (`style.histogram_of`).
    """
    theta = (look or draw_look(generator)).theta()
    pixels, cells = _grid(theta, size), _grid(theta, size // OUTPUT_STRIDE)
    planes = _resampled(_planes(source, generator), pixels).numpy()
    inside = _resampled(source.film[None], pixels)[0].numpy() > 0.5
    image = planes[0] if source.is_real else radiographed(planes[0], planes[1], planes[2], generator)
    if histogram is not None and not source.is_real and inside.any():
        image = in_style(image, inside, histogram, generator)
    image = np.where(inside, restyle(image, generator) if restyled else image, 0).astype(np.float32)
    image[inside] = normalise(image[inside])
    row_of = {int(name): row for row, name in enumerate(source.known)}
    rows = [row_of.get(index, -1) for index in labels]
    known = torch.tensor([row >= 0 for row in rows], dtype=torch.bool)
    place = torch.from_numpy(source.place[list(labels)].astype(np.int64))
    coverage = source.coverage[[row for row in rows if row >= 0]]
    target = torch.zeros(len(labels), size // OUTPUT_STRIDE, size // OUTPUT_STRIDE)
    if len(coverage):
        target[known] = _resampled(coverage, cells) / 4
    told = _resampled(~source.told, cells) < TOLD_SHARE  # beyond the picture there is nothing: that is told
    film = torch.from_numpy(inside)
    return Sample(torch.from_numpy(image)[None], target, known, source.view, told, place, film)


def _planes(source: Source, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return float32 (n, 320, 320): a radiograph; of a projection water, bone and devices, mixed as drawn.

    Mixed before they are resampled, for both are sums: three planes in place of sixteen.
    """
    if source.is_real:
        return source.tissues.astype(np.float32)
    return np.stack(mix(source.tissues, draw_tissue_factors(generator)))


def _grid(theta: torch.Tensor, size: int) -> torch.Tensor:
    return torch.nn.functional.affine_grid(theta, [1, 1, size, size], align_corners=False)


def _resampled(stack: npt.NDArray[np.generic], grid: torch.Tensor) -> torch.Tensor:
    whole = torch.from_numpy(stack.astype(np.float32, copy=False))[None]
    return torch.nn.functional.grid_sample(whole, grid, align_corners=False)[0]


def read_sources(projections: Path, sets: Sequence[RadiographSet]) -> list[Source]:
    """Return everything to learn from: all projections in a folder, all radiographs of the sets.

    Raises:
        DatasetError: If the folder holds no projection, or one that is not ours.
        RadiographSetError: If a picture or a mask cannot be read.
    """
    files = projection_files(projections)
    if not files:
        raise DatasetError(f"{projections} holds no projection; make some with paxnode-train project")
    sources = [from_projection(read_projection(file)) for file in files]
    for images in sets:
        real = (from_radiograph(images, path) for path in images.images)
        sources += [source for source in real if source is not None]
    return sources


def supported_labels(sources: Sequence[Source], share: float = 0.03) -> list[int]:
    """Return indices into NAMES of the structures seen in `share` or more of the frontal projections.

    Counted over those that know the structure, which must be `LEAST_TOLD` of all at least. What too few
    examples show is not supported rather than guessed.
    """
    frontal = [s for s in sources if not s.is_real and s.view == FRONTAL]
    seen, asked = np.zeros(len(NAMES)), np.zeros(len(NAMES))
    for source in frontal:
        asked[source.known] += 1
        seen[source.known[source.coverage.any(axis=(1, 2))]] += 1
    enough = (seen > 0) & (seen >= share * asked) & (asked >= LEAST_TOLD * len(frontal))
    return [int(i) for i in np.flatnonzero(enough)]
