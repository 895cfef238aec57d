from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset

from node.demo import run_demo
from node.errors import UndecodableError
from node.model import STAND_IN

MakeDx = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_demo_shows_what_came_back_and_draws_it(
    tmp_path: Path, dx_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(dx_file, tmp_path / "demo", STAND_IN)

    output = capsys.readouterr().out
    for words in (
        "stored (0x0000)",
        "18 segments",
        "visible lung left",
        "cardiothoracic ratio",
        "acknowledged",
    ):
        assert words in output
    (picture,) = (tmp_path / "demo").glob("*/overlay.png")
    assert str(picture) in output
    assert np.asarray(Image.open(picture)).ndim == 3


def test_demo_shows_why_a_value_is_not_computed(
    tmp_path: Path, make_dx: MakeDx, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "no-spacing.dcm"
    make_dx(ImagerPixelSpacing=None).save_as(image, enforce_file_format=True)
    run_demo(image, tmp_path / "demo", STAND_IN)

    output = capsys.readouterr().out
    assert "not computed" in output
    assert "no pixel spacing" in output


def test_demo_of_a_refused_image_says_why_and_fails(
    tmp_path: Path, make_dx: MakeDx, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "hand.dcm"
    make_dx(BodyPartExamined="HAND").save_as(image, enforce_file_format=True)

    assert not run_demo(image, tmp_path / "demo", STAND_IN)
    assert "The node refused the image" in capsys.readouterr().out


def test_demo_of_something_else_is_one_sentence(tmp_path: Path) -> None:
    image = tmp_path / "letter.txt"
    image.write_text("Dear node")

    with pytest.raises(UndecodableError, match=r"letter\.txt is not a DICOM file: bytes 129 to 132") as told:
        run_demo(image, tmp_path / "demo", STAND_IN)
    assert "force" not in str(told.value)
    assert not (tmp_path / "demo").exists()


def test_demo_shows_the_remarks_and_notes_of_the_report(
    tmp_path: Path, make_dx: MakeDx, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "ap.dcm"
    make_dx(ViewPosition="AP", PatientAge="009Y").save_as(image, enforce_file_format=True)
    run_demo(image, tmp_path / "demo", STAND_IN)

    output = capsys.readouterr().out
    assert "view AP: the heart is magnified" in output
    assert "note: the patient is stated to be a child" in output
