"""`paxnode-train project-beside`, `train-judge`, `evaluate-judge`, `add-judge`: what looks at pictures."""

import json as json_text
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from ai.bundle import Bundle
from ai.judge import Judge, judge_size
from pipeline_training.errors import ExportError, OutputError
from pipeline_training.out_folders import make_folders


def project_beside(
    cases: Annotated[
        list[Path], typer.Argument(help="Folders of labelled volumes that show more than a chest.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the projections; what is there is not made again.")],
    per_case: Annotated[int, typer.Option(min=1, help="Projections of each case.")] = 24,
    size: Annotated[int, typer.Option(min=64, help="Rows and columns.")] = 320,
    seed: Annotated[int, typer.Option(help="The whole data set is a function of it.")] = 1,
) -> None:
    """Project what is no chest, abdomen, pelvis and shoulders, for a judge to tell from chests."""
    from pipeline_training.judge.beside import build_beside
    from pipeline_training.projections import ProjectOptions

    make_folders(out)
    made = sum(1 for _ in build_beside(ProjectOptions(cases, out, per_case, size, 0.0, seed)))
    Console(soft_wrap=True).print(f"{made} projections made in {out}", markup=False)


def train_judge(
    projections: Annotated[
        list[Path], typer.Option(help="Folder made by `paxnode-train project` or `build`; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="File to write: judge.onnx.")],
    radiographs: Annotated[
        list[Path] | None, typer.Option(help="A set of real frontal radiographs; may be repeated.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(help="Folder made by `paxnode-train project-beside`; may be repeated."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of 48 looks each.")] = 1200,
    seed: Annotated[int, typer.Option(help="Draws weights and data.")] = 1,
) -> None:
    """Train the network that tells views, turns, mirrors and inverted grey scales; minutes on one core."""
    from pipeline_training.judge.export import judge_to_onnx
    from pipeline_training.judge.training import JudgeOptions
    from pipeline_training.judge.training import train_judge as train

    make_folders(out.parent)
    options = JudgeOptions(projections, radiographs or (), beside or (), steps, seed=seed)
    console = Console(soft_wrap=True)
    trained = train(options, lambda words: console.print(words, markup=False, highlight=False))
    content = judge_to_onnx(trained.network)
    try:
        out.write_bytes(content)
    except OSError as exc:
        raise OutputError(f"cannot write {out}: {exc}") from exc
    for question, share in trained.validation.items():
        console.print(f"right on held-back patients, {question}: {share:.3f}", highlight=False)
    console.print(f"trained: {out}, {len(content)} bytes", markup=False, highlight=False)


def evaluate_judge(
    judge: Annotated[Path, typer.Option(help="judge.onnx, or a model bundle that holds one.")],
    data: Annotated[Path, typer.Option(help="A set of radiographs (images/) or a folder of sets.")],
    only: Annotated[
        list[str] | None, typer.Option("--set", help="Take this set only; may be repeated.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write every figure to this file.")] = None,
) -> None:
    """Tell how often a judge is right on radiographs and on turned, mirrored and inverted copies of them."""
    from pipeline_training.judge.evaluation import QUESTIONS, evaluate_judge
    from pipeline_training.radiograph_folders import read_sets

    sets = [each for each in read_sets(data) if not only or each.name in only]
    found = evaluate_judge(_load(judge), sets)
    table = Table("set", "pictures", "refused", *QUESTIONS)
    for each in found:
        cells = (each.tallies.get(question) for question in QUESTIONS)
        words = ("" if t is None else f"{t.right}/{t.asked} ({t.sure_wrong} wrong)" for t in cells)
        table.add_row(each.name, str(each.images), str(each.refused), *words)
    Console(width=190).print(table)
    if json is not None:
        make_folders(json.parent)
        text = json_text.dumps({"sets": [each.to_json() for each in found]}, indent=1) + "\n"
        json.write_text(text, encoding="utf-8")


def add_judge(
    bundle: Annotated[Path, typer.Argument(help="Model bundle: folder or .zip.")],
    judge: Annotated[Path, typer.Argument(help="judge.onnx of `paxnode-train train-judge`.")],
    out: Annotated[Path, typer.Option(help="Folder for the bundle that holds both.")],
) -> None:
    """Put a judge into a model bundle; what segments stays as it is."""
    from pipeline_training.model_card import save_with_card

    made = Bundle.load(bundle).with_judge(_read(judge))
    save_with_card(made, out)
    Console(soft_wrap=True).print(f"{out}: {made.identity.id} with a judge", markup=False, highlight=False)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ExportError(f"cannot read {path}: {exc}") from exc


def _load(path: Path) -> Judge:
    if path.suffix != ".onnx":
        judge = Bundle.load(path).judge()
        if judge is None:
            raise ExportError(f"the model bundle {path} holds no judge")
        return judge
    content = _read(path)
    return Judge(content, judge_size(content))
