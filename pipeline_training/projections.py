"""The data set of projections on disk: one file for each, deterministic by seed, resumable.

A file holds what an image can be made of (the attenuation integral of each tissue group) and the masks of all
structures, so that every look at it is another radiograph.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ai.labels import LABELS
from pipeline_training.anatomy import TISSUES, Anatomy, Layer
from pipeline_training.deform import deform, draw_deformation
from pipeline_training.derive import derive
from pipeline_training.projector import Pose, Projection, project
from pipeline_training.targets import structure_lengths, structure_masks
from pipeline_training.volumes import load_label_map

NAMES = tuple(label.name for label in LABELS)
POSES_PER_BODY = 4
EXTENSION_MM = 75.0
"""Volumes are continued upwards and downwards by repeating the last slice: a radiograph does not end where a CT does."""


@dataclass(frozen=True)
class ProjectOptions:
    """What `paxnode-train project` makes.

    Attributes:
        cases: Folders with labels.nii.gz, labels.json and perhaps ct.nii.gz.
        out: Folder for the projections; what is there already is not made again.
        per_case: Projections for each case.
        size: Rows and columns.
        lateral_share: Share of lateral views, in [0, 1].
        seed: The whole data set is a function of it.
    """

    cases: Sequence[Path]
    out: Path
    per_case: int = 150
    size: int = 320
    lateral_share: float = 0.1
    seed: int = 1


def build_projections(options: ProjectOptions) -> Iterator[Path]:
    """Write the projections of every case, bodies in turn over cases, yielding each file when it is complete.

    Raises:
        pipeline_training.errors.VolumeError: If a case cannot be used.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    bodies = -(-options.per_case // POSES_PER_BODY)
    anatomies: dict[Path, Anatomy] = {}
    for body in range(bodies):
        for case in options.cases:
            files = [options.out / f"{case.name}_{body:04d}_{k}.npz" for k in range(POSES_PER_BODY)]
            if all(file.exists() for file in files):
                continue
            if case not in anatomies:
                anatomies[case] = load_anatomy(case, options.seed)
            yield from _project_body(anatomies[case], body, files, options)


def load_anatomy(case: Path, seed: int) -> Anatomy:
    """Return the case's anatomy, extended upwards and downwards."""
    return extend(derive(load_label_map(case), np.random.default_rng([seed, *case.name.encode()])))


def extend(anatomy: Anatomy) -> Anatomy:
    """Return the anatomy with its first and last slice's HU repeated over 75 mm; the new slices hold no structure."""
    slices = round(EXTENSION_MM / anatomy.spacing_mm)
    layers = []
    for layer in anatomy.layers:
        longer = Layer(anatomy.hu.shape)
        longer.structures, longer._count = dict(layer.structures), layer.count
        longer.parts = np.pad(layer.parts, ((slices, slices), (0, 0), (0, 0)))
        layers.append(longer)
    centre = (anatomy.centre[0] + slices, *anatomy.centre[1:])
    hu = np.pad(anatomy.hu, ((slices, slices), (0, 0), (0, 0)), mode="edge")
    return replace(anatomy, hu=hu, organs=layers[0], regions=tuple(layers[1:]), centre=centre)


def _project_body(anatomy: Anatomy, body: int, files: list[Path], options: ProjectOptions) -> Iterator[Path]:
    generator = np.random.default_rng([options.seed, body, *anatomy.case.encode()])
    deformed = deform(anatomy, draw_deformation(anatomy, generator)) if body else anatomy
    for file in files:
        pose = draw_pose(generator, options.lateral_share)
        write_projection(file, deformed, pose, project(deformed, pose, options.size))
        yield file


def draw_pose(generator: np.random.Generator, lateral_share: float) -> Pose:
    """Return a clinical pose: upright PA, bedside AP or lateral, each somewhat off."""
    lateral, bedside = generator.random() < lateral_share, generator.random() < 0.35
    distance = generator.uniform(900, 1300) if bedside and not lateral else generator.uniform(1500, 1950)
    base = float(generator.choice([90.0, -90.0])) if lateral else (180.0 if bedside else 0.0)
    return Pose(
        source_to_detector_mm=distance,
        source_to_centre_mm=distance - generator.uniform(110, 230),
        azimuth_deg=base + generator.normal(0, 6),
        tilt_deg=generator.normal(0, 6 if bedside else 4),
        roll_deg=generator.normal(0, 5),
        shift_mm=(generator.normal(0, 18), generator.normal(-5, 20)),
        field_mm=generator.uniform(290, 450),
        mirrored=bedside and not lateral,
    )


def write_projection(file: Path, anatomy: Anatomy, pose: Pose, projection: Projection) -> None:
    """Write one projection; the file appears under its name only when it is complete."""
    masks = structure_masks(structure_lengths(anatomy, projection))
    stack = np.zeros((len(NAMES), *projection.attenuation.shape[1:]), np.bool_)
    for i, name in enumerate(NAMES):
        if name in masks:
            stack[i] = masks[name]
    tissues = np.stack(
        [projection.attenuation[anatomy.tissue_of_part == k].sum(axis=0) for k in range(len(TISSUES))]
    )
    described = {"case": anatomy.case, "lateral": abs(abs(pose.azimuth_deg) - 90) < 45, "pose": asdict(pose)}
    torn = file.with_suffix(".part.npz")
    np.savez_compressed(
        torn,
        tissues=tissues.astype(np.float16),
        masks=np.packbits(stack.reshape(len(NAMES), -1), axis=1),
        known=np.array([name in masks for name in NAMES]),
        described=json.dumps(described),
    )
    torn.rename(file)


@dataclass(frozen=True, eq=False)
class StoredProjection:
    """One file: tissues float16 (len(TISSUES), size, size), masks packed by structure, which of them are known."""

    case: str
    lateral: bool
    tissues: npt.NDArray[np.float16]
    packed_masks: npt.NDArray[np.uint8]
    known: npt.NDArray[np.bool_]

    @property
    def size(self) -> int:
        """Rows and columns."""
        return int(self.tissues.shape[1])

    def masks(self) -> npt.NDArray[np.bool_]:
        """Return bool (labels, size, size)."""
        bits = np.unpackbits(self.packed_masks, axis=1, count=self.size**2)
        return bits.reshape(len(NAMES), self.size, self.size).view(np.bool_)


def read_projection(file: Path) -> StoredProjection:
    """Return a stored projection."""
    with np.load(file) as stored:
        described = json.loads(str(stored["described"]))
        return StoredProjection(
            described["case"], described["lateral"], stored["tissues"], stored["masks"], stored["known"]
        )


def use_threads(count: int) -> None:
    """Bound torch's threads in this process."""
    torch.set_num_threads(count)
