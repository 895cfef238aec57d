"""From a trained judge to judge.onnx: batch norm folded in, weights in half precision, proof of parity."""

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper
from torch import nn

from ai.judge import OUTPUTS
from pipeline_training.errors import ExportError
from pipeline_training.judge.network import JudgeNet
from pipeline_training.network import MID_GREY
from pipeline_training.onnx_graph import Graph, checked_model

PARITY_TOLERANCE = 0.05
"""Largest difference of a logit: half-precision weights carry 11 bits, and nothing is decided within 0.05."""

PICTURE_WEIGHTS, MIRROR_WEIGHTS = (1.0, 0.0), (0.5, -0.5)
"""What the answers to a picture and to its mirror image count; `JudgeNet.answer`."""


def judge_to_onnx(network: JudgeNet) -> bytes:
    """Return judge.onnx of a trained network.

    Raises:
        ExportError: If the graph is not valid, or answers otherwise than the network.
    """
    network = network.eval()
    graph = Graph()
    both = graph.add("Concat", "image", _flipped(graph, "image"), axis=0)
    features = graph.add("Sub", both, graph.constant(np.array(MID_GREY, np.float32)))
    for conv, norm in zip(network.convolutions, network.norms, strict=True):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            features = graph.add("Relu", graph.convolution(features, conv, norm, stride=int(conv.stride[0])))
    flat = graph.add("Flatten", features, axis=1)
    hidden = graph.add("Relu", graph.linear(flat, network.hidden))
    for name, head in network.heads.items():
        if isinstance(head, nn.Linear):
            weights = MIRROR_WEIGHTS if name == "mirrored" else PICTURE_WEIGHTS
            _add_answer(graph, graph.linear(hidden, head), name, weights)
    value = helper.make_tensor_value_info
    image = value("image", TensorProto.FLOAT, ["batch", 1, network.size, network.size])
    answers = [value(name, TensorProto.FLOAT, ["batch", logits]) for name, logits in OUTPUTS.items()]
    content = bytes(checked_model(graph, [image], answers).SerializeToString())
    _check_parity(network, content)
    return content


def _flipped(graph: Graph, image: str) -> str:
    """Add the picture with its columns reversed."""
    start, stop, axis, step = (graph.constant(np.array([n], np.int64)) for n in (-1, -(2**31), 3, -1))
    return graph.add("Slice", image, start, stop, axis, step)


def _add_answer(graph: Graph, logits: str, name: str, weights: tuple[float, float]) -> None:
    """Add an output: the logits (2 n, k) of the pictures, then of their mirrors, weighted and added up."""
    apart = graph.add("Reshape", logits, graph.constant(np.array([2, -1, OUTPUTS[name]], np.int64)))
    share = graph.constant(np.array(weights, np.float32).reshape(2, 1, 1))
    weighted = graph.add("Mul", apart, share)
    axis = graph.constant(np.array([0], np.int64))
    graph.nodes.append(helper.make_node("ReduceSum", [weighted, axis], [name], keepdims=0))


@torch.no_grad()
def _check_parity(network: JudgeNet, content: bytes) -> None:
    """Raise ExportError if the logits of drawn images differ by more than PARITY_TOLERANCE."""
    images = torch.rand(2, 1, network.size, network.size, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    theirs = session.run(list(OUTPUTS), {"image": images.numpy()})
    apart = max(
        float(np.abs(a.numpy() - b).max()) for a, b in zip(network.answer(images), theirs, strict=True)
    )
    if not apart <= PARITY_TOLERANCE:
        raise ExportError(f"the exported judge differs by {apart:.3f} from what was trained")
