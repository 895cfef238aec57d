"""Rules that every result keeps before it leaves, and how a broken one is told."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.config import RAISE
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import validate_value

from node.codes import PRIVATE_SCHEME
from node.identity import OPTIONAL, PATIENT_TYPE_2, STUDY_TYPE_2, is_uid

RULES: Mapping[str, str] = {
    "GEN-CLASS": "the SOP Class is one that this program makes",
    "GEN-TYPE-1": "attributes that must have a value have one",
    "GEN-TYPE-2": "attributes that must be there are there",
    "GEN-UID": "its own UIDs are valid (PS3.5 9.1)",
    "GEN-META": "the file meta information agrees with the data set",
    "GEN-VALUE": "values fit their value representation (PS3.5 6.2)",
    "GEN-ENCODE": "the data set can be encoded",
    "GEN-SCHEME": "our private coding scheme is identified where it is used (PS3.3 C.12.1)",
    "GEN-CODE": "codes have value, scheme and meaning (PS3.3 8.8)",
    "SEG-NUMBERS": "Segment Numbers run from 1 without a gap (PS3.3 C.8.20.2)",
    "SEG-FRAMES": "each frame has a functional group, and each segment a frame; OHIF hangs otherwise",
    "SEG-EMPTY": "no frame is empty; OHIF hangs otherwise",
    "SEG-SOURCE": "each frame names its source image (Derivation Image); OHIF shows nothing otherwise",
    "SEG-ALIGNED": "frames of one bit a pixel begin with a byte; OHIF draws them shifted otherwise",
    "SEG-LENGTH": "Pixel Data holds as many bytes or frames as belong there",
    "SEG-ENCAPSULATED": "one bit a pixel is not encapsulated; Orthanc breaks down on it",
    "SEG-ORIENTATION": "no orientation in space is stated that the source does not have, but the neutral one",
    "SEG-OVERLAP": "Segments Overlap is stated, and a label map has none",
    "SEG-BACKGROUND": "no segment of a label map is its background; OHIF shifts every name otherwise",
    "SEG-PIXELS": "pixels of a label map are the background or a segment's number, each at least once",
    "SR-VERIFIED": "Verification Flag is UNVERIFIED: nobody has verified it",
    "SR-DRAWING": "every measurement group has a drawing, or none has; OHIF shows black otherwise",
    "SR-RECTANGLE": "no polyline has 4 or 5 points; OHIF takes it for a rectangle and shows no line at all",
    "SR-BOUNDS": "no drawing has negative coordinates",
    "SR-VALUE": "a number has a value and a unit, and a text has words",
    "SR-EVIDENCE": "whatever the report refers to is in its evidence (PS3.3 C.17.2)",
    "SR-REFERENCE": "a reference has a frame or a segment, not both (PS3.3 C.17.3)",
    "SR-PREDECESSOR": "the report does not supersede itself",
    "PR-REFERENCE": "the image that is shown is referred to, and every graphic refers to it (PS3.3 C.11.11)",
    "PR-LAYER": "every graphic lies in a layer that is described (PS3.3 C.10.7)",
    "PR-GRAPHIC": "Graphic Data holds as many points as it says, inside the image",
    "PR-GRAYSCALE": "Presentation LUT Shape is IDENTITY or INVERSE (PS3.3 C.11.6)",
    "SC-PIXELS": "Pixel Data holds as many bytes as belong there, and they are no blank picture",
    "SC-SOURCE": "the picture names the radiograph that it was made of",
    "SC-MARK": "the picture says that it was derived, and states no pixel spacing",
}
"""Every rule by its code; docs/conformance.md has the same table."""

TYPE_1 = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Modality", "InstanceNumber"),
    *("SeriesNumber", "Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions"),
)
TYPE_2 = (*PATIENT_TYPE_2, *STUDY_TYPE_2)
"""Attributes of every composite object: present with a value, and present (PS3.3 A.51.3, A.35.13.3)."""

OWN_UIDS = ("SOPInstanceUID", "SeriesInstanceUID")
"""Made by us; those of the source may break a rule and are copied all the same."""

COPIED = frozenset(
    tag_for_keyword(word) for word in (*OPTIONAL, *PATIENT_TYPE_2, *STUDY_TYPE_2, "ReferencedRequestSequence")
)
"""Top-level attributes that come from the source as they are."""

PIXEL_DATA = BaseTag(0x7FE00010)
CODE_VALUE, CODE_MEANING = BaseTag(0x00080100), BaseTag(0x00080104)
CODE_TYPE_1 = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")

_AS_TEXT = frozenset({"DS", "IS", "PN"})  # pydicom has classes of its own for their values
_UNCHECKED = frozenset({"SQ", "OB", "OW", "OF", "UN", "AT", "UI"})
"""UIDs may be the source's, which are referred to as they are; `OWN_UIDS` are checked apart."""


