"""The judge and the settings `[appearance]`, put to a radiograph: `ai.upright` has what is done and why."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import replace

from ai.errors import NotAChestError
from ai.film import Film
from ai.judge import Judge
from ai.onnx_segmenter import OnnxSegmenter
from ai.segmenter import Segmenter
from ai.upright import Rules, put_right
from config.settings import AppearanceSettings
from node.errors import RefusedImageError
from node.reader import Source


class Examiner:
    """Looks at each radiograph and does what the settings say.

    Args:
        judge: Looks at pixels.
        settings: `[appearance]`.
        views: Of the model: a lateral view is no finding where it supports lateral ones.
        judge_sha256: Of judge.onnx; results depend on it.
    """

    def __init__(
        self, judge: Judge, settings: AppearanceSettings, views: Collection[str], judge_sha256: str
    ) -> None:
        self._judge = judge
        self._rules = Rules(**settings.model_dump(), called="[appearance]")
        self._views = views
        content = {"judge": judge_sha256, **settings.model_dump()}
        self.digest: str = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def examine(self, source: Source) -> Source:
        """Return the source, its radiograph put right where the settings say so, with notes.

        Raises:
            RefusedImageError: If the settings say that such a picture is refused.
        """
        before = Film(source.radiograph, source.orientation)
        try:
            appearance = self._judge.judge(before.radiograph.pixels)
            film = put_right(before, appearance, self._rules, self._views)
        except NotAChestError as exc:
            raise RefusedImageError(str(exc)) from exc
        return replace(
            source, radiograph=film.radiograph, orientation=film.orientation, appearance=appearance
        )


def examiner_of(segmenter: Segmenter, settings: AppearanceSettings) -> Examiner | None:
    """Return what looks at pictures for a segmenter; None where its bundle holds no judge."""
    if not isinstance(segmenter, OnnxSegmenter) or segmenter.judge is None:
        return None
    stated = segmenter.manifest.judge
    digest = stated.sha256 if stated else ""
    return Examiner(segmenter.judge, settings, segmenter.manifest.views, digest)
