"""Windows: Window Center, Window Width and VOI LUT Function (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""

from dataclasses import dataclass
from itertools import islice, zip_longest

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

from node.attributes import numbers, text
from node.limits import MAX_WINDOWS

Values = npt.NDArray[np.float32]

MIN_SHARE_INSIDE = 0.2
"""A window that leaves fewer of the pixels between black and white shows nothing."""

MIN_SPREAD = 0.02
"""A window in which the picture takes a smaller part of the grey scale shows nothing either."""


@dataclass(frozen=True)
class Window:
    """A window on modality values.

    Attributes:
        center: Window Center, in modality values.
        width: Window Width, above 0.
        function: LINEAR, LINEAR_EXACT or SIGMOID.
    """

    center: float
    width: float
    function: str = "LINEAR"

    def __str__(self) -> str:
        return f"center {self.center:g}, width {self.width:g}"

    def apply(self, values: Values) -> Values:
        """Return the display values in [0, 1].

        >>> Window(50, 101).apply(np.float32([-1, 49.5, 200])).tolist()
        [0.0, 0.5, 1.0]
        """
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (values - np.float32(self.center)) / np.float32(self.width), -60, 60)
            return np.asarray(1 / (1 + np.exp(exponent)), np.float32)
        low, high = self.edges
        scaled = values - np.float32(low)
        scaled /= np.float32(max(high - low, 1e-6))
        return np.clip(scaled, 0, 1, out=scaled)

    @property
    def edges(self) -> tuple[float, float]:
        """The values that become black and white; for SIGMOID those that nearly do."""
        if self.function == "LINEAR":
            return self.center - 0.5 - (self.width - 1) / 2, self.center - 0.5 + (self.width - 1) / 2
        half = self.width if self.function == "SIGMOID" else self.width / 2
        return self.center - half, self.center + half

    def shows(self, values: Values) -> bool:
        """Whether a picture with these values can be made out in this window."""
        if not values.size:
            return True
        low, high = self.edges
        inside = float(np.mean((values > low) & (values < high)))
        first, last = np.percentile(self.apply(values), [1, 99])
        return inside >= MIN_SHARE_INSIDE and float(last - first) >= MIN_SPREAD


def windows(dataset: Dataset) -> tuple[Window, ...]:
    """Return the stored windows in their order; malformed ones are left out."""
    function = text(dataset, "VOILUTFunction") or "LINEAR"
    if function not in {"LINEAR", "LINEAR_EXACT", "SIGMOID"}:
        function = "LINEAR"
    least = 1.0 if function == "LINEAR" else 0.0
    pairs = zip_longest(numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth"))
    return tuple(
        Window(center, width, function)
        for center, width in islice(pairs, MAX_WINDOWS)
        if center is not None and width is not None and width > least
    )