@dataclass(frozen=True)
class Violation:
    """A rule that a result breaks.

    Attributes:
        code: One of `RULES`.
        words: What is wrong, for people; nothing about the patient.
    """

    code: str
    words: str

    def __post_init__(self) -> None:
        if self.code not in RULES:
            raise ValueError(f"no rule has the code {self.code!r}")

    def __str__(self) -> str:
        """Return both: "SEG-EMPTY frame 3 is empty"."""
        return f"{self.code} {self.words}"


def missing(dataset: Dataset, keywords: Sequence[str], where: str = "") -> Iterator[Violation]:
    """Yield what is absent or has no value."""
    for keyword in keywords:
        if value_of(dataset, keyword) in (None, "", b"", []):
            yield Violation("GEN-TYPE-1", f"{where}{keyword} is missing or empty")


def value_of(dataset: Dataset, keyword: str) -> Any:
    """Return the value of an attribute, or None: what `Dataset.get` returns, in a fifth of its time."""
    element = dataset._dict.get(_tag(keyword))
    return element.value if isinstance(element, DataElement) else dataset.get(keyword)


def general(dataset: Dataset) -> Iterator[Violation]:
    """Yield what breaks the rules of all results."""
    yield from missing(dataset, TYPE_1)
    absent = (keyword for keyword in TYPE_2 if keyword not in dataset)
    yield from (Violation("GEN-TYPE-2", f"{keyword} is missing") for keyword in absent)
    bad = (keyword for keyword in OWN_UIDS if not is_uid(str(dataset.get(keyword))))
    yield from (Violation("GEN-UID", f"{keyword} is no valid UID") for keyword in bad)
    meta = getattr(dataset, "file_meta", Dataset())
    if meta.get("MediaStorageSOPInstanceUID") != dataset.get("SOPInstanceUID"):
        yield Violation("GEN-META", "the file meta information names another SOP Instance UID")
    if not meta.get("TransferSyntaxUID"):
        yield Violation("GEN-META", "the file meta information names no transfer syntax")


def contents(dataset: Dataset) -> Iterator[Violation]:
    """Yield what is wrong with values and codes, at any depth; the source's own are left alone."""
    seen = _Seen()
    yield from _values(dataset, COPIED, seen)
    known = {item.CodingSchemeDesignator for item in dataset.get("CodingSchemeIdentificationSequence") or []}
    if PRIVATE_SCHEME in seen.schemes - known:
        yield Violation("GEN-SCHEME", f"{PRIVATE_SCHEME} is used and not identified")


@dataclass(frozen=True)
class _Seen:
    """What a walk over a result has come by.

    Attributes:
        items: The items of its sequences, by identity: the same one may stand in many places.
        schemes: Coding Scheme Designators.
    """

    items: set[int] = field(default_factory=set)
    schemes: set[str] = field(default_factory=set)


def _values(dataset: Dataset, skipped: frozenset[int | None], seen: _Seen) -> Iterator[Violation]:
    elements = dataset._dict  # through a Dataset's own methods this took longer than all other rules together
    if CODE_VALUE in elements or CODE_MEANING in elements:
        seen.schemes.add(str(value_of(dataset, "CodingSchemeDesignator")))
        yield from _code(dataset)
    for tag, element in elements.items():
        if tag in skipped or tag == PIXEL_DATA:
            continue
        known = element if isinstance(element, DataElement) else dataset[tag]
        if known.VR == "SQ":
            for item in known.value:
                if id(item) not in seen.items:
                    seen.items.add(id(item))
                    yield from _values(item, frozenset(), seen)
        elif known.VR not in _UNCHECKED:
            yield from _value(known)


def _code(item: Dataset) -> Iterator[Violation]:
    for keyword in CODE_TYPE_1:
        if not value_of(item, keyword):
            yield Violation("GEN-CODE", f"code {item.get('CodeValue')!s}: {keyword} is missing or empty")


def _value(element: DataElement) -> Iterator[Violation]:
    value = element.value
    for one in value if isinstance(value, MultiValue | list) else (value,):
        if (
            one is not None
            and one != ""
            and not _fits(element.VR, str(one) if element.VR in _AS_TEXT else one)
        ):
            yield Violation("GEN-VALUE", f"{element.keyword} does not fit {element.VR}")


@cache
def _tag(keyword: str) -> BaseTag:
    return BaseTag(tag_for_keyword(keyword) or 0)


@lru_cache(maxsize=16384, typed=True)
def _fits(vr: str, value: Hashable) -> bool:
    """Return whether a value is one of its representation (PS3.5 6.2); most are those of every result."""
    try:
        validate_value(vr, value, RAISE)
    except (ValueError, TypeError):
        return False
    return True
