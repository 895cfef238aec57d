"""The whole chain without any patient: phantoms, a data set, a network, a bundle with its scores.

What comes out proves that everything works together. It knows nothing but phantoms: no radiograph should be
judged by it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ai.bundle import Bundle
from ai.labels import label
from pipeline_training.augment import compose
from pipeline_training.building.build import BuildOptions, build
from pipeline_training.building.outcome import CaseOutcome, Verdict
from pipeline_training.building.report import write_report
from pipeline_training.case_writer import write_case
from pipeline_training.errors import BuildError
from pipeline_training.evaluate import EvaluateOptions, chosen_sets, evaluate_sets, load_segmenter
from pipeline_training.evaluation_report import Evaluation
from pipeline_training.export import ExportOptions, export
from pipeline_training.phantom import draw_parameters, make_phantom
from pipeline_training.projections import NAMES, ProjectOptions, read_projection
from pipeline_training.train import train
from pipeline_training.train_options import TrainOptions

PHANTOM_SPACING_MM = 3.0
"""Coarser than usual: everything in 3D is eight times faster than at 1.5 mm."""

HELD_BACK = 2
"""Phantoms, the last ones, that are not trained on but evaluated on."""

SCORED = (
    "visible lung right", "visible lung left", "heart", "aorta", "trachea", "clavicle left",
    "clavicle right", "thoracic spine",
)  # fmt: skip
"""Structures that the quickstart evaluates."""

CARD = """limits = "Made by paxnode-train quickstart from drawn phantoms alone. Not for patients."
[[training_data]]
name = "procedural thorax phantoms"
licence = "Apache-2.0"
use = "projected to radiographs, with exact masks"
"""


@dataclass(frozen=True)
class QuickstartOptions:
    """How small the small run is.

    Attributes:
        out: Folder for everything that is made.
        phantoms: Bodies, `HELD_BACK` of them for the evaluation.
        per_case: Projections of each.
        steps: Of training, at `size`.
        size: The network's input while training and in the bundle.
        workers: Processes for the projections; 0 takes one for each core.
        seed: Everything is a function of it.
    """

    out: Path
    phantoms: int = 8
    per_case: int = 12
    steps: int = 300
    size: int = 192
    workers: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        if self.phantoms <= HELD_BACK:
            raise BuildError(f"{HELD_BACK} phantoms are held back: more are needed, found {self.phantoms}")


@dataclass(frozen=True)
class Quickstarted:
    """What a quickstart made.

    Attributes:
        bundle: Folder of the model bundle.
        report: The page of the data set.
        evaluation: Of the bundle on phantoms that it was not trained on.
    """

    bundle: Path
    report: Path
    evaluation: Evaluation


def quickstart(options: QuickstartOptions, tell: Callable[[str], None]) -> Quickstarted:
    """Run the chain; what an interrupted run has finished is not made again.

    Args:
        options: How small.
        tell: Is given a line as each stage begins.

    Raises:
        pipeline_training.errors.PipelineError: If a stage fails; each names itself.
    """
    out = options.out
    tell(f"drawing {options.phantoms} phantoms")
    cases = [_phantom_case(out / "cases", number, options.seed) for number in range(options.phantoms)]
    taught, held_back = cases[:-HELD_BACK], cases[-HELD_BACK:]
    tell(f"projecting them, {options.per_case} times each")
    report, _ = _build(taught, out / "projections", options)
    _, tested = _build(held_back, out / "held_back", options)
    tell(f"training {options.steps} steps at {options.size} x {options.size}")
    run = TrainOptions(
        out / "projections", out / "run", steps=(options.steps,), sizes=(options.size,), batch=4,
        learning_rate=4e-3, widths=(16, 32, 48, 64, 96), seed=options.seed,
    )  # fmt: skip
    checkpoint = train(run)
    tell("exporting, and evaluating on phantoms that were held back")
    _write_set(out / "radiographs" / "phantoms", out / "held_back", tested)
    evaluation, bundle = _export(checkpoint, options)
    return Quickstarted(bundle, report, evaluation)


def _phantom_case(folder: Path, number: int, seed: int) -> Path:
    """Write a drawn phantom as a case, unless it is there; return its folder."""
    case = folder / f"phantom_{number:02d}"
    if not (case / "labels.json").exists():
        parameters = draw_parameters(np.random.default_rng([seed, number]))
        write_case(case, make_phantom(parameters, PHANTOM_SPACING_MM, case.name))
    return case


def _build(
    cases: Sequence[Path], out: Path, options: QuickstartOptions
) -> tuple[Path, tuple[CaseOutcome, ...]]:
    """Return the report and the outcomes; every phantom must be usable."""
    wanted = ProjectOptions(
        cases, out, options.per_case, lateral_share=0.2, seed=options.seed, spacing_mm=PHANTOM_SPACING_MM
    )
    outcomes = build(BuildOptions(wanted, workers=options.workers), lambda _: None)
    for outcome in outcomes:
        if outcome.verdict is not Verdict.BUILT:
            raise BuildError(f"{outcome.case} is {outcome.verdict}: {outcome.reason}")
    return write_report(wanted, outcomes, sum(outcome.seconds for outcome in outcomes)), outcomes


def _write_set(folder: Path, projections: Path, outcomes: Sequence[CaseOutcome]) -> None:
    """Write the frontal projections as a set of radiographs with masks, as `paxnode-train evaluate` takes."""
    for file in (file for outcome in outcomes for file in outcome.files):
        stored = read_projection(projections / file)
        if stored.lateral:
            continue
        name = f"{'_'.join(Path(file).with_suffix('').parts)}.png"  # files of two bodies have the same stems
        image = compose(stored.tissues, np.random.default_rng([*file.encode()]))
        _write_picture(folder / "images" / name, image * 255)
        masks = stored.masks()
        for structure in SCORED:
            index = NAMES.index(structure)
            if stored.known[index]:
                _write_picture(folder / "masks" / label(structure).slug / name, masks[index] * 255.0)


def _write_picture(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(values).astype(np.uint8)).save(path)


def _export(checkpoint: Path, options: QuickstartOptions) -> tuple[Evaluation, Path]:
    """Export, evaluate, and export the same weights again with their scores."""
    out, bundle = options.out, options.out / "bundle"
    card = out / "card.toml"
    card.write_text(CARD, encoding="utf-8")
    plain = ExportOptions(checkpoint, bundle, card, "paxnode-quickstart", "0", options.size)
    export(plain)
    asked = EvaluateOptions(data=out / "radiographs", bundle=bundle)
    evaluation = evaluate_sets(load_segmenter(asked), chosen_sets(asked), asked)
    (out / "evaluation.json").write_text(evaluation.to_json(), encoding="utf-8")
    scored = ExportOptions(
        checkpoint, bundle, card, "paxnode-quickstart", "0", options.size, out / "evaluation.json"
    )
    export(scored)
    Bundle.load(bundle)  # as the node does
    return evaluation, bundle
