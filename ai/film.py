"""A radiograph, and how it lies in the pixel grid that it came in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ai.measurement import Drawing, Measurement, Measurements, NotComputed
from ai.orientation import USUAL, Orientation
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation


@dataclass(frozen=True, eq=False)
class Film:
    """A radiograph with the way back to the pixels of the file or array that held it.

    Attributes:
        radiograph: Display values, patient's right on the left, head up, as far as that is known.
        orientation: How the stored grid lies.
    """

    radiograph: Radiograph
    orientation: Orientation = USUAL

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the stored grid, on which results lie."""
        rows, columns = self._usual_shape
        return (columns, rows) if self.orientation.transpose else (rows, columns)

    def stored_segmentation(self, segmentation: Segmentation) -> Segmentation:
        """Return a segmentation of the radiograph with its masks on the stored grid."""
        if self.orientation.is_usual:
            return segmentation
        lead, shape = self.orientation.mask_to_stored, self._usual_shape
        masks = {name: lead(mask, shape) for name, mask in segmentation.masks.items()}
        return replace(segmentation, shape=self.shape, masks=masks)

    def stored_measurements(self, measurements: Measurements) -> Measurements:
        """Return measurements of the radiograph with their drawings on the stored grid."""
        if self.orientation.is_usual:
            return measurements
        return replace(measurements, results=tuple(map(self._stored_result, measurements)))

    def _stored_result(self, result: Measurement | NotComputed) -> Measurement | NotComputed:
        if isinstance(result, NotComputed):
            return result
        return replace(result, drawings=tuple(self._stored_drawings(result.drawings)))

    def _stored_drawings(self, drawings: Iterable[Drawing]) -> Iterable[Drawing]:
        lead, shape = self.orientation.point_to_stored, self._usual_shape
        for drawing in drawings:
            yield replace(drawing, points=tuple(lead(point, shape) for point in drawing.points))

    @property
    def _usual_shape(self) -> tuple[int, int]:
        return self.radiograph.rows, self.radiograph.columns
