"""Segmentation by the network of a model bundle, run with ONNX Runtime."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ai.bundle import Bundle
from ai.company import Company
from ai.consistency import make_consistent
from ai.judge import Judge
from ai.labels import LABELS
from ai.manifest import Manifest
from ai.mirroring import channel_pairs, mirrored_inputs, tell_twice
from ai.plausibility import check_lungs, check_seen_view, check_trust, frontal_probability
from ai.postprocess import cutoff_of, put_sides_right, side_pairs, to_mask
from ai.preprocess import Letterbox, network_input
from ai.radiograph import Radiograph
from ai.runtime import CPU, Way, available_providers, check_edges, look, start_session
from ai.segmentation import Mask, ModelIdentity, Segmentation
from ai.segmenter import Segmenter
from ai.stated_view import check_stated_view
from ai.uncertainty import Trust, agreement, expected_dice, second_look, trust_of

Observe = Callable[[str, float], None]
"""Told the name of a stage ("preprocess", "inference", "postprocess") and the seconds that it took."""

Note = Callable[[int], None]
"""Told a number of images."""

Look = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]
"""What the network is asked about a radiograph: its input (1, S, S), and where that holds picture (S, S)."""

MAX_BATCH = 4
"""Images in one run of the network: logits of 161 structures at 512 x 512 take 169 MB for each look."""

_SIDE_PAIRS = side_pairs()


@dataclass(frozen=True, eq=False)
class NetworkOutput:
    """What the network says of one radiograph.

    Attributes:
        logits: float32, shape (L, G, G), L in the order of the manifest's labels; the grid is as fine
            as the input or coarser.
        view: float32, shape (2,), logits of (frontal, lateral).
        agreement: float32, shape (L,), see `ai.uncertainty.agreement`; None where there was no second look.
    """

    logits: npt.NDArray[np.float32]
    view: npt.NDArray[np.float32]
    agreement: npt.NDArray[np.float32] | None = None

    def equals(self, other: "NetworkOutput") -> bool:
        """Return whether the other says the same, to the last bit."""
        pairs = (self.logits, other.logits), (self.view, other.view), (self.agreement, other.agreement)
        return all(_are_same(mine, theirs) for mine, theirs in pairs)


class OnnxSegmenter:
    """Finds structures with the weights of a bundle; several threads may ask at the same time.

    On an accelerator their images go through the network one run after the other, in company where they wait
    (`ai.company`). On a processor each goes at once: there, company saves nothing.

    Args:
        bundle: Verified weights.
        providers: Execution providers in order of preference; None takes CUDA where it works.
        way: How the network is run.
        observe: Told how long each stage took.
        batch: Images in one run of the network at most; 0: MAX_BATCH on an accelerator, 1 on a processor.
        note_run: Told how many images each run of the network had, once it has succeeded.
        note_largest: Told how many images a run may have at most from now on; see `ai.company`.

    Raises:
        BundleError: If the network does not load, or its inputs and outputs are not those of the manifest.
    """

    def __init__(
        self,
        bundle: Bundle,
        providers: Sequence[str] | None = None,
        way: Way | None = None,
        observe: Observe | None = None,
        batch: int = 0,
        note_run: Note | None = None,
        note_largest: Note | None = None,
    ) -> None:
        way = way or Way()
        self._together = way.together
        self.manifest = bundle.manifest
        self.model: ModelIdentity = bundle.identity
        self._observe = observe or (lambda stage, seconds: None)
        self._note_run = note_run or (lambda images: None)
        self.judge: Judge | None = bundle.judge()
        chosen = providers or available_providers()
        self._session = start_session(self.model.id, bundle.onnx_bytes, chosen, way.threads)
        check_edges(self._session, _edges(self.manifest))
        together = batch or MAX_BATCH
        goes_at_once = self.providers[0] == CPU and batch <= 1
        note = note_largest or (lambda largest: None)
        self._company = None if goes_at_once else Company(self._answers, together, NetworkOutput.equals, note)
        channels = {name: channel for channel, name in enumerate(self.manifest.labels)}
        self._channels = {item.name: channels[item.name] for item in LABELS if item.name in channels}
        self._told_twice = channel_pairs(self.manifest.mirrored, self.manifest.labels)

    @property
    def providers(self) -> tuple[str, ...]:
        """Execution providers in use, the preferred one first."""
        return tuple(self._session.get_providers())

    def urged(self, urgency: int) -> Segmenter:
        """Return this one for images of an urgency; see `ai.segmenter.Shared`."""
        return _Urged(self, urgency)

    def segment(self, radiographs: Sequence[Radiograph], urgency: int = 0) -> list[Segmentation]:
        """Return one segmentation for each radiograph, in order.

        Args:
            radiographs: What to look at.
            urgency: What has more of it goes first, where others wait for the network.

        Raises:
            NotAChestError: If one does not look like a chest radiograph of a supported view.
        """
        segmentations: list[Segmentation] = []
        for start in range(0, len(radiographs), MAX_BATCH):
            batch = radiographs[start : start + MAX_BATCH]
            inputs, boxes = self.prepare(batch)
            films = [box.film() for box in boxes]
            outputs = (
                self._company.ask(list(zip(inputs, films, strict=True)), urgency)
                if self._company
                else self.infer(inputs, films)
            )
            segmentations += map(self.finish, batch, boxes, outputs)
        return segmentations

    def prepare(self, radiographs: Sequence[Radiograph]) -> tuple[npt.NDArray[np.float32], list[Letterbox]]:
        """Return the network's input (N, 1, S, S) and how each radiograph lies on it.

        Raises:
            NotAChestError: If a view is stated that the model does not support.
        """
        with self._timed("preprocess"):
            for radiograph in radiographs:
                check_stated_view(radiograph.view, self.manifest.views)
            seen = [network_input(radiograph.pixels, self.manifest.input_size) for radiograph in radiographs]
            return np.stack([grid for grid, _ in seen])[:, None], [box for _, box in seen]

    def infer(
        self, inputs: npt.NDArray[np.float32], films: Sequence[npt.NDArray[np.bool_]] = ()
    ) -> list[NetworkOutput]:
        """Return the network's output for each of the inputs (N, 1, S, S).

        A model whose manifest says how far it may be trusted is asked twice (`ai.uncertainty`) where `films`
        tell where the inputs hold picture; and once more where it says that some structures are told of the
        mirrored picture as well (`ai.mirroring`). Of these, the logits are the mean.
        """
        with self._timed("inference"):
            is_asked_twice = len(films) and self.manifest.reliability
            moved = second_look(inputs, films) if is_asked_twice else None
            is_one_run = self._together and 2 * len(inputs) <= MAX_BATCH
            logits, view, again = look(self._session, inputs, moved, together=is_one_run)
            if self._told_twice:
                of_mirrored, _, _ = look(self._session, mirrored_inputs(inputs))
                tell_twice(logits, of_mirrored, self._told_twice)
                del of_mirrored
            agreed: Sequence[npt.NDArray[np.float32] | None] = [None] * len(inputs)
            if again is not None:
                agreed = [agreement(*pair, inputs.shape[-1]) for pair in zip(logits, again, strict=True)]
                again = None  # a hundred megabytes and more, before those of the first look are copied
        self._note_run(len(inputs))
        said: Iterable[npt.NDArray[np.float32]] = logits
        if len(inputs) > 1 or is_one_run:  # who keeps one of them does not keep all
            said = map(np.copy, logits)
        return [NetworkOutput(*each) for each in zip(said, view, agreed, strict=True)]

    def _answers(self, looks: Sequence[Look]) -> list[NetworkOutput]:
        return self.infer(np.stack([grid for grid, _ in looks]), [film for _, film in looks])

    def finish(self, radiograph: Radiograph, box: Letterbox, output: NetworkOutput) -> Segmentation:
        """Return the segmentation on the radiograph's own grid.

        Raises:
            NotAChestError: If the pixels do not look like a chest radiograph of a supported view.
        """
        with self._timed("postprocess"):
            frontal = frontal_probability(output.view)
            check_seen_view(frontal, self.manifest.views)
            shape = (radiograph.rows, radiograph.columns)
            grid = Letterbox(box.rows, box.columns, output.logits.shape[-1])
            masks, repairs = self._masks(output.logits, grid)
            exchanged: list[tuple[str, str]] = []
            is_frontal = frontal >= 0.5
            if is_frontal:
                check_lungs(masks, shape, self.manifest.labels)
                before = masks
                masks, exchanges = put_sides_right(masks, _SIDE_PAIRS)
                exchanged = [pair for pair in _SIDE_PAIRS if masks.get(pair[0]) is not before.get(pair[0])]
                masks, corrections = make_consistent(masks, self._channels)
                repairs += exchanges + corrections
            trust = self._trust(output, masks)
            for right, left in exchanged:  # whose signs are whose is doubtful where sides were
                if right in trust and left in trust:
                    trust[right] = trust[left] = min(trust[right], trust[left], key=lambda t: t.probability)
            if is_frontal:
                check_trust(masks, trust)
            return replace(self._segmentation(shape, masks, repairs, frontal), trust=trust)

    def _trust(self, output: NetworkOutput, masks: Mapping[str, Mask]) -> dict[str, Trust]:
        """Return what is thought of the masks that were found."""
        if output.agreement is None:
            return {}
        labels = self.manifest.labels
        cutoffs = np.array([cutoff_of(self.manifest.thresholds[name]) for name in labels], np.float32)
        signs = expected_dice(output.logits, cutoffs), output.agreement
        trusted = trust_of(self.manifest.reliability, labels, *signs)
        return {name: trusted[name] for name in masks if name in trusted}

    def _masks(
        self, logits: npt.NDArray[np.float32], box: Letterbox
    ) -> tuple[dict[str, Mask], tuple[str, ...]]:
        masks: dict[str, Mask] = {}
        repairs: tuple[str, ...] = ()
        for name, channel in self._channels.items():
            cleaned = to_mask(name, logits[channel], self.manifest.thresholds[name], box)
            repairs += cleaned.repairs
            if cleaned.mask is not None:
                masks[name] = cleaned.mask
        return masks, repairs

    def _segmentation(
        self, shape: tuple[int, int], masks: dict[str, Mask], repairs: tuple[str, ...], frontal: float
    ) -> Segmentation:
        return Segmentation(
            shape=shape,
            masks=masks,
            model=self.model,
            empty=tuple(name for name in self._channels if name not in masks),
            unsupported=tuple(item.name for item in LABELS if item.name not in self._channels),
            repairs=repairs,
            frontal_probability=frontal,
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self._observe(stage, time.perf_counter() - start)


@dataclass(frozen=True, eq=False)
class _Urged:
    """A segmenter for images of one urgency."""

    segmenter: OnnxSegmenter
    urgency: int

    @property
    def model(self) -> ModelIdentity:
        return self.segmenter.model

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        return self.segmenter.segment(radiographs, self.urgency)


def _are_same(mine: npt.NDArray[np.float32] | None, theirs: npt.NDArray[np.float32] | None) -> bool:
    if mine is None or theirs is None:
        return mine is theirs
    return np.array_equal(mine.view(np.uint32), theirs.view(np.uint32))


def _edges(manifest: Manifest) -> dict[str, tuple[int | None, ...]]:
    size = manifest.input_size
    return {
        "image": (None, 1, size, size),
        "logits": (None, len(manifest.labels), None, None),
        "view": (None, 2),
    }
