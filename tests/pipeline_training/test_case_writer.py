"""What is written as a case is read as the same volume."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline_training.case_writer import write_case
from pipeline_training.errors import OutputError
from pipeline_training.volumes import LabelMap, load_label_map


def test_case_reads_back_as_it_was(phantom: LabelMap, tmp_path: Path) -> None:
    hu = phantom.labels.astype(np.int16) * 40 - 1000
    fine = replace(phantom, hu=hu, spacing_mm=1.5, vocabulary=frozenset({"pancreas"}), patient="someone")
    write_case(tmp_path / "phantom", fine)
    read = load_label_map(tmp_path / "phantom")
    assert (read.labels == fine.labels).all()
    assert read.hu is not None
    assert (read.hu == hu).all()
    assert read.names == fine.names
    assert (read.patient, read.absent) == ("someone", frozenset({"pancreas"}))
    described = json.loads((tmp_path / "phantom" / "labels.json").read_text())
    assert described["patient"] == "someone"
    assert set(described["vocabulary"]) == {"pancreas", *fine.names.values()}


def test_folder_that_cannot_be_made_is_named(phantom: LabelMap, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the case"):
        write_case(tmp_path / "file" / "case", phantom)
