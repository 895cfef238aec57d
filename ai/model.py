"""A model in a few lines: films in, masks and measurements out. docs/python.md shows it at work."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.appearance import Appearance
from ai.bundle import DEFAULT_BUNDLE, Bundle
from ai.errors import RadiographError
from ai.film import Film
from ai.judge import Judge
from ai.measure import measure
from ai.measurement import Measurements
from ai.onnx_segmenter import MAX_BATCH, OnnxSegmenter
from ai.overlay import draw_overlay
from ai.runtime import Way
from ai.segmentation import Mask, Segmentation
from ai.segmenter import Segmenter
from ai.upright import Rules, put_right


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a model makes of a film.

    Attributes:
        film: As it was understood: upright, bone bright, with notes of what was put right.
        found: The segmentation, on the grid of the upright radiograph.
        measured: The measurements; their drawings lie on that grid, too.
        appearance: What a judge saw before anything was put right; None where none looked.
    """

    film: Film
    found: Segmentation
    measured: Measurements
    appearance: Appearance | None = None

    @cached_property
    def segmentation(self) -> Segmentation:
        """The segmentation, on the stored grid of the film."""
        return self.film.stored_segmentation(self.found)

    @property
    def masks(self) -> Mapping[str, Mask]:
        """The masks by label name, on the stored grid of the film."""
        return self.segmentation.masks

    @cached_property
    def measurements(self) -> Measurements:
        """The measurements; their drawings lie on the stored grid of the film."""
        return self.film.stored_measurements(self.measured)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the film, and what was repaired in the masks, one sentence each."""
        return (*self.film.radiograph.notes, *self.found.repairs)

    def overlay(self) -> npt.NDArray[np.uint8]:
        """Return a picture for people, (rows, columns, 3) sRGB: the upright film with what was found."""
        return draw_overlay(self.film.radiograph, self.found, self.measured)


@dataclass(frozen=True, eq=False)
class _Seen:
    """A film that was looked at and, perhaps, put right."""

    film: Film
    appearance: Appearance | None


class Model:
    """Looks at films, segments and measures them, as the node does with what it receives.

    Without a judge bone has to be bright: the node's own look at the grey scale is not made here.

    Args:
        segmenter: Finds the anatomy.
        judge: Looks at each film first; None where the bundle has none.
        rules: What is done about what it sees.
        views: That the model supports.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        judge: Judge | None = None,
        rules: Rules | None = None,
        views: Sequence[str] = ("frontal",),
    ) -> None:
        self.segmenter = segmenter
        self._judge = judge
        self._rules = rules or Rules()
        self._views = views

    def analyse(self, film: Film) -> Analysis:
        """Return what is made of a film.

        Raises:
            NotAChestError: If it does not look like a chest radiograph of a supported view, or the rules
                refuse it.
        """
        [result] = self._batch([film])
        if isinstance(result, RadiographError):
            raise result
        return result

    def analyse_all(self, films: Iterable[Film]) -> Iterator[Analysis | RadiographError]:
        """Yield what is made of each film, in order, or the error that `analyse` would raise.

        Films are taken a batch at a time, so that an iterator of thousands needs the memory of a few.
        """
        waiting = iter(films)
        while batch := list(islice(waiting, MAX_BATCH)):
            yield from self._batch(batch)

    def _batch(self, films: Sequence[Film]) -> list[Analysis | RadiographError]:
        looked_at = [self._look_at(film) for film in films]
        found = iter(self._segment([each.film for each in looked_at if isinstance(each, _Seen)]))
        return [_analysis(each, next(found)) if isinstance(each, _Seen) else each for each in looked_at]

    def _look_at(self, film: Film) -> _Seen | RadiographError:
        if self._judge is None:
            return _Seen(film, None)
        try:
            appearance = self._judge.judge(film.radiograph.pixels)
            return _Seen(put_right(film, appearance, self._rules, self._views), appearance)
        except RadiographError as error:
            return error

    def _segment(self, films: Sequence[Film]) -> list[Segmentation | RadiographError]:
        """Return a segmentation of each film; of a batch with a film that is refused, one by one."""
        try:
            return list(self.segmenter.segment([film.radiograph for film in films]))
        except RadiographError as error:
            if len(films) == 1:
                return [error]
            return [result for film in films for result in self._segment([film])]


def load_model(
    bundle: Path | str | None = None, rules: Rules | None = None, threads: int | None = None
) -> Model:
    """Return the model of a bundle, ready for films.

    Args:
        bundle: A folder or .zip; the one that is installed with the package if left out.
        rules: What is done about films that look odd; as in the node's default settings if left out.
        threads: CPU threads; None leaves the choice to ONNX Runtime.

    Raises:
        BundleError: If the bundle cannot be trusted.
    """
    loaded = Bundle.load(DEFAULT_BUNDLE if bundle is None else Path(bundle))
    segmenter = OnnxSegmenter(loaded, way=Way(threads or 0))
    return Model(segmenter, segmenter.judge, rules, segmenter.manifest.views)


def _analysis(seen: _Seen, found: Segmentation | RadiographError) -> Analysis | RadiographError:
    if isinstance(found, RadiographError):
        return found
    return Analysis(seen.film, found, measure(seen.film.radiograph, found), seen.appearance)
