"""The command `paxnode-train`: from labelled CT volumes to an evaluated model bundle.

torch and nibabel are imported by the commands that need them, so that `evaluate` runs without.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ai.bundle import DEFAULT_BUNDLE
from ai.errors import AiError
from pipeline_training.commands.accuracy import accuracy
from pipeline_training.commands.average import average
from pipeline_training.commands.build import build
from pipeline_training.commands.compare import calibrate, compare
from pipeline_training.commands.cross_validation import cross_validate, fold
from pipeline_training.commands.failures import failures
from pipeline_training.commands.finetune import finetune
from pipeline_training.commands.judge import add_judge, evaluate_judge, project_beside, train_judge
from pipeline_training.commands.label import label, repair
from pipeline_training.commands.quickstart import quickstart
from pipeline_training.commands.reliability import check_reliability, fit_reliability
from pipeline_training.commands.reopen import reopen
from pipeline_training.commands.repeatability import repeatability
from pipeline_training.commands.screen import screen
from pipeline_training.commands.self_label import self_label
from pipeline_training.commands.train_labeller import train_labeller
from pipeline_training.contact_sheet import draw_contact_sheet, write_contact_sheet
from pipeline_training.errors import OutputError, PipelineError
from pipeline_training.evaluate import EvaluateOptions, chosen_sets, evaluate_sets, load_segmenter
from pipeline_training.evaluation_report import Evaluation, ratio_table, remarks, score_table
from pipeline_training.out_folders import make_folders
from pipeline_training.radiograph_folders import unsaid_patients
from pipeline_training.run_file import read_run
from pipeline_training.spine_report import angle_table, centre_table

PIPED_WIDTH = 190
"""Columns of a table that is not written to a terminal, wide enough for every heading."""
FAILED = 1

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="From labelled CT volumes to a model bundle, and the bundle against readers.",
)
COMMANDS = (
    *(
        build,
        label,
        repair,
        train_labeller,
        quickstart,
        self_label,
        reopen,
        average,
        screen,
        compare,
        calibrate,
        fold,
        cross_validate,
        finetune,
        repeatability,
    ),
    *(fit_reliability, check_reliability, failures, accuracy),
    *(project_beside, train_judge, evaluate_judge, add_judge),
)
for command in COMMANDS:
    app.command(name=command.__name__.replace("_", "-"))(command)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"paxnode-train {version('paxnode')}")
        raise typer.Exit


@app.callback()
def _commands(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Print the version, and end."),
    ] = False,
) -> None:
    """Take what stands before a command."""


@app.command()
def project(
    cases: Annotated[list[Path], typer.Argument(help="Folders with labels.nii.gz, labels.json, ct.nii.gz.")],
    out: Annotated[Path, typer.Option(help="Folder for the projections; what is there is not made again.")],
    per_case: Annotated[int, typer.Option(min=1, help="Projections of each case.")] = 150,
    size: Annotated[int, typer.Option(min=64, help="Rows and columns.")] = 320,
    lateral_share: Annotated[float, typer.Option(min=0, max=1, help="Share of lateral views.")] = 0.1,
    seed: Annotated[int, typer.Option(help="The whole data set is a function of it.")] = 1,
    spacing_mm: Annotated[float, typer.Option(min=0.5, help="Voxels that volumes are brought to.")] = 1.5,
) -> None:
    """Project labelled CT volumes to images and masks: bodies deformed, poses drawn at random."""
    from pipeline_training.projections import ProjectOptions, build_projections

    options = ProjectOptions(cases, out, per_case, size, lateral_share, seed, spacing_mm)
    make_folders(out)
    made = 0
    with _progress(len(cases) * per_case) as on_projection:
        for _ in build_projections(options):
            made += 1
            on_projection()
    _console().print(f"{made} projections made in {out}", markup=False, soft_wrap=True)


@app.command()
def train(
    projections: Annotated[Path, typer.Option(help="Folder made by `paxnode-train build` or `project`.")],
    out: Annotated[
        Path, typer.Option(help="Folder for checkpoint.pt and log.csv; a checkpoint there goes on.")
    ],
    radiographs: Annotated[
        list[Path] | None, typer.Option(help="A set of real radiographs to learn from too; may be repeated.")
    ] = None,
    run: Annotated[Path | None, typer.Option(help="A TOML file with any other option of the run.")] = None,
    online: Annotated[
        list[Path] | None,
        typer.Option(help="A labelled volume to make new projections of meanwhile; may be repeated."),
    ] = None,
    begin: Annotated[
        Path | None, typer.Option("--begin-with", help="The checkpoint of another run to begin with.")
    ] = None,
) -> None:
    """Train, or go on training."""
    from pipeline_training.train import train as train_network
    from pipeline_training.train_options import TrainOptions

    chosen = read_run(run, TrainOptions, but_not=("radiographs", "online_cases", "begin")) if run else {}
    chosen |= {"radiographs": tuple(radiographs or ()), "online_cases": tuple(online or ()), "begin": begin}
    options = TrainOptions(projections, out, **chosen)
    make_folders(out)
    for words in filter(None, map(unsaid_patients, options.radiographs)):
        _console().print(words, markup=False, soft_wrap=True)
    console = _console(stderr=True)

    def tell(words: str) -> None:
        console.print(words, markup=False, highlight=False, soft_wrap=True)

    _console().print(f"trained: {train_network(options, tell)}", markup=False, soft_wrap=True)


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(help="A set (images/, masks/<structure>/) or a folder of sets.")],
    bundle: Annotated[Path, typer.Option(help="The model bundle: folder or .zip.")] = DEFAULT_BUNDLE,
    json: Annotated[
        Path | None, typer.Option(help="Write every figure, image by image, to this file.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Draw worst, median and best image of each structure here (PNG).")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--set", help="Take this set only; may be repeated.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="At most so many images of each set.")] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
) -> None:
    """Compare a bundle with readers: Dice, IoU, 95 % Hausdorff distance, with 95 % bootstrap intervals."""
    options = EvaluateOptions(data=data, bundle=bundle, sets=tuple(only or ()), limit=limit, seed=seed)
    make_folders(*(path.parent for path in (json, sheet) if path is not None))
    segmenter, sets = load_segmenter(options), chosen_sets(options)
    with _progress(sum(len(each.images) for each in sets)) as on_image:
        evaluation = evaluate_sets(segmenter, sets, options, on_image)
    _show(evaluation)
    if json is not None:
        _write(json, evaluation.to_json())
    if sheet is not None:
        write_contact_sheet(sheet, draw_contact_sheet(segmenter, sets, evaluation))


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Option(help="checkpoint.pt of a training run.")],
    out: Annotated[Path, typer.Option(help="Folder for model.onnx and manifest.json.")],
    card: Annotated[Path, typer.Option(help="TOML file: limits, training_data tables; docs/training.md.")],
    model_id: Annotated[str, typer.Option("--id", help="Name of the model; every report carries it.")],
    version: Annotated[str, typer.Option(help="Of its weights.")] = "0.1.0",
    input_size: Annotated[int, typer.Option(help="Rows and columns that the node shall feed.")] = 320,
    evaluation: Annotated[
        Path | None, typer.Option(help="JSON of `paxnode-train evaluate`, for the manifest.")
    ] = None,
) -> None:
    """Make the bundle that a node loads, and prove that it answers as its checkpoint does."""
    from pipeline_training.export import ExportOptions
    from pipeline_training.export import export as export_bundle

    options = ExportOptions(checkpoint, out, card, model_id, version, input_size, evaluation)
    make_folders(out)
    made = export_bundle(options).identity
    _console().print(f"{out}: {made.id} {made.version}, sha256 {made.sha256}", markup=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; an error of ours becomes one line and exit status 1."""
    try:
        app(arguments)
    except (PipelineError, AiError) as exc:
        _console(stderr=True).print(f"paxnode-train: {exc}", style="red", markup=False, highlight=False)
        raise SystemExit(FAILED) from exc


def _console(stderr: bool = False) -> Console:
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=PIPED_WIDTH)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc}") from exc


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Show a bar on standard error where that is a terminal; yield what moves it on by one."""
    with Progress(console=_console(stderr=True), transient=True) as bar:
        task = bar.add_task("images", total=total)
        yield lambda: bar.advance(task)


def _show(evaluation: Evaluation) -> None:
    console = _console()
    if any(found.structures for found in evaluation.sets):
        console.print(score_table(evaluation))
    if any(found.cardiothoracic_ratio for found in evaluation.sets):
        console.print(ratio_table(evaluation))
    if evaluation.spines:
        console.print(centre_table(evaluation.spines))
        console.print(angle_table(evaluation.spines))
    for line in remarks(evaluation.sets):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
