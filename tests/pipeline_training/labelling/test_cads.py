"""What the adapter hands to CADS, and how the answers of its tasks become one."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.intake.ct import CtVolume
from pipeline_training.labelling.cads import TASKS, CadsLabeller
from pipeline_training.labelling.labeller import LabelVote

MARK = [[3, 1, 5]]
"""The one dense voxel of the CT `marked`."""

Install = Callable[[str, str], None]


def _assert_marked(vote: LabelVote, name: str) -> None:
    assert np.argwhere(vote.mask(name)).tolist() == MARK


CADS = """
from pathlib import Path
import nibabel, numpy as np

def predict(files_in, folder_out, model_folder, task_ids, folds, use_cpu, preprocess_cads, postprocess_cads,
            save_all_combined_seg, snapshot, save_separate_targets):
    assert task_ids == sorted(task_ids) and folds == "all" and use_cpu and preprocess_cads
    image = nibabel.as_closest_canonical(nibabel.load(files_in[0]))
    voxels = image.get_fdata()
    assert [int(i) for i in np.argwhere(voxels > 0)[0]] == [1, 4, 3]
    out = Path(folder_out) / "ct"
    out.mkdir()
    for task in task_ids:
        numbers = np.zeros(voxels.shape, np.uint8)
        numbers[voxels > 0] = {559: 2, 556: 1, 551: 1}.get(task, 0)
        if task == 559:
            numbers[0, 0, 0] = 10
        nibabel.save(nibabel.Nifti1Image(numbers, image.affine), out / f"ct_part_{task}.nii.gz")
"""
CADS_MAPS = """
map_taskid_to_labelmaps = {task: {0: "background"} for task in range(551, 560)}
map_taskid_to_labelmaps[559] = {0: "background", 2: "muscle", 10: "spinal_cord"}
map_taskid_to_labelmaps[556] = {0: "background", 1: "spinal_canal", 3: "heart"}
map_taskid_to_labelmaps[551] = {0: "background", 1: "spleen"}
"""


def test_cads_tasks_become_one_map_without_wholes_that_others_cover(
    marked: CtVolume, install: Install, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    install("cads.utils.inference", CADS)
    install("cads.dataset_utils.bodyparts_labelmaps", CADS_MAPS)
    for task in TASKS:
        (tmp_path / f"Dataset{task}_X").mkdir()
    with caplog.at_level(logging.WARNING):
        vote = CadsLabeller(tmp_path).label(marked)
    _assert_marked(vote, "spleen")
    assert np.argwhere(vote.mask("spinal_cord")).tolist() == [[0, 5, 6]]
    assert vote.vocabulary == {"spleen", "spinal_cord"}
    assert "spinal_canal" in caplog.text
