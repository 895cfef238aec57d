import json
from dataclasses import replace

import pytest

from ai.errors import BundleError
from ai.labels import labels_digest
from ai.manifest import Manifest, TrainingData
from ai.uncertainty import Reliability


def manifest() -> Manifest:
    return Manifest(
        id="chest",
        version="3",
        labels=("heart", "aorta"),
        views=("frontal",),
        input_size=256,
        thresholds={"heart": 0.4, "aorta": 0.6},
        sha256="0" * 64,
        training_data=(TrainingData("some CTs", "CC BY 3.0", "training"),),
        metrics={"some set": {"heart": {"dice": 0.9}}},
        limits="frontal views of adults",
    )


def test_manifest_survives_its_json() -> None:
    assert Manifest.from_json(manifest().to_json()) == manifest()


def test_curves_survive_and_are_of_labels_of_the_model() -> None:
    curves = {"heart": Reliability(0.85, -1.5, 0.25, 2.0)}
    judged = replace(manifest(), reliability=curves)
    assert Manifest.from_json(judged.to_json()).reliability == curves
    raw = json.loads(manifest().to_json())
    del raw["reliability"]
    assert Manifest.from_json(json.dumps(raw)) == manifest(), "older bundles have none"
    with pytest.raises(BundleError, match=r"reliability must be of labels of the model, found \['spine'\]"):
        replace(manifest(), reliability={"spine": curves["heart"]})
    raw = json.loads(judged.to_json())
    raw["reliability"]["heart"]["fitted"] = "by others"
    assert Manifest.from_json(json.dumps(raw)) == judged, "keys of others are ignored"
    wrong = json.loads(judged.to_json())
    wrong["reliability"]["heart"]["bar"] = 1.5
    with pytest.raises(BundleError, match="not readable: a bar lies in"):
        Manifest.from_json(json.dumps(wrong))


@pytest.mark.parametrize("size", [256.0, True, "256", 31])
def test_sizes_are_whole_numbers(size: object) -> None:
    raw = json.loads(manifest().to_json()) | {"input_size": size}
    with pytest.raises(BundleError, match="input_size must be whole"):
        Manifest.from_json(json.dumps(raw))


def test_rules_change_with_curves_and_thresholds() -> None:
    judged = replace(manifest(), reliability={"heart": Reliability(0.85, -1.5, 0.25, 2.0)})
    others = {
        replace(judged, reliability={"heart": Reliability(0.85, -1.4, 0.25, 2.0)}).rules(),
        replace(judged, thresholds={"heart": 0.5, "aorta": 0.6}).rules(),
        judged.rules(),
    }
    assert len(others) == 3
    assert manifest().rules() == "", "without curves nothing is judged"


def test_json_holds_what_a_reader_looks_for() -> None:
    raw = json.loads(manifest().to_json())
    assert raw["labels_digest"] == labels_digest()
    assert raw["normalisation"] == {"low_percentile": 0.5, "high_percentile": 99.5}
    assert raw["training_data"] == [{"name": "some CTs", "licence": "CC BY 3.0", "use": "training"}]


def test_keys_of_others_are_ignored() -> None:
    raw = json.loads(manifest().to_json()) | {"note": "from another tool"}
    assert Manifest.from_json(json.dumps(raw)) == manifest()
