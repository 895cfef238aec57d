"""`paxnode-train reopen`: a checkpoint out of a bundle, for a run that goes on from it."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_training.out_folders import make_folders

BATCHES = 16


def reopen(
    bundle: Annotated[Path, typer.Option(help="The model bundle: folder or .zip.")],
    projections: Annotated[Path, typer.Option(help="Folder made by `paxnode-train build` or `project`.")],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")],
    radiographs: Annotated[
        list[Path] | None, typer.Option(help="A set that the run will learn from; may be repeated.")
    ] = None,
) -> None:
    """Write a bundle's network as a checkpoint for `train --begin-with`."""
    from ai.bundle import Bundle
    from pipeline_training.batches import Batches, Drawing
    from pipeline_training.dataset import read_sources
    from pipeline_training.radiograph_folders import read_set
    from pipeline_training.reopen import reopen as reopened

    begun = Bundle.load(bundle)
    sources = read_sources(projections, [read_set(folder) for folder in radiographs or ()])
    drawing = Drawing(batch=4, seed=0, real_share=0.5)
    looks = Batches(sources, (), begun.manifest.input_size, drawing)
    make_folders(out.parent)
    reopened(begun, (looks[step].image for step in range(BATCHES)), out)
    typer.echo(f"written: {out}")
