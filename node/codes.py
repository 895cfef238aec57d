"""Coded concepts of the results, and how ours become pydicom's and highdicom's.

SCT, DCM and UCUM codes were checked against the Standard's tables as pydicom carries them. Where those tables
hold no code for a concept, a private one of the scheme 99PAXNODE says what is meant; no code is made up in a
public scheme.
"""

from functools import cache

from highdicom.sr import CodedConcept
from pydicom import DataElement, Dataset
from pydicom.tag import BaseTag

from ai.labels import Code, Label
from ai.measurement import Unit

PRIVATE_SCHEME = "99PAXNODE"
SCHEME_NAME = "paxnode concepts (docs/dicom.md)"
SCHEME_ORGANIZATION = "paxnode"
DESIGNATOR = BaseTag(0x00080102)
"""Coding Scheme Designator."""

SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
SEGMENTATION = Code("113076", "DCM", "Segmentation")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")

REPORT_TITLE = Code("126000", "DCM", "Imaging Measurement Report")
PROCEDURE_REPORTED = Code("399208008", "SCT", "Plain chest X-ray")
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
SOURCE_OF_MEASUREMENT = Code("121112", "DCM", "Source of Measurement")
COMMENT = Code("121106", "DCM", "Comment")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
THORAX = Code("816094009", "SCT", "Chest")
LEFT, RIGHT = Code("7771000", "SCT", "Left"), Code("24028007", "SCT", "Right")
BILATERAL = Code("51440002", "SCT", "Bilateral")
SIDES = (LEFT, RIGHT, BILATERAL)
"""Laterality (PS3.16 CID 244); a modifier that is none of these is a part (CID 2)."""

MAXIMUM = Code("56851009", "SCT", "Maximum")
MEAN = Code("373098007", "SCT", "Mean")

WIDTH = Code("103355008", "SCT", "Width")
DISTANCE = Code("121206", "DCM", "Distance")
ANGLE = Code("1483009", "SCT", "Angle")
AREA = Code("42798000", "SCT", "Area")
HEIGHT = Code("121207", "DCM", "Height")
CARDIOTHORACIC_RATIO = Code("CTR", PRIVATE_SCHEME, "Cardiothoracic ratio")
LUNG_AREA_RATIO = Code("LUNG-AREA-RATIO", PRIVATE_SCHEME, "Lung area ratio")
LUNG_HEIGHT_RATIO = Code("LUNG-HEIGHT-RAT", PRIVATE_SCHEME, "Lung height ratio")
DOME_DIFFERENCE = Code(
    "DOME-DIFFERENCE", PRIVATE_SCHEME, "Difference in height of the domes of the diaphragm"
)
DOME_SHARE = Code("DOME-DIFF-SHARE", PRIVATE_SCHEME, "Difference of the domes over the thoracic width")
THORACIC_WIDTH = Code("THORAX-WIDTH", PRIVATE_SCHEME, "Inner width of the thorax")
MEDIASTINAL_WIDTH = Code("MEDIAST-WIDTH", PRIVATE_SCHEME, "Mediastinal width at the aortic arch")
MEDIASTINAL_RATIO = Code("MEDIAST-RATIO", PRIVATE_SCHEME, "Mediastinal over thoracic width")
TRACHEAL_DEVIATION = Code("TRACHEAL-DEV", PRIVATE_SCHEME, "Tracheal deviation from the midline")
POSTERIOR_RIBS = Code("RIBS-POSTERIOR", PRIVATE_SCHEME, "Posterior right ribs above the diaphragm")
ANTERIOR_RIBS = Code("RIBS-ANTERIOR", PRIVATE_SCHEME, "Anterior right ribs above the diaphragm")
CLAVICLE_ASYMMETRY = Code("CLAVICLE-ASYM", PRIVATE_SCHEME, "Asymmetry of the clavicles about the spine")
SOURCE_NOTE = Code("SOURCE-NOTE", PRIVATE_SCHEME, "Remark on the source image")
MASK_NOTE = Code("MASK-NOTE", PRIVATE_SCHEME, "Remark on the segmentation")
NOT_COMPUTED = Code("NOT-COMPUTED", PRIVATE_SCHEME, "Not computed")
MEASUREMENT_NOTE = Code("MEASUREMENT-NOTE", PRIVATE_SCHEME, "Remark on a measurement")
LIMITATION = Code("LIMITATION", PRIVATE_SCHEME, "Limitation of a measurement")
"""What MEASUREMENT_NOTE was called before revision 9 of the writers; it is read, and not written any more."""

FIELD = Code("FIELD", PRIVATE_SCHEME, "What the picture shows")
TRUST = Code("TRUST", PRIVATE_SCHEME, "Probability that the mask is as good as asked for")

YES, NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")

FINDINGS = {
    "right apex inside the picture": Code("RIGHT-APEX", PRIVATE_SCHEME, "Right apex inside the picture"),
    "left apex inside the picture": Code("LEFT-APEX", PRIVATE_SCHEME, "Left apex inside the picture"),
    "right costophrenic base inside the picture": Code(
        "RIGHT-BASE", PRIVATE_SCHEME, "Right costophrenic base inside the picture"
    ),
    "left costophrenic base inside the picture": Code(
        "LEFT-BASE", PRIVATE_SCHEME, "Left costophrenic base inside the picture"
    ),
    "right side inside the picture": Code("RIGHT-SIDE", PRIVATE_SCHEME, "Right side inside the picture"),
    "left side inside the picture": Code("LEFT-SIDE", PRIVATE_SCHEME, "Left side inside the picture"),
}
"""What is asked about the picture, by the finding's name; the answer is `YES` or `NO` (PS3.16 CID 230)."""

