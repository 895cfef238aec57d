"""Who a result is about, and under which UID it goes: copied, or computed, never invented."""

import hashlib
import re
import uuid

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_description, dictionary_has_tag, dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.valuerep import STR_VR

from ai.segmentation import ModelIdentity
from node.attributes import CONVERSION_ERRORS, extent, items
from node.errors import UndecodableError
from node.limits import MAX_COPIED_BYTES, MAX_COPIED_ELEMENTS, MAX_IDENTITY_VALUE_BYTES
from node.options import OutputOptions

MAX_UID_LENGTH = 64
"""PS3.5 9.1."""

PATIENT_TYPE_2 = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY_TYPE_2 = ("StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID", "AccessionNumber")
"""Attributes that every composite object has, even if empty (PS3.3 Tables C.7-1 and C.7-3)."""

OPTIONAL = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "QualityControlSubject",
    "PatientBirthTime",
    "EthnicGroup",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "PhysiciansOfRecord",
    "ReferencedStudySequence",
    "ReasonForPerformedProcedureCodeSequence",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ProcedureCodeSequence",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialProtocolEthicsCommitteeName",
    "ClinicalTrialProtocolEthicsCommitteeApprovalNumber",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
    "ClinicalTrialCoordinatingCenterName",
)
"""Of the Patient, Clinical Trial Subject, General Study and Patient Study modules, and of SOP Common."""


_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")
_DECIMAL = re.compile(r"[+-]?\d{1,10}(\.\d{0,5})?")
FORMS = {
    "PatientAge": re.compile(r"\d{3}[DWMY]"),
    "PatientSize": _DECIMAL,
    "PatientWeight": _DECIMAL,
    "TimezoneOffsetFromUTC": re.compile(r"[+-]\d{4}"),
}
"""Optional attributes that are often malformed (an age of "54"): left out then (PS3.5 Table 6.2-1)."""


def identity_of(dataset: Dataset) -> Dataset:
    """Return the patient and study attributes of a data set just read, byte for byte where still undecoded.

    Bytes that do not fit the stated character set come through unchanged, so that a result is never filed
    under another patient. Missing type 2 attributes are added empty.

    Raises:
        UndecodableError: If one of them is longer than any that is allowed: every result would carry it.
    """
    identity = Dataset()
    for keyword in (*OPTIONAL, *PATIENT_TYPE_2, *STUDY_TYPE_2, "StudyInstanceUID"):
        element = _verbatim(dataset, keyword)
        if element is not None and _is_well_formed(keyword, element):
            try:
                _check_length(keyword, element)
                if isinstance(element.value, Sequence):
                    element = DataElement(element.tag, "SQ", [verbatim_item(item) for item in element.value])
            except CONVERSION_ERRORS as exc:
                raise UndecodableError(f"{dictionary_description(keyword)} cannot be read") from exc
            identity[element.tag] = element
    for keyword in (*PATIENT_TYPE_2, *STUDY_TYPE_2):
        if keyword not in identity:
            setattr(identity, keyword, "")
    return identity


def _verbatim(dataset: Dataset, keyword: str) -> DataElement | RawDataElement | None:
    if keyword not in dataset:
        return None
    element = _element(dataset, keyword)
    vr = dictionary_VR(keyword)
    if isinstance(element, RawDataElement) and vr != "SQ":
        return _as_explicit(element, vr)
    if vr == "SQ":
        return _readable_sequence(dataset, keyword)
    return _decoded(dataset, keyword)


def _as_explicit(element: RawDataElement, vr: str) -> RawDataElement:
    """Return undecoded text as if read in Explicit VR Little Endian, of even length (PS3.5 7.1.1)."""
    value = element.value or b""
    value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    return RawDataElement(element.tag, vr, len(value), value, 0, False, True)


def verbatim_item(item: Dataset) -> Dataset:
    """Return an item of a sequence of which undecoded text is written as it is.

    Raises:
        Exception: One of `CONVERSION_ERRORS`, for what has to be decoded and cannot be.
    """
    charset = item.original_character_set
    copied = Dataset(parent_encoding=charset)
    for tag in list(item.keys()):
        element: object = item.get_item(tag)
        vr = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
        if isinstance(element, RawDataElement) and vr in STR_VR:
            copied[tag] = _as_explicit(element, vr)
        elif item[tag].VR == "SQ":
            copied[tag] = DataElement(tag, "SQ", [verbatim_item(inner) for inner in item[tag].value])
        else:
            copied[tag] = item[tag]
    copied.set_original_encoding(False, True, copied._character_set)
    return copied


