"""What the training pages presume, from phantoms: bodies, and a small run of the whole chain."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline_training.case_writer import write_case
from pipeline_training.phantom import draw_parameters, make_phantom
from pipeline_training.quickstart import QuickstartOptions, quickstart

DRAWN_MM, STORED_MM = 1.9, 1.5
"""Bodies of four fifths of their height, on the grid that everything is brought to: nothing is resampled."""

BODIES = 2


def write_bodies(folder: Path) -> None:
    """Write `labelled/body_N` (CT and labels) and `ct/body_N.nii.gz`."""
    (folder / "ct").mkdir(exist_ok=True)
    for number in range(BODIES):
        name = f"body_{number}"
        drawn = make_phantom(draw_parameters(np.random.default_rng([7, 2 + number])), DRAWN_MM, name)
        case = folder / "labelled" / name
        write_case(case, replace(drawn, spacing_mm=STORED_MM))
        shutil.copyfile(case / "ct.nii.gz", folder / "ct" / f"{name}.nii.gz")


def small_quickstart(folder: Path) -> None:
    """Make what `paxnode-train quickstart` makes, with a network that has learned next to nothing."""
    quickstart(QuickstartOptions(folder, phantoms=4, per_case=8, steps=40, size=64), lambda _: None)


if __name__ == "__main__":
    {"bodies": write_bodies, "quickstart": small_quickstart}[sys.argv[1]](Path(sys.argv[2]))
