from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ai.bundle import Bundle, bundle_digest
from ai.labels import LABELS
from ai.manifest import Manifest, TrainingData
from ai.radiograph import PixelSpacing, Radiograph, View
from ai.segmentation import Mask, ModelIdentity, Segmentation
from tests.ai.boxes import box

Field = npt.NDArray[np.float32]


class MakeBundle(Protocol):
    def __call__(
        self,
        fields: Mapping[str, Field],
        view: tuple[float, float] = (4, -4),
        gain: float = 0.0,
        **changes: Any,
    ) -> Bundle: ...


def tiny_network(fields: Field, view: tuple[float, float], gain: float) -> bytes:
    """A network that answers `fields` (L, S, S) + gain * image, and `view`, whatever the image."""
    labels, size, _ = fields.shape
    constants: dict[str, npt.NDArray[Any]] = {
        "gain": np.array(gain, np.float32),
        "zero": np.array(0, np.float32),
        "fields": fields[None],
        "bias": np.array([view], np.float32),
        "shape": np.array([-1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Mul", ["image", "gain"], ["scaled"]),
        helper.make_node("Add", ["scaled", "fields"], ["logits"]),
        helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Reshape", ["mean", "shape"], ["flat"]),
        helper.make_node("Mul", ["flat", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "bias"], ["view"]),
    ]
    edges = {"image": ["N", 1, size, size], "logits": ["N", labels, size, size], "view": ["N", 2]}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, axes) for name, axes in edges.items()
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [values["image"]],
        [values["logits"], values["view"]],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture
def make_bundle() -> MakeBundle:
    def make(
        fields: Mapping[str, Field], view: tuple[float, float] = (4, -4), gain: float = 0.0, **changes: Any
    ) -> Bundle:
        stacked = np.stack(list(fields.values())).astype(np.float32)
        weights = tiny_network(stacked, view, gain)
        values: dict[str, Any] = {
            "id": "tiny",
            "version": "1.2",
            "labels": tuple(fields),
            "views": ("frontal",),
            "input_size": stacked.shape[-1],
            "thresholds": dict.fromkeys(fields, 0.5),
            "sha256": bundle_digest(weights),
            "training_data": (TrainingData("none", "Apache-2.0", "shapes"),),
            "opset": 17,
        }
        return Bundle(Manifest(**(values | changes)), weights)

    return make


@pytest.fixture
def disc() -> Callable[..., Field]:
    """Logits that are a cone around (column, row), 0 at `radius`, on a square grid of `size`."""

    def make(size: int, column: float, row: float, radius: float) -> Field:
        rows, columns = np.mgrid[:size, :size]
        return np.asarray(radius - np.hypot(columns - column, rows - row), np.float32)

    return make


@pytest.fixture
def make_film() -> Callable[..., Radiograph]:
    """Return what makes a radiograph of 600 rows and 500 columns, 0.8 mm and 0.5 mm apart."""
    pixels = np.random.default_rng(0).random((600, 500), np.float32)
    usual = PixelSpacing(0.8, 0.5, "Pixel Spacing", calibrated=True)

    def make(spacing: PixelSpacing | None = usual, view: View = View.PA) -> Radiograph:
        return Radiograph(pixels, spacing, view)

    return make


@pytest.fixture
def make_chest() -> Callable[..., Segmentation]:
    """Return what makes a segmentation of that film: two lungs and a heart that are boxes, and what is given.

    Lungs: rows 80 to 420, columns 50 to 200 and 300 to 450. Heart: rows 270 to 420, columns 190 to 330.
    """
    usual = {
        "heart": box((270, 420), (190, 330)),
        "visible lung right": box((80, 420), (50, 200)),
        "visible lung left": box((80, 420), (300, 450)),
    }

    def make(
        given: Mapping[str, npt.NDArray[np.bool_]] | None = None,
        without: tuple[str, ...] = (),
        unsupported: tuple[str, ...] = (),
        frontal: float = 0.99,
    ) -> Segmentation:
        dense = {name: mask for name, mask in (usual | dict(given or {})).items() if name not in without}
        masks = {item.name: Mask.from_dense(dense[item.name]) for item in LABELS if item.name in dense}
        found = {name: mask for name, mask in masks.items() if mask is not None}
        model = ModelIdentity("boxes", "1", "0" * 64)
        return Segmentation((600, 500), found, model, (), unsupported, frontal_probability=frontal)

    return make
