"""A picture is judged, put right or refused; what is found on it lies on the picture as it was sent."""

from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import product
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from ai.appearance import TURNS, Presentation
from ai.judge import Judge
from ai.radiograph import Radiograph
from ai.segmentation import Mask, Segmentation
from ai.stand_in import StandInSegmenter
from config.settings import AppearanceSettings
from node.appearance import Examiner, examiner_of
from node.errors import RefusedImageError
from node.measurements_file import measurements_json
from node.options import OutputOptions
from node.pipeline import Processed, process

MakeDx = Callable[..., Dataset]
MakeJudge = Callable[..., bytes]

ALL = [Presentation(*each) for each in product(TURNS, (False, True), (False, True))]
CORRECT = AppearanceSettings(mirrored="correct")


class _Lopsided(StandInSegmenter):
    """Adds what lies in one corner only, so that no turn and no mirror brings it to itself."""

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        [found] = super().segment(radiographs)
        corner = np.zeros((17, 31), np.bool_)
        corner[:5] = corner[:, :3] = True
        return [
            Segmentation(found.shape, {**found.masks, "aorta": Mask(corner, 11, 23)}, found.model),
        ]


def _examiner(
    make_judge: MakeJudge, settings: AppearanceSettings = CORRECT, views: Sequence[str] = (), **logits: Any
) -> Examiner:
    return Examiner(Judge(make_judge(**logits), 64), settings, views, "0" * 64)


def _sure_of(presentation: Presentation) -> dict[str, Any]:
    turn = tuple(9.0 if each == presentation.turn else 0.0 for each in TURNS)
    way = {"mirrored": presentation.mirrored, "inverted": presentation.inverted}
    return {"turn": turn} | {name: (9.0 if found else -9.0,) for name, found in way.items()}


def _shown(dataset: Dataset, presentation: Presentation) -> Dataset:
    """Return the object with its picture stored otherwise, and tags that know nothing of it."""
    stored = presentation.to_shown(dataset.pixel_array)
    stored = 4095 - stored if presentation.inverted else stored
    dataset.PixelData = stored.astype("<u2").tobytes()
    dataset.Rows, dataset.Columns = stored.shape
    return dataset


def _process(dataset: Dataset, examiner: Examiner | None) -> Processed:
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return process(content, _Lopsided(), OutputOptions(), examiner=examiner)


def _masks(processed: Processed) -> dict[str, Any]:
    seg = next(result.dataset for result in processed.results if result.kind == "SEG")
    labels = [segment.SegmentLabel for segment in seg.SegmentSequence]
    return dict(zip(labels, seg.pixel_array != 0, strict=True))


@pytest.fixture(scope="module")
def usual(make_dx: MakeDx) -> Processed:
    """What an upright picture gives, of few pixels, and of more rows than columns."""
    return _process(make_dx(rows=128, columns=112), None)


@pytest.mark.parametrize("presentation", ALL)
def test_results_lie_on_the_picture_as_it_was_sent(
    presentation: Presentation, usual: Processed, make_dx: MakeDx, make_judge: MakeJudge
) -> None:
    shown = _shown(make_dx(rows=128, columns=112), presentation)
    processed = _process(shown, _examiner(make_judge, **_sure_of(presentation)))
    assert processed.source.radiograph.pixels == pytest.approx(usual.source.radiograph.pixels, abs=1e-3)
    assert processed.measurements == usual.measurements
    found = _masks(processed)
    for name, mask in _masks(usual).items():
        assert np.array_equal(found[name], presentation.to_shown(mask)), name
    seg = next(result.dataset for result in processed.results if result.kind == "SEG")
    assert tuple(seg.PatientOrientation) == processed.source.orientation.letters
    marked = np.zeros(usual.source.shape, np.bool_)
    marked[90, 40] = True
    [[row, column]] = np.argwhere(presentation.to_shown(marked))
    assert processed.source.stored_point((40.5, 90.5)) == (column + 0.5, row + 0.5)
    told = measurements_json(processed.source, processed.segmentation, processed.measurements)
    drawn = [
        point for value in told["measurements"] for line in value["drawings"] for point in line["points"]
    ]
    lines = [line for measurement in usual.measurements.computed for line in measurement.drawings]
    assert drawn == [list(processed.source.stored_point(point)) for line in lines for point in line.points]


def test_unequal_spacings_follow_the_turn(make_dx: MakeDx, make_judge: MakeJudge) -> None:
    dataset = make_dx(ImagerPixelSpacing=[1.4, 1.2])
    processed = _process(dataset, _examiner(make_judge, turn=(0, 9, 0, 0)))
    spacing = processed.source.radiograph.spacing
    assert spacing is not None
    assert (spacing.row_mm, spacing.column_mm) == (1.2, 1.4)
    told = measurements_json(processed.source, processed.segmentation, processed.measurements)
    assert told["source"]["pixel_spacing"]["row_mm"] == 1.4


