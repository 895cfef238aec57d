"""The page that goes with a bundle: what it is for, what it was made from, how well it does."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ai.bundle import Bundle
from ai.labels import LABELS
from ai.manifest import Manifest
from pipeline_training.errors import OutputError
from pipeline_training.out_folders import make_folders

FILE = "MODEL_CARD.md"


def save_with_card(bundle: Bundle, folder: Path) -> None:
    """Write a bundle and its model card into a folder, made if need be.

    Raises:
        OutputError: If that cannot be done.
    """
    make_folders(folder)
    try:
        bundle.save(folder)
        (folder / FILE).write_text(model_card(bundle.manifest), encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write the bundle into {folder}: {exc}") from exc


def model_card(manifest: Manifest) -> str:
    """Return the model card as Markdown, made of the manifest alone."""
    return "\n".join(_lines(manifest)) + "\n"


def _lines(manifest: Manifest) -> Iterator[str]:
    yield f"# {manifest.id} {manifest.version}"
    yield ""
    yield (
        f"Segments {len(manifest.labels)} of {len(LABELS)} structures in {' and '.join(manifest.views)} "
        "chest radiographs of adults. For research: it has not been validated for clinical use."
    )
    yield from ("", "## Limits", "", manifest.limits or "None are stated.")
    yield from ("", "## Training data", "", "| data | licence | use |", "|---|---|---|")
    yield from (f"| {source.name} | {source.licence} | {source.use} |" for source in manifest.training_data)
    yield from ("", "## How it does", "")
    yield from _scores(manifest.metrics)
    yield from ("", "## Structures", "", "Supported: " + ", ".join(manifest.labels) + ".", "")
    missing = [label.name for label in LABELS if label.name not in set(manifest.labels)]
    yield "Not supported: " + (", ".join(missing) if missing else "none") + "."
    yield from ("", "## Making", "")
    yield f"* Weights: sha256 `{manifest.sha256}`, ONNX operator set {manifest.opset}."
    yield f"* Input: {manifest.input_size} x {manifest.input_size} pixels."
    if manifest.judge is not None:
        yield f"* Judge of pictures (judge.onnx): sha256 `{manifest.judge.sha256}`."
    yield f"* Made {manifest.created or 'at an unknown time'}."
    yield f"* Code: {manifest.code_revision or 'unknown revision'}."


def _scores(metrics: Mapping[str, Any]) -> Iterator[str]:
    """Yield a table of the evaluation in a manifest, or a sentence where there is none."""
    sets = metrics.get("sets", ())
    if not sets:
        yield "Not evaluated."
        return
    yield "Mean Dice with its 95 % bootstrap interval over images, readers' masks; sets are never pooled."
    yield from ("", "| set | structure | images | Dice | HD95, pixels |", "|---|---|---|---|---|")
    for each in sets:
        for found in each["structures"]:
            if found.get("answered"):
                yield _row(each["name"], found["structure"], found["answered"])
    for each in sets:
        ratio = (each.get("cardiothoracic_ratio") or {}).get("agreement")
        if ratio:
            error, limits = ratio["mean_absolute_error"], (ratio["lower_limit"], ratio["upper_limit"])
            yield ""
            yield (
                f"Cardiothoracic ratio on {each['name']}, {ratio['n']} images: mean absolute error "
                f"{error['mean']:.3f}, bias {ratio['bias']['mean']:+.3f}, limits of agreement "
                f"{limits[0]:+.3f} to {limits[1]:+.3f}."
            )


def _row(set_name: str, structure: str, answered: Mapping[str, Any]) -> str:
    dice, distance = answered["dice"], answered["hausdorff95_px"]
    interval = f"{dice['mean']:.3f} [{dice['low']:.3f}, {dice['high']:.3f}]"
    return f"| {set_name} | {structure} | {answered['n']} | {interval} | {distance['mean']:.1f} |"
