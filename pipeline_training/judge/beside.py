"""Projections that are no chest radiographs: the beam is aimed beside the lungs, at pelvis or shoulder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline_training.body import Body
from pipeline_training.errors import DatasetError
from pipeline_training.geometry import Pose
from pipeline_training.projections import (
    POSES_PER_BODY,
    ProjectOptions,
    agree_on_options,
    case_files,
    load_anatomy,
    numbered_body,
    write_projection,
)
from pipeline_training.projector import Projector
from pipeline_training.scanned import extend

BELOW_LUNGS_MM = (210.0, 320.0)
"""From the lungs' centre down to the abdomen; volumes are cut some 300 below it (`intake.thorax`)."""

BESIDE_LUNGS_MM = (140.0, 210.0)
"""From the lungs' centre to the shoulder and the upper arm."""

WIDE_FIELD_MM = (150.0, 240.0)
SHOULDER_FIELD_MM = (110.0, 190.0)
"""Of the detector: a shoulder's field ends before the mediastinum, an abdomen's holds the lowest recesses."""

SHOULDER_SHARE = 0.3


def draw_pose_beside(generator: np.random.Generator) -> Pose:
    """Return a pose whose picture holds no whole chest: from any side, of what lies below or beside it."""
    distance = float(generator.uniform(1000.0, 1500.0))
    is_shoulder = generator.random() < SHOULDER_SHARE
    azimuth = float(generator.choice([0.0, 0.0, 90.0, -90.0]))
    if is_shoulder:
        azimuth, field = 0.0, SHOULDER_FIELD_MM
        shift = (
            generator.choice([-1.0, 1.0]) * generator.uniform(*BESIDE_LUNGS_MM),
            generator.uniform(40, 160),
        )
    else:
        field = WIDE_FIELD_MM
        shift = (generator.normal(0, 40), -generator.uniform(*BELOW_LUNGS_MM))
    return Pose(
        source_to_detector_mm=distance,
        source_to_centre_mm=distance - float(generator.uniform(110.0, 230.0)),
        azimuth_deg=azimuth + float(generator.normal(0, 10)),
        tilt_deg=float(generator.normal(0, 5)),
        roll_deg=float(generator.normal(0, 6)),
        shift_mm=(float(shift[0]), float(shift[1])),
        field_mm=float(generator.uniform(*field)),
    )


def build_beside(options: ProjectOptions) -> Iterator[Path]:
    """Write the projections that are not there yet, yielding each file when it is complete.

    `options.lateral_share` must be 0: the sides are drawn here.

    Raises:
        pipeline_training.errors.VolumeError: If a case cannot be used.
        DatasetError: If the folder holds projections made with other options.
    """
    if options.lateral_share:
        raise DatasetError(f"what lies beside a chest has no lateral share, found {options.lateral_share}")
    agree_on_options(options)
    for case in options.cases:
        files = case_files(case.name, options)
        if all(file.exists() for file in files):
            continue
        anatomy, scanned = extend(load_anatomy(case, options.seed, options.spacing_mm))
        for first in range(0, len(files), POSES_PER_BODY):
            number = first // POSES_PER_BODY
            generator = np.random.default_rng([options.seed, number, *case.name.encode(), *b"beside"])
            body = numbered_body(anatomy, scanned, number, generator)
            yield from _write(body, files[first : first + POSES_PER_BODY], options.size, generator)


def _write(body: Body, files: Sequence[Path], size: int, generator: np.random.Generator) -> Iterator[Path]:
    poses = [draw_pose_beside(generator) for _ in files]
    for file, pose, projection in zip(
        files, poses, Projector(body.anatomy).project(poses, size), strict=True
    ):
        if not file.exists():
            write_projection(file, body, pose, projection)
            yield file
