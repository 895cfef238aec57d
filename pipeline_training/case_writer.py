"""Writing a volume as a case folder: labels.nii.gz, labels.json and, where there is a CT, ct.nii.gz."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from pipeline_training.errors import OutputError
from pipeline_training.volumes import LabelMap


def write_case(folder: Path, volume: LabelMap) -> None:
    """Write the case; `labels.json`, without which a folder is no case, comes last.

    Raises:
        OutputError: If it cannot be written.
    """
    described = {
        "labels": {str(number): name for number, name in sorted(volume.names.items())},
        "vocabulary": sorted(volume.vocabulary | set(volume.names.values())),
        "patient": volume.patient,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_volume(folder / "labels.nii.gz", volume.labels, volume.spacing_mm)
        if volume.hu is not None:
            write_volume(folder / "ct.nii.gz", volume.hu, volume.spacing_mm)
        (folder / "labels.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    except OSError as exc:
        raise OutputError(f"cannot write the case {folder}: {exc}") from exc


def write_volume(path: Path, voxels: npt.NDArray[np.generic], spacing_mm: float) -> None:
    """Write voxels (slices, rows, columns), growing towards superior, posterior, left, as NIfTI."""
    make: Any = nibabel.nifti1.Nifti1Image
    nibabel.loadsave.save(make(np.ascontiguousarray(voxels.transpose(2, 1, 0)), lps_affine(spacing_mm)), path)


def lps_affine(spacing_mm: float) -> npt.NDArray[np.float64]:
    """Return where a volume's voxels lie, in NIfTI's way: it counts towards right and front."""
    return np.diag([-spacing_mm, -spacing_mm, spacing_mm, 1.0])
