"""measurements.json: what was measured on one radiograph, for programs that do not read DICOM.

Described in docs/measurements.md. Nothing in it names the patient; the SOP Instance UID leads to the source.
"""

from typing import Any

from pydicom import Dataset

from ai.measurement import Measurement, Measurements, NotComputed
from ai.radiograph import PixelSpacing, Radiograph
from ai.segmentation import Segmentation

SCHEMA = "paxnode-measurements-1"

Json = dict[str, Any]


def measurements_json(
    source: Dataset, radiograph: Radiograph, segmentation: Segmentation, measurements: Measurements
) -> Json:
    """Return the content of measurements.json.

    Args:
        source: The radiograph's data set; only its UIDs are read.
        radiograph: The radiograph as it was understood.
        segmentation: What was found in it.
        measurements: What was measured.
    """
    model = segmentation.model
    return {
        "schema": SCHEMA,
        "source": _source_json(source, radiograph),
        "model": {"id": model.id, "version": model.version, "sha256": model.sha256},
        "measurements": [_computed_json(result) for result in measurements.computed],
        "not_computed": [_not_computed_json(result) for result in measurements.not_computed],
        "structures": {
            "found": [{"name": name, "pixels": mask.area} for name, mask in segmentation.masks.items()],
            "not_found": list(segmentation.empty),
            "not_supported": list(segmentation.unsupported),
        },
        "notes": [*radiograph.notes, *segmentation.repairs],
    }


def _source_json(source: Dataset, radiograph: Radiograph) -> Json:
    return {
        "sop_class_uid": str(source.get("SOPClassUID", "")),
        "sop_instance_uid": str(source.get("SOPInstanceUID", "")),
        "series_instance_uid": str(source.get("SeriesInstanceUID", "")),
        "study_instance_uid": str(source.get("StudyInstanceUID", "")),
        "rows": radiograph.rows,
        "columns": radiograph.columns,
        "view": str(radiograph.view),
        "pixel_spacing": _spacing_json(radiograph.spacing),
    }


def _spacing_json(spacing: PixelSpacing | None) -> Json | None:
    if spacing is None:
        return None
    return {
        "row_mm": spacing.row_mm,
        "column_mm": spacing.column_mm,
        "source": spacing.source,
        "calibrated": spacing.calibrated,
    }


def _computed_json(result: Measurement) -> Json:
    return {
        "name": result.name,
        "value": result.value,
        "unit": str(result.unit),
        "structures": list(result.structures),
        "drawings": [
            {
                "name": drawing.name,
                "points": [list(point) for point in drawing.points],
                "closed": drawing.closed,
            }
            for drawing in result.drawings
        ],
        "remarks": list(result.remarks),
    }


def _not_computed_json(result: NotComputed) -> Json:
    return {"name": result.name, "reason": result.reason, "structures": list(result.structures)}
