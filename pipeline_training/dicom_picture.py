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
        ("PixelPaddingValue" not in dataset, "Pixel Padding Value", dataset.get("PixelPaddingValue")),
        (str(dataset.get("ViewPosition") or "") in FRONTAL_VIEWS, "View Position",
         dataset.get("ViewPosition")),
        (usual, "Patient Orientation", "\\".join(orientation)),
    )  # fmt: skip
    for holds, attribute, value in rules:
        if not holds:
            raise RadiographSetError(f"{name}: {attribute} {value}: only plain frontal radiographs are read")


def picture_of(dataset: pydicom.Dataset) -> Radiograph:
    """Return display values: Modality LUT or rescale, VOI LUT or window, MONOCHROME1 turned over.

    A window that leaves nothing to see is left out, as the node does; PS3.4 N.2 has the order.

    Raises:
        ai.errors.RadiographError: If the pixels cannot be a radiograph.
    """
    stored = dataset.pixel_array
    values = apply_modality_lut(stored, dataset)
    shown = _scaled(apply_voi_lut(values, dataset))
    if shown is None:
        shown = _scaled(values)
    if shown is None:
        shown = np.zeros(stored.shape, np.float32)
    inverted = dataset.PhotometricInterpretation == "MONOCHROME1" or (
        dataset.get("PresentationLUTShape") == "INVERSE"
    )
    return Radiograph(1 - shown if inverted else shown)


def _scaled(values: npt.NDArray[np.generic]) -> npt.NDArray[np.float32] | None:
    """Return the values from 0 to 1, or None where all are the same."""
    floats = values.astype(np.float32)
    low, high = float(floats.min()), float(floats.max())
    return ((floats - low) / (high - low)).clip(0, 1) if high > low else None
