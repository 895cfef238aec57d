"""Pictures through the command's pipeline: judged, measured, and without any object made of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset

from ai.judge import Judge
from ai.measurement import NotComputed
from ai.stand_in import StandInSegmenter
from config.settings import AppearanceSettings
from node.appearance import Examiner
from node.errors import RefusedImageError
from node.measurements_file import measurements_json
from node.picture_files import TURNED_OVER, parse_spacing, process_picture
from node.pipeline import Processed

MakeDx = Callable[..., Dataset]
MakeJudge = Callable[..., bytes]


@pytest.fixture(scope="module")
def chest(make_dx: MakeDx) -> npt.NDArray[np.uint16]:
    return np.asarray(make_dx(rows=128, columns=112).pixel_array, np.uint16)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[npt.NDArray[Any]], Path]:
    def saved(pixels: npt.NDArray[Any]) -> Path:
        path = tmp_path / "chest.png"
        Image.fromarray(np.ascontiguousarray(pixels)).save(path)
        return path

    return saved


Save = Callable[[npt.NDArray[Any]], Path]


def examiner(make_judge: MakeJudge, **logits: Any) -> Examiner:
    return Examiner(Judge(make_judge(**logits), 64), AppearanceSettings(), ("frontal",), "0" * 64)


def told(processed: Processed) -> dict[str, Any]:
    content = measurements_json(processed.source, processed.segmentation, processed.measurements)
    return dict(json.loads(json.dumps(content)))


def test_picture_is_measured_and_no_object_is_made_of_it(
    save: Save, chest: npt.NDArray[np.uint16], make_judge: MakeJudge
) -> None:
    processed = process_picture(save(chest), (3.0, 3.0), StandInSegmenter(), examiner(make_judge))
    content = told(processed)

    assert processed.results == ()
    assert list(processed.timings) == ["read", "judge", "segment", "measure"]
    assert content["source"]["sop_instance_uid"] == ""
    assert (content["source"]["rows"], content["source"]["columns"]) == (128, 112)
    assert content["source"]["pixel_spacing"]["row_mm"] == 3.0
    assert not content["source"]["pixel_spacing"]["calibrated"]
    assert {"cardiothoracic ratio", "heart width"} <= {each["name"] for each in content["measurements"]}


def test_lengths_of_a_picture_without_spacing_are_not_computed(
    save: Save, chest: npt.NDArray[np.uint16]
) -> None:
    processed = process_picture(save(chest), None, StandInSegmenter())
    width = processed.measurements["heart width"]

    assert isinstance(width, NotComputed)
    assert width.reason == "no pixel spacing"
    assert "the picture states no pixel spacing" in told(processed)["notes"]


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_results_of_a_turned_picture_lie_on_it_as_it_is_on_disk(
    save: Save, chest: npt.NDArray[np.uint16], make_judge: MakeJudge, quarters: int
) -> None:
    upright = process_picture(save(chest), (3.0, 3.0), StandInSegmenter())
    logits = [0.0] * 4
    logits[quarters] = 9.0
    shown = np.rot90(chest, quarters)
    judged = examiner(make_judge, turn=tuple(logits))
    processed = process_picture(save(shown), (3.0, 3.0), StandInSegmenter(), judged)

    assert processed.measurements == upright.measurements
    for name, mask in processed.segmentation.masks.items():
        stored = processed.source.stored_mask(mask).dense((shown.shape[0], shown.shape[1]))
        expected = np.rot90(upright.segmentation.masks[name].dense((128, 112)), quarters)
        assert np.array_equal(stored, expected), name
    assert any("rotated by" in note for note in told(processed)["notes"])


def test_picture_that_the_settings_refuse_is_refused(
    save: Save, chest: npt.NDArray[np.uint16], make_judge: MakeJudge
) -> None:
    with pytest.raises(RefusedImageError, match=r"\[appearance\] mirrored refuses it"):
        process_picture(save(chest), None, StandInSegmenter(), examiner(make_judge, mirrored=(9.0,)))


def test_inverted_picture_is_turned_over_where_no_judge_looks(
    save: Save, chest: npt.NDArray[np.uint16]
) -> None:
    usual = process_picture(save(chest), None, StandInSegmenter()).source.radiograph
    inverted = process_picture(save(4095 - chest), None, StandInSegmenter()).source.radiograph

    assert inverted.pixels == pytest.approx(usual.pixels, abs=1e-5)
    assert TURNED_OVER in inverted.notes
    assert TURNED_OVER not in usual.notes


@pytest.mark.parametrize("text", ["", "x", "0.1;0.1", "0.1,0.1,0.1", "0", "-1", "nan", "0.1,", "200"])
def test_spacing_that_is_none_is_an_error_with_the_rule(text: str) -> None:
    with pytest.raises(ValueError, match="MM or ROW,COLUMN"):
        parse_spacing(text)
