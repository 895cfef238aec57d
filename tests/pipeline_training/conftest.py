"""Pictures with a reader's masks, a network that answers fixed shapes, and a thorax of boxes and balls."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import nibabel
import numpy as np
import numpy.typing as npt
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ai.bundle import Bundle, bundle_digest
from ai.manifest import Manifest
from ai.radiograph import Radiograph
from ai.stand_in import StandInSegmenter
from pipeline_training.anatomy import Anatomy
from pipeline_training.completeness import VERTEBRAE
from pipeline_training.dataset import Source, from_radiograph
from pipeline_training.derive import derive
from pipeline_training.projections import write_projection
from pipeline_training.projector import Pose, project
from pipeline_training.radiograph_folders import read_set
from pipeline_training.train_options import TrainOptions
from pipeline_training.volumes import LabelMap

SHAPE = (160, 128)
INPUT_SIZE = 64
READER_LABELS = {
    "heart": ("heart",),
    "right_lung": ("visible lung right",),
    "left_lung": ("visible lung left",),
    "lungs": ("visible lung right", "visible lung left"),
    "left_clavicle": ("clavicle left",),
    "right_clavicle": ("clavicle right",),
}


class MakeReaderSet(Protocol):
    """Writes a set whose reader drew the stand-in segmenter's shapes, moved right by `shift`."""

    def __call__(
        self, name: str, images: int = 3, shift: int = 0, structures: tuple[str, ...] = ("heart",)
    ) -> Path: ...


@pytest.fixture
def make_reader_set(tmp_path: Path) -> MakeReaderSet:
    def make(name: str, images: int = 3, shift: int = 0, structures: tuple[str, ...] = ("heart",)) -> Path:
        folder = tmp_path / "sets" / name
        for index in range(images):
            pixels = np.random.default_rng(index).integers(10, 250, SHAPE).astype(np.uint8)
            write(folder / "images" / f"{index}.png", pixels)
            for structure in structures:
                truth = np.roll(stand_in_mask(READER_LABELS[structure]), shift, axis=1)
                write(folder / "masks" / structure / f"{index}.png", truth.astype(np.uint8) * 255)
        return folder

    return make


SPINE_SHAPE = (400, 160)
SPINE_LEVELS = (*(f"T{level}" for level in range(1, 13)), *(f"L{level}" for level in range(1, 6)))
VERTEBRA = np.array([(-13, -7), (13, -7), (-13, 7), (13, 7)], np.float64)
PITCH = 20.0


def spine_corners() -> dict[str, npt.NDArray[np.float64]]:
    """Return a bent spine: (4, 2) of (column, row), upper left, upper right, lower left, lower right."""
    corners = {}
    for place, level in enumerate(SPINE_LEVELS):
        row, bend = 30 + PITCH * place, (place - 8) / 8
        slope = 30 / (8 * PITCH) * (3 * bend**2 - 1)  # of the column 80 + 30 (bend^3 - bend), by the row
        across = np.array([1, -slope]) / np.hypot(1, slope)
        turned = VERTEBRA @ np.array([across, (-across[1], across[0])])
        corners[level] = turned + np.array([80 + 30 * (bend**3 - bend), row])
    return corners


def spine_row(file: str, cobb: tuple[float, float, float] | None = None) -> dict[str, str]:
    """Return a row of landmarks.csv; without angles the first of them is that of the corners."""
    row = {"file": file}
    names = ("cobb_proximal_thoracic", "cobb_main_thoracic", "cobb_thoracolumbar")
    row |= dict(
        zip(names, map(str, cobb or (math.degrees(math.atan(0.375) + math.atan(0.1875)), 5, 0)), strict=True)
    )
    for level, points in spine_corners().items():
        for corner, (column, down) in zip(("UL", "UR", "LL", "LR"), points, strict=True):
            row |= {f"x_{level}_{corner}": f"{column:.3f}", f"y_{level}_{corner}": f"{down:.3f}"}
    return row


@pytest.fixture
def make_spine_set(tmp_path: Path) -> Callable[..., Path]:
    """Writes a set of pictures with one bent spine on all of them; `rows` replaces the table's rows."""

    def make(images: int = 2, rows: Sequence[dict[str, str]] | None = None) -> Path:
        folder = tmp_path / "sets" / "spines"
        for index in range(images):
            pixels = np.random.default_rng(index).integers(10, 250, SPINE_SHAPE).astype(np.uint8)
            write(folder / "images" / f"{index}.png", pixels)
        table = [spine_row(f"{index}.png") for index in range(images)] if rows is None else rows
        with (folder / "landmarks.csv").open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, list(table[0]))
            writer.writeheader()
            writer.writerows(table)
        return folder

    return make


@pytest.fixture
def landmark_row() -> Callable[..., dict[str, str]]:
    """Gives a row of the table of `make_spine_set`, to be changed."""
    return spine_row


