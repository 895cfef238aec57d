"""`paxnode-train label`: CTs without labels become labelled cases, each with a report."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipeline_training.errors import LabellerError, VolumeError


def label(
    cases: Annotated[list[Path], typer.Argument(help="CTs: NIfTI files, or folders with ct.nii.gz.")],
    out: Annotated[Path, typer.Option(help="A folder for each case comes here; one that is done is kept.")],
    own: Annotated[
        list[Path] | None,
        typer.Option(help="labeller.pt of `paxnode-train train-labeller`; may be repeated."),
    ] = None,
) -> None:
    """Label CTs in 3D: labellers, merged, repaired by anatomy, judged; what is unsound becomes unknown."""
    from pipeline_training.labelling.ct_files import case_name, load_ct
    from pipeline_training.labelling.label_case import is_done, label_case, write_labelled
    from pipeline_training.labelling.own_labeller import OwnLabeller

    console, errors = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
    labellers = [OwnLabeller(path) for path in own or []]
    if not labellers:
        raise LabellerError("name at least one labeller, such as --own labeller.pt")
    failed = 0
    for path in cases:
        folder = out / case_name(path)
        if is_done(folder):
            console.print(f"{folder.name}: done before", markup=False, highlight=False)
            continue
        try:
            labelled = label_case(load_ct(path), labellers)
        except (LabellerError, VolumeError) as exc:
            failed += 1
            errors.print(f"{folder.name}: {exc}", markup=False, highlight=False)
            continue
        write_labelled(folder, labelled)
        quality = labelled.quality
        words = "; ".join(quality.reasons) or (
            f"{len(labelled.volume.names)} structures, {len(quality.dropped)} dropped"
        )
        console.print(f"{folder.name}: {quality.verdict}: {words}", markup=False, highlight=False)
    if failed == len(cases):
        raise LabellerError("no case could be labelled")
