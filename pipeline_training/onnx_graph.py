"""The network as an ONNX graph, batch norm folded into the convolutions, weights in half precision.

Written out by hand: the graph is small, nothing else needs to be installed, and half-precision weights
(cast back to single precision when the session loads) halve the file without touching the arithmetic.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from pipeline_training.errors import ExportError
from pipeline_training.network import CONTEXTS, MID_GREY, OUTPUT_STRIDE, AnatomyNet, Block

OPSET = 17
IR_VERSION = 9
"""Read by ONNX Runtime 1.16 and later."""


class Graph:
    """Collects nodes and weights; every method returns the name of what it adds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def half(self, values: npt.NDArray[np.float32]) -> str:
        """Add a weight in half precision and the cast that ONNX Runtime folds away."""
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float16), name))
        return self.add("Cast", name, to=TensorProto.FLOAT)

    def constant(self, values: npt.NDArray[np.generic]) -> str:
        """Add a constant."""
        name = f"constant_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, inputs: str, conv: nn.Conv2d, norm: nn.BatchNorm2d | None, stride: int = 1) -> str:
        """Add a convolution, the batch norm behind it folded in."""
        weight, bias = _folded(conv, norm)
        pad = [conv.kernel_size[0] // 2] * 4
        return self.add(
            "Conv", inputs, self.half(weight), self.half(bias), pads=pad, strides=[stride, stride]
        )

    def linear(self, inputs: str, layer: nn.Linear) -> str:
        """Add a linear layer over (batch, features)."""
        weight = self.half(layer.weight.detach().numpy().T.copy())
        return self.add("Gemm", inputs, weight, self.half(layer.bias.detach().numpy()))

    def doubled(self, inputs: str, twice: str) -> str:
        """Add an interpolation to twice the rows and columns."""
        how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return self.add("Resize", inputs, "", twice, **how)

    def block(self, inputs: str, block: Block) -> str:
        """Add a block of the U-Net."""
        first = self.add("Relu", self.convolution(inputs, block.first, block.first_norm))
        second = self.convolution(first, block.second, block.second_norm)
        return self.add("Relu", self.add("Add", first, second))


def _folded(
    conv: nn.Conv2d, norm: nn.BatchNorm2d | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return weight and bias of a convolution with the batch norm behind it."""
    weight = conv.weight.detach().double()
    bias = torch.zeros(len(weight), dtype=torch.double) if conv.bias is None else conv.bias.detach().double()
    if norm is not None and norm.running_mean is not None and norm.running_var is not None:
        scale = norm.weight.detach().double() / torch.sqrt(norm.running_var.double() + norm.eps)
        bias = (bias - norm.running_mean.double()) * scale + norm.bias.detach().double()
        weight = weight * scale[:, None, None, None]
    return weight.float().numpy(), bias.float().numpy()


def to_onnx(network: AnatomyNet, size: int) -> bytes:
    """Return the ONNX file of a network for inputs of (batch, 1, size, size), batch free.

    Raises:
        ExportError: If the graph does not pass ONNX's own checker.
    """
    graph = Graph()
    stem, stem_norm = cast(nn.Conv2d, network.stem[0]), cast(nn.BatchNorm2d, network.stem[1])
    centred = graph.add("Sub", "image", graph.constant(np.array(MID_GREY, np.float32)))
    features = graph.add("Relu", graph.convolution(centred, stem, stem_norm, stride=OUTPUT_STRIDE))
    skips = []
    for i, block in enumerate(_blocks(network.down)):
        if i:
            features = graph.add("MaxPool", features, kernel_shape=[2, 2], strides=[2, 2])
        features = graph.block(features, block)
        skips.append(features)
    _add_view(graph, skips.pop(), network.view)
    twice = graph.constant(np.array([1, 1, 2, 2], np.float32))
    seen = []
    for block in _blocks(network.up):
        features = graph.block(
            graph.add("Concat", graph.doubled(features, twice), skips.pop(), axis=1), block
        )
        seen.append(features)
    logits = ""
    for layer, features in zip((*network.context, network.head), seen[-1 - CONTEXTS :], strict=True):
        said = graph.convolution(features, cast(nn.Conv2d, layer), None)
        logits = graph.add("Add", graph.doubled(logits, twice), said) if logits else said
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"]))
    return bytes(_model(graph, network.labels, size).SerializeToString())


def _blocks(modules: nn.ModuleList) -> list[Block]:
    return [module for module in modules if isinstance(module, Block)]


def _add_view(graph: Graph, features: str, view: nn.Linear) -> None:
    mean = graph.add("ReduceMean", features, axes=[2, 3], keepdims=0)
    graph.nodes.append(helper.make_node("Identity", [graph.linear(mean, view)], ["view"]))


def _model(graph: Graph, labels: int, size: int) -> onnx.ModelProto:
    grid = size // OUTPUT_STRIDE
    value = helper.make_tensor_value_info
    image = value("image", TensorProto.FLOAT, ["batch", 1, size, size])
    logits = value("logits", TensorProto.FLOAT, ["batch", labels, grid, grid])
    return checked_model(graph, [image], [logits, value("view", TensorProto.FLOAT, ["batch", 2])])


def checked_model(
    graph: Graph, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
) -> onnx.ModelProto:
    """Return a collected graph as a model.

    Raises:
        ExportError: If the graph does not pass ONNX's own checker.
    """
    made = helper.make_graph(graph.nodes, "paxnode", list(inputs), list(outputs), graph.weights)
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION, producer_name="paxnode-train")
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as exc:
        raise ExportError(f"the exported graph is not valid: {exc}") from exc
    return model
