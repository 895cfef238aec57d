import json

from ai.labels import labels_digest
from ai.manifest import Manifest, TrainingData


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


def test_json_holds_what_a_reader_looks_for() -> None:
    raw = json.loads(manifest().to_json())
    assert raw["labels_digest"] == labels_digest()
    assert raw["normalisation"] == {"low_percentile": 0.5, "high_percentile": 99.5}
    assert raw["training_data"] == [{"name": "some CTs", "licence": "CC BY 3.0", "use": "training"}]


def test_keys_of_others_are_ignored() -> None:
    raw = json.loads(manifest().to_json()) | {"note": "from another tool"}
    assert Manifest.from_json(json.dumps(raw)) == manifest()
