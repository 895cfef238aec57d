"""Which images the node serves: each rule names the attribute and the value that it refuses."""

import re

from pydicom import Dataset
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
)

from node.attributes import codes, items, number, shown, text, values
from node.errors import RefusedImageError, UndecodableError

RADIOGRAPHY = frozenset(
    {
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
    }
)
SECONDARY_CAPTURE = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)

MODALITIES = frozenset({"", "CR", "DX", "DR", "RG", "XR", "OT"})
"""CR, DX and RG are defined terms (PS3.3 C.7.3.1.1.1); DR and XR are met in their place."""

OTHER_MODALITIES = frozenset(
    {"BI", "BMD", "CT", "DG", "DOC", "EC", "ECG", "EM", "ES", "FID", "GM", "HC", "IO", "IVOCT"}
    | {"IVUS", "KO", "LS", "MG", "MR", "MS", "NM", "OCT", "OP", "OPM", "OPT", "OPV", "PR", "PT", "PX"}
    | {"REG", "RESP", "RF", "RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "RWV", "SEG", "SM", "SR", "TG"}
    | {"US", "VA", "XA", "XC"}
)
"""Defined terms of other modalities: refused even in a radiography SOP class."""

CHEST_WORDS = ("CHEST", "THORAX", "LUNG", "RIB")
UNSPECIFIC_PARTS = frozenset({"", "UNKNOWN", "OTHER", "UNSPECIFIED", "TRUNK", "BODY", "WHOLEBODY"})

CHEST_REGIONS = frozenset(
    {"51185008", "816094009", "43799004", "39607008", "113197003", "78904004"}
    | {"T-D3000", "T-D3050", "T-28000", "T-11300"}
)
"""Chest, thoracic cavity, lung, ribs, chest wall (PS3.16 CID 4031), in SNOMED CT and SNOMED RT."""

UID_CHARACTERS = re.compile(r"[0-9.]{1,64}")
"""What a UID is made of (PS3.5 9.1); components that break its other rules are met and harm nobody."""

HUMAN_WORDS = frozenset({"", "HUMAN", "HOMO SAPIENS", "H. SAPIENS"})
HUMAN_CODES = frozenset({"337915000", "L-85B00"})
"""Homo sapiens in SNOMED CT and SNOMED RT (PS3.16 CID 7454)."""


def check_admission(dataset: Dataset) -> None:
    """Refuse what is not one frame of a human chest radiograph.

    Raises:
        RefusedImageError: Naming the first rule that is broken.
        UndecodableError: If an identifier is missing without which no result can point to the image.
    """
    _check_sop_class(dataset)
    _check_modality(dataset)
    _check_species(dataset)
    _check_body_part(dataset)
    _check_shape(dataset)
    _check_identifiers(dataset)


def _check_sop_class(dataset: Dataset) -> None:
    sop_class = UID(text(dataset, "SOPClassUID"))
    if sop_class not in RADIOGRAPHY | SECONDARY_CAPTURE:
        name = sop_class.name if sop_class.name != sop_class else shown(sop_class)
        raise RefusedImageError(f"SOP Class UID {name}: not a radiograph's SOP class")


def _check_modality(dataset: Dataset) -> None:
    modality = text(dataset, "Modality")
    is_radiography = text(dataset, "SOPClassUID") in RADIOGRAPHY
    if modality in OTHER_MODALITIES or (modality not in MODALITIES and not is_radiography):
        raise RefusedImageError(f"Modality {shown(modality)}: not a radiograph (CR, DX, RG are)")


def _check_species(dataset: Dataset) -> None:
    word = text(dataset, "PatientSpeciesDescription")
    others = [code for code in codes(dataset, "PatientSpeciesCodeSequence") if code not in HUMAN_CODES]
    if word not in HUMAN_WORDS or others:
        found = shown(word or others[0])
        raise RefusedImageError(f"Patient Species {found}: only human patients are served")
    if text(dataset, "PatientBreedDescription") or items(dataset, "PatientBreedCodeSequence"):
        raise RefusedImageError("Patient Breed is stated: only human patients are served")


def _check_body_part(dataset: Dataset) -> None:
    part = text(dataset, "BodyPartExamined")
    if part not in UNSPECIFIC_PARTS and not any(word in part for word in CHEST_WORDS):
        raise RefusedImageError(f"Body Part Examined {shown(part)}: only the chest is served")
    regions = [code for code in codes(dataset, "AnatomicRegionSequence") if code]
    if part in UNSPECIFIC_PARTS and regions and not CHEST_REGIONS & set(regions):
        raise RefusedImageError(f"Anatomic Region Sequence {shown(regions[0])}: only the chest is served")


def _check_shape(dataset: Dataset) -> None:
    frames = int(number(dataset, "NumberOfFrames", 1))
    if frames > 1:
        raise RefusedImageError(f"Number of Frames {frames}: only single radiographs are served")
    samples = int(number(dataset, "SamplesPerPixel", 1))
    photometric = text(dataset, "PhotometricInterpretation")
    gray = photometric in {"MONOCHROME1", "MONOCHROME2", ""}
    if samples not in {1, 3} or (samples == 1 and not gray):
        raise RefusedImageError(
            f"Photometric Interpretation {shown(photometric)} with Samples per Pixel {samples}: not grayscale"
        )


def _check_identifiers(dataset: Dataset) -> None:
    names = {
        "SOPInstanceUID": "SOP Instance UID (0008,0018)",
        "SeriesInstanceUID": "Series Instance UID (0020,000E)",
        "StudyInstanceUID": "Study Instance UID (0020,000D)",
    }
    for keyword, name in names.items():
        found = values(dataset, keyword)
        if len(found) != 1 or not isinstance(found[0], str) or not UID_CHARACTERS.fullmatch(found[0].strip()):
            raise UndecodableError(f"{name} is missing or malformed: no result could point to the image")
