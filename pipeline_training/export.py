"""From a checkpoint to a bundle that the node loads: weights, manifest, and proof that both answer alike."""

import json
import subprocess
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch

from ai.bundle import Bundle, bundle_digest
from ai.errors import BundleError
from ai.manifest import Manifest, TrainingData
from pipeline_training.checkpoint import read_checkpoint
from pipeline_training.errors import ExportError, TrainingError
from pipeline_training.mirror import bones_among
from pipeline_training.model_card import save_with_card
from pipeline_training.network import SIZE_MULTIPLE, AnatomyNet
from pipeline_training.onnx_graph import OPSET, to_onnx

PARITY_TOLERANCE = 0.02
"""Largest root mean square difference of logits, over their standard deviation: half-precision weights
carry 11 bits, and their errors add up over some twenty layers (0.001 to 0.005 measured)."""

MAX_BUNDLE_BYTES = 24_000_000
"""The default bundle is installed with the node (docs/bundle.md)."""

THRESHOLD = 0.5
"""Probability from which a pixel belongs to a structure; Dice and cross-entropy are trained for it."""


@dataclass(frozen=True)
class Card:
    """What a model card says.

    Attributes:
        limits: What the model must not be trusted with.
        sources: What it was trained on.
        withheld: Structures that were trained and are not exported (`pipeline_training.screen`).
        mirror_bones: Whether the node shall ask about bones of the mirrored picture as well (`ai.mirroring`),
            as it should of a network that has learned mirrored bodies (`mirror_share`).
    """

    limits: str
    sources: tuple[TrainingData, ...]
    withheld: tuple[str, ...] = ()
    mirror_bones: bool = False


PER_IMAGE = frozenset({"images", "refusals"})
"""Keys of an evaluation whose lists hold one entry for each image."""


@dataclass(frozen=True)
class ExportOptions:
    """What `paxnode-train export` makes.

    Attributes:
        checkpoint: checkpoint.pt of a training run; its averaged weights are exported.
        out: Folder for model.onnx and manifest.json.
        card: TOML file with `limits` and one `[[training_data]]` table (name, licence, use) for each source.
        id: Name of the model.
        version: Of its weights.
        input_size: Rows and columns that the node shall feed, a multiple of 32.
        evaluation: JSON file of `paxnode-train evaluate`, to be carried in the manifest; may come later.
    """

    checkpoint: Path
    out: Path
    card: Path
    id: str
    version: str = "0.1.0"
    input_size: int = 320
    evaluation: Path | None = None

    def __post_init__(self) -> None:
        if self.input_size <= 0 or self.input_size % SIZE_MULTIPLE:
            raise ExportError(f"the input size is a multiple of {SIZE_MULTIPLE}, found {self.input_size}")


def export(options: ExportOptions) -> Bundle:
    """Write the bundle and return it.

    Raises:
        ExportError: If a file cannot be read, the exported network differs, the evaluation is one of other
            weights, or the bundle is too large.
    """
    whole, known = load_network(options.checkpoint)
    card = read_card(options.card)
    network, labels = without(whole, known, card.withheld)
    onnx_bytes = to_onnx(network, options.input_size)
    if len(onnx_bytes) > MAX_BUNDLE_BYTES:
        raise ExportError(f"model.onnx has {len(onnx_bytes)} bytes, at most {MAX_BUNDLE_BYTES} are allowed")
    check_parity(network, onnx_bytes, options.input_size)
    try:
        bundle = Bundle(_manifest(options, labels, card, bundle_digest(onnx_bytes)), onnx_bytes)
    except BundleError as exc:
        raise ExportError(f"the bundle does not pass the node's own check: {exc}") from exc
    save_with_card(bundle, options.out)
    return bundle


def _manifest(options: ExportOptions, labels: tuple[str, ...], card: Card, sha256: str) -> Manifest:
    return Manifest(
        id=options.id,
        version=options.version,
        labels=labels,
        views=("frontal",),
        input_size=options.input_size,
        thresholds=dict.fromkeys(labels, THRESHOLD),
        sha256=sha256,
        training_data=card.sources,
        code_revision=code_revision(),
        metrics=_summary_in(options.evaluation, sha256) if options.evaluation else {},
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        opset=OPSET,
        limits=card.limits,
        mirrored=bones_among(labels) if card.mirror_bones else (),
    )


def load_network(checkpoint: Path) -> tuple[AnatomyNet, tuple[str, ...]]:
    """Return the averaged network of a checkpoint, ready to infer, and its labels in channel order.

    Raises:
        ExportError: If it cannot be read.
    """
    try:
        stored = read_checkpoint(checkpoint)
        network = AnatomyNet(len(stored["labels"]), tuple(stored["options"]["widths"]))
        network.load_state_dict(stored["average"])
    except TrainingError as exc:
        raise ExportError(str(exc)) from exc
    except (KeyError, TypeError, RuntimeError) as exc:
        raise ExportError(f"{checkpoint} does not hold the network that it describes: {exc}") from exc
    return network.eval(), tuple(stored["labels"])


