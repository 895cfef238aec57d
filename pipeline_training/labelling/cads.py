"""CADS (Xu et al., arXiv 2507.22953) as a labeller: nine nnU-Nets, of which the chest needs seven."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_training.errors import LabellerError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.foreign import (
    FAILURES,
    Numbers,
    existing,
    in_short,
    library,
    quiet,
    read_numbers,
    vote_of,
    write_ct,
)
from pipeline_training.labelling.labeller import LabelVote
from pipeline_training.labelling.names import MERGED, translate

HINT = (
    "clone github.com/murong-xu/CADS, pip install -e . in it, and take the weights (Dataset551_* to "
    "Dataset559_*) from its releases; its code is under Apache-2.0, its weights under a licence of their own"
)
TASKS = (559, 556, 551, 552, 553, 554, 555)
"""What is drawn later covers what came before: regions, organs at risk, organs, spine, heart, bones, ribs."""

STRIDE = 1000
"""Class number of a task in the merged answer: the task's place times this, plus its own number."""


class CadsLabeller:
    """Runs an installed CADS on the tasks that concern a chest.

    Args:
        weights: The folder that holds Dataset551_* and so on.
        tasks: Numbers of CADS, those first that others cover.
        cpu: Whether to run without a GPU.
    """

    name = "CADS"

    def __init__(self, weights: Path, tasks: Sequence[int] = TASKS, cpu: bool = True) -> None:
        self._weights, self._tasks, self._cpu = weights, tuple(tasks), cpu

    @property
    def vocabulary(self) -> frozenset[str]:
        """The structures of its tasks, in our words.

        Raises:
            LabellerError: If CADS is not installed.
        """
        return translate(self._classes()).vocabulary

    def label(self, volume: CtVolume) -> LabelVote:
        """Return its answer.

        Raises:
            LabellerError: If it is not installed, weights are missing, or it fails.
        """
        predict: Any = library("cads.utils.inference", HINT).predict
        for task in self._tasks:
            if not list(existing(self._weights, "the folder of weights", HINT).glob(f"Dataset{task}_*")):
                raise LabellerError(f"weights are missing: no Dataset{task}_* in {self._weights}; {HINT}")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_ct(folder / "ct.nii.gz", volume)
            self._run(predict, folder, volume.case)
            parts = [read_numbers(folder / "ct" / f"ct_part_{task}.nii.gz") for task in self._tasks]
        classes = self._classes()
        return vote_of(self.name, volume, _merged(parts, volume, classes), classes)

    def _run(self, predict: Any, folder: Path, case: str) -> None:
        try:
            with quiet():
                predict(
                    [str(folder / "ct.nii.gz")], str(folder), str(self._weights), sorted(self._tasks),
                    folds="all", use_cpu=self._cpu, preprocess_cads=True, postprocess_cads=True,
                    save_all_combined_seg=False, snapshot=False, save_separate_targets=False,
                )  # fmt: skip
        except SystemExit as exc:
            raise LabellerError(f"{self.name} gave up on {case}; are the weights complete? {HINT}") from exc
        except FAILURES as exc:
            raise LabellerError(f"{self.name} failed on {case}: {in_short(exc)}") from exc

    def _classes(self) -> dict[int, str]:
        """Return the classes of all tasks but those that a later one would cover in part."""
        module = library("cads.dataset_utils.bodyparts_labelmaps", HINT)
        maps: Mapping[int, Mapping[int, str]] = module.map_taskid_to_labelmaps
        return {
            place * STRIDE + number: name
            for place, task in enumerate(self._tasks)
            for number, name in maps[task].items()
            if number and name not in MERGED
        }


def _merged(parts: Sequence[Numbers], volume: CtVolume, classes: Mapping[int, str]) -> Numbers:
    """Return one map of the tasks' answers; what has no counterpart with us covers nothing."""
    known = translate(classes).names
    merged = np.zeros(volume.hu.shape, np.int32)
    for place, part in enumerate(parts):
        if part.shape != merged.shape:
            raise LabellerError(f"CADS: the answer has shape {part.shape}, the CT {merged.shape}")
        mine = [n % STRIDE for n in known if n // STRIDE == place]
        covering = np.isin(part, mine)
        merged[covering] = part[covering] + place * STRIDE
    return merged
