"""Sets of synthetic pictures with a reader's masks, and a network that answers fixed shapes."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from ai.bundle import Bundle, bundle_digest
from ai.manifest import Manifest
from ai.radiograph import Radiograph
from ai.stand_in import StandInSegmenter

SHAPE = (160, 128)
INPUT_SIZE = 64
READER_LABELS = {
    "heart": ("heart",),
    "right_lung": ("visible lung right",),
    "lungs": ("visible lung right", "visible lung left"),
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


def write(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def stand_in_mask(labels: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    picture = Radiograph(np.linspace(0, 1, SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE))
    (found,) = StandInSegmenter().segment([picture])
    dense: npt.NDArray[np.bool_] = np.any([found.masks[name].dense(SHAPE) for name in labels], axis=0)
    return dense


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Callable[[], Path]:
    """Writes a bundle whose network finds two square lungs and a square heart in every picture."""

    def make() -> Path:
        squares = {"heart": (36, 30), "visible lung right": (24, 12), "visible lung left": (24, 40)}
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
        Bundle(manifest, weights).save(tmp_path / "bundle")
        return tmp_path / "bundle"

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