def write(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def stand_in_mask(labels: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    picture = Radiograph(np.linspace(0, 1, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE))
    (found,) = StandInSegmenter().segment([picture])
    dense: npt.NDArray[np.bool_] = np.any([found.masks[name].dense(SHAPE) for name in labels], axis=0)
    return dense


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bundle whose network finds two square lungs and a square heart in every picture."""

    def make(folder: str = "bundle", heart: tuple[int, int] = (36, 30)) -> Path:
        squares = {"heart": heart, "visible lung right": (24, 12), "visible lung left": (24, 40)}
        logits = np.full((3, INPUT_SIZE, INPUT_SIZE), -8, np.float32)
        for field, (top, left) in zip(logits, squares.values(), strict=True):
            field[top : top + 14, left : left + 12] = 8
        weights = _constant_network(logits)
        manifest = Manifest(
            id="squares",
            version="1",
            labels=tuple(squares),
            views=("frontal",),
            input_size=INPUT_SIZE,
            thresholds=dict.fromkeys(squares, 0.5),
            sha256=bundle_digest(weights),
        )
        Bundle(manifest, weights).save(tmp_path / folder)
        return tmp_path / folder

    return make


def _constant_network(logits: npt.NDArray[np.float32]) -> bytes:
    """Return an ONNX model that answers these logits (L, S, S) and a frontal view, whatever the image."""
    edges = {"image": [1, *logits.shape[1:]], "logits": list(logits.shape), "view": [2]}
    image, *answers = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *axes]) for name, axes in edges.items()
    )
    constants = {
        "zero": np.zeros(1, np.float32),
        "answer": logits[None],
        "frontal": np.array([[6, -6]], np.float32),
    }
    nodes = [
        helper.make_node("Mul", ["image", "zero"], ["black"]),
        helper.make_node("Add", ["black", "answer"], ["logits"]),
        helper.make_node("ReduceMax", ["black"], ["dark"], axes=[2, 3], keepdims=0),
        helper.make_node("Add", ["dark", "frontal"], ["view"]),
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "squares", [image], answers, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Small tensors are faster on one thread, above all on a busy machine."""
    torch.set_num_threads(1)


PHANTOM_SPACING_MM = 6.0
PHANTOM_SHAPE = (60, 40, 60)
Box = tuple[slice, slice, slice]


def box(z: tuple[int, int], y: tuple[int, int], x: tuple[int, int]) -> Box:
    """Return the slices of a box, bounds included."""
    return slice(z[0], z[1] + 1), slice(y[0], y[1] + 1), slice(x[0], x[1] + 1)


def mirrored(x: tuple[int, int]) -> tuple[int, int]:
    return PHANTOM_SHAPE[2] - 1 - x[1], PHANTOM_SHAPE[2] - 1 - x[0]


PAIRED_BOXES = {
    "lung_upper_lobe_{}": ((30, 51), (8, 32), (8, 24)),
    "scapula_{}": ((36, 50), (34, 36), (4, 12)),
}
SINGLE_BOXES = {
    "lung_lower_lobe_right": ((14, 29), (14, 32), (8, 24)),
    "lung_lower_lobe_left": ((14, 29), (8, 32), (35, 51)),
    "lung_middle_lobe_right": ((14, 29), (8, 13), (8, 24)),
    "liver": ((2, 13), (8, 30), (6, 40)),
    "stomach": ((4, 13), (8, 24), (42, 52)),
    "trachea": ((30, 58), (18, 19), (29, 30)),
    "sternum": ((26, 46), (4, 5), (28, 31)),
    "costal_cartilages": ((24, 40), (4, 5), (24, 27)),
    "aorta": ((43, 45), (11, 23), (31, 37)),
}
HEART_CENTRE, HEART_RADIUS = (22, 16, 33), 6


class _Phantom:
    """Paints structures into a label map, later ones over earlier ones."""

    def __init__(self) -> None:
        self.labels = np.zeros(PHANTOM_SHAPE, np.uint8)
        self.names: dict[int, str] = {}

    def paint(self, name: str, where: Box | npt.NDArray[np.bool_]) -> None:
        number = next((i for i, known in self.names.items() if known == name), len(self.names) + 1)
        self.names[number] = name
        self.labels[where] = number

    def paint_rib(self, side: str, number: int) -> None:
        """Paint half a ring around the lung, its lateral-most point at row 20; the twelfth ends before it."""
        _, y, x = np.mgrid[: PHANTOM_SHAPE[0], : PHANTOM_SHAPE[1], : PHANTOM_SHAPE[2]]
        x = x if side == "right" else PHANTOM_SHAPE[2] - 1 - x
        radius = np.hypot((x - 17) / 12, (y - 20) / 15)
        ring = (radius > 0.95) & (radius < 1.12) & (x < 17) & ((y > 22) | (number < 12))
        level = 58 - 4 * number
        ring[:level], ring[level + 2 :] = False, False
        self.paint(f"rib_{side}_{number}", ring)


def paint_phantom() -> _Phantom:
    phantom = _Phantom()
    for name, (z, y, x) in PAIRED_BOXES.items():
        phantom.paint(name.format("right"), box(z, y, x))
        phantom.paint(name.format("left"), box(z, y, mirrored(x)))
    for name, (z, y, x) in SINGLE_BOXES.items():
        phantom.paint(name, box(z, y, x))
    grid = np.mgrid[: PHANTOM_SHAPE[0], : PHANTOM_SHAPE[1], : PHANTOM_SHAPE[2]]
    distance = np.linalg.norm(grid - np.reshape(HEART_CENTRE, (3, 1, 1, 1)), axis=0)
    phantom.paint("heart", distance <= HEART_RADIUS)
    phantom.paint("aorta", box((28, 42), (11, 14), (31, 35)))
    phantom.paint("aorta", box((10, 42), (20, 23), (33, 37)))
    for number in range(1, 13):
        phantom.paint(f"vertebrae_T{number}", box((56 - 4 * number, 59 - 4 * number), (24, 31), (27, 32)))
        for side in ("right", "left"):
            phantom.paint_rib(side, number)
    for side, place in (("right", lambda x: x), ("left", mirrored)):
        phantom.paint(f"clavicula_{side}", box((49, 49), (6, 7), place((6, 20))))
        phantom.paint(f"clavicula_{side}", box((46, 46), (6, 7), place((21, 27))))
    return phantom


@pytest.fixture(scope="session")
def phantom() -> LabelMap:
    """A thorax of boxes, a ball for the heart, rings for the ribs, 6 mm voxels; do not change its arrays."""
    painted = paint_phantom()
    return LabelMap(
        "phantom",
        painted.labels,
        painted.names,
        None,
        PHANTOM_SPACING_MM,
        vocabulary=frozenset(painted.names.values()) | frozenset(VERTEBRAE),
    )


@pytest.fixture(scope="session")
def anatomy(phantom: LabelMap) -> Anatomy:
    """The phantom with everything that follows from its labels; do not change its arrays."""
    return derive(phantom, np.random.default_rng(0))


@pytest.fixture(scope="session")
def projections(anatomy: Anatomy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two projections of the phantom, from before and from its side."""
    folder = tmp_path_factory.mktemp("projections")
    for index, azimuth in enumerate((0.0, 90.0)):
        pose = Pose(azimuth_deg=azimuth)
        write_projection(folder / f"{index}.npz", anatomy, pose, project(anatomy, pose, 320, step_mm=30.0))
    return folder


@pytest.fixture
def tiny_run(projections: Path, tmp_path: Path, make_reader_set: MakeReaderSet) -> TrainOptions:
    """A run of six steps with a network of few channels."""
    return TrainOptions(
        projections, tmp_path / "run", (make_reader_set("jsrt", images=2),), steps=(4, 2), sizes=(32, 64),
        batch=4, widths=(4, 6, 8, 10, 12), checkpoint_every=3, threads=1,
    )  # fmt: skip


class MakeCase(Protocol):
    """Writes the phantom as a case of 1.5 mm voxels, stored in any orientation."""

    def __call__(
        self, name: str = "case", axes: str = "LPS", with_ct: bool = False, flip: int | None = None
    ) -> Path: ...


@pytest.fixture
def make_case(tmp_path: Path, phantom: LabelMap) -> MakeCase:
    def make(name: str = "case", axes: str = "LPS", with_ct: bool = False, flip: int | None = None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        labels = phantom.labels if flip is None else np.flip(phantom.labels, flip)
        write_nifti(folder / "labels.nii.gz", labels, axes)
        names = {str(i): name for i, name in phantom.names.items()}
        (folder / "labels.json").write_text(json.dumps({"labels": names}))
        if with_ct:
            write_nifti(folder / "ct.nii.gz", phantom.labels.astype(np.int16) * 40 - 1000, axes)
        return folder

    return make


@pytest.fixture
def store_nifti() -> Callable[..., None]:
    """Writes voxels (superior, posterior, left) as NIfTI, axes stored as the three letters say."""
    return write_nifti


def write_nifti(
    path: Path, voxels: npt.NDArray[np.generic], axes: str = "LPS", spacing_mm: float = 1.5
) -> None:
    stored: Any = nibabel.orientations
    lps = np.ascontiguousarray(voxels.transpose(2, 1, 0))
    affine = np.diag([-spacing_mm, -spacing_mm, spacing_mm, 1.0])
    make: Any = nibabel.nifti1.Nifti1Image
    now, then = stored.io_orientation(affine), stored.axcodes2ornt(tuple(axes))
    image = make(lps, affine)
    nibabel.loadsave.save(image.as_reoriented(stored.ornt_transform(now, then)), path)


@pytest.fixture
def sources(make_reader_set: Callable[..., Path]) -> list[Source]:
    """Three drawn radiographs of which the heart alone is known."""
    images = read_set(make_reader_set("jsrt", images=3))
    found = [from_radiograph(images, path) for path in images.images]
    return [source for source in found if source is not None]
