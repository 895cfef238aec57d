"""A segmenter that draws geometric shapes where anatomy usually lies: for tests of everything around it."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from ai.labels import LABELS
from ai.radiograph import Radiograph
from ai.segmentation import Mask, ModelIdentity, Segmentation
from ai.stated_view import check_stated_view

Field = npt.NDArray[np.bool_]

_LUNG_RADII = (0.15, 0.30)
_FIRST_VERTEBRA_Y, _VERTEBRA_PITCH = 0.16, 0.055


class StandInSegmenter:
    """Draws lungs, heart, vertebrae T1 to T10 and clavicles at fixed fractions of any image."""

    views = ("frontal",)
    model = ModelIdentity("stand-in", "1", hashlib.sha256(b"stand-in 1").hexdigest())

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        """Return one segmentation for each radiograph, in order.

        Raises:
            ai.errors.NotAChestError: If the stated view is lateral.
        """
        return [self._draw(radiograph) for radiograph in radiographs]

    def _draw(self, radiograph: Radiograph) -> Segmentation:
        check_stated_view(radiograph.view, self.views)
        shape = (radiograph.rows, radiograph.columns)
        shapes = dict(_shapes(*_unit_grid(shape)))
        drawn = {item.name: Mask.from_dense(shapes[item.name]) for item in LABELS if item.name in shapes}
        masks = {name: mask for name, mask in drawn.items() if mask is not None}
        unsupported = tuple(item.name for item in LABELS if item.name not in masks)
        return Segmentation(shape, masks, self.model, unsupported=unsupported, frontal_probability=1.0)


def _unit_grid(shape: tuple[int, int]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return x (1, columns) and y (rows, 1): fractions of width and height at the pixel centres."""
    rows, columns = shape
    return (np.arange(columns)[None, :] + 0.5) / columns, (np.arange(rows)[:, None] + 0.5) / rows


def _shapes(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Iterator[tuple[str, Field]]:
    heart = _ellipse(x, y, (0.55, 0.62), (0.15, 0.13))
    lungs = {
        "right": _ellipse(x, y, (0.29, 0.47), _LUNG_RADII),
        "left": _ellipse(x, y, (0.71, 0.47), _LUNG_RADII),
    }
    yield "heart", heart
    yield "lung", lungs["right"] | lungs["left"]
    for side, lung in lungs.items():
        yield f"{side} lung", lung
        yield f"visible lung {side}", lung & ~heart
    for index in range(10):
        centre = _FIRST_VERTEBRA_Y + _VERTEBRA_PITCH * index
        yield f"vertebrae T{index + 1}", (abs(x - 0.5) < 0.035) & (abs(y - centre) < 0.4 * _VERTEBRA_PITCH)
    slope = 0.12 * (x - 0.5)
    clavicle = abs(y - 0.17 + abs(slope)) < 0.012
    yield "clavicle right", clavicle & (x > 0.18) & (x < 0.46)
    yield "clavicle left", clavicle & (x > 0.54) & (x < 0.82)


def _ellipse(
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    centre: tuple[float, float],
    radii: tuple[float, float],
) -> Field:
    inside: Field = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1
    return inside
