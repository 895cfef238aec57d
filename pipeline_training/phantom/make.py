"""The phantom put together."""

import numpy as np

from pipeline_training.completeness import VERTEBRAE
from pipeline_training.phantom.canvas import Canvas
from pipeline_training.phantom.frame import Frame
from pipeline_training.phantom.hounsfield import hounsfield
from pipeline_training.phantom.organs import (
    paint_abdomen,
    paint_airways,
    paint_body,
    paint_heart,
    paint_lungs,
    paint_vessels,
)
from pipeline_training.phantom.parameters import PhantomParameters
from pipeline_training.phantom.skeleton import paint_ribs, paint_shoulders, paint_spine, paint_sternum
from pipeline_training.volumes import LabelMap

OPTIONAL = frozenset({"breast_left", "breast_right", "humerus_left", "humerus_right", *VERTEBRAE})
"""Structures that a phantom may lack or not reach; then they are absent, not unknown."""


def make_phantom(parameters: PhantomParameters, spacing_mm: float = 1.5, case: str = "phantom") -> LabelMap:
    """Return a thorax with CT and labels, names as TotalSegmentator's; the same for the same parameters.

    Args:
        parameters: The body.
        spacing_mm: Edge length of a voxel; 3 is enough for ribs to stay in one piece.
        case: Name of the volume and its patient.
    """
    canvas, frame = Canvas(spacing_mm), Frame(parameters)
    for paint in (
        paint_body, paint_lungs, paint_abdomen, paint_airways, paint_spine, paint_ribs, paint_sternum,
        paint_shoulders, paint_heart, paint_vessels,
    ):  # fmt: skip
        paint(canvas, frame)
    back = float(frame.spine_y(frame.carina - 34)) - 38
    hila = np.array([[side * 42.0, back, frame.carina - 38] for side in (-1, 1)])
    hu = hounsfield(canvas, hila, np.random.default_rng(parameters.seed))
    names = {n: name for n, name in canvas.names.items() if (canvas.labels == n).any()}
    vocabulary = frozenset(names.values()) | OPTIONAL
    return LabelMap(case, canvas.labels, names, hu, spacing_mm, patient=case, vocabulary=vocabulary)
