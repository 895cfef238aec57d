"""Vertebrae that a model finds in their place, beside it, one level off, or not at all."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ai.errors import NotAChestError
from ai.labels import LABELS
from ai.radiograph import Radiograph
from ai.segmentation import Mask, ModelIdentity, Segmentation
from ai.uncertainty import Trust
from pipeline_training.accuracy_page import accuracy_page
from pipeline_training.cli import main
from pipeline_training.evaluate import EvaluateOptions, chosen_sets, evaluate_sets
from pipeline_training.evaluation_report import Evaluation, remarks
from pipeline_training.export import without_images
from pipeline_training.radiograph_folders import read_set
from pipeline_training.spine_landmarks import MARKED
from pipeline_training.spine_report import SpineResult

MakeSpineSet = Callable[..., Path]
Change = Callable[[Segmentation], Segmentation]
SHAPE = (400, 160)
PITCH = 20
THORACIC = MARKED[:12]


class Reader:
    """Answers with the reader's own vertebrae of a set, changed; refuses pictures of the names given."""

    model = ModelIdentity("reader", "1", "0" * 64)

    def __init__(self, folder: Path, change: Change = lambda drawn: drawn, refused: bool = False) -> None:
        spine = read_set(folder).spine
        assert spine is not None
        self.answer = change(next(iter(spine.readings.values())).drawn(MARKED, SHAPE))
        self.refused = refused

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        if self.refused:
            raise NotAChestError("no chest")
        return [self.answer for _ in radiographs]


def evaluated(folder: Path, change: Change = lambda drawn: drawn, refused: bool = False) -> Evaluation:
    options = EvaluateOptions(folder, resamples=50)
    return evaluate_sets(Reader(folder, change, refused), chosen_sets(options), options)


def spine_of(evaluation: Evaluation) -> SpineResult:
    ((_, result),) = evaluation.spines
    return result


def kept(*names: str) -> Change:
    return lambda drawn: replace(drawn, masks={name: drawn.masks[name] for name in names})


def moved(rows: int) -> Change:
    def move(drawn: Segmentation) -> Segmentation:
        masks = {name: Mask(mask.pixels, mask.top + rows, mask.left) for name, mask in drawn.masks.items()}
        return replace(drawn, masks=masks)

    return move


def test_the_readers_own_vertebrae_lie_in_their_place(make_spine_set: MakeSpineSet) -> None:
    centres = spine_of(evaluated(make_spine_set())).centres
    assert (centres.compared, centres.near, centres.another_level, centres.not_found) == (34, 1, 0, {})
    assert centres.distance is not None
    assert centres.distance.mean < 0.001


def test_the_distance_is_a_share_of_the_images_height(make_spine_set: MakeSpineSet) -> None:
    centres = spine_of(evaluated(make_spine_set(), moved(8))).centres
    assert centres.distance is not None
    assert centres.distance.mean == pytest.approx(8 / 400, abs=0.0005)
    assert (centres.near, centres.another_level) == (1, 0)


def test_one_level_off_is_told_though_it_may_be_near(make_spine_set: MakeSpineSet) -> None:
    def rename(drawn: Segmentation) -> Segmentation:
        return replace(drawn, masks=dict(zip(THORACIC, list(drawn.masks.values())[1:13], strict=True)))

    centres = spine_of(evaluated(make_spine_set(), rename)).centres
    assert (centres.compared, centres.another_level) == (24, 24)
    assert centres.distance is not None
    assert centres.distance.mean == pytest.approx(PITCH / 400, rel=0.2)
    assert centres.images[0].another_level == THORACIC


def test_what_is_not_found_is_counted_by_reason(make_spine_set: MakeSpineSet) -> None:
    def spoil(drawn: Segmentation) -> Segmentation:
        top = Mask(np.ones((10, 20), np.bool_), 0, 70)
        masks = {name: top if name == "vertebrae T1" else drawn.masks[name] for name in THORACIC[:11]}
        lumbar = MARKED[12:]
        return replace(
            drawn, masks=masks, unsupported=lumbar, trust={"vertebrae T2": Trust(probability=0.2, bar=0.8)}
        )

    centres = spine_of(evaluated(make_spine_set(images=3), spoil)).centres
    assert centres.compared == 3 * 9
    assert next(iter(centres.not_found)) == "not supported"
    assert centres.not_found == {
        "not supported": 15,
        "cut off at the edge of the image": 3,
        "not trusted": 3,
        "not found": 3,
    }


@pytest.mark.parametrize(
    ("first", "last", "levels", "slopes"),
    [
        (0, 16, "T1 to L5", (0.375, 0.1875)),
        (0, 11, "T1 to T12", (0.375, 0.1875)),
        (3, 11, "T4 to T12", (0.1875 * (3 * 25 / 64 - 1), 0.1875)),
        (9, 16, "T10 to L5", (0.375, 0.1875 * (1 - 3 / 64))),
    ],
)
def test_the_angle_is_compared_in_the_part_that_was_measured(
    first: int, last: int, levels: str, slopes: tuple[float, float], make_spine_set: MakeSpineSet
) -> None:
    angle = spine_of(evaluated(make_spine_set(images=1), kept(*MARKED[first : last + 1]))).angles[0]
    (score,) = angle.images
    assert score.levels == levels
    assert score.truth == pytest.approx(np.degrees(np.arctan(slopes)).sum(), abs=0.1)
    assert score.found == pytest.approx(score.truth, abs=1)
    assert angle.agreement is not None
    assert angle.agreement.n == 1


