"""`paxnode-train label`: CTs without labels become labelled cases, each with a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pipeline_training.errors import LabellerError, VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.out_folders import make_folders

if TYPE_CHECKING:
    from pipeline_training.labelling.label_case import Labelled
    from pipeline_training.labelling.labeller import Labeller
    from pipeline_training.volumes import LabelMap


def label(
    cases: Annotated[list[Path], typer.Argument(help="CTs: files, DICOM series, folders; docs/volumes.md.")],
    out: Annotated[Path, typer.Option(help="A folder for each case comes here; one that is done is kept.")],
    labeller: Annotated[
        list[str] | None,
        typer.Option(
            help="The most trusted first; may be repeated: own=labeller.pt, atlas=CASE, nnunet=FOLDER, "
            "monai=FOLDER, totalsegmentator=FOLDER, cads=FOLDER, rules, ...; docs/labelling.md."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="For the labellers of others, such as cuda.")] = "cpu",
) -> None:
    """Label CTs in 3D: labellers, merged, repaired by anatomy, judged; what is unsound becomes unknown."""
    from pipeline_training.intake.case import load_cases
    from pipeline_training.labelling.choice import labellers_of

    make_folders(out)
    labellers = labellers_of(labeller or [], device)
    errors, made = Console(stderr=True, soft_wrap=True), 0
    seen: dict[str, Path] = {}
    for path in cases:
        try:
            for case in load_cases(path):
                ct = _as_ct(case.volume)
                if seen.setdefault(ct.case, path) != path:
                    raise LabellerError(f"another volume is called {ct.case!r}, too: {seen[ct.case]}")
                _label(ct, out, labellers)
                made += 1
        except (LabellerError, VolumeError) as exc:
            errors.print(f"{path.name}: {exc}", markup=False, highlight=False)
    if not made:
        raise LabellerError("no case could be labelled")


def repair(
    cases: Annotated[list[Path], typer.Argument(help="Labelled cases, with or without CT; docs/volumes.md.")],
    out: Annotated[Path, typer.Option(help="A folder for each case comes here; one that is done is kept.")],
) -> None:
    """Repair labels that a volume has already by anatomy, and judge them; what is unsound becomes unknown."""
    from pipeline_training.intake.case import load_case
    from pipeline_training.labelling.label_case import is_done, repair_case, write_labelled
    from pipeline_training.volumes import LabelMap

    make_folders(out)
    console, errors, made = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True), 0
    for path in cases:
        try:
            volume = load_case(path)
        except VolumeError as exc:
            errors.print(f"{path.name}: {exc}", markup=False, highlight=False)
            continue
        if not isinstance(volume, LabelMap):
            errors.print(f"{path.name}: there are no labels, only a CT", markup=False, highlight=False)
            continue
        made += 1
        if is_done(out / volume.case):
            console.print(f"{volume.case}: done before", markup=False, highlight=False)
            continue
        repaired = repair_case(volume)
        write_labelled(out / volume.case, repaired)
        _tell(repaired)
    if not made:
        raise LabellerError("no case could be repaired")


def _as_ct(volume: "LabelMap | CtVolume") -> CtVolume:
    """Return the CT of a case; labels that it has are not looked at."""
    if isinstance(volume, CtVolume):
        return volume
    if volume.hu is None:
        raise VolumeError("there is no CT, only labels")
    return CtVolume(volume.case, volume.hu, volume.spacing_mm, volume.patient)


def _label(ct: CtVolume, out: Path, labellers: "Sequence[Labeller]") -> None:
    from pipeline_training.labelling.label_case import is_done, label_case, write_labelled

    console, folder = Console(soft_wrap=True), out / ct.case
    if is_done(folder):
        console.print(f"{ct.case}: done before", markup=False, highlight=False)
        return
    names = ", ".join(each.name for each in labellers)
    Console(stderr=True, soft_wrap=True).print(f"{ct.case}: asking {names}", markup=False, highlight=False)
    labelled = label_case(ct, labellers)
    write_labelled(folder, labelled)
    for failure in labelled.failures:
        Console(stderr=True, soft_wrap=True).print(f"{ct.case}: {failure}", markup=False, highlight=False)
    _tell(labelled)


def _tell(labelled: "Labelled") -> None:
    quality, volume = labelled.quality, labelled.volume
    sound = f"{len(volume.names)} structures, {len(quality.dropped)} dropped, {len(labelled.changes)} changes"
    words = "; ".join(quality.reasons) or sound
    Console(soft_wrap=True).print(f"{volume.case}: {quality.verdict}: {words}", markup=False, highlight=False)
