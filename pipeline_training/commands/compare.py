"""`paxnode-train compare` and `calibrate`: a bundle beside another, and beside its own probabilities."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline_training.errors import OutputError

Data = Annotated[Path, typer.Option(help="A set (images/, masks/<structure>/) or a folder of sets.")]
Json = Annotated[Path | None, typer.Option(help="Write every figure to this file.")]
Only = Annotated[list[str] | None, typer.Option("--set", help="Take this set only; may be repeated.")]
Limit = Annotated[int | None, typer.Option(help="At most so many images of each set.")]


def compare(
    bundle: Annotated[Path, typer.Option(help="The bundle compared with: folder or .zip.")],
    other: Annotated[Path, typer.Option("--with", help="The bundle that is judged.")],
    data: Data,
    json: Json = None,
    only: Only = None,
    limit: Limit = None,
) -> None:
    """Compare two bundles on the same images: paired differences with 95 % intervals, and a finding."""
    from pipeline_training.compare import compare as compare_evaluations
    from pipeline_training.compare import comparison_table
    from pipeline_training.evaluate import EvaluateOptions, evaluate

    first, second = (
        evaluate(EvaluateOptions(data, each, tuple(only or ()), limit)) for each in (bundle, other)
    )
    found = compare_evaluations(first, second)
    console().print(comparison_table(found))
    write_text(json, found.to_json())


def calibrate(
    data: Data,
    bundle: Annotated[Path | None, typer.Option(help="The model bundle; none: the default one.")] = None,
    json: Json = None,
    only: Only = None,
    limit: Limit = None,
) -> None:
    """Tell whether a bundle's probabilities hold: expected calibration error, Brier score, reliability."""
    from ai.bundle import DEFAULT_BUNDLE, Bundle
    from ai.onnx_segmenter import OnnxSegmenter
    from pipeline_training.calibration import calibrate as calibrate_sets
    from pipeline_training.calibration import calibration_table
    from pipeline_training.evaluate import EvaluateOptions, chosen_sets

    options = EvaluateOptions(data, bundle or DEFAULT_BUNDLE, tuple(only or ()), limit)
    found = calibrate_sets(OnnxSegmenter(Bundle.load(options.bundle)), chosen_sets(options))
    console().print(calibration_table(found))
    write_text(json, found.to_json())


def console() -> Console:
    """Return a console, wide enough for the tables where standard output is no terminal."""
    found = Console()
    return found if found.is_terminal else Console(width=160)


def write_text(path: Path | None, text: str) -> None:
    """Write the text where a path was given.

    Raises:
        OutputError: If the file cannot be written.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc}") from exc
