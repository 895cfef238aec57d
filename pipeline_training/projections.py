"""The data set of projections on disk: one file for each, deterministic by seed, resumable.

A file holds what an image can be made of (the attenuation integral of each tissue group) and the masks of all
structures, so that every look at it is another radiograph.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.labels import LABELS, labels_digest
from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.deform import deform, draw_deformation
from pipeline_training.derive import derive
from pipeline_training.errors import DatasetError
from pipeline_training.projector import Pose, Projection, project
from pipeline_training.targets import structure_lengths, structure_masks
from pipeline_training.volumes import load_label_map

NAMES = tuple(label.name for label in LABELS)
POSES_PER_BODY = 4
EXTENSION_MM = 75.0
"""Volumes go on upwards and downwards with their last slice: a radiograph does not end where a CT does."""

OPTIONS_FILE = "options.json"
BEDSIDE_SHARE = 0.35
"""Share of frontal views taken in bed, from in front and from near."""


@dataclass(frozen=True)
class ProjectOptions:
    """What `paxnode-train project` makes.

    Attributes:
        cases: Folders with labels.nii.gz, labels.json and perhaps ct.nii.gz; their names tell patients apart.
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

    def __post_init__(self) -> None:
        names = [case.name for case in self.cases]
        if twice := [name for name in names if names.count(name) > 1]:
            raise DatasetError(f"two cases are called {twice[0]}; folders are named after patients")


def build_projections(options: ProjectOptions) -> Iterator[Path]:
    """Write the projections that are not there yet, case after case, yielding each file when it is complete.

    Raises:
        pipeline_training.errors.VolumeError: If a case cannot be used.
        DatasetError: If the folder holds projections made with another size, seed or share of lateral views.
    """
    options.out.mkdir(parents=True, exist_ok=True)
    _agree_on_options(options)
    for case in options.cases:
        bodies = _missing(case.name, options)
        anatomy = load_anatomy(case, options.seed) if bodies else None
        for body, files in bodies.items():
            if anatomy is not None:
                yield from _project_body(anatomy, body, files, options)


def _agree_on_options(options: ProjectOptions) -> None:
    """Write what the folder's projections depend on, or compare it with what an earlier run wrote."""
    ours = {"size": options.size, "seed": options.seed, "lateral_share": options.lateral_share}
    path = options.out / OPTIONS_FILE
    if not path.exists():
        path.write_text(json.dumps(ours), encoding="utf-8")
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise DatasetError(f"{options.out} was made with {key} {theirs.get(key)}, not {value}")


def _missing(case: str, options: ProjectOptions) -> dict[int, list[Path]]:
    """Return the files of each body of which at least one is not there."""
    bodies: dict[int, list[Path]] = {}
    for index in range(options.per_case):
        body, pose = divmod(index, POSES_PER_BODY)
        bodies.setdefault(body, []).append(options.out / f"{case}_{body:04d}_{pose}.npz")
    return {body: files for body, files in bodies.items() if not all(file.exists() for file in files)}


def load_anatomy(case: Path, seed: int) -> Anatomy:
    """Return the case's anatomy, extended upwards and downwards."""
    return extend(derive(load_label_map(case), np.random.default_rng([seed, *case.name.encode()])))


def extend(anatomy: Anatomy) -> Anatomy:
    """Return the anatomy with its end slices' HU repeated over 75 mm; the new slices hold no structure."""
    slices = round(EXTENSION_MM / anatomy.spacing_mm)
    margins = ((slices, slices), (0, 0), (0, 0))
    z, y, x = anatomy.centre

    def longer(layer: Layer) -> Layer:
        return layer.with_parts(np.pad(layer.parts, margins))

    return replace(
        anatomy,
        hu=np.pad(anatomy.hu, margins, mode="edge"),
        organs=longer(anatomy.organs),
        regions=tuple(longer(layer) for layer in anatomy.regions),
        centre=(z + slices, y, x),
    )


def _project_body(
    anatomy: Anatomy, body: int, files: Sequence[Path], options: ProjectOptions
) -> Iterator[Path]:
    """Project a body from several poses; body 0 is the scanned one. Poses of existing files are drawn too."""
    generator = np.random.default_rng([options.seed, body, *anatomy.case.encode()])
    deformed = deform(anatomy, draw_deformation(anatomy, generator)) if body else anatomy
    for file in files:
        pose = draw_pose(generator, options.lateral_share)
        if not file.exists():
            write_projection(file, deformed, pose, project(deformed, pose, options.size))
            yield file


def draw_pose(generator: np.random.Generator, lateral_share: float) -> Pose:
    """Return a clinical pose: upright PA, bedside AP or lateral, each somewhat off."""
    lateral, bedside = generator.random() < lateral_share, generator.random() < BEDSIDE_SHARE
    distance = generator.uniform(900, 1300) if bedside and not lateral else generator.uniform(1500, 1950)
    base = float(generator.choice([90.0, -90.0])) if lateral else (180.0 if bedside else 0.0)
    behind_lungs = generator.uniform(200, 320) if lateral else generator.uniform(110, 230)
    return Pose(
        source_to_detector_mm=distance,
        source_to_centre_mm=distance - behind_lungs,
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
    tissues = projection.attenuation
    described = {
        "case": anatomy.case,
        "lateral": abs(abs(pose.azimuth_deg) - 90) < 45,
        "pose": asdict(pose),
        "labels_digest": labels_digest(),
    }
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
    """One projection as it lies on disk.

    Attributes:
        case: The patient.
        lateral: Whether it is a lateral view.
        tissues: float16 (len(TISSUES), size, size), attenuation integrals.
        packed_masks: uint8 (labels, size * size / 8), in the order of NAMES.
        known: bool (labels,): whether the case tells the structure at all.
    """

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
    """Return a stored projection.

    Raises:
        DatasetError: If it cannot be read or was made for another table of structures.
    """
    try:
        with np.load(file) as stored:
            described = json.loads(str(stored["described"]))
            found = StoredProjection(
                described["case"], described["lateral"], stored["tissues"], stored["masks"], stored["known"]
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as exc:
        raise DatasetError(f"{file} is not a projection: {exc}") from exc
    if described.get("labels_digest", labels_digest()) != labels_digest() or len(found.known) != len(NAMES):
        raise DatasetError(f"{file} was made for another table of structures; project again")
    return found


def projection_files(folder: Path) -> list[Path]:
    """Return the complete projections in a folder, sorted; what a killed run left is not among them."""
    return sorted(file for file in folder.glob("*.npz") if not file.name.endswith(".part.npz"))
