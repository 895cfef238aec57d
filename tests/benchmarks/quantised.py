"""The shipped network with eight bits in the place of 32: how it is made, and what it changes in masks."""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from PIL import Image

from ai.bundle import Bundle, bundle_digest
from ai.errors import RadiographError
from ai.onnx_segmenter import OnnxSegmenter
from ai.radiograph import Radiograph
from ai.segmentation import Mask

Array = npt.NDArray[np.float32]


def unpacked(onnx_bytes: bytes) -> onnx.ModelProto:
    """Return a network whose weights are float32, whose file has float16, and whose nodes have names."""
    model = onnx.load_from_string(onnx_bytes)
    weights = {each.name: each for each in model.graph.initializer}
    nodes = []
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}{number}"
        if node.op_type == "Cast" and node.input[0] in weights:
            wide = numpy_helper.to_array(weights.pop(node.input[0])).astype(np.float32)
            weights[node.output[0]] = numpy_helper.from_array(wide, node.output[0])
        else:
            nodes.append(node)
    for field, values in ((model.graph.node, nodes), (model.graph.initializer, list(weights.values()))):
        del field[:]
        field.extend(values)
    return model


def flops(onnx_bytes: bytes) -> float:
    """Return the operations of the convolutions in one run on one picture."""
    model = unpacked(onnx_bytes)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    inferred = onnx.shape_inference.infer_shapes(model)
    edges = [*inferred.graph.value_info, *inferred.graph.output]
    shapes = {each.name: [axis.dim_value for axis in each.type.tensor_type.shape.dim] for each in edges}
    weights = {each.name: list(each.dims) for each in model.graph.initializer}
    convolutions = [node for node in inferred.graph.node if node.op_type == "Conv"]
    return sum(
        2.0 * float(np.prod(weights[node.input[1]])) * float(np.prod(shapes[node.output[0]][2:]))
        for node in convolutions
    )


class _Pictures(CalibrationDataReader):  # type: ignore[misc]
    """Hands out inputs (1, 1, S, S), one after the other."""

    def __init__(self, inputs: Sequence[Array]) -> None:
        self._waiting: Iterator[Array] = iter(inputs)

    def get_next(self) -> dict[str, Array] | None:
        picture = next(self._waiting, None)
        return None if picture is None else {"image": picture}


def int8(onnx_bytes: bytes, calibrating: Sequence[Array]) -> bytes:
    """Return the network with weights of eight bits in each channel and activations of eight bits.

    Args:
        onnx_bytes: The network.
        calibrating: Inputs (1, 1, S, S) whose activations tell the ranges.
    """
    logging.getLogger().setLevel(logging.ERROR)  # it warns of each tensor that it leaves alone
    with tempfile.TemporaryDirectory() as name:
        wide, ready, narrow = (Path(name) / f"{each}.onnx" for each in ("wide", "ready", "narrow"))
        onnx.save(unpacked(onnx_bytes), wide)
        quant_pre_process(str(wide), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(narrow),
            _Pictures(calibrating),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return narrow.read_bytes()


def pictures_in(folder: Path) -> list[Radiograph]:
    """Return the pictures of a folder of radiographs, 8 bits a pixel, bone bright, by name."""
    suffixes = {".png", ".jpg", ".jpeg"}
    paths = sorted(path for path in folder.iterdir() if path.suffix in suffixes)
    grey = (np.asarray(Image.open(path).convert("L"), np.float32) for path in paths)
    return [Radiograph((each / 255).astype(np.float32)) for each in grey]


def agreements(bundle: Bundle, quantised: bytes, pictures: Sequence[Radiograph]) -> dict[str, list[float]]:
    """Return by structure the Dice of masks of both networks, one for each picture where either found it."""
    other = Bundle(replace(bundle.manifest, sha256=bundle_digest(quantised)), quantised, bundle.judge_bytes)
    segmenters = OnnxSegmenter(bundle), OnnxSegmenter(other)
    found: dict[str, list[float]] = {}
    for picture in pictures:
        try:
            first, second = (each.segment([picture])[0].masks for each in segmenters)
        except RadiographError:  # neither is asked about what is refused
            continue
        for name in {*first, *second}:
            found.setdefault(name, []).append(_dice(first.get(name), second.get(name), picture.pixels.shape))
    return found


def _dice(first: Mask | None, second: Mask | None, shape: tuple[int, ...]) -> float:
    if first is None or second is None:
        return 0.0
    one, other = (mask.dense((shape[0], shape[1])) for mask in (first, second))
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))
