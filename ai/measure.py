"""Everything that is measured on a frontal chest radiograph, in the order of the report."""

from collections.abc import Callable

from ai.measure_area import heart_area, left_lung_area, lung_area_ratio, right_lung_area
from ai.measure_heart import cardiothoracic_ratio, heart_width, thoracic_width
from ai.measure_spine import spine_angle, spine_centre_distance
from ai.measurement import Measurement, Measurements, NotComputed
from ai.radiograph import Radiograph
from ai.segmentation import Segmentation

Measure = Callable[[Radiograph, Segmentation], Measurement | NotComputed]

MEASURES: tuple[Measure, ...] = (
    cardiothoracic_ratio,
    heart_width,
    thoracic_width,
    spine_centre_distance,
    spine_angle,
    right_lung_area,
    left_lung_area,
    lung_area_ratio,
    heart_area,
)
"""One function for each; its docstring holds definition, unit and source."""


def measure(radiograph: Radiograph, segmentation: Segmentation) -> Measurements:
    """Return every measurement, or why it was not made."""
    return Measurements(tuple(function(radiograph, segmentation) for function in MEASURES))
