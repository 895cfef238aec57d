"""Radiographs as they should not be: to learn, and to test, whether a model knows when it fails."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from pipeline_training.dataset import Look, Sample, Source, make_sample

Image = npt.NDArray[np.float32]
WHOLE = Look(0.0, (1.0, 1.0), (0.0, 0.0))


def _blurred(image: Image, generator: np.random.Generator) -> Image:
    return np.asarray(ndimage.gaussian_filter(image, generator.uniform(0.008, 0.02) * len(image)), np.float32)


def _noisy(image: Image, generator: np.random.Generator) -> Image:
    return image + generator.normal(0, generator.uniform(0.1, 0.3), image.shape).astype(np.float32)


def _occluded(image: Image, generator: np.random.Generator) -> Image:
    """Cover a rectangle, a quarter to a half of each side, with one grey."""
    size = len(image)
    height, width = (generator.uniform(0.25, 0.5, 2) * size).astype(int)
    top, left = (int(generator.integers(size - side)) for side in (height, width))
    covered = image.copy()
    covered[top : top + height, left : left + width] = generator.random()
    return covered


def _inverted(image: Image, generator: np.random.Generator) -> Image:
    del generator
    return 1 - image


def _same(image: Image, generator: np.random.Generator) -> Image:
    del generator
    return image


def _turned(generator: np.random.Generator) -> Look:
    return replace(WHOLE, rotation_deg=float(generator.choice([-1, 1]) * generator.uniform(20, 60)))


def _cropped(generator: np.random.Generator) -> Look:
    zoom = float(generator.uniform(0.4, 0.65))
    x, y = generator.uniform(-0.4, 0.4, 2)
    return Look(0.0, (zoom, zoom), (float(x), float(y)))


def _whole(generator: np.random.Generator) -> Look:
    del generator
    return WHOLE


SPOILERS: Mapping[
    str, tuple[Callable[[np.random.Generator], Look], Callable[[Image, np.random.Generator], Image]]
] = MappingProxyType(
    {
        "blur": (_whole, _blurred),
        "noise": (_whole, _noisy),
        "crop": (_cropped, _same),
        "rotation": (_turned, _same),
        "occlusion": (_whole, _occluded),
        "inversion": (_whole, _inverted),
    }
)
"""How a film may be spoilt: the look at it, and what is done to the picture."""


def spoilt(
    source: Source, how: str, labels: Sequence[int], size: int, generator: np.random.Generator
) -> Sample:
    """Return a look at a source that is spoilt in one of SPOILERS, or, with "", shown as it is."""
    look, effect = SPOILERS[how] if how else (_whole, _same)
    sample = make_sample(source, labels, size, generator, look(generator), restyled=False)
    image = np.clip(effect(sample.image[0].numpy(), generator), 0, 1).astype(np.float32)
    image[~sample.film.numpy()] = 0
    return replace(sample, image=sample.image.new_tensor(image)[None])
