"""The data set of projections on disk: a folder for each case, a file for each projection, a manifest.

A file holds what an image can be made of (paths in water and bone for each tissue group, the devices) and the
masks of all structures, so that every look at it is another radiograph. The data set is a function of its
options, to the byte.
"""

import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.labels import LABELS, labels_digest
from pipeline_training.anatomy import TISSUES, Anatomy
from pipeline_training.body import Body, as_scanned, draw_body
from pipeline_training.channels import BONY, MM_PER_UNIT
from pipeline_training.derive import derive
from pipeline_training.devices import project_devices
from pipeline_training.errors import DatasetError, VolumeError
from pipeline_training.geometry import Pose
from pipeline_training.intake.case import load_case
from pipeline_training.manifest import Entry, entry_of, write_manifest
from pipeline_training.origin import check_origin
from pipeline_training.poses import draw_pose, is_lateral, lean_of
from pipeline_training.projector import Projection, Projector
from pipeline_training.scanned import Scanned, extend
from pipeline_training.targets import structure_lengths, structure_masks
from pipeline_training.told import PLANES, THROUGH, told
from pipeline_training.volumes import WORKING_SPACING_MM, LabelMap

NAMES = tuple(label.name for label in LABELS)
POSES_PER_BODY = 4

OPTIONS_FILE = "options.json"
LAYOUT = 4
"""Of the folder and its files; raised when either changes."""


@dataclass(frozen=True)
class ProjectOptions:
    """What `paxnode-train project` makes.

    Attributes:
        cases: Folders with labels.nii.gz, labels.json and perhaps ct.nii.gz; their names tell cases apart.
        out: Folder for the projections; what is there already is not made again.
        per_case: Projections for each case.
        size: Rows and columns.
        lateral_share: Share of lateral views, in [0, 1].
        seed: The whole data set is a function of it.
        spacing_mm: Of the voxels that volumes are brought to; coarser ones are projected faster.
    """

    cases: Sequence[Path]
    out: Path
    per_case: int = 150
    size: int = 320
    lateral_share: float = 0.1
    seed: int = 1
    spacing_mm: float = WORKING_SPACING_MM

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
    agree_on_options(options)
    for case in options.cases:
        yield from _build_case(case, options)


def project_case(case: Path, options: ProjectOptions) -> tuple[Entry, ...]:
    """Make what is missing of one case and return what its manifest says of all its projections.

    Cases have nothing in common but the options: any number of processes may work on different ones.

    Raises:
        pipeline_training.errors.VolumeError: If the case cannot be used.
        DatasetError: If the folder holds projections made with another size, seed or share of lateral views.
    """
    agree_on_options(options)
    for _ in _build_case(case, options):
        pass
    return tuple(entry_of(file, options.out) for file in case_files(case.name, options))


