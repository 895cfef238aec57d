"""Which model segments: the bundle that the settings name, or the one that is installed with the node."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.choice import Trial, fastest, trial_of, tried
from ai.control_groups import processors
from ai.onnx_segmenter import Observe, OnnxSegmenter
from ai.runtime import Way, available_providers
from ai.segmenter import Segmenter
from ai.stand_in import StandInSegmenter
from config.settings import ModelSettings
from node.logs import get_logger
from node.part import STAND_IN as STAND_IN

log = get_logger()


def load_segmenter(
    settings: ModelSettings,
    observe: Observe | None = None,
    note_run: Callable[[int], None] | None = None,
    *,
    with_trial: bool = False,
) -> Segmenter:
    """Return what finds the anatomy.

    Args:
        settings: `[model]`.
        observe: Told how long each stage of the network took.
        note_run: Told how many images each run of the network had.
        with_trial: Whether the fastest way to run the network on this machine is found out first, unless the
            settings say how many threads there are to be: about a second with the network that is installed,
            and what some looks take with a larger one (`ai.choice`).

    Raises:
        ai.errors.BundleError: The bundle cannot be trusted.
    """
    if settings.bundle == STAND_IN:
        log.warning("the stand-in segments, not a model")
        return StandInSegmenter()
    bundle = Bundle.load(Path(settings.bundle) if settings.bundle else DEFAULT_BUNDLE)
    way = _way(bundle) if with_trial and not settings.threads else Way(settings.threads)
    return OnnxSegmenter(
        bundle,
        way=way,
        observe=observe,
        batch=settings.batch,
        note_run=note_run,
        note_largest=partial(_tell_largest, bundle.identity.id),
    )


def _tell_largest(model_id: str, largest: int) -> None:
    log.warning("fewer images go through the network together", model_id=model_id, count=largest)


def _way(bundle: Bundle) -> Way:
    """Return the fastest way to run a network here, and tell it."""
    model, size = bundle.identity, bundle.manifest.input_size
    trials = tried(trial_of(model.id, bundle.onnx_bytes, size, available_providers()), processors())
    chosen = fastest(trials)
    for trial in dict.fromkeys(trials):
        event = "the network runs this way" if trial is chosen else "the network was tried this way"
        log.info(event, model_id=model.id, provider=trial.provider, **_told(trial))
    return chosen.way


def _told(trial: Trial) -> dict[str, object]:
    looks = "together" if trial.way.together else "apart"
    return {"threads": trial.way.threads, "looks": looks, "seconds": round(trial.seconds, 3)}
