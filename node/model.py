"""Which model segments: the bundle that the settings name, or the one that is installed with the node."""

from pathlib import Path

from ai.bundle import DEFAULT_BUNDLE, Bundle, manifest_of
from ai.errors import BundleError
from ai.onnx_segmenter import Observe, OnnxSegmenter
from ai.segmenter import Segmenter
from ai.stand_in import StandInSegmenter
from config.settings import ModelSettings
from node.logs import get_logger

STAND_IN = "stand-in"
"""`bundle = "stand-in"` in the settings: geometric shapes, for trials of everything around a model."""


def load_segmenter(settings: ModelSettings, observe: Observe | None = None) -> Segmenter:
    """Return what finds the anatomy.

    Args:
        settings: `[model]`.
        observe: Told how long each stage of the network took.

    Raises:
        ai.errors.BundleError: The bundle cannot be trusted.
    """
    if settings.bundle == STAND_IN:
        get_logger().warning("the stand-in segments, not a model")
        return StandInSegmenter()
    bundle = Bundle.load(Path(settings.bundle) if settings.bundle else DEFAULT_BUNDLE)
    return OnnxSegmenter(bundle, threads=settings.threads, observe=observe)


def views_of(bundle: str) -> tuple[str, ...]:
    """Return the views that a model supports, of "frontal" and "lateral", without loading its weights.

    Args:
        bundle: As the settings name it; "" for the one that is installed. Where it cannot be read here, as in
            a process that does not work, every view.
    """
    if bundle == STAND_IN:
        return StandInSegmenter.views
    try:
        return manifest_of(Path(bundle) if bundle else DEFAULT_BUNDLE).views
    except BundleError:
        return ("frontal", "lateral")
