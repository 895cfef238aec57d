"""`paxnode-train self-label`: what a network is sure of on radiographs, as one more set to learn from."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipeline_training.commands.compare import console


def self_label(
    checkpoint: Annotated[Path, typer.Option(help="The checkpoint.pt whose network tells.")],
    radiographs: Annotated[list[Path], typer.Option(help="A set of radiographs; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Gets a folder for each set.")],
    surety: Annotated[
        float, typer.Option(min=0, max=1, help="Least expected Dice and least agreement of both looks.")
    ] = 0.8,
    without: Annotated[
        list[str] | None, typer.Option(help="Leave out structures whose name holds this; may be repeated.")
    ] = None,
    mirror_bones: Annotated[
        bool, typer.Option(help="Ask about bones of the mirrored picture as well, as `export` can have it.")
    ] = False,
) -> None:
    """Write what a network is sure of on radiographs beside their readers' masks, as sets to learn from."""
    from pipeline_training.self_labels import SelfLabelOptions
    from pipeline_training.self_labels import self_label as tell

    left_out = tuple(without or ())
    counts = tell(
        SelfLabelOptions(
            checkpoint, tuple(radiographs), out, surety, without=left_out, mirror_bones=mirror_bones
        )
    )
    table = Table("structure", "radiographs")
    for name, count in counts.items():
        table.add_row(name, str(count))
    console().print(table)
    console().print(f"sets to learn from, with masks drawn by readers and told: {out}", markup=False)