def test_the_method_alone_is_tried_on_the_readers_vertebrae(make_spine_set: MakeSpineSet) -> None:
    """What the model finds, or that it refuses, does not matter for these lines."""
    for evaluation in (evaluated(make_spine_set(), kept()), evaluated(make_spine_set(), refused=True)):
        model, *readers = spine_of(evaluation).angles
        assert model.agreement is None
        assert [each.vertebrae for each in readers] == [
            "reader's vertebrae T1 to T12, measured by us",
            "reader's vertebrae T1 to L5, measured by us",
        ]
        for each in readers:
            assert each.agreement is not None
            assert (each.agreement.n, each.not_computed) == (2, {})
            assert each.agreement.mean_absolute_error.mean < 1


def test_refused_images_are_counted(make_spine_set: MakeSpineSet) -> None:
    result = spine_of(evaluated(make_spine_set(), refused=True))
    assert (result.centres.compared, result.centres.not_found) == (0, {"image refused": 34})
    assert result.angles[0].not_computed == {"image refused": 2}


def test_a_picture_that_cannot_be_read_has_no_shape_to_draw_in(make_spine_set: MakeSpineSet) -> None:
    folder = make_spine_set()
    Image.fromarray(np.zeros(SHAPE, np.uint8)).save(folder / "images" / "0.png")
    result = spine_of(evaluated(folder))
    assert [angle.not_computed for angle in result.angles] == [{"image refused": 1}] * 3
    assert result.centres.not_found == {"image refused": 17}


def test_too_few_vertebrae_have_no_angle_and_the_reason_is_told(make_spine_set: MakeSpineSet) -> None:
    evaluation = evaluated(make_spine_set(), kept(*THORACIC[:5]))
    told = "5 vertebrae were found, 8 are needed"
    assert spine_of(evaluation).angles[0].not_computed == {told: 2}
    assert f"spines: spine angle of model's vertebrae not computed: 2 x {told}" in remarks(evaluation.sets)


def test_a_model_without_vertebrae_is_said_to_support_none(make_spine_set: MakeSpineSet) -> None:
    def unsupported(drawn: Segmentation) -> Segmentation:
        names = tuple(item.name for item in LABELS if item.name.startswith("vertebrae "))
        return replace(drawn, masks={}, unsupported=names)

    page = accuracy_page(evaluated(make_spine_set(), unsupported)).splitlines()
    assert "| spines | 0 | 34 | not supported | - | - |" in page
    assert "| spines | model's vertebrae | 0 | 2 | not computed | - | - |" in page
    assert "* spines: vertebrae not found: 34 x not supported" in page
    assert any(
        line.endswith("not computed: 2 x the model does not support single vertebrae") for line in page
    )


def test_the_page_has_the_figures(make_spine_set: MakeSpineSet) -> None:
    page = accuracy_page(evaluated(make_spine_set(), moved(8)), ("spines",))
    assert "## Vertebrae" in page
    assert "| spines (trained on) | 34 | 0 | 2.0 [2.0, 2.0] | 100.0 % | 0 |" in page
    assert page.count("| spines (trained on) | reader's vertebrae") == 2


def test_remarks_tell_what_is_amiss_with_the_table(
    make_spine_set: MakeSpineSet, landmark_row: Callable[..., dict[str, str]]
) -> None:
    rows = [landmark_row("0.png", (20, 12, 3)), landmark_row("gone.png")]
    told = list(remarks(evaluated(make_spine_set(rows=rows)).sets))
    assert "spines: landmarks of 1 pictures that are not there, such as gone.png" in told
    assert "spines: 1 pictures without landmarks" in told
    (difference,) = (line for line in told if "differ by at most" in line)
    assert float(difference.split()[-2]) == pytest.approx(31.2 - 20, abs=0.1)
    assert not any("no masks to compare" in line for line in told)


def test_a_set_without_landmarks_has_no_section(make_reader_set: Callable[..., Path]) -> None:
    options = EvaluateOptions(make_reader_set("jsrt"), resamples=10)
    reader = Reader.__new__(Reader)
    reader.refused = True
    evaluation = evaluate_sets(reader, chosen_sets(options), options)
    assert evaluation.spines == ()
    assert "Vertebrae" not in accuracy_page(evaluation)


def test_the_report_has_every_image_and_a_manifest_none(make_spine_set: MakeSpineSet) -> None:
    evaluation = evaluated(make_spine_set())
    report = json.loads(evaluation.to_json())
    spine = report["sets"][0]["spine"]
    assert [image["image"] for image in spine["centres"]["images"]] == ["0.png", "1.png"]
    assert "another of the reader's" in report["definitions"]["another_level"]
    short = without_images(report)
    assert isinstance(short, dict)
    assert short["sets"][0]["spine"]["centres"]["images"] == 2
    figures = evaluation.figures()["spines"]["spine"]
    assert figures["centres"]["compared"] == 34
    assert "images" not in figures["centres"]
    assert all("images" not in angle for angle in figures["angles"])


def test_the_command_prints_both_tables(
    make_spine_set: MakeSpineSet, tiny_bundle: Callable[[], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["evaluate", "--data", str(make_spine_set()), "--bundle", str(tiny_bundle())])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert "vertebra centres" in shown
    assert "spine angle, degrees" in shown
    assert "spines: vertebrae not found: 34 x not supported" in shown
