"""The CT of a case folder, or a NIfTI file of its own, on the working grid."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError

from pipeline_training.errors import VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.volumes import AIR_HU, WORKING_SPACING_MM, oriented

SUFFIXES = (".nii.gz", ".nii")


def case_name(path: Path) -> str:
    """Return the name of the case: of the folder, or of the file without its suffix."""
    suffix = next((each for each in SUFFIXES if path.name.endswith(each)), "")
    return path.name.removesuffix(suffix)


def load_ct(path: Path) -> CtVolume:
    """Return the CT at `path`, a NIfTI file or a folder with ct.nii.gz, at 1.5 mm.

    Raises:
        VolumeError: If there is none or it cannot be read.
    """
    file = path / "ct.nii.gz" if path.is_dir() else path
    try:
        image: Any = nibabel.load(file)
    except (OSError, ImageFileError) as exc:
        raise VolumeError(f"{path}: no CT can be read: {exc}") from exc
    if len(image.shape) != 3:
        raise VolumeError(f"{file} must have three dimensions, found {len(image.shape)}")
    hu = np.rint(oriented(image, order=1, outside=AIR_HU)).astype(np.int16)
    return CtVolume(case_name(path), hu, WORKING_SPACING_MM)
