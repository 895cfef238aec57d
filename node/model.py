"""Which model segments: the bundle that the settings name, or the one that is installed with the node."""

from collections.abc import Callable
from pathlib import Path

from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.onnx_segmenter import Observe, OnnxSegmenter
from ai.segmenter import Segmenter
from ai.stand_in import StandInSegmenter
from config.settings import ModelSettings
from node.logs import get_logger

STAND_IN = "stand-in"
"""`bundle = "stand-in"` in the settings: geometric shapes, for trials of everything around a model."""


def load_segmenter(
    settings: ModelSettings,
    observe: Observe | None = None,
    note_run: Callable[[int], None] | None = None,
) -> Segmenter:
    """Return what finds the anatomy.

    Args:
        settings: `[model]`.
        observe: Told how long each stage of the network took.
        note_run: Told how many images each run of the network had.

    Raises:
        ai.errors.BundleError: The bundle cannot be trusted.
    """
    if settings.bundle == STAND_IN:
        get_logger().warning("the stand-in segments, not a model")
        return StandInSegmenter()
    bundle = Bundle.load(Path(settings.bundle) if settings.bundle else DEFAULT_BUNDLE)
    return OnnxSegmenter(
        bundle, threads=settings.threads, observe=observe, batch=settings.batch, note_run=note_run
    )
