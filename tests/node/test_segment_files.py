import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import SegmentationStorage

from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from node.formats import FileOptions, Format
from node.measurements_table import MeasurementsTable
from node.options import OutputOptions
from node.segment_files import FailedFile, SegmentedFile, find_inputs, result_folders, segment_files

MakeDx = Callable[..., Dataset]


def write(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def segment(files: list[Path], out: Path) -> list[SegmentedFile | FailedFile]:
    return list(segment_files(result_folders(files, out), StandInSegmenter(), OutputOptions()))


def test_folder_is_searched_at_any_depth_and_other_files_are_named(tmp_path: Path, make_dx: MakeDx) -> None:
    deep = write(make_dx(), tmp_path / "a" / "b" / "no-suffix")
    bare = tmp_path / "a" / "bare.dcm"
    bare.write_bytes(b"no prefix")
    readme = tmp_path / "a" / "README.txt"
    readme.write_text("not DICOM")
    inputs = find_inputs([tmp_path])

    assert set(inputs.files) == {deep, bare}
    assert inputs.ignored == (readme,)


def test_hidden_files_and_dicomdir_are_left_out(tmp_path: Path, make_dx: MakeDx) -> None:
    write(make_dx(), tmp_path / ".cache" / "x.dcm")
    write(make_dx(), tmp_path / "DICOMDIR")

    assert find_inputs([tmp_path]).files == ()


def test_file_named_by_the_user_is_read_whatever_its_name(tmp_path: Path) -> None:
    named = tmp_path / "picture.png"
    named.write_bytes(b"")

    assert find_inputs([named, named]).files == (named,)


def test_pictures_in_folders_are_found_by_suffix(tmp_path: Path) -> None:
    names = ("a.png", "b.JPG", "c.jpeg", "d.tif", "e.txt", "f.gif")
    for name in names:
        (tmp_path / name).write_bytes(b"nothing of the kind")
    inputs = find_inputs([tmp_path])

    assert [path.name for path in inputs.files] == ["a.png", "b.JPG", "c.jpeg", "d.tif"]
    assert [path.name for path in inputs.ignored] == ["e.txt", "f.gif"]


def test_results_of_the_command_are_no_inputs(tmp_path: Path, dx_file: Path) -> None:
    everything = FileOptions(formats=frozenset(Format))
    folders = result_folders([dx_file], tmp_path)
    [result] = segment_files(folders, StandInSegmenter(), OutputOptions(), files=everything)

    assert isinstance(result, SegmentedFile)
    assert (result.folder / "masks" / "heart.png").exists()
    assert find_inputs([tmp_path]).files == (dx_file,)


def test_folders_of_equal_names_are_numbered() -> None:
    files = [Path("a/1.dcm"), Path("b/1-2.dcm"), Path("b/1.dcm")]

    assert [folder.name for folder in result_folders(files, Path("out")).values()] == ["1", "1-2", "1-3"]


def test_four_files_are_written_for_an_input(tmp_path: Path, dx_file: Path) -> None:
    (result,) = segment([dx_file], tmp_path / "out")

    assert isinstance(result, SegmentedFile)
    assert {path.name for path in result.folder.iterdir()} == {
        "seg.dcm", "sr.dcm", "measurements.json", "overlay.png",
    }  # fmt: skip


def test_written_objects_are_those_of_the_source(tmp_path: Path, dx_file: Path) -> None:
    segment([dx_file], tmp_path / "out")
    source = dcmread(dx_file)
    seg = dcmread(tmp_path / "out" / "chest" / "seg.dcm")
    content = json.loads((tmp_path / "out" / "chest" / "measurements.json").read_text())

    assert seg.SOPClassUID == SegmentationStorage
    assert seg.StudyInstanceUID == source.StudyInstanceUID
    assert content["source"]["sop_instance_uid"] == source.SOPInstanceUID


def test_overlay_is_a_picture_in_colour(tmp_path: Path, dx_file: Path) -> None:
    segment([dx_file], tmp_path / "out")
    picture = np.asarray(Image.open(tmp_path / "out" / "chest" / "overlay.png"))

    assert picture.ndim == 3
    assert (picture[..., 0] != picture[..., 1]).any()


def test_stages_are_timed(tmp_path: Path, dx_file: Path) -> None:
    (result,) = segment([dx_file], tmp_path / "out")

    assert isinstance(result, SegmentedFile)
    assert {"read", "measure", "write", "files", "overlay"} <= set(result.seconds)


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"ViewPosition": "LL", "PatientOrientation": ["A", "F"]}, "lateral"),
        ({"BodyPartExamined": "HAND"}, "HAND"),
    ],
)
def test_refused_image_fails_with_its_reason_and_stops_nothing(
    tmp_path: Path, make_dx: MakeDx, dx_file: Path, attributes: dict[str, object], words: str
) -> None:
    refused = write(make_dx(**attributes), tmp_path / "refused.dcm")
    first, second = segment([refused, dx_file], tmp_path / "out")

    assert isinstance(first, FailedFile)
    assert words in first.reason
    assert isinstance(second, SegmentedFile)
    assert not (tmp_path / "out" / "refused").exists()