def without(
    network: AnatomyNet, labels: tuple[str, ...], withheld: Collection[str]
) -> tuple[AnatomyNet, tuple[str, ...]]:
    """Return the network without some of its output channels, and the labels that are left.

    Raises:
        ExportError: If a structure is to be withheld that the network does not know, or none is left.
    """
    if unknown := sorted(set(withheld) - set(labels)):
        raise ExportError(f"the network does not know {unknown[0]!r}, which is to be withheld")
    kept = [channel for channel, name in enumerate(labels) if name not in set(withheld)]
    if not kept:
        raise ExportError("every structure is withheld: nothing is left to export")
    weights = network.state_dict()
    for name in [key for key in weights if key.startswith(("head.", "context."))]:
        weights[name] = weights[name][kept]
    smaller = AnatomyNet(len(kept), network.widths)
    smaller.load_state_dict(weights)
    return smaller.eval(), tuple(labels[channel] for channel in kept)


def check_parity(network: AnatomyNet, onnx_bytes: bytes, size: int) -> float:
    """Return how far torch's and ONNX Runtime's outputs lie apart on drawn images, relative to their spread.

    Raises:
        ExportError: If it is above PARITY_TOLERANCE or not a number.
    """
    image = _drawn_images(size)
    with torch.no_grad():
        ours = network(image)
    session = onnxruntime.InferenceSession(onnx_bytes, providers=["CPUExecutionProvider"])
    theirs = session.run(["logits", "view"], {"image": image.numpy()})
    difference = max(_apart(ours.logits.numpy(), theirs[0]), _apart(ours.view.T.numpy(), theirs[1].T))
    if not difference <= PARITY_TOLERANCE:
        raise ExportError(f"the exported network differs by {difference:.4f} from its checkpoint")
    return difference


def _drawn_images(size: int) -> torch.Tensor:
    """Return two images (2, 1, size, size) in [0, 1], smooth ones with some grain, always the same."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 1, 8, 8, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    return (smooth + 0.05 * torch.randn(smooth.shape, generator=generator)).clamp(0, 1)


def _apart(ours: npt.NDArray[np.float32], theirs: npt.NDArray[np.float32]) -> float:
    """Return the root mean square difference over the spread of `ours` within its channels."""
    spread = (ours - ours.mean(axis=(0, *range(2, ours.ndim)), keepdims=True)).std()
    return float(np.sqrt(np.mean((theirs - ours) ** 2)) / max(float(spread), 1e-6))


def code_revision() -> str:
    """Return the commit that this code was checked out from; "" where it does not lie in its repository.

    "+" is appended where files of this package differ from the commit.
    """
    here = Path(__file__)
    try:
        _git(here.parent, "ls-files", "--error-unmatch", here.name)
        changed = _git(here.parent, "status", "--porcelain", "--", ".")
        return _git(here.parent, "rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def read_card(path: Path) -> Card:
    """Return what a model card says.

    Raises:
        ExportError: If it cannot be read, or either is missing or empty.
    """
    try:
        card = tomllib.loads(path.read_text(encoding="utf-8"))
        limits = str(card["limits"]).strip()
        sources = tuple(TrainingData(**source) for source in card["training_data"])
        withheld = tuple(str(name) for name in card.get("withheld", ()))
        mirror_bones = card.get("mirror_bones", False)
        if not isinstance(mirror_bones, bool):
            raise TypeError(f"mirror_bones is true or false, found {mirror_bones!r}")
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise ExportError(f"{path} is not a model card with limits and training_data: {exc}") from exc
    if not limits or not sources:
        raise ExportError(f"{path}: a model card states its limits and at least one source of training data")
    return Card(limits, sources, withheld, mirror_bones)


def _summary_in(file: Path, sha256: str) -> dict[str, Any]:
    try:
        return summary(file.read_text(encoding="utf-8"), sha256)
    except (OSError, ValueError, ExportError) as exc:
        raise ExportError(f"{file}: {exc}") from exc


def evaluated(bundle: Bundle, evaluation: str) -> Bundle:
    """Return a bundle whose manifest carries the figures of an evaluation.

    Args:
        bundle: The one that was evaluated.
        evaluation: JSON of `paxnode-train evaluate` or `accuracy`.

    Raises:
        ExportError: If that is no evaluation, or one of other weights.
    """
    metrics = summary(evaluation, bundle.manifest.sha256)
    return replace(bundle, manifest=replace(bundle.manifest, metrics=metrics))


def summary(evaluation: str, sha256: str) -> dict[str, Any]:
    """Return the figures of an evaluation without those of single images.

    Args:
        evaluation: JSON of `paxnode-train evaluate` or `accuracy`.
        sha256: Of the network that carries them; figures of another one are not its own.

    Raises:
        ExportError: If that is no evaluation, or one of other weights.
    """
    try:
        whole = json.loads(evaluation)
        theirs = whole["model"]["sha256"]
    except (ValueError, KeyError, TypeError) as exc:
        raise ExportError(f"this is not an evaluation: {exc!r}") from exc
    if theirs != sha256:
        raise ExportError(f"the evaluation is of weights of sha256 {theirs}, these have {sha256}")
    return {key: without_images(each) for key, each in whole.items()}


def without_images(value: object) -> object:
    """Return a JSON value in which every list of single images or refusals is replaced by its length."""
    if isinstance(value, dict):
        return {key: _counted(key, each) for key, each in value.items()}
    return [without_images(each) for each in value] if isinstance(value, list) else value


def _counted(key: str, value: object) -> object:
    return len(value) if key in PER_IMAGE and isinstance(value, list) else without_images(value)
