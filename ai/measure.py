"""Everything that is measured on a frontal chest radiograph, in the order of the report."""

from collections.abc import Callable

from ai.availability import trusted_part
from ai.field import field_findings
from ai.measure_airway import carinal_angle, tracheal_deviation
from ai.measure_area import heart_area, left_lung_area, lung_area_ratio, right_lung_area
from ai.measure_diaphragm import dome_difference, relative_dome_difference
from ai.measure_heart import cardiothoracic_ratio, heart_width, thoracic_width
from ai.measure_lung_height import left_lung_height, lung_height_ratio, right_lung_height
from ai.measure_mediastinum import aortic_arch_width, mediastinal_ratio, mediastinal_width
from ai.measure_position import anterior_ribs, clavicle_asymmetry, posterior_ribs
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
    right_lung_height,
    left_lung_height,
    lung_height_ratio,
    dome_difference,
    relative_dome_difference,
    mediastinal_width,
    mediastinal_ratio,
    aortic_arch_width,
    carinal_angle,
    tracheal_deviation,
    posterior_ribs,
    anterior_ribs,
    clavicle_asymmetry,
)
"""One function for each; its docstring holds definition, unit and source."""


def measure(radiograph: Radiograph, segmentation: Segmentation) -> Measurements:
    """Return every measurement, or why it was not made, and what the picture shows.

    Masks that are not trusted are not seen by any of them.
    """
    trusted = trusted_part(segmentation)
    results = tuple(function(radiograph, trusted) for function in MEASURES)
    return Measurements(results, field_findings(radiograph, trusted))
