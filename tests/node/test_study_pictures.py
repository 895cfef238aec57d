"""The radiograph and the lines on a page lie as the stored pixels do."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from pydicom import Dataset
from pydicom.uid import RLELossless
from sqlalchemy import update

from ai.measurement import Drawing, Measurement, Measurements, Unit
from ai.overlay import contrast
from node.canvas import Canvas
from node.database import jobs, writing
from node.decoders import DECODERS
from node.errors import NotThereError, RefusedImageError, UndecodableError
from node.reader import read_radiograph
from node.study_pictures import canvas_of, lines_of, radiograph_of
from node.study_reading import Reading, reading_of
from tests.node.worked_study import JOB, WorkedStudy
from tests.node.written_profiles import SOURCES, as_bytes, stored_points, understood

Received = Callable[..., WorkedStudy]


@pytest.fixture
def received(tmp_path: Path, make_dx: Callable[..., Dataset]) -> Received:
    """A function that receives an image with some attributes."""
    return lambda **attributes: WorkedStudy(tmp_path, make_dx(**attributes))


def grey(study: WorkedStudy) -> npt.NDArray[np.uint8]:
    """Return the picture's values; it has to be grey, of 8 bits."""
    picture = Image.open(BytesIO(radiograph_of(study.store, study.spool, JOB).png))
    assert (picture.format, picture.mode) == ("PNG", "L")
    return np.asarray(picture)


def exposed(study: WorkedStudy) -> npt.NDArray[np.float64]:
    """Return the stored values as they lie in the object."""
    image = study.image
    return np.frombuffer(image.PixelData, "<u2").reshape(image.Rows, image.Columns).astype(np.float64)


@pytest.mark.parametrize("source", ["aligned", "mirrored", "a quarter turn"])
def test_picture_has_the_stored_pixels_in_their_place(received: Received, source: str) -> None:
    study = received(**SOURCES[source])
    shown, stored = grey(study).astype(np.float64), exposed(study)

    assert shown.shape == stored.shape
    inside = (shown > 0) & (shown < 255)
    assert inside.mean() > 0.5
    assert np.corrcoef(shown[inside], stored[inside])[0, 1] > 0.9999


def test_bone_is_bright_whatever_the_tags_say(make_dx: Callable[..., Dataset], tmp_path: Path) -> None:
    plain = make_dx(**SOURCES["aligned"])
    negative = (4095 - np.frombuffer(plain.PixelData, "<u2")).astype("<u2").tobytes()
    wanted = grey(WorkedStudy(tmp_path / "plain", plain)).astype(np.int16)
    for photometric, shape in (
        ("MONOCHROME1", "INVERSE"),
        ("MONOCHROME2", "IDENTITY"),
    ):  # the latter is wrong
        tags = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
        image = make_dx(**SOURCES["aligned"], **tags, PixelData=negative)
        shown = grey(WorkedStudy(tmp_path / photometric, image)).astype(np.int16)
        assert abs(shown - wanted).max() <= 1


def test_contrast_is_that_of_the_overlay(received: Received) -> None:
    study = received(**SOURCES["aligned"])
    pixels = read_radiograph(BytesIO(as_bytes(study.image))).radiograph.pixels

    assert np.array_equal(grey(study), np.rint(contrast(pixels) * 255).astype(np.uint8))


def test_compressed_pixels_are_decoded_in_a_process_of_their_own(
    received: Received, make_dx: Callable[..., Dataset], tmp_path: Path
) -> None:
    plain = grey(received(**SOURCES["aligned"]))
    DECODERS.close()
    image = make_dx(**SOURCES["aligned"])
    image.compress(RLELossless)
    study = WorkedStudy(tmp_path / "other", image)

    assert np.array_equal(grey(study), plain)
    assert len(DECODERS.processes()) == 1


def test_large_image_gets_a_picture_of_1024_pixels(received: Received) -> None:
    study = received(rows=1500, columns=1000)
    picture = radiograph_of(study.store, study.spool, JOB)

    assert picture.canvas == canvas_of(study.store, study.spool, JOB) == Canvas(1500, 1000)
    assert grey(study).shape == (1024, 683)


def test_image_that_is_not_served_or_broken_says_why(
    received: Received, make_dx: Callable[..., Dataset], tmp_path: Path
) -> None:
    with pytest.raises(RefusedImageError, match="left lateral decubitus"):
        grey(received(ViewPosition="LLD"))
    broken = WorkedStudy(tmp_path / "other", make_dx(PixelData=b"\0\0"))
    with pytest.raises(UndecodableError, match="cannot be decoded"):
        grey(broken)
    nothing = make_dx(ViewPosition="PA")
    del nothing.Rows
    study = WorkedStudy(tmp_path / "third", nothing)
    with pytest.raises(NotThereError, match="the image of job 1 has no pixels"):
        canvas_of(study.store, study.spool, JOB)


def test_image_whose_file_is_gone_says_so(received: Received) -> None:
    study = received(**SOURCES["aligned"])
    study.spool.path(study.store.jobs()[0].path).unlink()

    with pytest.raises(NotThereError, match="the image of job 1 is gone from the data folder"):
        grey(study)
    with writing(study.store.engine) as connection:
        connection.execute(update(jobs).values(files_removed_at=study.store.clock()))
    with pytest.raises(NotThereError, match="the files of job 1 were removed on 20"):
        grey(study)
    with pytest.raises(NotThereError, match="there is no job 7"):
        radiograph_of(study.store, study.spool, 7)


# ---- lines


@pytest.mark.parametrize("source", ["mirrored", "a quarter turn"])
def test_lines_lie_where_they_were_measured(received: Received, source: str) -> None:
    study = received(**SOURCES[source])
    image, found = understood(study.image)
    study.work({"weasis": ("pacs",)}, structures=("heart",), presentation_state=False)
    reading = reading_of(study.store, study.spool, JOB)
    lines = lines_of(reading, canvas_of(study.store, study.spool, JOB))
    [line] = [line for line in lines if "heart area" in line.names]
    area = found.measurements["heart area"]

    assert isinstance(area, Measurement)
    assert line.values == (area.text,)
    [outline] = area.drawings
    points = (*outline.points, outline.points[0])
    wanted = stored_points(points, "".join(image.PatientOrientation), found.segmentation.shape)
    assert np.array(line.points) == pytest.approx(wanted, abs=0.001)


def test_lines_are_scaled_like_the_picture() -> None:
    line = Drawing("heart width, cardiothoracic ratio", ((0.0, 2048.0), (2500.0, 1024.0)))
    outline = Drawing("thoracic width", ((0.0, 0.0), (1.0, 1.0)))
    width = Measurement("heart width", 130.04, Unit.MILLIMETRE, (line,), ())
    reading = Reading(Measurements((width,)), (line, outline))
    first, second = lines_of(reading, Canvas(2048, 2500))

    assert first.names == ("heart width", "cardiothoracic ratio")
    assert first.values == ("130.0 mm",)
    assert np.array(first.points) == pytest.approx(np.array([(0.0, 839.0), (1024.0, 419.5)]))
    assert (second.names, second.values) == (("thoracic width",), ())
