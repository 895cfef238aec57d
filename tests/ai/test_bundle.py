import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ai.bundle import Bundle
from ai.errors import BundleError

MakeBundle = Callable[..., Bundle]


@pytest.fixture
def folder(make_bundle: MakeBundle, tmp_path: Path) -> Path:
    fields = {"heart": np.zeros((64, 64), np.float32), "right lung": np.ones((64, 64), np.float32)}
    make_bundle(fields).save(tmp_path / "bundle")
    return tmp_path / "bundle"


def change(folder: Path, key: str, value: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest[key] = value
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_saved_bundle_loads_as_it_was(make_bundle: MakeBundle, folder: Path) -> None:
    bundle = Bundle.load(folder)
    assert bundle.manifest.labels == ("heart", "right lung")
    assert bundle.manifest.thresholds == {"heart": 0.5, "right lung": 0.5}
    assert bundle.manifest.training_data[0].licence == "Apache-2.0"
    assert (bundle.identity.id, bundle.identity.version) == ("tiny", "1.2")
    assert bundle.identity.sha256 == bundle.manifest.sha256
    assert Bundle.load(folder).manifest == bundle.manifest


@pytest.mark.parametrize("prefix", ["", "tiny-1.2/"])
def test_zipped_bundle_loads_with_and_without_an_enclosing_folder(folder: Path, prefix: str) -> None:
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for part in ("model.onnx", "manifest.json"):
            file.write(folder / part, prefix + part)
    assert Bundle.load(archive).onnx_bytes == (folder / "model.onnx").read_bytes()


def test_changed_weights_are_refused(folder: Path) -> None:
    weights = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(weights + b"\0")
    with pytest.raises(BundleError, match="sha256"):
        Bundle.load(folder)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("labels_digest", "0" * 64, "labels_digest"),
        ("labels", ["heart", "right lugn"], r"right lugn.*right lung"),
        ("labels", ["heart", "heart"], "once"),
        ("labels", ["heart", "left lung"], r"thresholds\['left lung'\]"),
        ("thresholds", {"heart": 1.5, "right lung": 0.5}, r"thresholds\['heart'\].*1\.5"),
        ("thresholds", {"heart": "high", "right lung": 0.5}, "not readable"),
        ("views", ["oblique"], "oblique"),
        ("views", [], "views"),
        ("input_size", 8, "32..4096"),
        ("id", "", "id"),
        ("id", "two\\values", "plain characters"),
        ("id", "größe", "plain characters"),
        ("id", "x" * 65, "1 to 64"),
        ("version", "1\n", "plain characters"),
        ("normalisation", {"low_percentile": 0, "high_percentile": 100}, "normalisation"),
        ("normalisation", {}, "low_percentile"),
        ("training_data", [{"name": "CT"}], "licence"),
    ],
)
def test_manifest_that_breaks_a_rule_is_refused_by_name(
    folder: Path, key: str, value: Any, told: str
) -> None:
    change(folder, key, value)
    with pytest.raises(BundleError, match=told):
        Bundle.load(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"id": "x"}', "null"])
def test_manifest_that_is_not_one_is_refused(folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match="manifest"):
        Bundle.load(folder)


def test_missing_parts_are_named(folder: Path, tmp_path: Path) -> None:
    (folder / "model.onnx").unlink()
    with pytest.raises(BundleError, match=r"model\.onnx"):
        Bundle.load(folder)
    with pytest.raises(BundleError, match=r"manifest\.json"):
        Bundle.load(tmp_path / "nowhere")


def test_zip_without_a_manifest_and_a_file_that_is_no_zip_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    (tmp_path / "text.zip").write_text("not a zip")
    for name in ("empty.zip", "text.zip"):
        with pytest.raises(BundleError, match=r"manifest\.json"):
            Bundle.load(tmp_path / name)


def test_a_bundle_without_a_judge_has_none_and_says_nothing_of_one(folder: Path) -> None:
    bundle = Bundle.load(folder)
    assert (bundle.manifest.judge, bundle.judge_bytes, bundle.judge()) == (None, None, None)
    assert "judge" not in json.loads(bundle.manifest.to_json())
    assert not (folder / "judge.onnx").exists()


def test_a_judge_travels_with_its_bundle(folder: Path, make_judge: Callable[..., bytes]) -> None:
    both = Bundle.load(folder).with_judge(make_judge())
    both.save(folder.with_name("both"))
    loaded = Bundle.load(folder.with_name("both"))
    judge = loaded.judge()
    assert judge is not None
    assert judge.size == 64
    assert loaded.manifest == both.manifest
    assert loaded.identity == Bundle.load(folder).identity


def test_a_bundle_without_a_judge_replaces_one_with_a_judge(
    folder: Path, make_judge: Callable[..., bytes]
) -> None:
    plain = Bundle.load(folder)
    plain.with_judge(make_judge()).save(folder)
    plain.save(folder)
    assert Bundle.load(folder).manifest == plain.manifest
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "model.onnx"]


def test_a_bundle_that_cannot_be_written_leaves_the_one_that_is_there(
    folder: Path, make_bundle: MakeBundle
) -> None:
    before = Bundle.load(folder)
    (folder / "manifest.json.new").mkdir()
    with pytest.raises(OSError, match=r"manifest\.json"):
        make_bundle({"heart": np.ones((64, 64), np.float32)}).save(folder)
    after = Bundle.load(folder)
    assert (after.manifest, after.onnx_bytes) == (before.manifest, before.onnx_bytes)
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "manifest.json.new",
        "model.onnx",
    ]


def test_what_is_neither_folder_nor_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BundleError, match="neither a folder nor a"):
        Bundle.load(tmp_path / "fifo")


@pytest.mark.parametrize("part", ["model.onnx", "manifest.json", "judge.onnx"])
def test_a_part_that_is_no_file_is_not_read(
    folder: Path, make_judge: Callable[..., bytes], part: str
) -> None:
    Bundle.load(folder).with_judge(make_judge()).save(folder)
    (folder / part).unlink()
    os.mkfifo(folder / part)
    with pytest.raises(BundleError, match=f"cannot read {part} of the model bundle .* no such file"):
        Bundle.load(folder)


def test_a_changed_or_missing_judge_is_refused(folder: Path, make_judge: Callable[..., bytes]) -> None:
    Bundle.load(folder).with_judge(make_judge()).save(folder)
    (folder / "judge.onnx").write_bytes(make_judge(mirrored=(5,)))
    with pytest.raises(BundleError, match=r"judge\.onnx has sha256"):
        Bundle.load(folder)
    (folder / "judge.onnx").unlink()
    with pytest.raises(BundleError, match=r"judge\.onnx"):
        Bundle.load(folder)


def test_a_judge_that_the_manifest_does_not_state_is_refused(folder: Path) -> None:
    whole = Bundle.load(folder)
    with pytest.raises(BundleError, match=r"a judge\.onnx, its manifest states none"):
        Bundle(whole.manifest, whole.onnx_bytes, b"judge")


def test_a_judge_of_an_impossible_size_is_refused(folder: Path, make_judge: Callable[..., bytes]) -> None:
    Bundle.load(folder).with_judge(make_judge()).save(folder)
    change(folder, "judge", {"sha256": "0" * 64, "input_size": 7})
    with pytest.raises(BundleError, match=r"judge: input_size.*7"):
        Bundle.load(folder)
    change(folder, "judge", {"input_size": 64})
    with pytest.raises(BundleError, match="sha256"):
        Bundle.load(folder)
