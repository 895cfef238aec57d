"""A network to go on from: out of a bundle alone, or out of the checkpoint that the bundle was made from.

A bundle holds no batch norm: `onnx_graph.to_onnx` folds it into the convolutions. Read back, the folded
weights stand in the convolutions and each norm behind one passes on what it gets, plus the folded bias. Norms
of a parent never see the statistics of a batch again (`nn.Module.eval`): a site's few images would make poor
ones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import numpy_helper
from torch import nn

from ai.bundle import Bundle
from pipeline_training.errors import ExportError, TrainingError
from pipeline_training.export import check_parity, load_network, without
from pipeline_training.network import CONTEXTS, DEPTH, SIZE_MULTIPLE, AnatomyNet
from pipeline_training.projections import NAMES

Array = npt.NDArray[np.float32]

CONVOLUTIONS = 1 + 2 * DEPTH + 2 * (DEPTH - 1) + CONTEXTS + 1
"""Stem, two in each block on the way down and up, contexts, head: in this order in the file."""


class Folded(NamedTuple):
    """A convolution or a linear layer as it stands in the file."""

    weight: Array
    bias: Array


def load_parent(bundle: Bundle, checkpoint: Path | None = None) -> AnatomyNet:
    """Return a bundle's network, in evaluation mode, channels in the order of its manifest.

    Args:
        bundle: What shall be gone on from.
        checkpoint: The one that the bundle was made from, where it is at hand: its weights are in single
            precision. Without it the bundle's own weights are taken.

    Raises:
        TrainingError: If the bundle's network is not of our kind, its structures or input size are not ours,
            or network and bundle do not give the same answers (`export.check_parity`).
    """
    name, size = bundle.identity.id, bundle.manifest.input_size
    if size % SIZE_MULTIPLE:
        raise TrainingError(f"{name}: the input size is no multiple of {SIZE_MULTIPLE}: {size}")
    try:
        network = _of_checkpoint(checkpoint, bundle) if checkpoint else network_of(bundle.onnx_bytes)
        if network.labels != len(bundle.manifest.labels):
            raise TrainingError(f"{name}: {network.labels} channels, {len(bundle.manifest.labels)} labels")
        check_parity(network, bundle.onnx_bytes, size)
    except ExportError as exc:
        raise TrainingError(f"{checkpoint or name} is not the network of {name}: {exc}") from exc
    return network


def label_ids(bundle: Bundle) -> list[int]:
    """Return the index into NAMES of each output channel of a bundle."""
    return [NAMES.index(name) for name in bundle.manifest.labels]


def network_of(onnx_bytes: bytes) -> AnatomyNet:
    """Return the network that `onnx_graph.to_onnx` wrote, in evaluation mode; widths are read from shapes.

    Raises:
        TrainingError: If it is another kind of network.
    """
    convolutions, view = _layers(onnx_bytes)
    stem, *blocks, head = convolutions
    blocks, contexts = blocks[:-CONTEXTS], blocks[-CONTEXTS:]
    down, up = blocks[: 2 * DEPTH], blocks[2 * DEPTH :]
    widths = tuple(len(first.weight) for first in down[::2])
    state = _state("stem.0", "stem.1", stem)
    for way, layers in (("down", down), ("up", up)):
        for i, layer in enumerate(layers):
            part = f"{way}.{i // 2}.{('first', 'second')[i % 2]}"
            state |= _state(part, f"{part}_norm", layer)
    state |= _plain("head", head) | _plain("view", Folded(view.weight.T.copy(), view.bias))
    for i, layer in enumerate(contexts):
        state[f"context.{i}.weight"] = _plain("", layer)[".weight"]
    network = AnatomyNet(len(head.weight), widths)
    try:
        network.load_state_dict(state, strict=False)
    except RuntimeError as exc:
        raise TrainingError(f"the bundle's network is not of our kind: {exc}") from exc
    _pass_on(network)
    return network.eval()


def _of_checkpoint(path: Path, bundle: Bundle) -> AnatomyNet:
    whole, known = load_network(path)
    network, labels = without(whole, known, set(known) - set(bundle.manifest.labels))
    if labels != bundle.manifest.labels:
        raise TrainingError(f"{path} does not know the structures of {bundle.identity.id}")
    return network


def _layers(onnx_bytes: bytes) -> tuple[Sequence[Folded], Folded]:
    """Return all convolutions in order, and the linear layer of the view."""
    try:
        graph = onnx.load_model_from_string(onnx_bytes).graph
        stored = {each.name: numpy_helper.to_array(each).astype(np.float32) for each in graph.initializer}
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in stored:
                stored[node.output[0]] = stored[node.input[0]]
        found = [
            (node.op_type, Folded(stored[node.input[1]], stored[node.input[2]]))
            for node in graph.node
            if node.op_type in ("Conv", "Gemm")
        ]
    except (DecodeError, LookupError, ValueError, TypeError) as exc:
        raise TrainingError(f"the bundle's network cannot be read: {exc!r}") from exc
    convolutions = [layer for kind, layer in found if kind == "Conv"]
    views = [layer for kind, layer in found if kind == "Gemm"]
    if len(convolutions) == CONVOLUTIONS - CONTEXTS:  # bundles before 0.3.0: strides 8 and 4 say nothing
        convolutions[-1:-1] = _silent_contexts(convolutions)
    if len(convolutions) != CONVOLUTIONS or len(views) != 1:
        raise TrainingError(
            f"the bundle's network is not of our kind: {len(convolutions)} convolutions and {len(views)} "
            f"linear layers, ours has {CONVOLUTIONS} and 1"
        )
    return convolutions, views[0]


def _silent_contexts(convolutions: Sequence[Folded]) -> list[Folded]:
    """Return contexts that add nothing, of as many channels as the decoder has at strides 8 and 4."""
    labels = len(convolutions[-1].weight)
    widths = [len(layer.weight) for layer in convolutions[1 + 2 * DEPTH + 2 : -1 : 2]][:CONTEXTS]
    return [
        Folded(np.zeros((labels, width, 1, 1), np.float32), np.zeros(labels, np.float32)) for width in widths
    ]


def _plain(name: str, layer: Folded) -> dict[str, torch.Tensor]:
    return {
        f"{name}.weight": torch.from_numpy(layer.weight.copy()),
        f"{name}.bias": torch.from_numpy(layer.bias.copy()),
    }


def _state(name: str, norm: str, layer: Folded) -> dict[str, torch.Tensor]:
    """Return a convolution without a bias, and its bias as that of the norm behind it."""
    plain = _plain(name, layer)
    return {f"{name}.weight": plain[f"{name}.weight"], f"{norm}.bias": plain[f"{name}.bias"]}


def _pass_on(network: AnatomyNet) -> None:
    """Let every norm, its bias apart, pass on what it gets: (x - 0) / sqrt((1 - eps) + eps) * 1."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            statistics: Any = norm
            statistics.running_mean.zero_()
            statistics.running_var.fill_(1 - norm.eps)
            nn.init.ones_(norm.weight)
