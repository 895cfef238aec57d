import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from ai.mask_files import read_npz
from ai.orientation import Orientation
from ai.stand_in import StandInSegmenter
from node.formats import Format, is_result, occupied, parse_formats, remove_results, write_masks
from node.options import OutputOptions
from node.pipeline import Processed, process

MakeDx = Callable[..., Dataset]


@pytest.fixture(scope="module")
def processed(make_dx: MakeDx, tmp_path_factory: pytest.TempPathFactory) -> Processed:
    """What became of an object that is stored mirrored, of more rows than columns."""
    path = tmp_path_factory.mktemp("input") / "mirrored.dcm"
    make_dx(rows=128, columns=112, PatientOrientation=["R", "F"]).save_as(path, enforce_file_format=True)
    return process(path, StandInSegmenter(), OutputOptions())


def test_formats_are_named_once_or_often_or_between_commas() -> None:
    assert parse_formats([]) == frozenset()
    assert parse_formats(["npz", "PNG, coco"]) == {Format.NPZ, Format.PNG, Format.COCO}
    assert parse_formats([",".join(Format)]) == set(Format)


@pytest.mark.parametrize(("word", "near"), [("npy", "npz"), ("pngs", "png"), ("cocos", "coco"), ("", "png")])
def test_unknown_format_names_the_nearest(word: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"unknown format {word!r}; the nearest of .* is '{near}'"):
        parse_formats([word])


def test_every_format_holds_the_masks_of_the_stored_grid(processed: Processed, tmp_path: Path) -> None:
    write_masks(processed, tmp_path, set(Format), "mirrored.dcm", 3)
    seg = next(result.dataset for result in processed.results if result.kind == "SEG")
    numbers = {segment.SegmentLabel: segment.SegmentNumber for segment in seg.SegmentSequence}
    frames = seg.pixel_array.astype(bool)
    masks = read_npz(tmp_path / "masks.npz")
    heart = masks["heart"].dense((128, 112))

    assert processed.source.orientation == Orientation(flip_columns=True)
    assert set(masks) == set(processed.segmentation.masks)
    assert np.array_equal(heart, frames[numbers["heart"] - 1])
    assert np.array_equal(np.asarray(Image.open(tmp_path / "masks" / "heart.png")), heart)
    content = json.loads((tmp_path / "coco.json").read_text())
    areas = {each["category_id"] - 1: each["area"] for each in content["annotations"]}
    assert len(areas) == len(masks)
    assert heart.sum() in areas.values()
    assert content["images"] == [{"id": 3, "file_name": "mirrored.dcm", "width": 112, "height": 128}]


@pytest.mark.parametrize("wanted", [*Format, None])
def test_only_what_was_asked_for_is_written(
    processed: Processed, tmp_path: Path, wanted: Format | None
) -> None:
    write_masks(processed, tmp_path, {wanted} if wanted else set(), "x", 1)
    expected = {Format.NPZ: {"masks.npz"}, Format.PNG: {"masks"}, Format.COCO: {"coco.json"}}

    assert {path.name for path in tmp_path.iterdir()} == (expected.get(wanted, set()) if wanted else set())


def test_results_of_an_earlier_run_are_removed_and_nothing_else(processed: Processed, tmp_path: Path) -> None:
    write_masks(processed, tmp_path, set(Format), "x", 1)
    mine = tmp_path / "masks" / "drawn by hand.png"
    for path in (mine, tmp_path / "measurements.json", tmp_path / "seg.dcm"):
        path.write_text("")
    remove_results(tmp_path)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [mine]


def test_nothing_is_removed_where_no_results_stand(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "heart.png").write_text("drawn by hand")
    remove_results(tmp_path)

    assert (tmp_path / "masks" / "heart.png").exists()


def test_folder_with_masks_is_occupied_when_masks_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()

    assert occupied([tmp_path]) == []
    assert occupied([tmp_path], {Format.PNG}) == [tmp_path]


def test_results_are_known_by_name_and_by_what_stands_beside_them(tmp_path: Path) -> None:
    overlay, mask = tmp_path / "a" / "overlay.png", tmp_path / "a" / "masks" / "heart.png"

    assert not is_result(overlay)
    assert not is_result(mask)
    overlay.parent.mkdir()
    (overlay.parent / "measurements.json").write_text("{}")
    assert is_result(overlay)
    assert is_result(mask)
    assert not is_result(overlay.parent / "chest.png")


def test_a_segmentation_of_nothing_is_written(processed: Processed, tmp_path: Path) -> None:
    nothing = replace(processed, segmentation=replace(processed.segmentation, masks={}))
    write_masks(nothing, tmp_path, set(Format), "x", 1)

    assert read_npz(tmp_path / "masks.npz") == {}
    assert json.loads((tmp_path / "coco.json").read_text())["annotations"] == []