CONCEPTS = {
    "cardiothoracic ratio": CARDIOTHORACIC_RATIO,
    "heart width": WIDTH,
    "thoracic width": THORACIC_WIDTH,
    "spine-centre distance": DISTANCE,
    "spine angle": ANGLE,
    "right lung area": AREA,
    "left lung area": AREA,
    "lung area ratio": LUNG_AREA_RATIO,
    "heart area": AREA,
    "right lung height": HEIGHT,
    "left lung height": HEIGHT,
    "lung height ratio": LUNG_HEIGHT_RATIO,
    "dome height difference": DOME_DIFFERENCE,
    "relative dome height difference": DOME_SHARE,
    "mediastinal width": MEDIASTINAL_WIDTH,
    "mediastinal ratio": MEDIASTINAL_RATIO,
    "aortic arch width": WIDTH,
    "carinal angle": ANGLE,
    "tracheal deviation": TRACHEAL_DEVIATION,
    "posterior ribs above the diaphragm": POSTERIOR_RIBS,
    "anterior ribs above the diaphragm": ANTERIOR_RIBS,
    "clavicle asymmetry": CLAVICLE_ASYMMETRY,
}
"""What is measured, by the measurement's name; finding sites say of what."""

BY_UNIT = {
    Unit.MILLIMETRE: DISTANCE,
    Unit.SQUARE_CENTIMETRE: AREA,
    Unit.DEGREE: ANGLE,
    Unit.RATIO: Code("RATIO", PRIVATE_SCHEME, "Ratio"),
    Unit.PERCENT: Code("PERCENTAGE", PRIVATE_SCHEME, "Percentage"),
    Unit.COUNT: Code("COUNT", PRIVATE_SCHEME, "Count"),
}
"""For a measurement that has no concept of its own yet."""

OF_THE_THORAX = frozenset(
    {"cardiothoracic ratio", "thoracic width", "mediastinal width", "mediastinal ratio"}
    | {"lung area ratio", "lung height ratio", "dome height difference", "relative dome height difference"}
)
"""Measurements that say something of the chest as a whole; a group that holds one has it as its finding."""

DERIVATIONS = {
    "heart width": MAXIMUM,
    "thoracic width": MAXIMUM,
    "spine-centre distance": MEAN,
    "aortic arch width": MAXIMUM,
}
"""How a value came from several (PS3.16 CID 7464), by the measurement's name."""

UNITS = {
    Unit.MILLIMETRE: Code("mm", "UCUM", "mm"),
    Unit.SQUARE_CENTIMETRE: Code("cm2", "UCUM", "cm2"),
    Unit.DEGREE: Code("deg", "UCUM", "deg"),
    Unit.RATIO: Code("1", "UCUM", "no units"),
    Unit.PERCENT: Code("%", "UCUM", "%"),
    Unit.COUNT: Code("{counts}", "UCUM", "Counts"),
}


def concept_of(name: str, unit: Unit) -> Code:
    """Return the concept of a measurement."""
    return CONCEPTS.get(name, BY_UNIT[unit])


def side_of(label: Label) -> Code | None:
    """Return the laterality among a label's modifiers."""
    return next((code for code in label.modifiers if code in SIDES), None)


def part_of(label: Label) -> Code | None:
    """Return the modifier of a label that is not its laterality, such as "Upper"."""
    return next((code for code in label.modifiers if code not in SIDES), None)


@cache
def concept(code: Code) -> CodedConcept:
    """Return the code as highdicom writes it: one and the same wherever it stands, for nobody changes it."""
    return CodedConcept(code.value, code.scheme, code.meaning)


@cache
def code_item(code: Code) -> Dataset:
    """Return the code as an item of a code sequence (PS3.3 8.8): one and the same, for nobody changes it."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme
    item.CodeMeaning = code.meaning
    return item


def write_coding_schemes(result: Dataset) -> None:
    """Say in a finished result what the private scheme is, if one of its codes is used (PS3.3 C.12.1)."""
    if not _uses_private_scheme(result):
        return
    scheme = Dataset()
    scheme.CodingSchemeDesignator = PRIVATE_SCHEME
    scheme.CodingSchemeName = SCHEME_NAME
    scheme.CodingSchemeResponsibleOrganization = SCHEME_ORGANIZATION
    result.CodingSchemeIdentificationSequence = [scheme]


def _uses_private_scheme(dataset: Dataset) -> bool:
    """Look at what we have written; what came with the source stays undecoded, for so it keeps its bytes."""
    own = [element for element in dataset._dict.values() if isinstance(element, DataElement)]
    if any(element.tag == DESIGNATOR and element.value == PRIVATE_SCHEME for element in own):
        return True
    sequences = (element.value for element in own if element.VR == "SQ")
    return any(_uses_private_scheme(item) for sequence in sequences for item in sequence)
