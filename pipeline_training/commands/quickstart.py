"""`paxnode-train quickstart`: the whole chain on phantoms, in minutes, on a CPU."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

PIPED_WIDTH = 170
"""Columns of the table that is not written to a terminal."""


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for everything that is made.")] = Path("quickstart"),
    seed: Annotated[int, typer.Option(help="Everything is a function of it.")] = 1,
    workers: Annotated[int, typer.Option(min=0, help="Processes; 0: one for each core.")] = 0,
) -> None:
    """Phantoms to projections to a network to a bundle, evaluated: proof that an installation works."""
    import time

    from pipeline_training.evaluation_report import score_table
    from pipeline_training.quickstart import QuickstartOptions
    from pipeline_training.quickstart import quickstart as run

    console, started = Console(), time.monotonic()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)

    def tell(words: str) -> None:
        console.print(
            f"[{time.monotonic() - started:5.0f} s] {words}", markup=False, highlight=False, soft_wrap=True
        )

    made = run(QuickstartOptions(out, workers=workers, seed=seed), tell)
    tell("done")
    console.print(score_table(made.evaluation))
    console.print(
        "These figures prove that the chain works, no more: a few minutes of training on a few phantoms find "
        "lungs and heart roughly, thin bones hardly, and real radiographs not at all.",
        soft_wrap=True,
    )
    console.print(f"data set: {made.report}", markup=False, highlight=False, soft_wrap=True)
    console.print(
        f"bundle:   {made.bundle}\ntry it:   paxnode demo --bundle {made.bundle}",
        markup=False,
        highlight=False,
    )
