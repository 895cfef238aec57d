"""`paxnode-train screen`: which structures a trained network finds well enough to be shipped."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

LEAST_DICE = 0.6
"""Below this a structure is not shipped: too much of the mask is wrong or missing to be shown to a reader."""


def screen(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint.pt of a training run.")],
    projections: Annotated[Path, typer.Option(help="Folder made by `paxnode-train project` or `build`.")],
    least: Annotated[float, typer.Option(min=0, max=1, help="Withhold what has a lower Dice.")] = LEAST_DICE,
    looks: Annotated[int, typer.Option(min=1, help="Looks at the projections.")] = 80,
    size: Annotated[int, typer.Option(min=32, help="Input rows and columns.")] = 320,
    held_out: Annotated[
        bool, typer.Option(help="These bodies were held out: what no look shows is not withheld for that.")
    ] = False,
    mirror_bones: Annotated[
        bool, typer.Option(help="Ask about bones of the mirrored picture as well, as `export` can have it.")
    ] = False,
) -> None:
    """Tell each structure's Dice on looks that training did not draw, and what to withhold in the card."""
    from pipeline_training.screen import screen as screened

    console, found = Console(soft_wrap=True), screened(checkpoint, projections, size, looks, mirror_bones)
    table = Table("structure", "Dice")
    for name, dice in found.items():
        table.add_row(name, "not shown" if dice is None else f"{dice:.2f}")
    console.print(table)
    bad = [name for name, dice in found.items() if (not held_out if dice is None else dice < least)]
    withheld = ", ".join(f'"{name}"' for name in bad)
    console.print(f"withheld = [{withheld}]", markup=False, highlight=False)