def agree_on_options(options: ProjectOptions) -> None:
    """Write what the folder's projections depend on, or compare it with what an earlier run wrote.

    Raises:
        DatasetError: If they differ.
    """
    ours = {
        "layout": LAYOUT,
        "size": options.size,
        "seed": options.seed,
        "lateral_share": options.lateral_share,
        "spacing_mm": options.spacing_mm,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / OPTIONS_FILE
    if not path.exists():
        path.write_text(json.dumps(ours), encoding="utf-8")
        return
    theirs = json.loads(path.read_text(encoding="utf-8"))
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise DatasetError(f"{options.out} was made with {key} {theirs.get(key)}, not {value}")


def case_files(case: str, options: ProjectOptions) -> list[Path]:
    """Return the files of a case, whether they are there or not, in order."""
    numbers = (divmod(index, POSES_PER_BODY) for index in range(options.per_case))
    return [options.out / case / f"{body:04d}_{pose}.npz" for body, pose in numbers]


def _build_case(case: Path, options: ProjectOptions) -> Iterator[Path]:
    """Write a case's missing files body by body, then its manifest."""
    files = case_files(case.name, options)
    check_origin(options.out / case.name, case)
    if not all(file.exists() for file in files):
        anatomy, scanned = extend(load_anatomy(case, options.seed, options.spacing_mm))
        for body in range(0, len(files), POSES_PER_BODY):
            wanted = files[body : body + POSES_PER_BODY]
            if not all(file.exists() for file in wanted):
                yield from _project_body(anatomy, scanned, wanted, options)
    write_manifest(options.out / case.name, [entry_of(file, options.out) for file in files])


def load_anatomy(case: Path, seed: int, spacing_mm: float = WORKING_SPACING_MM) -> Anatomy:
    """Return the case's anatomy.

    Raises:
        pipeline_training.errors.VolumeError: If the case cannot be used.
    """
    volume = load_case(case, spacing_mm=spacing_mm)
    if not isinstance(volume, LabelMap):
        raise VolumeError(f"{case.name}: a CT without labels: label it first (paxnode-train label)")
    return derive(volume, np.random.default_rng([seed, *case.name.encode()]))


def _project_body(
    anatomy: Anatomy, scanned: Scanned, files: Sequence[Path], options: ProjectOptions
) -> Iterator[Path]:
    """Project a body from several poses; those of files that exist are drawn, too."""
    number = int(files[0].stem.split("_")[0])
    generator = np.random.default_rng([options.seed, number, *anatomy.case.encode()])
    body = numbered_body(anatomy, scanned, number, generator)
    lean = lean_of(body.anatomy)
    poses = {file: draw_pose(generator, options.lateral_share, lean) for file in files}
    projector = Projector(body.anatomy)
    for file in files:
        if not file.exists():
            (projection,) = projector.project([poses[file]], options.size)
            write_projection(file, body, poses[file], projection)
            yield file


def numbered_body(anatomy: Anatomy, scanned: Scanned, number: int, generator: np.random.Generator) -> Body:
    """Return a body of a case: number 0 is the scanned one, the others are drawn."""
    return draw_body(anatomy, scanned, generator) if number else as_scanned(anatomy, scanned)


@dataclass(frozen=True, eq=False)
class StoredProjection:
    """One projection as it lies on disk.

    Attributes:
        case: The volume.
        lateral: Whether it is a lateral view.
        tissues: float16 (len(CHANNELS), size, size).
        packed_masks: uint8 (labels, size * size / 8), in the order of NAMES.
        known: bool (labels,): whether the case tells of the structure at all, be it there or absent.
        patient: The unit that data are split by.
        told: bool (PLANES, size, size): where `known` holds; elsewhere the ray leaves what was scanned, and
            nothing is known of a structure that the masks do not show.
        place: uint8 (labels,): which of these planes holds for each structure.
    """

    case: str
    lateral: bool
    tissues: npt.NDArray[np.float16]
    packed_masks: npt.NDArray[np.uint8]
    known: npt.NDArray[np.bool_]
    patient: str
    told: npt.NDArray[np.bool_]
    place: npt.NDArray[np.uint8]

    @property
    def size(self) -> int:
        """Rows and columns."""
        return int(self.tissues.shape[1])

    def masks(self) -> npt.NDArray[np.bool_]:
        """Return bool (labels, size, size)."""
        return _planes(self.packed_masks, self.size)


def _planes(packed: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.bool_]:
    """Return packed bits (n, size * size / 8) as bool (n, size, size)."""
    return np.unpackbits(packed, axis=1, count=size**2).reshape(len(packed), size, size).view(np.bool_)


def stored(body: Body, pose: Pose, projection: Projection) -> StoredProjection:
    """Return what is kept of a projection."""
    size = projection.water_mm.shape[1]
    masks = structure_masks(structure_lengths(body.anatomy, projection))
    where = told(body.anatomy, body.scanned, pose, size)
    stack = np.zeros((len(NAMES), size, size), np.bool_)
    for i, name in enumerate(NAMES):
        if name in masks:
            stack[i] = masks[name]
    return StoredProjection(
        case=body.anatomy.case,
        lateral=is_lateral(pose),
        tissues=_channels(body, pose, projection),
        packed_masks=np.packbits(stack.reshape(len(NAMES), -1), axis=1),
        known=np.array([name in masks or name in body.anatomy.absent for name in NAMES]),
        patient=body.anatomy.patient or body.anatomy.case,
        told=where.planes,
        place=np.array([where.place.get(name, THROUGH) for name in NAMES], np.uint8),
    )


def _channels(body: Body, pose: Pose, projection: Projection) -> npt.NDArray[np.float16]:
    """Return the planes of CHANNELS."""
    bony = [TISSUES.index(tissue) for tissue in BONY]
    other = [k for k in range(len(TISSUES)) if k not in bony]
    devices = project_devices(body.devices, pose, projection.water_mm.shape[1])
    planes = (
        projection.water_mm / MM_PER_UNIT,
        projection.bone_mm[bony] / MM_PER_UNIT,
        projection.bone_mm[other].sum(axis=0, keepdims=True) / MM_PER_UNIT,
        devices[None],
    )
    return np.concatenate(planes).astype(np.float16)


def write_projection(file: Path, body: Body | Anatomy, pose: Pose, projection: Projection) -> None:
    """Write one projection; the file appears under its name only when it is complete.

    An anatomy stands for its body as scanned from end to end.
    """
    if isinstance(body, Anatomy):
        body = as_scanned(body, Scanned(0.0, len(body.hu) - 1.0))
    kept = stored(body, pose, projection)
    described = {
        "layout": LAYOUT,
        "case": kept.case,
        "patient": kept.patient,
        "lateral": kept.lateral,
        "pose": asdict(pose),
        "devices": sorted({device.name for device in body.devices}),
        "labels_digest": labels_digest(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    torn = file.with_suffix(".part.npz")
    np.savez_compressed(
        torn,
        tissues=kept.tissues,
        masks=kept.packed_masks,
        known=kept.known,
        told=np.packbits(kept.told.reshape(PLANES, -1), axis=1),
        place=kept.place,
        described=json.dumps(described),
    )
    torn.rename(file)


def read_projection(file: Path) -> StoredProjection:
    """Return a stored projection.

    Raises:
        DatasetError: If it cannot be read, or was made for another table of structures or another layout.
    """
    try:
        with np.load(file) as arrays:
            described = json.loads(str(arrays["described"]))
            _check(file, described)
            size = arrays["tissues"].shape[1]
            return StoredProjection(
                case=described["case"],
                lateral=described["lateral"],
                tissues=arrays["tissues"],
                packed_masks=arrays["masks"],
                known=arrays["known"],
                patient=described["patient"],
                told=_planes(arrays["told"], size),
                place=arrays["place"],
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as exc:
        raise DatasetError(f"{file} is not a projection: {exc}") from exc


def _check(file: Path, described: dict[str, object]) -> None:
    """Raise DatasetError where a file was made for other readers than this one."""
    if described.get("layout") != LAYOUT:
        raise DatasetError(
            f"{file} was made by an earlier paxnode-train (layout {described.get('layout', 1)}, "
            f"now {LAYOUT}); project again into a new folder"
        )
    if described.get("labels_digest") != labels_digest():
        raise DatasetError(f"{file} was made for another table of structures; project again")


def projection_files(folder: Path) -> list[Path]:
    """Return the complete projections in a folder and below, sorted, without what a killed run left."""
    return sorted(file for file in folder.rglob("*.npz") if not file.name.endswith(".part.npz"))
