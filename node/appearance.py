"""What is done about a picture that does not look like an upright frontal chest radiograph.

A judge (`ai.judge`) looks at the pixels after the tags have been respected. What the settings want corrected
is corrected by laying the picture otherwise: from there on the radiograph is the upright one, and
`node.reader.Source` leads masks and points back to the stored grid, whatever turned it, tags or pixels.
"""

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ai.appearance import SURE, Appearance, Kind, Presentation
from ai.judge import Judge
from ai.onnx_segmenter import OnnxSegmenter
from ai.radiograph import Radiograph
from ai.segmenter import Segmenter
from config.settings import AppearanceSettings
from node.errors import RefusedImageError
from node.orientation import Orientation, seen_orientation
from node.reader import Source

LATERAL = "lateral"


@dataclass(frozen=True)
class Finding:
    """Something unusual that the judge is sure of.

    Attributes:
        setting: The key in `[appearance]` that says what is done about it.
        words: What was seen.
        corrected: What is said when it was put right.
        undone: What puts it right.
    """

    setting: str
    words: str
    corrected: str
    undone: Presentation


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
        self._settings = settings
        self._views = views
        content = {"judge": judge_sha256, **settings.model_dump()}
        self.digest: str = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def examine(self, source: Source) -> Source:
        """Return the source, its radiograph put right where the settings say so, with notes.

        Raises:
            RefusedImageError: If the settings say that such a picture is refused.
        """
        appearance = self._judge.judge(source.radiograph.pixels)
        self._check_kind(appearance)
        correction, notes = Presentation(), source.radiograph.notes
        for finding in findings(appearance):
            action = getattr(self._settings, finding.setting)
            if action == "refuse":
                raise RefusedImageError(f"{finding.words}; [appearance] {finding.setting} refuses it")
            if action == "correct":
                correction = both(correction, finding.undone)
                notes = (*notes, f"{finding.words}: {finding.corrected}")
            if action == "note":
                notes = (*notes, f"{finding.words}: nothing was changed")
        judged = replace(source, appearance=appearance)
        return corrected(judged, correction, notes)

    def _check_kind(self, appearance: Appearance) -> None:
        """Raise if it is sure that the picture is of a kind that is refused, whichever of them."""
        refused = set(self._refused_kinds())
        probability = appearance.is_of(refused)
        if probability < SURE:
            return
        likely = appearance.kind
        if likely is Kind.LATERAL:
            words = f"the picture looks like a lateral view (probability {probability:.2f})"
            raise RefusedImageError(f"{words}; this model supports frontal views only")
        raise RefusedImageError(
            f"the picture does not look like a chest radiograph (probability {probability:.2f})"
        )

    def _refused_kinds(self) -> Iterator[Kind]:
        if self._settings.not_chest == "refuse":
            yield Kind.OTHER
        if self._settings.lateral == "refuse" and LATERAL not in self._views:
            yield Kind.LATERAL


def findings(appearance: Appearance) -> Iterator[Finding]:
    """Yield what is unusual and sure; how it lies is asked of frontal views, the grey scale of any chest."""
    seen = appearance.presentation
    if appearance.kind is not Kind.OTHER and appearance.inverted >= SURE:
        words = f"the picture looks inverted, bone is dark (probability {appearance.inverted:.2f})"
        yield Finding("inverted", words, "the grey scale was turned over", Presentation(inverted=True))
    if appearance.kind is not Kind.FRONTAL:
        return
    if seen.turn and appearance.turn_probability >= SURE:
        words = f"the picture looks turned (probability {appearance.turn_probability:.2f})"
        told = f"it was rotated by {seen.turn} degrees clockwise to be measured"
        yield Finding("turned", words, told, Presentation(turn=seen.turn))
    if appearance.mirrored >= SURE:
        words = f"left and right look exchanged (probability {appearance.mirrored:.2f})"
        yield Finding("mirrored", words, "it was mirrored to be measured", Presentation(mirrored=True))


def both(first: Presentation, second: Presentation) -> Presentation:
    """Return two presentations in one: each of turn, mirror and grey scale is told by one of them at most."""
    return Presentation(
        first.turn or second.turn, first.mirrored or second.mirrored, first.inverted or second.inverted
    )


def corrected(source: Source, correction: Presentation, notes: tuple[str, ...]) -> Source:
    """Return the source with its radiograph brought to the usual presentation, and with these notes."""
    before = source.radiograph
    lies: Orientation = seen_orientation(correction)
    pixels = lies.to_usual(before.pixels)
    radiograph: Radiograph = replace(
        before,
        pixels=np.asarray(1 - pixels, np.float32) if correction.inverted else pixels,
        spacing=lies.spacing_to_usual(before.spacing) if before.spacing else None,
        notes=notes,
    )
    return replace(source, radiograph=radiograph, orientation=source.orientation.then(lies))


def examiner_of(segmenter: Segmenter, settings: AppearanceSettings) -> Examiner | None:
    """Return what looks at pictures for a segmenter; None where its bundle holds no judge."""
    if not isinstance(segmenter, OnnxSegmenter) or segmenter.judge is None:
        return None
    stated = segmenter.manifest.judge
    digest = stated.sha256 if stated else ""
    return Examiner(segmenter.judge, settings, segmenter.manifest.views, digest)
