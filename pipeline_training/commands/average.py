"""`paxnode-train average`: the mean of checkpoints of one lineage."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline_training.out_folders import make_folders


def average(
    checkpoint: Annotated[list[Path], typer.Option(help="A checkpoint.pt; two or more.")],
    out: Annotated[Path, typer.Option(help="The checkpoint to write.")],
) -> None:
    """Average the weights of checkpoints of which one went on from the other."""
    from pipeline_training.average import average as averaged

    make_folders(out.parent)
    averaged(checkpoint, out)
    typer.echo(f"written: {out}")
