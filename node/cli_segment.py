"""What `paxnode segment` shows on the terminal: progress, a line for each failure, the times."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from ai.onnx_segmenter import Observe
from ai.segmenter import Segmenter
from config.settings import AppearanceSettings
from node.appearance import examiner_of
from node.formats import FileOptions, Format, occupied, parse_formats
from node.measurements_table import TABLE, MeasurementsTable
from node.options import OutputOptions
from node.picture_files import parse_spacing
from node.segment_files import (
    FailedFile,
    SegmentedFile,
    find_inputs,
    is_read_as_picture,
    result_folders,
    segment_files,
)
from node.stage_times import StageTimes, peak_memory_mb

MAX_IGNORED_NAMED = 3


def file_options(force: bool, formats: Sequence[str], spacing: str | None) -> FileOptions:
    """Return what the user says about the files of a run.

    Raises:
        typer.BadParameter: A format or the spacing cannot be understood.
    """
    try:
        wanted = parse_formats(formats)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--format") from exc
    try:
        return FileOptions(force, wanted, None if spacing is None else parse_spacing(spacing))
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--spacing") from exc


def segment_and_report(
    paths: Sequence[Path],
    out: Path,
    make_segmenter: Callable[[Observe], Segmenter],
    options: OutputOptions,
    *,
    appearance: AppearanceSettings,
    with_times: bool = False,
    files: FileOptions,
) -> int:
    """Segment the files below the paths and return how many gave no result.

    Args:
        paths: Files and folders.
        out: Folder for the results.
        make_segmenter: Makes the segmenter, which tells its stages to the function given to it.
        options: What is written, and how.
        appearance: What is done about pictures that look odd.
        with_times: Whether time and memory are printed.
        files: What the user says about inputs and results.

    Raises:
        typer.BadParameter: Results stand there already, or a spacing is given for no picture.
    """
    console, times = Console(), StageTimes()
    inputs = find_inputs(paths)
    _say_ignored(console, inputs.ignored)
    if not inputs.files:
        Console(stderr=True).print("no DICOM file and no picture was found", markup=False)
        return 1
    folders = result_folders(inputs.files, out)
    _check_spacing(inputs.files, files)
    if not files.force:
        _refuse_to_replace(_standing(folders.values(), out, files))
    segmenter = make_segmenter(times.observe)
    table = MeasurementsTable(out) if Format.CSV in files.formats else None
    examiner = examiner_of(segmenter, appearance)
    results = segment_files(folders, segmenter, options, examiner, files, table)
    failed = 0
    with _progress(console) as progress:
        for result in progress.track(results, total=len(inputs.files), description="segmenting"):
            failed += isinstance(result, FailedFile)
            _say(progress.console, result)
            if isinstance(result, SegmentedFile):
                times.observe_all(result.seconds)
    console.print(f"{len(inputs.files) - failed} of {len(inputs.files)} segmented; results are in {out}")
    if with_times:
        console.print(times_table(times))
        console.print(f"peak memory of the process: {peak_memory_mb():.0f} MB")
    return failed


def times_table(times: StageTimes) -> Table:
    """Return the mean and the longest time of each stage as a table."""
    table = Table("stage", title="Time for an image")
    table.add_column("mean s", justify="right")
    table.add_column("longest s", justify="right")
    for stage, mean, longest in times.rows():
        table.add_row(stage, f"{mean:.3f}", f"{longest:.3f}")
    table.add_section()
    table.add_row("all", f"{sum(mean for _, mean, _ in times.rows()):.3f}", "")
    return table


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _say(console: Console, result: SegmentedFile | FailedFile) -> None:
    if isinstance(result, FailedFile):
        words = f"{'refused' if result.refused else 'failed'}: {result.path}: {result.reason}"
    else:
        words = f"{result.path} -> {result.folder}"
    console.print(words, markup=False, highlight=False, soft_wrap=True)


def _check_spacing(inputs: Sequence[Path], files: FileOptions) -> None:
    if files.spacing and not any(map(_may_be_picture, inputs)):
        words = "every input is a DICOM object, which states its own; a spacing is for pictures"
        raise typer.BadParameter(words, param_hint="--spacing")


def _may_be_picture(path: Path) -> bool:
    try:
        return is_read_as_picture(path)
    except OSError:  # told when its turn comes
        return True


def _standing(folders: Collection[Path], out: Path, files: FileOptions) -> list[Path]:
    standing = occupied(folders, files.formats)
    table = out / TABLE
    return [*standing, table] if Format.CSV in files.formats and table.exists() else standing


def _refuse_to_replace(standing: Sequence[Path]) -> None:
    if standing:
        more = f" and in {len(standing) - 1} more" if len(standing) > 1 else ""
        words = f"results stand in {standing[0]}{more} already; --force replaces them"
        raise typer.BadParameter(words, param_hint="--out")


def _say_ignored(console: Console, ignored: Sequence[Path]) -> None:
    if not ignored:
        return
    named = ", ".join(str(path) for path in ignored[:MAX_IGNORED_NAMED])
    more = f" and {len(ignored) - MAX_IGNORED_NAMED} more" if len(ignored) > MAX_IGNORED_NAMED else ""
    words = f"ignored, neither DICOM nor a picture: {named}{more}"
    console.print(words, markup=False, highlight=False, soft_wrap=True)
