"""NRRD and MetaImage volumes (.nrrd, .nhdr, .mha, .mhd), read by SimpleITK."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK

from pipeline_training.errors import VolumeError
from pipeline_training.intake.geometry import Placed

SPACES = {"left-posterior-superior", "lps", "right-anterior-superior", "ras", "left-anterior-superior", "las"}
"""What a NRRD file may say of its space; ITK turns each into LPS. Without it the axes mean nothing."""


def read_itk(path: Path) -> Placed:
    """Return the voxels.

    Raises:
        VolumeError: If the file cannot be read, has not three dimensions or several values for each voxel, or
            does not say where it lies.
    """
    case = path.parent.name
    try:
        image: Any = SimpleITK.ReadImage(str(path))
    except RuntimeError as exc:
        raise VolumeError(f"{case}: {path.name} cannot be read: {str(exc).splitlines()[-1]}") from exc
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise VolumeError(
            f"{case}: {path.name} must have three dimensions and one value for each voxel, found "
            f"{image.GetDimension()} and {image.GetNumberOfComponentsPerPixel()}"
        )
    _check_space(case, path)
    return Placed(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), _to_patient(image))


def _to_patient(image: Any) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    matrix[:3, 3] = image.GetOrigin()
    return matrix


def _check_space(case: str, path: Path) -> None:
    """Refuse a NRRD file without space and directions: ITK would guess them."""
    if path.suffix.lower() not in (".nrrd", ".nhdr"):
        return
    with path.open("rb") as file:
        head = file.read(16384).split(b"\n\n")[0].decode("latin-1").replace("\r", "").lower()
    fields = dict(
        line.split(":", 1) for line in head.splitlines() if ":" in line and not line.startswith("#")
    )
    space = fields.get("space", "").strip()
    if space not in SPACES or "space directions" not in fields:
        raise VolumeError(
            f"{case}: {path.name} does not say where it lies in the patient: 'space' is {space!r}, "
            f"and 'space directions' is {'there' if 'space directions' in fields else 'missing'}"
        )
