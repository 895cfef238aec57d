"""`paxnode-train build`: projections of many volumes on all cores or on a Dask cluster, with a report."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline_training.errors import BuildError
from pipeline_training.out_folders import make_folders


def build(
    cases: Annotated[list[Path], typer.Argument(help="Folders of labelled volumes; docs/volumes.md.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; what is there is not made again.")],
    per_case: Annotated[int, typer.Option(min=1, help="Projections of each case.")] = 150,
    lateral_share: Annotated[float, typer.Option(min=0, max=1, help="Share of lateral views.")] = 0.1,
    seed: Annotated[int, typer.Option(help="The whole data set is a function of it.")] = 1,
    scheduler: Annotated[str, typer.Option(help="Address of a Dask scheduler; none: this machine.")] = "",
    workers: Annotated[int, typer.Option(min=0, help="Processes on this machine; 0: one a core.")] = 0,
) -> None:
    """Build a data set of projections; a volume that cannot be used is rejected with its reason."""
    import time

    from pipeline_training.building.build import BuildOptions
    from pipeline_training.building.build import build as build_data_set
    from pipeline_training.building.outcome import CaseOutcome, Verdict
    from pipeline_training.building.report import write_report
    from pipeline_training.projections import ProjectOptions

    make_folders(out)
    options = ProjectOptions(cases, out, per_case, lateral_share=lateral_share, seed=seed)
    console, started = Console(soft_wrap=True), time.monotonic()
    shown = (TextColumn("volumes"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("volumes", total=len(cases))

        def tell(outcome: CaseOutcome) -> None:
            bar.advance(task)
            words = f"{len(outcome.files)} projections" if not outcome.reason else outcome.reason
            console.print(f"{outcome.verdict:8} {outcome.case}: {words}", markup=False, highlight=False)

        outcomes = build_data_set(BuildOptions(options, scheduler, workers), tell)
    page = write_report(options, outcomes, time.monotonic() - started)
    console.print(f"report: {page}", markup=False, highlight=False)
    if not any(outcome.verdict is Verdict.BUILT for outcome in outcomes):
        raise BuildError("no volume could be used")
