"""A radiograph out of a DICOM file, read simply: what the simple way does not cover is refused by name.

The node reads more kinds of images than this. The two share no code on purpose: training never imports the
node, and a site that corrects masks can choose plain images.
"""

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
)

from ai.radiograph import Radiograph
from pipeline_training.errors import RadiographSetError

SERVED = {
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    SecondaryCaptureImageStorage,
}
GREY = {"MONOCHROME1", "MONOCHROME2"}
FRONTAL_VIEWS = {"", "AP", "PA"}
USUAL = ["L", "F"]
"""Patient Orientation (0020,0020) of a frontal view with the patient's right on the left, head up."""


def check_picture(name: str, dataset: pydicom.Dataset) -> None:
    """Refuse what is not a plain grey frontal radiograph.

    Raises:
        RadiographSetError: Naming the file, the attribute and its value.
    """
    orientation = list(dataset.get("PatientOrientation") or USUAL)
    usual = [part[:1] for part in orientation] == USUAL
    rules = (
        (dataset.get("SOPClassUID") in SERVED, "SOP Class UID", dataset.get("SOPClassUID")),
        (int(dataset.get("NumberOfFrames") or 1) == 1, "Number of Frames", dataset.get("NumberOfFrames")),
        (dataset.get("PhotometricInterpretation") in GREY, "Photometric Interpretation",
         dataset.get("PhotometricInterpretation")),
        (str(dataset.get("ViewPosition") or "") in FRONTAL_VIEWS, "View Position",
         dataset.get("ViewPosition")),
        (usual, "Patient Orientation", "\\".join(orientation)),
    )  # fmt: skip
    for holds, attribute, value in rules:
        if not holds:
            raise RadiographSetError(f"{name}: {attribute} {value}: only plain frontal radiographs are read")


def picture_of(dataset: pydicom.Dataset) -> Radiograph:
    """Return display values: Modality LUT or rescale, VOI LUT or window, MONOCHROME1 turned over.

    A window that leaves nothing to see is left out, as the node does; PS3.4 N.2 has the order. Padding is
    black.

    Raises:
        ai.errors.RadiographError: If the pixels cannot be a radiograph.
    """
    stored = dataset.pixel_array
    values, picture = apply_modality_lut(stored, dataset), ~_padded(stored, dataset)
    shown = _scaled(apply_voi_lut(values, dataset), picture)
    if shown is None:
        shown = _scaled(values, picture)
    if shown is None:
        shown = np.zeros(stored.shape, np.float32)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1" or (
        dataset.get("PresentationLUTShape") == "INVERSE"
    )
    return Radiograph(np.where(picture, 1 - shown if inverted else shown, np.float32(0)))


def _padded(stored: npt.NDArray[np.generic], dataset: pydicom.Dataset) -> npt.NDArray[np.bool_]:
    """Return where Pixel Padding Value (to its Range Limit) stands; PS3.3 C.7.5.1.1.2."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(value), int(value if limit is None else limit)))
    values = stored.astype(np.int64)
    return np.asarray((values >= low) & (values <= high), np.bool_)


def _scaled(
    values: npt.NDArray[np.generic], picture: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32] | None:
    """Return the values from 0 to 1 over the picture, or None where all are the same."""
    floats = values.astype(np.float32)
    seen = floats[picture]
    if not seen.size or seen.min() == seen.max():
        return None
    low, high = float(seen.min()), float(seen.max())
    return np.asarray(((floats - low) / (high - low)).clip(0, 1), np.float32)
