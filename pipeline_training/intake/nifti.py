"""NIfTI volumes (.nii, .nii.gz), placed by their qform or sform."""

import zlib
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from pipeline_training.errors import VolumeError
from pipeline_training.intake.geometry import Placed

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI counts towards right, anterior and superior."""


def read_nifti(path: Path) -> Placed:
    """Return the voxels with scl_slope and scl_inter applied.

    Raises:
        VolumeError: If the file cannot be read, has not three dimensions, or does not say where it lies.
    """
    case = path.parent.name
    try:
        image: Any = nibabel.load(path)
        _check(case, path.name, image)
        voxels = np.asanyarray(image.dataobj)
    except (OSError, EOFError, ValueError, zlib.error, ImageFileError, HeaderDataError) as exc:
        raise VolumeError(f"{case}: {path.name} cannot be read: {exc}") from exc
    try:
        return Placed(voxels, RAS_TO_LPS @ np.asarray(image.affine, np.float64))
    except VolumeError as exc:
        raise VolumeError(f"{case}: {path.name}: {exc}") from exc


def _check(case: str, name: str, image: Any) -> None:
    if len(image.shape) != 3:
        raise VolumeError(f"{case}: {name} must have three dimensions, found {len(image.shape)}")
    header = image.header
    if "qform_code" not in header or not (int(header["qform_code"]) or int(header["sform_code"])):
        raise VolumeError(
            f"{case}: {name} does not say where it lies in the patient: neither qform_code nor sform_code is "
            "set, so left and right cannot be told"
        )
