"""The pictures that a judge learns from: all upright, not mirrored, bone bright.

Every picture fills its square and says how wide it is for its height, so that it can be laid on the network's
grid as any other picture is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ai.appearance import KINDS, Kind
from ai.preprocess import normalise
from pipeline_training.augment import FloatImage, compose, line
from pipeline_training.errors import DatasetError
from pipeline_training.film_marks import collimated, draw_collimation, draw_letters, mark
from pipeline_training.judge.drawn import draw_other
from pipeline_training.projections import projection_files, read_projection
from pipeline_training.radiograph_folders import RadiographSet, read_radiograph

STORED = 192
"""Rows and columns at which pictures are kept."""

CROP_SHARE = (0.15, 0.36)
"""Side of a crop that is no chest any more, as a share of the picture: a shoulder, a piece of lung."""

BAND_SHARE = 0.3
BAND_WIDTH = (0.6, 1.0)
"""Of the crops that are bands, and how wide these are."""

CROPS = 3
"""Of each real radiograph; of each projection there is one."""

LETTERS_SHARE, COLLIMATED_SHARE, LINE_SHARE = 0.3, 0.25, 0.2
"""Of the composed and drawn pictures; real ones bring their own."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture to learn from.

    Attributes:
        pixels: uint8 (STORED, STORED).
        aspect: Width for height of the picture that was squeezed into the square.
        kind: What it shows.
        is_real: Whether it is of a radiograph.
        patient: The unit that is held back for validation; "" of what is drawn.
    """

    pixels: npt.NDArray[np.uint8]
    aspect: float
    kind: Kind
    is_real: bool
    patient: str

    @property
    def kind_index(self) -> int:
        """Place of the kind among the judge's logits."""
        return KINDS.index(self.kind)


@dataclass(frozen=True)
class PoolOptions:
    """What the pool is made of.

    Attributes:
        projections: Folders of projections of chests, frontal and lateral.
        beside: Folders of projections that are no chests (`paxnode-train project-beside`).
        radiographs: Sets of real frontal radiographs.
        drawn: Number of drawn pictures.
        frontal_looks: Pictures composed of each frontal projection.
        lateral_looks: Of each lateral one, and of each that is no chest.
        seed: Draws everything.
    """

    projections: Sequence[Path]
    beside: Sequence[Path] = ()
    radiographs: Sequence[RadiographSet] = ()
    drawn: int = 1800
    frontal_looks: int = 3
    lateral_looks: int = 5
    seed: int = 1


def read_pool(options: PoolOptions) -> list[Picture]:
    """Return every picture to learn from.

    Raises:
        DatasetError: If there is no frontal or no lateral picture, or a projection cannot be read.
        RadiographSetError: If a radiograph cannot be read.
    """
    generator = np.random.default_rng(options.seed)
    pool: list[Picture] = []
    for folder in options.projections:
        for file in projection_files(folder):
            pool += _composed(file, options, generator, is_chest=True)
    for folder in options.beside:
        for file in projection_files(folder):
            pool += _composed(file, options, generator, is_chest=False)
    for images in options.radiographs:
        for path in images.images:
            pool += _real(path, images.patient_of(path), generator)
    pool += (_drawn(generator) for _ in range(options.drawn))
    if missing := [kind for kind in (Kind.FRONTAL, Kind.LATERAL) if all(p.kind != kind for p in pool)]:
        raise DatasetError(f"a judge needs pictures of every kind, and none is {missing[0]}")
    return pool


def _composed(
    file: Path, options: PoolOptions, generator: np.random.Generator, is_chest: bool
) -> Iterator[Picture]:
    """Yield looks at a projection, and a crop of the last one."""
    stored = read_projection(file)
    chest = Kind.LATERAL if stored.lateral else Kind.FRONTAL
    kind = chest if is_chest else Kind.OTHER
    planes = stored.tissues.astype(np.float32)
    image = np.zeros(planes.shape[1:], np.float32)
    for _ in range(options.frontal_looks if kind is Kind.FRONTAL else options.lateral_looks):
        with np.errstate(over="ignore"):  # a sigmoid over a picture that is air for the most part
            image = normalise(compose(planes, generator))
        yield _picture(_marked(image, generator), kind, is_real=False, patient=stored.patient)
    if is_chest:
        yield _picture(cropped(image, generator), Kind.OTHER, is_real=False, patient=stored.patient)


def _real(path: Path, patient: str, generator: np.random.Generator) -> Iterator[Picture]:
    pixels = normalise(read_radiograph(path).pixels)
    yield _picture(pixels, Kind.FRONTAL, is_real=True, patient=patient)
    for _ in range(CROPS):
        yield _picture(cropped(pixels, generator), Kind.OTHER, is_real=True, patient=patient)


def _drawn(generator: np.random.Generator) -> Picture:
    image = _marked(draw_other(STORED, generator), generator)
    return _picture(image, Kind.OTHER, is_real=False, patient="")


def cropped(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    """Return a piece of the image (rows, columns), too small to be a chest, at any place.

    Some are bands across the picture: neck and shoulders, lung bases, upper abdomen.
    """
    shares = generator.uniform(*CROP_SHARE, 2)
    if generator.random() < BAND_SHARE:
        shares[1] = generator.uniform(*BAND_WIDTH)
    rows, columns = (max(8, round(share * side)) for share, side in zip(shares, image.shape, strict=True))
    top = int(generator.integers(image.shape[0] - rows + 1))
    left = int(generator.integers(image.shape[1] - columns + 1))
    return normalise(image[top : top + rows, left : left + columns])


def _marked(image: FloatImage, generator: np.random.Generator) -> FloatImage:
    if generator.random() < LINE_SHARE:
        image = line(image, generator)
    if generator.random() < LETTERS_SHARE:
        image = mark(image, draw_letters(generator))
    if generator.random() < COLLIMATED_SHARE:
        image = collimated(image, draw_collimation(generator))
    return np.clip(image, 0, 1)


def _picture(image: FloatImage, kind: Kind, is_real: bool, patient: str) -> Picture:
    """Return the image squeezed into its square."""
    whole = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8))
    squeezed = whole.resize((STORED, STORED), Image.Resampling.BOX if image.shape[0] > STORED else None)
    return Picture(np.asarray(squeezed), image.shape[1] / image.shape[0], kind, is_real, patient)
