import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset

from ai.measure import measure
from ai.stand_in import StandInSegmenter
from ai.uncertainty import Trust
from node.measurements_file import SCHEMA, Json, measurements_json
from node.reader import read_radiograph

MakeDx = Callable[..., Dataset]


def content(dataset: Dataset, trust: Mapping[str, Trust] | None = None) -> Json:
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    source = read_radiograph(buffer)
    segmentation = replace(StandInSegmenter().segment([source.radiograph])[0], trust=trust or {})
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


def test_nothing_is_measured_on_a_mask_that_is_not_trusted(make_dx: MakeDx) -> None:
    found = content(make_dx(), {"heart": Trust(0.2, 0.85), "visible lung right": Trust(0.97, 0.9)})

    told = {each["name"]: each.get("trust") for each in found["structures"]["found"]}
    assert told["heart"] == {"probability": 0.2, "dice": 0.85}
    assert told["visible lung right"] == {"probability": 0.97, "dice": 0.9}
    assert told["visible lung left"] is None
    reasons = {each["name"]: each["reason"] for each in found["not_computed"]}
    assert reasons["cardiothoracic ratio"] == (
        "heart cannot be told with certainty: probability 0.20 of a Dice of 0.85 or more"
    )
    assert {"thoracic width", "right lung area"} <= {value["name"] for value in found["measurements"]}


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
