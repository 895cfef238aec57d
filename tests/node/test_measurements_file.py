import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset

from ai.measure import measure
from ai.stand_in import StandInSegmenter
from node.measurements_file import SCHEMA, Json, measurements_json
from node.reader import read_radiograph

MakeDx = Callable[..., Dataset]


def content(dataset: Dataset) -> Json:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    source = read_radiograph(buffer)
    segmentation = StandInSegmenter().segment([source.radiograph])[0]
    return measurements_json(source, segmentation, measure(source.radiograph, segmentation))


def test_file_tells_the_source_and_its_geometry(make_dx: MakeDx) -> None:
    dataset = make_dx()
    source = content(dataset)["source"]

    assert source["sop_instance_uid"] == dataset.SOPInstanceUID
    assert (source["rows"], source["columns"], source["view"]) == (256, 224, "PA")
    assert source["pixel_spacing"]["calibrated"] is False


def test_file_tells_the_model_and_the_schema(make_dx: MakeDx) -> None:
    found = content(make_dx())

    assert found["schema"] == SCHEMA
    assert found["model"]["id"] == "stand-in"


def test_every_value_has_a_unit_and_a_drawing(make_dx: MakeDx) -> None:
    measured = content(make_dx())["measurements"]

    assert {value["name"] for value in measured} >= {"cardiothoracic ratio", "heart area"}
    assert all(value["unit"] and value["drawings"][0]["points"] for value in measured)


def test_without_spacing_lengths_are_not_computed_and_say_why(make_dx: MakeDx) -> None:
    found = content(make_dx(ImagerPixelSpacing=None))

    assert found["source"]["pixel_spacing"] is None
    reasons = {each["name"]: each["reason"] for each in found["not_computed"]}
    assert reasons["heart width"] == "no pixel spacing"
    assert "cardiothoracic ratio" in {value["name"] for value in found["measurements"]}


def test_structures_are_found_not_found_or_not_supported(make_dx: MakeDx) -> None:
    structures = content(make_dx())["structures"]

    assert {"name", "pixels"} == set(structures["found"][0])
    assert "left kidney" in structures["not_supported"] or "kidney left" in structures["not_supported"]


def test_points_lie_on_the_stored_pixels(make_dx: MakeDx) -> None:
    upright = content(make_dx())
    flipped_dx = make_dx(PatientOrientation=["R", "F"])
    flipped_dx.PixelData = flipped_dx.pixel_array[:, ::-1].tobytes()
    flipped = content(flipped_dx)

    heart, mirrored = (
        {m["name"]: m for m in each["measurements"]}["heart width"] for each in (upright, flipped)
    )
    assert mirrored["value"] == pytest.approx(heart["value"])
    for (column, row), (mirror, mirror_row) in zip(
        heart["drawings"][0]["points"], mirrored["drawings"][0]["points"], strict=True
    ):
        assert (mirror, mirror_row) == pytest.approx((224 - column, row))


def test_file_names_no_patient(make_dx: MakeDx) -> None:
    text = json.dumps(content(make_dx(PatientName="CANARY^NAME", PatientID="CANARY-ID")))

    assert "CANARY" not in text


def test_findings_tell_what_the_picture_shows(make_dx: MakeDx) -> None:
    found = {each["name"]: each for each in content(make_dx())["findings"]}

    assert found["right costophrenic base inside the picture"]["holds"] is True
    assert found["left side inside the picture"]["structures"] == ["visible lung left"]


@pytest.mark.parametrize(
    "key",
    ["schema", "source", "model", "measurements", "not_computed", "findings", "structures", "notes"],
)
def test_key_is_documented(make_dx: MakeDx, key: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "measurements.md").read_text(encoding="utf-8")

    assert key in content(make_dx())
    assert f"| `{key}` |" in page


def test_spacing_that_is_not_believed_is_told_by_each_length(make_dx: MakeDx) -> None:
    found = content(make_dx(ImagerPixelSpacing=[0.01, 0.01]))

    reasons = {each["name"]: each["reason"] for each in found["not_computed"]}
    for name in ("heart width", "heart area", "spine-centre distance"):
        assert reasons[name].startswith("no pixel spacing that can be believed: Imager Pixel Spacing")
