"""An atlas that cannot be one is refused in clear words."""

from pathlib import Path

import numpy as np
import pytest

from pipeline_training.case_writer import write_case
from pipeline_training.errors import LabellerError
from pipeline_training.labelling.atlas import AtlasLabeller
from pipeline_training.volumes import LabelMap


def test_case_without_labels_is_no_atlas(tmp_path: Path) -> None:
    with pytest.raises(LabellerError, match=r"the atlas cannot be used: .*a case needs labels.nii.gz"):
        AtlasLabeller(tmp_path)


def test_case_without_ribs_is_no_atlas(tmp_path: Path) -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[2:10, 3:9, 1:5], labels[2:10, 3:9, 7:11] = 1, 2
    names = {1: "lung_right", 2: "lung_left"}
    case = tmp_path / "body"
    case.mkdir()
    write_case(case, LabelMap("body", labels, names, None, 1.5))
    with pytest.raises(LabellerError, match="the atlas body has 0 ribs, at least 16 are needed"):
        AtlasLabeller(case)


def test_case_without_a_spinal_cord_is_no_atlas(tmp_path: Path) -> None:
    labels = np.zeros((40, 12, 12), np.uint8)
    labels[2:30, 3:9, 1:5], labels[2:30, 3:9, 7:11] = 1, 2
    names = {1: "lung_right", 2: "lung_left"}
    for rib in range(1, 9):
        labels[36 - 3 * rib, 10, 1:5], labels[36 - 3 * rib, 10, 7:11] = 2 * rib + 1, 2 * rib + 2
        names |= {2 * rib + 1: f"rib_right_{rib}", 2 * rib + 2: f"rib_left_{rib}"}
    case = tmp_path / "body"
    case.mkdir()
    write_case(case, LabelMap("body", labels, names, None, 1.5))
    with pytest.raises(LabellerError, match="has no spinal_cord"):
        AtlasLabeller(case)
