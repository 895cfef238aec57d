"""`paxnode-train finetune`: a bundle learns from a site's corrected masks."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

GIVEN = ("bundle", "data", "out", "version", "checkpoint")
"""Options that are not read from a run file."""


def finetune(
    bundle: Annotated[Path, typer.Option(help="The parent: folder or .zip of a model bundle.")],
    data: Annotated[
        Path, typer.Option(help="images/ with masks/<label>/, or DICOM SEG with their radiographs.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for comparison.json and, if it is no worse, bundle/.")],
    steps: Annotated[
        str, typer.Option(help="Steps that move the head, the decoder too, and all, such as 60,120,240.")
    ] = "",
    version: Annotated[str, typer.Option(help="Of the new bundle; none: made of the parent's.")] = "",
    checkpoint: Annotated[
        Path | None, typer.Option(help="checkpoint.pt that the parent was exported from, if at hand.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="A TOML file with any other option of the run.")] = None,
) -> None:
    """Fine-tune a bundle on corrected masks; one that is worse than its parent is not written."""
    from pipeline_training.finetune import BUNDLE_FOLDER, COMPARISON_FILE, FinetuneOptions
    from pipeline_training.finetune import finetune as fine_tune
    from pipeline_training.radiograph_folders import unsaid_patients
    from pipeline_training.run_file import read_run

    console = Console(soft_wrap=True)

    def tell(words: str) -> None:
        console.print(words, markup=False, highlight=False)

    stated = read_run(run, FinetuneOptions, but_not=GIVEN) if run else {}
    chosen = stated | ({"steps": _three(steps)} if steps else {})
    options = FinetuneOptions(bundle, data, out, version=version, checkpoint=checkpoint, **chosen)
    if words := unsaid_patients(data):
        tell(words)
    made = fine_tune(options, tell).identity
    tell(f"{out / BUNDLE_FOLDER}: {made.id} {made.version}, sha256 {made.sha256}")
    tell(f"compared with its parent: {out / COMPARISON_FILE}")


def _three(text: str) -> tuple[int, int, int]:
    try:
        head, decoder, encoder = (int(number) for number in text.split(","))
    except ValueError as exc:
        raise typer.BadParameter(
            f"three whole numbers joined by commas, found {text!r}", param_hint="--steps"
        ) from exc
    return head, decoder, encoder