def _element(dataset: Dataset, keyword: str) -> object:
    """Return an element, undecoded where it is; pydicom may have to decode it to know its length."""
    try:
        return dataset.get_item(keyword)
    except CONVERSION_ERRORS as exc:
        raise UndecodableError(f"{dictionary_description(keyword)} cannot be read") from exc


def _decoded(dataset: Dataset, keyword: str) -> DataElement:
    try:
        decoded = dataset[keyword]
        return DataElement(decoded.tag, decoded.VR, decoded.value)
    except CONVERSION_ERRORS as exc:
        raise UndecodableError(f"{dictionary_description(keyword)} cannot be read") from exc


def _readable_sequence(dataset: Dataset, keyword: str) -> DataElement | None:
    """Return a sequence with items; nobody is identified by one that cannot be read."""
    found = list(items(dataset, keyword))
    return DataElement(keyword, "SQ", found) if found else None


def _check_length(keyword: str, element: DataElement | RawDataElement) -> None:
    value: object = element.value
    if element.VR == "SQ" and isinstance(value, Sequence):
        elements, size = extent(value)
        is_too_long = elements > MAX_COPIED_ELEMENTS or size > MAX_COPIED_BYTES
    else:
        size = len(value) if isinstance(value, bytes) else len(str(value or ""))
        is_too_long = size > MAX_IDENTITY_VALUE_BYTES
    if is_too_long:
        name = dictionary_description(keyword)
        raise UndecodableError(f"{name} has {size} bytes: more than results may carry")


def _is_well_formed(keyword: str, element: DataElement | RawDataElement) -> bool:
    """Whether an attribute may be copied: what nobody is identified by must have its form."""
    form = FORMS.get(keyword)
    value: object = element.value
    if form is None:
        return True
    if isinstance(value, Sequence):  # such as pydicom finds in bytes of UN
        return False
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")
    return form.fullmatch(text.rstrip(" \0")) is not None


def copy_identity(identity: Dataset, result: Dataset) -> None:
    """Put the patient and study attributes into a result, in place of what it has."""
    for tag in list(identity.keys()):
        result[tag] = identity.get_item(tag)
    # So that undecoded elements are written as they are.
    result.set_original_encoding(False, True, result._character_set)


def result_uid(
    source_sop_uid: str, model: ModelIdentity, output_digest: str, kind: str, root: str = ""
) -> str:
    """Return the UID of something made from a source image: always the same one for the same input.

    Args:
        source_sop_uid: SOP Instance UID of the radiograph.
        model: The weights that made it.
        output_digest: `OutputOptions.digest()`.
        kind: What it is, such as "SEG" or "SEG series"; the result's other UIDs have kinds of their own.
        root: Root of the UID, or "" for 2.25 followed by a UUID as one decimal number (PS3.5 B.2).
    """
    rules = (
        (model.rules,) if model.rules else ()
    )  # results of models without keep the UIDs that they have had
    parts = (source_sop_uid, model.id, model.version, model.sha256, *rules, output_digest, kind)
    digest = hashlib.sha256("\n".join(parts).encode()).digest()
    if not root:
        return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"
    room = MAX_UID_LENGTH - len(root) - 1
    number = str(int.from_bytes(digest[:16], "big"))[:room]
    return f"{root}.{number}"


def is_uid(value: str) -> bool:
    """Whether a text is a UID (PS3.5 9.1)."""
    return len(value) <= MAX_UID_LENGTH and _UID.fullmatch(value) is not None


class UidMaker:
    """Makes the UIDs of one source image's results.

    Args:
        source_sop_uid: SOP Instance UID of the radiograph.
        model: The weights in use.
        options: What is written, and how.
    """

    def __init__(self, source_sop_uid: str, model: ModelIdentity, options: OutputOptions) -> None:
        self._source = source_sop_uid
        self._model = model
        self._digest = options.digest()
        self._root = options.uid_root

    def __call__(self, kind: str) -> str:
        """Return the UID of one kind of thing."""
        return result_uid(self._source, self._model, self._digest, kind, self._root)

    def of_model(self, kind: str) -> str:
        """Return the UID of something that is the same for every image that a model is run on."""
        return result_uid("", self._model, "", kind, self._root)
