"""measurements.json: what was measured on one radiograph, for programs that do not read DICOM.

Described in docs/measurements.md. Nothing in it names the patient; the SOP Instance UID leads to the source.
"""

from typing import Any

from ai.appearance import KINDS, TURNS, Appearance
from ai.measurement import Drawing, Finding, Measurement, Measurements, NotComputed
from ai.radiograph import PixelSpacing
from ai.segmentation import Segmentation
from node.reader import Source

SCHEMA = "paxnode-measurements-1"

Json = dict[str, Any]


def measurements_json(source: Source, segmentation: Segmentation, measurements: Measurements) -> Json:
    """Return the content of measurements.json; points and pixel spacing are those of the stored pixels.

    Args:
        source: The radiograph as it was understood.
        segmentation: What was found in it.
        measurements: What was measured.
    """
    model = segmentation.model
    return {
        "schema": SCHEMA,
        "source": _source_json(source),
        "model": {"id": model.id, "version": model.version, "sha256": model.sha256},
        "measurements": [_computed_json(result, source) for result in measurements.computed],
        "not_computed": [_not_computed_json(result) for result in measurements.not_computed],
        "findings": [_finding_json(finding) for finding in measurements.findings],
        "structures": {
            "found": [_found_json(name, segmentation) for name in segmentation.masks],
            "not_found": list(segmentation.empty),
            "not_supported": list(segmentation.unsupported),
        },
        "appearance": None if source.appearance is None else _appearance_json(source.appearance),
        "notes": [*source.radiograph.notes, *segmentation.repairs],
    }


def _found_json(name: str, segmentation: Segmentation) -> Json:
    found: Json = {"name": name, "pixels": segmentation.masks[name].area}
    if trust := segmentation.trust.get(name):
        found["trust"] = {"probability": round(trust.probability, 3), "dice": trust.bar}
    return found


def _appearance_json(appearance: Appearance) -> Json:
    """Return probabilities of what the picture looked like before anything was corrected."""
    return {
        "kind": dict(zip(map(str, KINDS), appearance.kinds, strict=True)),
        "turn": dict(zip(map(str, TURNS), appearance.turns, strict=True)),
        "mirrored": appearance.mirrored,
        "inverted": appearance.inverted,
    }


def _source_json(source: Source) -> Json:
    dataset, spacing = source.dataset, source.radiograph.spacing
    return {
        "sop_class_uid": str(dataset.get("SOPClassUID", "")),
        "sop_instance_uid": str(dataset.get("SOPInstanceUID", "")),
        "series_instance_uid": str(dataset.get("SeriesInstanceUID", "")),
        "study_instance_uid": str(dataset.get("StudyInstanceUID", "")),
        "rows": source.shape[0],
        "columns": source.shape[1],
        "view": str(source.radiograph.view),
        "pixel_spacing": None if spacing is None else _spacing_json(spacing, source),
    }


def _spacing_json(usual: PixelSpacing, source: Source) -> Json:
    stored = source.orientation.spacing_to_usual(usual)  # the two change places, or not: the same both ways
    return {
        "row_mm": stored.row_mm,
        "column_mm": stored.column_mm,
        "source": stored.source,
        "calibrated": stored.calibrated,
    }


def _computed_json(result: Measurement, source: Source) -> Json:
    return {
        "name": result.name,
        "value": result.value,
        "unit": str(result.unit),
        "structures": list(result.structures),
        "drawings": [_drawing_json(drawing, source) for drawing in result.drawings],
        "remarks": list(result.remarks),
    }


def _drawing_json(drawing: Drawing, source: Source) -> Json:
    points = [list(source.stored_point(point)) for point in drawing.points]
    return {"name": drawing.name, "points": points, "closed": drawing.closed}


def _finding_json(finding: Finding) -> Json:
    return {
        "name": finding.name,
        "holds": finding.holds,
        "reason": finding.reason,
        "structures": list(finding.structures),
    }


def _not_computed_json(result: NotComputed) -> Json:
    return {"name": result.name, "reason": result.reason, "structures": list(result.structures)}
