"""Pictures that are no radiographs at all: what a judge must not take for a chest."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from pipeline_training.judge.limbs import draw_limb

FloatImage = npt.NDArray[np.float32]

LIMB_SHARE = 0.7
"""Of the drawn pictures: limbs are what is sent by mistake; noise and test patterns are rare."""

WORDS = ("PATIENT", "EXPOSURE", "DOSE REPORT", "kVp 120", "mAs 2.5", "THORAX", "ERROR", "PAGE 1", "CHEST PA")


def draw_other(size: int, generator: np.random.Generator) -> FloatImage:
    """Return a drawn picture (size, size) in [0, 1] of a limb or of nothing that an X-ray tube made."""
    if generator.random() < LIMB_SHARE:
        return draw_limb(size, generator)
    ways: tuple[Callable[[int, np.random.Generator], FloatImage], ...] = (
        _clouds, _clouds, _gradient, _checkers, _text, _ellipses, _ellipses,
    )  # fmt: skip
    return ways[int(generator.integers(len(ways)))](size, generator)


def _clouds(size: int, generator: np.random.Generator) -> FloatImage:
    """Noise of one scale or of several, from white to wide."""
    picture = np.zeros((size, size))
    for _ in range(int(generator.integers(1, 4))):
        sigma = float(np.exp(generator.uniform(np.log(0.3), np.log(size / 5))))
        noise = ndimage.gaussian_filter(generator.normal(size=(size, size)), sigma, mode="wrap")
        picture += generator.uniform(0.3, 1) * noise / max(float(noise.std()), 1e-9)
    return _scaled(picture)


def _gradient(size: int, generator: np.random.Generator) -> FloatImage:
    """Nearly one value: a ramp in any direction, with little noise."""
    rows, columns = np.mgrid[:size, :size] / size
    angle = generator.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * rows + np.sin(angle) * columns
    grain = generator.normal(0, generator.uniform(0.001, 0.1), (size, size))
    return _scaled(generator.uniform(0, 1) * ramp + grain)


def _checkers(size: int, generator: np.random.Generator) -> FloatImage:
    """Squares or stripes."""
    pitch = generator.integers(3, size // 3, 2)
    rows, columns = np.mgrid[:size, :size]
    across = columns // pitch[0] if generator.random() < 0.7 else 0
    return np.asarray(((rows // pitch[1] + across) % 2) * generator.uniform(0.4, 1), np.float32)


def _text(size: int, generator: np.random.Generator) -> FloatImage:
    """An empty frame with words on it."""
    picture = Image.new("L", (size, size), int(generator.integers(0, 60)))
    pen = ImageDraw.Draw(picture)
    for _ in range(int(generator.integers(1, 14))):
        font = ImageFont.load_default(size=float(generator.uniform(0.04, 0.15) * size))
        at = tuple(generator.uniform(0, 0.85, 2) * size)
        pen.text(
            (at[0], at[1]), str(generator.choice(WORDS)), fill=int(generator.integers(120, 256)), font=font
        )
    return np.asarray(picture, np.float32) / np.float32(255)


def _ellipses(size: int, generator: np.random.Generator) -> FloatImage:
    """Bright and dark ellipses anywhere."""
    rows, columns = np.mgrid[:size, :size] / size
    picture = np.full((size, size), generator.uniform(0, 0.6))
    for _ in range(int(generator.integers(1, 9))):
        x, y = generator.uniform(0, 1, 2)
        wide, high = generator.uniform(0.04, 0.4, 2)
        inside = np.clip(1 - ((columns - x) / wide) ** 2 - ((rows - y) / high) ** 2, 0, 1)
        picture += generator.uniform(-1, 1) * inside ** generator.uniform(0.1, 1)
    return _scaled(picture)


def _scaled(picture: npt.NDArray[np.floating]) -> FloatImage:
    low, high = float(picture.min()), float(picture.max())
    return np.asarray((picture - low) / max(high - low, 1e-6), np.float32)
