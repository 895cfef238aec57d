"""Starting ONNX Runtime on the networks of a bundle, and holding them to what is said of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_state

from ai.errors import BundleError

Array = npt.NDArray[np.float32]

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

CUDA_OPTIONS = {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
"""By default ONNX Runtime rounds products to TF32, and takes the convolution that was the fastest when it
measured them: two sessions may take two, and their bits differ."""

_LOG_ERRORS_ONLY = 3
_LOAD_ERRORS = (
    runtime_state.Fail,
    runtime_state.InvalidArgument,
    runtime_state.InvalidGraph,
    runtime_state.InvalidProtobuf,
    runtime_state.NotImplemented,
    runtime_state.RuntimeException,
)


@dataclass(frozen=True)
class Way:
    """How a network is run.

    Attributes:
        threads: On the processor; 0 leaves the choice to ONNX Runtime.
        together: Whether an image and its second look are one run or two; the answers are the same
            (`ai.choice`).
    """

    threads: int = 0
    together: bool = False


def available_providers() -> list[str]:
    """Return the execution providers to ask for: CUDA where ONNX Runtime was built for it, then the CPU.

    Whether there is a GPU, a session tells: without one it does with the CPU (`get_providers`).
    """
    return [provider for provider in (CUDA, CPU) if provider in onnxruntime.get_available_providers()]


def start_session(
    name: str, onnx_bytes: bytes, providers: Sequence[str], threads: int
) -> onnxruntime.InferenceSession:
    """Return a session of a network.

    Args:
        name: Whose network it is, for the error.
        onnx_bytes: The ONNX file.
        providers: Execution providers in order of preference.
        threads: CPU threads; 0 leaves the choice to ONNX Runtime.

    Raises:
        BundleError: If it does not load.
    """
    if CUDA in providers:
        onnxruntime.preload_dlls()  # finds CUDA where pip has installed it
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_ERRORS_ONLY
    options.intra_op_num_threads = threads
    asked = [(provider, CUDA_OPTIONS) if provider == CUDA else provider for provider in providers]
    try:
        return onnxruntime.InferenceSession(onnx_bytes, options, providers=asked)
    except (*_LOAD_ERRORS, RuntimeError, ValueError) as exc:
        raise BundleError(f"the network of {name} does not load: {exc}") from exc


def check_edges(
    session: onnxruntime.InferenceSession, expected: Mapping[str, tuple[int | None, ...]]
) -> None:
    """Raise BundleError unless inputs and outputs are named and shaped as expected; None is any number."""
    found = {edge.name: edge.shape for edge in (*session.get_inputs(), *session.get_outputs())}
    for name, shape in expected.items():
        if name not in found:
            raise BundleError(f"the network has no input or output {name!r}, only {sorted(found)}")
        axes = found[name]
        fixed = [(a, e) for a, e in zip(axes, shape, strict=False) if isinstance(a, int) and e is not None]
        if len(axes) != len(shape) or any(a != e for a, e in fixed):
            raise BundleError(f"{name!r} of the network has the shape {axes}, its manifest asks for {shape}")


def look(
    session: onnxruntime.InferenceSession,
    inputs: Array,
    again: Array | None = None,
    *,
    together: bool = False,
) -> tuple[Array, Array, Array | None]:
    """Return what a network says of its inputs (N, 1, S, S): logits (N, L, G, G) and view (N, 2).

    Args:
        session: Of the network.
        inputs: What it sees first.
        again: Likewise (N, 1, S, S), a second look at each; its logits (N, L, G, G) are the third value.
        together: Whether both looks are one run of 2 N. The answers are the same.
    """
    if again is None:
        return (*session.run(["logits", "view"], {"image": inputs}), None)
    if together:
        logits, view = session.run(["logits", "view"], {"image": np.concatenate([inputs, again])})
        return logits[: len(inputs)], view[: len(inputs)], logits[len(inputs) :]
    logits, view = session.run(["logits", "view"], {"image": inputs})
    (logits_again,) = session.run(["logits"], {"image": again})
    return logits, view, logits_again
