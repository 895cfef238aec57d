"""The page of a build: what went in, what was rejected and why, and what the projections look like."""

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import numpy as np

from ai.labels import LABELS
from pipeline_training.building.outcome import CaseOutcome, Knowledge, Verdict
from pipeline_training.building.pictures import contact_sheet
from pipeline_training.errors import OutputError
from pipeline_training.export import code_revision
from pipeline_training.projections import NAMES, ProjectOptions, read_projection

PAGE = "report.html"
PICTURES = 6
"""Projections of each case that are shown, evenly spaced."""


@dataclass(frozen=True)
class LabelRow:
    """How often a structure is told and seen.

    Attributes:
        id: In ai/labels.csv.
        name: Likewise.
        volumes: Number of volumes that tell it is present, absent, or nothing.
        seen_frontal: Share of the frontal projections in which it covers a pixel; likewise lateral.
        seen_lateral: See above.
    """

    id: int
    name: str
    volumes: Mapping[Knowledge, int]
    seen_frontal: float
    seen_lateral: float


@dataclass(frozen=True)
class Shares:
    """How many projections there are of a view, and in how many each structure covers a pixel."""

    projections: int
    seen: Mapping[str, int]

    def of(self, name: str) -> float:
        """Return the share of projections that show the structure; 0 without projections."""
        return self.seen.get(name, 0) / self.projections if self.projections else 0.0


def write_report(options: ProjectOptions, outcomes: Sequence[CaseOutcome], seconds: float) -> Path:
    """Write `report.html`, one file without references to others, and return its path.

    Raises:
        OutputError: If it cannot be written.
        pipeline_training.errors.DatasetError: If a projection cannot be read.
    """
    built = [outcome for outcome in outcomes if outcome.verdict is Verdict.BUILT]
    frontal, lateral = count_seen([options.out / file for outcome in built for file in outcome.files])
    rows = label_rows(built, frontal, lateral)
    loader = jinja2.PackageLoader("pipeline_training.building", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.get_template("report.html.j2").render(
        options=options,
        outcomes=outcomes,
        built=built,
        refused=[outcome for outcome in outcomes if outcome.verdict is not Verdict.BUILT],
        frontal=frontal.projections,
        lateral=lateral.projections,
        rows=rows,
        told=sum(row.volumes[Knowledge.PRESENT] > 0 for row in rows),
        pictures={outcome.case: _pictures(options.out, outcome) for outcome in built},
        seconds=seconds,
        revision=code_revision() or "unknown",
        when=datetime.now(UTC).isoformat(timespec="minutes"),
    )
    path = options.out / PAGE
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write {path}: {exc}") from exc
    return path


def count_seen(files: Sequence[Path]) -> tuple[Shares, Shares]:
    """Return for frontal and lateral projections how often each structure covers a pixel."""
    counts: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
    totals: Counter[bool] = Counter()
    for file in files:
        stored = read_projection(file)
        totals[stored.lateral] += 1
        seen = np.flatnonzero(stored.packed_masks.any(axis=1) & stored.known)
        counts[stored.lateral].update(NAMES[index] for index in seen)
    return Shares(totals[False], counts[False]), Shares(totals[True], counts[True])


def label_rows(built: Sequence[CaseOutcome], frontal: Shares, lateral: Shares) -> list[LabelRow]:
    """Return a row for every structure of the table, in its order."""
    return [
        LabelRow(
            label.id,
            label.name,
            {
                kind: sum(outcome.knowledge.get(label.name, Knowledge.UNKNOWN) is kind for outcome in built)
                for kind in Knowledge
            },
            frontal.of(label.name),
            lateral.of(label.name),
        )
        for label in LABELS
    ]


def _pictures(folder: Path, outcome: CaseOutcome) -> str:
    """Return some projections of a case as a data URL; "" where it has none."""
    if not outcome.files:
        return ""
    chosen = {round(i) for i in np.linspace(0, len(outcome.files) - 1, PICTURES)}
    sheet = contact_sheet([folder / outcome.files[i] for i in sorted(chosen)])
    return f"data:image/jpeg;base64,{base64.b64encode(sheet).decode('ascii')}"
