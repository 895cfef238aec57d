from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ai.bundle import Bundle, bundle_digest
from ai.manifest import Manifest, TrainingData

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
