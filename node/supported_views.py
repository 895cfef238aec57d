"""Which views a model supports, as its manifest says: without the network, and without what runs it."""

from pathlib import Path

from ai.bundle import DEFAULT_BUNDLE, manifest_of
from ai.errors import BundleError
from ai.stand_in import StandInSegmenter
from node.part import STAND_IN


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
