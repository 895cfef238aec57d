"""`paxnode-train train-labeller`: a 3D network of our own from labelled volumes."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline_training.errors import TrainingError


def train_labeller(
    cases: Annotated[list[Path], typer.Argument(help="Folders of labelled volumes; docs/volumes.md.")],
    out: Annotated[Path, typer.Option(help="Folder for labeller.pt and log.csv; one there goes on.")],
    steps: Annotated[int, typer.Option(min=1, help="Of one patch each; about 4 s on one core.")] = 600,
    seed: Annotated[int, typer.Option(help="Draws weights and patches.")] = 1,
) -> None:
    """Train the own 3D labeller, or go on training; a case teaches only what its vocabulary knows."""
    from pipeline_training.intake.case import load_case
    from pipeline_training.labelling.own_training import (
        LabellerOptions,
        classes_of,
        make_lesson,
    )
    from pipeline_training.labelling.own_training import train_labeller as train
    from pipeline_training.volumes import LabelMap

    volumes = [volume for path in cases if isinstance(volume := load_case(path), LabelMap)]
    if len(volumes) < len(cases):
        raise TrainingError("every case to learn from needs labels")
    classes = classes_of(volumes)
    lessons = [make_lesson(volume, classes, seed) for volume in volumes]
    made = train(lessons, classes, LabellerOptions(out, steps, seed=seed))
    Console(soft_wrap=True).print(f"trained for {len(classes)} structures: {made}", markup=False)
