"""Volumes in one file each, by the ending of the file's name."""

from pathlib import Path

from pipeline_training.errors import VolumeError
from pipeline_training.intake.geometry import Placed
from pipeline_training.intake.itk import read_itk
from pipeline_training.intake.nifti import read_nifti
from pipeline_training.intake.scan import Scan, check_hu

NIFTI = (".nii.gz", ".nii")
ITK = (".nrrd", ".nhdr", ".mha", ".mhd")
SUFFIXES = NIFTI + ITK


def stem(path: Path) -> str:
    """Return the file's name without its ending.

    >>> stem(Path("a/rib_left_1.nii.gz"))
    'rib_left_1'
    """
    return next((path.name.removesuffix(end) for end in SUFFIXES if path.name.endswith(end)), path.stem)


def read_volume(path: Path) -> Placed:
    """Return the voxels of a NIfTI, NRRD or MetaImage file.

    Raises:
        VolumeError: If it cannot be read or does not say where it lies.
    """
    return read_nifti(path) if path.name.endswith(NIFTI) else read_itk(path)


def named(folder: Path, name: str) -> Path | None:
    """Return the one volume of that name in a folder, whatever its format; None where there is none.

    Raises:
        VolumeError: If there are several.
    """
    found = [folder / f"{name}{end}" for end in SUFFIXES if (folder / f"{name}{end}").is_file()]
    if len(found) > 1:
        raise VolumeError(f"{folder.name}: {found[0].name} and {found[1].name}: which one is meant?")
    return found[0] if found else None


def read_ct(path: Path, case: str) -> Scan:
    """Return a CT of one file.

    Raises:
        VolumeError: If it cannot be read, does not say where it lies, or holds no Hounsfield units.
    """
    placed = read_volume(path)
    check_hu(case, placed.voxels)
    return Scan(case, placed)