def test_a_correction_is_added_to_what_the_tags_state(make_dx: MakeDx, make_judge: MakeJudge) -> None:
    dataset = make_dx(PatientOrientation=["R", "F"])
    processed = _process(dataset, _examiner(make_judge, mirrored=(9,)))
    assert processed.source.orientation.is_usual
    seg = next(result.dataset for result in processed.results if result.kind == "SEG")
    assert list(seg.PatientOrientation) == ["L", "F"]


def test_corrections_are_told_in_the_notes(make_dx: MakeDx, make_judge: MakeJudge) -> None:
    examiner = _examiner(make_judge, turn=(0, 9, 0, 0), mirrored=(9,), inverted=(9,))
    processed = _process(make_dx(), examiner)
    told = measurements_json(processed.source, processed.segmentation, processed.measurements)
    words = " ".join(told["notes"])
    assert "the grey scale was turned over" in words
    assert "rotated by 90 degrees clockwise" in words
    assert "it was mirrored to be measured" in words
    assert told["appearance"]["turn"]["90"] > 0.9
    report = next(result.dataset for result in processed.results if result.kind == "SR")
    sentences = [str(element.value) for element in report.iterall() if element.keyword == "TextValue"]
    assert any("rotated by 90 degrees clockwise" in sentence for sentence in sentences)


def test_an_upright_chest_is_left_alone(make_dx: MakeDx, make_judge: MakeJudge) -> None:
    processed = _process(make_dx(), _examiner(make_judge))
    assert processed.source.radiograph.notes == ()
    assert processed.source.orientation.is_usual
    assert list(processed.timings) == ["read", "judge", "segment", "measure", "write"]


def test_what_is_not_sure_changes_nothing(make_dx: MakeDx, make_judge: MakeJudge) -> None:
    examiner = _examiner(make_judge, kind=(0, 0, 1), turn=(0, 2, 0, 0), mirrored=(2,), inverted=(2,))
    assert _process(make_dx(), examiner).source.radiograph.notes == ()


@pytest.mark.parametrize(
    ("setting", "logits", "words"),
    [
        ("inverted", {"inverted": (9,)}, "bone is dark"),
        ("turned", {"turn": (0, 0, 9, 0)}, "looks turned"),
        ("mirrored", {"mirrored": (9,)}, "left and right"),
    ],
)
def test_settings_say_what_is_done(
    setting: str, logits: dict[str, Any], words: str, make_dx: MakeDx, make_judge: MakeJudge
) -> None:
    def notes(action: str) -> tuple[str, ...]:
        settings = AppearanceSettings.model_validate({setting: action})
        return _process(make_dx(), _examiner(make_judge, settings, **logits)).source.radiograph.notes

    with pytest.raises(RefusedImageError, match=f"{words}.*{setting} refuses it"):
        notes("refuse")
    assert notes("ignore") == ()
    first, *more = notes("note")
    assert first.endswith("nothing was changed")
    assert [each.split(": ")[-1] for each in more] == ["nothing was measured"] * (setting == "mirrored")


@pytest.mark.parametrize(
    ("logits", "setting", "words"),
    [
        ((0, 9, 0), "lateral", "lateral view.*frontal views only"),
        ((0, 0, 9), "not_chest", "does not look like a chest"),
    ],
)
def test_what_is_no_frontal_chest_is_refused_unless_ignored(
    logits: tuple[float, ...], setting: str, words: str, make_dx: MakeDx, make_judge: MakeJudge
) -> None:
    with pytest.raises(RefusedImageError, match=words):
        _process(make_dx(), _examiner(make_judge, kind=logits))
    ignoring = AppearanceSettings.model_validate({setting: "ignore"})
    _process(make_dx(), _examiner(make_judge, ignoring, kind=logits))


def test_whichever_kind_it_is_of_it_is_refused_when_it_is_no_frontal_view(
    make_dx: MakeDx, make_judge: MakeJudge
) -> None:
    examiner = _examiner(make_judge, kind=(0, 5, 5.1))
    with pytest.raises(RefusedImageError, match=r"does not look like a chest radiograph .*1\.00"):
        _process(make_dx(), examiner)
    only_lateral = AppearanceSettings(not_chest="ignore")
    _process(make_dx(), _examiner(make_judge, only_lateral, kind=(0, 5, 5.1)))


def test_a_lateral_view_is_welcome_where_the_model_supports_it(
    make_dx: MakeDx, make_judge: MakeJudge
) -> None:
    examiner = _examiner(make_judge, views=("frontal", "lateral"), kind=(0, 9, 0), turn=(0, 9, 0, 0))
    processed = _process(make_dx(), examiner)
    assert processed.source.orientation.is_usual  # how it lies is asked of frontal views only


def test_results_of_other_settings_have_other_uids(make_dx: MakeDx, make_judge: MakeJudge) -> None:
    dataset = make_dx()
    settings = (CORRECT, AppearanceSettings())
    examiners = (None, *(_examiner(make_judge, each) for each in settings))
    uids = {_process(dataset, each).results[0].dataset.SOPInstanceUID for each in examiners}
    assert len(uids) == 3


def test_a_segmenter_without_a_judge_has_no_examiner() -> None:
    assert examiner_of(StandInSegmenter(), AppearanceSettings()) is None
