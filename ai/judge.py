"""A small network that looks at a whole radiograph before it is segmented: what it shows, and how it lies."""

import numpy as np
import numpy.typing as npt
import onnxruntime

from ai.appearance import KINDS, TURNS, Appearance
from ai.errors import BundleError
from ai.preprocess import network_input
from ai.runtime import CPU, check_edges, start_session

OUTPUTS = {"kind": len(KINDS), "turn": len(TURNS), "mirrored": 1, "inverted": 1}
"""Heads of the network and how many logits each has."""


class Judge:
    """Judges display values with the network of a bundle, on the CPU: it takes a few milliseconds.

    Args:
        onnx_bytes: Content of judge.onnx: input "image" (N, 1, S, S) float32 as `network_input` makes it;
            outputs as in OUTPUTS, each (N, logits).
        size: S.

    Raises:
        BundleError: If the network does not load, or its inputs and outputs are not those.
    """

    def __init__(self, onnx_bytes: bytes, size: int) -> None:
        self.size = size
        self._session: onnxruntime.InferenceSession = start_session("the judge", onnx_bytes, (CPU,), 1)
        expected = {name: (None, logits) for name, logits in OUTPUTS.items()}
        check_edges(self._session, {"image": (None, 1, size, size), **expected})

    def judge(self, pixels: npt.NDArray[np.float32]) -> Appearance:
        """Return how display values (rows, columns) in [0, 1] appear."""
        grid, _ = network_input(pixels, self.size)
        return self.judge_inputs(grid[None, None])[0]

    def judge_inputs(self, inputs: npt.NDArray[np.float32]) -> list[Appearance]:
        """Return how each of the network's inputs (N, 1, S, S) appears, as `network_input` makes them."""
        found = self._session.run(list(OUTPUTS), {"image": inputs})
        return [_appearance(*each) for each in zip(*found, strict=True)]


def judge_size(onnx_bytes: bytes) -> int:
    """Return the rows and columns of a judge's input.

    Raises:
        BundleError: If the network does not load, or its input is not a square picture.
    """
    session = start_session("the judge", onnx_bytes, (CPU,), 1)
    found = {edge.name: edge.shape for edge in session.get_inputs()}
    shape = found.get("image", ())
    if len(shape) != 4 or not isinstance(shape[3], int) or shape[2] != shape[3]:
        raise BundleError(f"the judge needs an input 'image' of fixed, equal height and width, found {found}")
    return int(shape[3])


def _appearance(
    kind: npt.NDArray[np.float32],
    turn: npt.NDArray[np.float32],
    mirrored: npt.NDArray[np.float32],
    inverted: npt.NDArray[np.float32],
) -> Appearance:
    return Appearance(
        _softmax(kind), _softmax(turn), _logistic(float(mirrored[0])), _logistic(float(inverted[0]))
    )


def _softmax(logits: npt.NDArray[np.float32]) -> tuple[float, ...]:
    shares = np.exp(logits.astype(np.float64) - logits.max())
    return tuple(float(share) for share in shares / shares.sum())


def _logistic(logit: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -50, 50))))
