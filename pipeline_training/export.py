"""From a checkpoint to a bundle that the node loads: weights, manifest, and the proof that both networks agree."""

import json
import subprocess
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from ai.bundle import Bundle, bundle_digest
from ai.errors import BundleError
from ai.manifest import Manifest, TrainingData
from pipeline_training.errors import ExportError
from pipeline_training.network import AnatomyNet
from pipeline_training.onnx_graph import OPSET, to_onnx

PARITY_TOLERANCE = 0.01
"""Largest mean difference between sigmoid outputs of both networks; half-precision weights differ in the 4th digit."""

MAX_BUNDLE_BYTES = 24_000_000


@dataclass(frozen=True)
class ExportOptions:
    """What `paxnode-train export` makes.

    Attributes:
        checkpoint: checkpoint.pt of a training run; its averaged weights are exported.
        out: Folder for model.onnx and manifest.json.
        card: TOML file with `limits` and one `[[training_data]]` table (name, licence, use) for each source.
        id: Name of the model.
        version: Of its weights.
        input_size: Rows and columns that the node shall feed.
        evaluation: JSON file of `paxnode-train evaluate`, to be carried in the manifest; may come later.
    """

    checkpoint: Path
    out: Path
    card: Path
    id: str = "paxnode-chest"
    version: str = "0.1.0"
    input_size: int = 320
    evaluation: Path | None = None


def export(options: ExportOptions) -> Bundle:
    """Write the bundle and return it.

    Raises:
        ExportError: If a file cannot be read, the exported network differs, or the bundle is too large.
    """
    network, labels = load_network(options.checkpoint)
    onnx_bytes = to_onnx(network, options.input_size)
    check_parity(network, onnx_bytes, options.input_size)
    card = _read_card(options.card)
    manifest = Manifest(
        id=options.id,
        version=options.version,
        labels=labels,
        views=("frontal",),
        input_size=options.input_size,
        thresholds=dict.fromkeys(labels, 0.5),
        sha256=bundle_digest(onnx_bytes),
        training_data=tuple(TrainingData(**source) for source in card["training_data"]),
        code_revision=code_revision(),
        metrics=summary(options.evaluation) if options.evaluation else {},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        opset=OPSET,
        limits=card["limits"],
    )
    bundle = _bundle(manifest, onnx_bytes)
    bundle.save(options.out)
    return bundle


def _bundle(manifest: Manifest, onnx_bytes: bytes) -> Bundle:
    if len(onnx_bytes) > MAX_BUNDLE_BYTES:
        raise ExportError(f"model.onnx has {len(onnx_bytes)} bytes, a bundle holds at most {MAX_BUNDLE_BYTES}")
    try:
        return Bundle(manifest, onnx_bytes)
    except BundleError as exc:
        raise ExportError(f"the bundle does not pass the node's own check: {exc}") from exc


def load_network(checkpoint: Path) -> tuple[AnatomyNet, tuple[str, ...]]:
    """Return the averaged network of a checkpoint, ready to infer, and its labels in channel order.

    Raises:
        ExportError: If it cannot be read.
    """
    try:
        stored = torch.load(checkpoint, weights_only=True)
        network = AnatomyNet(len(stored["labels"]), tuple(stored["options"]["widths"]))
        network.load_state_dict(stored["average"])
    except (OSError, KeyError, RuntimeError) as exc:
        raise ExportError(f"{checkpoint} is not a checkpoint of paxnode-train train: {exc}") from exc
    return network.eval(), tuple(stored["labels"])


def check_parity(network: AnatomyNet, onnx_bytes: bytes, size: int) -> float:
    """Return the mean absolute difference of probabilities between torch and ONNX Runtime on one drawn input.

    Raises:
        ExportError: If it is above PARITY_TOLERANCE.
    """
    image = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = torch.sigmoid(network(image).logits).numpy()
    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    logits = session.run(["logits"], {"image": image.numpy()})[0]
    difference = float(np.abs(1 / (1 + np.exp(-np.clip(logits, -80, 80))) - ours).mean())
    if difference > PARITY_TOLERANCE:
        raise ExportError(f"the exported network differs by {difference:.4f} from its checkpoint")
    return difference


def code_revision() -> str:
    """Return the commit of the working tree that this code lies in, "+" appended if it was changed since; "" if none."""
    here = Path(__file__).parent
    try:
        revision = _git(here, "rev-parse", "HEAD")
        return revision + ("+" if _git(here, "status", "--porcelain", "--", str(here)) else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = tomllib.loads(path.read_text(encoding="utf-8"))
        return {"limits": card["limits"].strip(), "training_data": card["training_data"]}
    except (OSError, ValueError, KeyError) as exc:
        raise ExportError(f"{path} is not a model card with limits and training_data: {exc}") from exc


def summary(evaluation: Path) -> dict[str, Any]:
    """Return the figures of an evaluation without those of single images.

    Raises:
        ExportError: If the file is not one of `paxnode-train evaluate`.
    """
    try:
        whole = json.loads(evaluation.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ExportError(f"{evaluation} is not an evaluation: {exc}") from exc
    stripped = _without(whole, frozenset({"images", "per_image", "values"}))
    assert isinstance(stripped, dict)
    return stripped


def _without(value: object, keys: frozenset[str]) -> object:
    if isinstance(value, dict):
        return {key: _without(each, keys) for key, each in value.items() if key not in keys}
    return [_without(each, keys) for each in value] if isinstance(value, list) else value
