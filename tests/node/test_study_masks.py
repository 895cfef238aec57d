"""The masks on a page are those of the Segmentation, pixel by pixel, whatever its form."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset
from sqlalchemy import update

from ai.labels import label
from node.canvas import Canvas
from node.database import jobs, results, writing
from node.errors import NotThereError, StorageError
from node.jobs import NO_FILE
from node.study_masks import MaskPicture, Masks, masks_of
from tests.node.worked_study import JOB, WorkedStudy
from tests.node.written_profiles import SOURCES, Case

WITH_MASKS = [
    ("aligned", "standard"),
    ("251 x 223", "standard"),  # a byte a pixel, in RLE: its frames do not end with a byte
    ("a quarter turn", "ohif"),
    ("aligned", "label maps"),
    ("a quarter turn", "grouped label maps"),
    ("mirrored", "grouped fractional"),
]


@pytest.fixture
def study(tmp_path: Path, make_dx: Callable[..., Dataset]) -> Callable[..., WorkedStudy]:
    """A function that receives an image of a source, by its name in `written_profiles`."""
    return lambda source="aligned": WorkedStudy(tmp_path, make_dx(**SOURCES[source]))


def masks(study: WorkedStudy) -> Masks:
    return masks_of(study.store, study.spool, JOB)


def labels(study: WorkedStudy) -> list[str]:
    return [picture.label for picture in masks(study).pictures]


def rgba(picture: MaskPicture) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(picture.png)).convert("RGBA"))


@pytest.mark.parametrize(("source", "form"), WITH_MASKS)
def test_pixels_and_colours_are_those_of_the_segmentation(
    study: Callable[..., WorkedStudy], cases: Callable[[str, str], Case], source: str, form: str
) -> None:
    worked, expected = study(source), cases(source, form).masks
    worked.work({form: ("pacs",)}, report="none", structure_report=False)
    found = masks(worked)

    assert found.missing == ""
    assert {picture.label for picture in found.pictures} == set(expected)
    for picture in found.pictures:
        pixels = rgba(picture)
        assert np.array_equal(pixels[..., 3] == 255, expected[picture.label])
        assert np.array_equal(pixels[..., 3] == 0, ~expected[picture.label])
        assert (pixels[expected[picture.label]][:, :3] == label(picture.label).colour).all()


def test_a_picture_takes_a_bit_a_pixel_and_has_a_title_and_a_group(
    study: Callable[..., WorkedStudy],
) -> None:
    worked = study()
    worked.work({"minimal": ("pacs",)})
    [heart] = [picture for picture in masks(worked).pictures if picture.label == "heart"]

    assert (heart.title, heart.group) == ("Heart", "heart and vessels")
    assert heart.png[24:26] == bytes([1, 3])  # bit depth, palette: PNG 11.2.2
    assert len(heart.png) < 1000


def test_the_destination_that_was_sent_most_structures_is_taken(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    worked.work({"legacy": ("a",), "minimal": ("b",), "ohif": ("c",)}, secondary_capture=False)

    assert len(labels(worked)) > 3
    assert len(set(labels(worked))) == len(labels(worked))


def test_masks_are_those_of_the_weights_that_worked_last(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    worked.work({"standard": ("pacs", "gone")})
    assert "heart" in labels(worked)
    worked.work_again({"minimal": ("pacs",)}, weights="2")
    assert sorted(labels(worked)) == ["visible lung left", "visible lung right"]

    worked.work_again({"standard": ("pacs",)})
    assert "heart" in labels(worked)  # back to the first: its report is new, its Segmentation is not


def test_masks_are_those_of_the_form_that_was_written_last(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    worked.work({"standard": ("pacs",)})
    worked.work_again({"minimal": ("pacs",)})

    assert sorted(labels(worked)) == ["heart", "visible lung left", "visible lung right"]


def test_results_for_nobody_have_masks_too(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    worked.work({"minimal": ()})

    assert len(labels(worked)) == 3


def test_profile_without_segmentation_is_named(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    worked.work({"legacy": ("old-pacs",)})

    missing = "no masks: the profile of old-pacs makes no Segmentation"
    assert masks(worked) == Masks((), missing, masks(worked).version)


# ---- what is not there


def test_job_without_results_says_where_it_stands(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    with pytest.raises(NotThereError, match="there are no results of job 1: it is queued"):
        masks(worked)
    worked.store.cancel(JOB, "sent twice")
    with pytest.raises(NotThereError, match=r"it is cancelled \(sent twice\)"):
        masks(worked)
    with pytest.raises(NotThereError, match="there is no job 7"):
        masks_of(worked.store, worked.spool, 7)


def test_files_that_retention_removed_are_told_of(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    worked.work({"minimal": ("pacs",)})
    with writing(worked.store.engine) as connection:
        connection.execute(update(results).values(path=NO_FILE))
    with pytest.raises(NotThereError, match="the files of the results of job 1 were removed"):
        masks(worked)
    with writing(worked.store.engine) as connection:
        connection.execute(update(jobs).values(files_removed_at=worked.store.clock()))
    with pytest.raises(NotThereError, match="the files of job 1 were removed on 20"):
        masks(worked)


def test_segmentation_that_was_changed_is_not_shown(study: Callable[..., WorkedStudy]) -> None:
    worked = study()
    worked.work({"minimal": ("pacs",)})
    path = worked.spool.path(worked.result("SEG").path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(StorageError, match="the file of the SEG was changed"):
        masks(worked)

    path.write_bytes(content[:200])
    with pytest.raises(StorageError, match="the file of the SEG is damaged"):
        masks(worked)
    path.unlink()
    with pytest.raises(NotThereError, match="the file of the SEG is gone"):
        masks(worked)


# ---- smaller pictures


def test_larger_image_has_smaller_masks_that_cover_the_same_place(
    tmp_path: Path, make_dx: Callable[..., Dataset]
) -> None:
    worked = WorkedStudy(tmp_path, make_dx(rows=1400, columns=1100))
    worked.work({"minimal": ("pacs",)})
    canvas = Canvas(1400, 1100)
    assert canvas.size == (805, 1024)

    y, x = (np.indices((1024, 805)) + 0.5) / np.array([1024, 805])[:, None, None]
    heart = ((x - 0.55) / 0.15) ** 2 + ((y - 0.62) / 0.13) ** 2 <= 1  # as the stand-in draws it
    [found] = [picture for picture in masks(worked).pictures if picture.label == "heart"]
    shown = rgba(found)[..., 3] == 255
    assert (shown ^ heart).sum() < 0.01 * heart.sum()