def test_file_that_is_not_dicom_fails_in_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(b"nothing")
    (result,) = segment([bad], tmp_path / "out")

    assert isinstance(result, FailedFile)
    assert "\n" not in result.reason


def test_picture_gives_every_file_but_the_objects(tmp_path: Path, make_dx: MakeDx) -> None:
    picture = tmp_path / "film.png"
    Image.fromarray(make_dx().pixel_array).save(picture)
    everything = FileOptions(formats=frozenset(Format), spacing=(1.5, 1.5))
    folders = result_folders([picture], tmp_path / "out")
    [result] = segment_files(folders, StandInSegmenter(), OutputOptions(), files=everything)

    assert isinstance(result, SegmentedFile)
    assert {path.name for path in result.folder.iterdir()} == {
        "measurements.json", "overlay.png", "masks.npz", "masks", "coco.json",
    }  # fmt: skip
    assert "formats" in result.seconds


def test_dicom_object_is_read_as_one_whatever_its_suffix(tmp_path: Path, make_dx: MakeDx) -> None:
    disguised = write(make_dx(), tmp_path / "film.png")
    picture = tmp_path / "film.dcm"
    Image.fromarray(make_dx().pixel_array).save(picture, format="PNG")
    first, second = segment([disguised, picture], tmp_path / "out")

    assert isinstance(first, SegmentedFile)
    assert isinstance(second, SegmentedFile)
    assert (first.folder / "seg.dcm").exists()
    assert not (second.folder / "seg.dcm").exists()


def test_results_that_are_made_again_leave_nothing_of_the_first(
    tmp_path: Path, dx_file: Path, make_dx: MakeDx
) -> None:
    everything = FileOptions(formats=frozenset(Format))
    folder = tmp_path / "out"
    list(segment_files({dx_file: folder}, StandInSegmenter(), OutputOptions(), files=everything))
    picture = tmp_path / "film.png"
    Image.fromarray(make_dx().pixel_array).save(picture)
    list(segment_files({picture: folder}, StandInSegmenter(), OutputOptions()))

    assert {path.name for path in folder.iterdir()} == {"measurements.json", "overlay.png"}


def test_table_has_rows_of_what_was_measured_and_of_what_failed(
    tmp_path: Path, make_dx: MakeDx, dx_file: Path
) -> None:
    refused = write(make_dx(Modality="CT"), tmp_path / "ct.dcm")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"")
    folders = result_folders([refused, broken, dx_file], tmp_path / "out")
    table = MeasurementsTable(tmp_path / "out")
    list(segment_files(folders, StandInSegmenter(), OutputOptions(), table=table))
    with (tmp_path / "out" / "measurements.csv").open(newline="") as file:
        statuses = {(Path(row["input"]).name, row["status"]) for row in csv.DictReader(file)}

    assert statuses == {
        ("ct.dcm", "refused"),
        ("broken.png", "failed"),
        ("chest.dcm", "computed"),
        ("chest.dcm", "not computed"),
    }


def test_missing_file_fails_with_its_name(tmp_path: Path) -> None:
    (result,) = segment([tmp_path / "gone.dcm"], tmp_path / "out")

    assert isinstance(result, FailedFile)


def test_same_input_gives_the_same_objects_again(tmp_path: Path, dx_file: Path) -> None:
    segment([dx_file], tmp_path / "one")
    segment([dx_file], tmp_path / "two")
    first, second = (dcmread(tmp_path / name / "chest" / "seg.dcm") for name in ("one", "two"))

    assert first.SOPInstanceUID == second.SOPInstanceUID


class _Finding(StandInSegmenter):
    """Finds only the structures that are named for a picture, by its number; an error is raised."""

    def __init__(self, *wanted: tuple[str, ...] | Exception) -> None:
        self._wanted = list(wanted)

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        wanted = self._wanted.pop(0)
        if isinstance(wanted, Exception):
            raise wanted
        (found,) = super().segment(radiographs)
        return [replace(found, masks={name: found.masks[name] for name in wanted})]


@pytest.mark.parametrize("error", [ValueError("a"), TypeError("b"), KeyError("c"), OSError("d")])
def test_a_file_that_breaks_something_ends_no_batch(
    tmp_path: Path, make_dx: MakeDx, dx_file: Path, error: Exception
) -> None:
    broken = write(make_dx(), tmp_path / "broken.dcm")
    folders = result_folders([broken, dx_file], tmp_path / "out")
    first, second = segment_files(folders, _Finding(error, ("heart",)), OutputOptions())

    assert isinstance(first, FailedFile)
    assert first.path == broken
    assert isinstance(second, SegmentedFile)


@pytest.mark.parametrize("names", [(), ("clavicle right",), ("left lung",)])
def test_an_image_of_which_nothing_can_be_computed_has_a_report_all_the_same(
    tmp_path: Path, make_dx: MakeDx, names: tuple[str, ...]
) -> None:
    dataset = make_dx()
    del dataset.ImagerPixelSpacing
    path = write(dataset, tmp_path / "bare.dcm")
    folders = result_folders([path], tmp_path / "out")
    (result,) = segment_files(folders, _Finding(names), OutputOptions())

    assert isinstance(result, SegmentedFile)
    assert (result.folder / "seg.dcm").exists() == bool(names)
    assert b"heart width: " in (result.folder / "sr.dcm").read_bytes()
