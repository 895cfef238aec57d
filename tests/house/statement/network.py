"""The tables of the networking part: what is accepted, proposed, answered, and waited for."""

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel
from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    RLELossless,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from config.network import CommitmentSettings
from config.settings import DeliverySettings, Destination, NodeSettings, ResultSettings
from node import commitment_statuses, statuses
from node.commitment_statuses import PUSH_MODEL
from node.conformance import CHECKS
from node.contexts import LABEL_MAP_STORAGE, STORAGE_CLASSES, supported_contexts, transfer_syntaxes
from node.outcome import STATUS_RULES, Verdict
from node.transcode import COMPRESSED, NATIVE, SYNTAXES

NAMES = {LABEL_MAP_STORAGE: "Label Map Segmentation Storage"}
"""Names of SOP classes that pydicom has none for."""

KINDS: Mapping[str, tuple[UID, ...]] = {
    "Segmentation": (SegmentationStorage,),
    "Label Map Segmentation": (LABEL_MAP_STORAGE,),
    "Comprehensive SR and Comprehensive 3D SR": (ComprehensiveSRStorage, Comprehensive3DSRStorage),
    "Grayscale Softcopy Presentation State": (GrayscaleSoftcopyPresentationStateStorage,),
    "Secondary Capture Image": (SecondaryCaptureImageStorage,),
}
"""SOP classes of each kind of object."""

SECTIONS = dict(zip(KINDS, ("A.51", "A.96", "A.35.3, A.35.13", "A.33.1", "A.8.1"), strict=True))
"""Sections of PS3.3 with their IODs."""

SECTIONS_OF_SETTINGS: Mapping[str, type[BaseModel]] = {
    "node": NodeSettings,
    "results": ResultSettings,
    "destination": Destination,
    "delivery": DeliverySettings,
    "commitment": CommitmentSettings,
}
NOT_DICOM = frozenset({"data_dir"})
"""Settings, by section, that say something about DICOM."""

BYTES = (SegmentationStorage, LABEL_MAP_STORAGE, SecondaryCaptureImageStorage)
"""Objects that have, or may have, a byte a sample: they may be compressed frame by frame."""

OWN_SYNTAXES = {LABEL_MAP_STORAGE: RLELossless}
"""Objects whose file is never native."""

FIND = UID(StudyRootQueryRetrieveInformationModelFind)

BOTH = "N-ACTION, N-EVENT-REPORT"
COMMITMENT_ANSWERS = (
    ("SUCCESS", BOTH, "the request is in the database; the event was heard"),
    (
        "PROCESSING_FAILURE",
        BOTH,
        "an error of the node, requests are not answered, or the event is from another AE than was asked",
    ),
    ("NO_SUCH_INSTANCE", BOTH, "another SOP Instance than the well-known one"),
    ("NO_SUCH_EVENT_TYPE", "N-EVENT-REPORT", "Event Type ID other than 1 and 2"),
    (
        "INVALID_ARGUMENT",
        BOTH,
        "Transaction UID unknown, missing, or in use for other objects; objects without UIDs, or none",
    ),
    ("NO_SUCH_ACTION", "N-ACTION", "Action Type ID other than 1"),
    ("RESOURCE_LIMITATION", BOTH, "the database does not work, or too many objects are named"),
    ("NO_SUCH_INSTANCE", "Failure Reason", "the object is not here, or its bytes are not those that came"),
    ("CLASS_CONFLICT", "Failure Reason", "the object is here under another SOP class"),
)
"""Names in `node.commitment_statuses`, where they are said, and when."""

VERDICTS = {
    Verdict.STORED: "success: the delivery is done",
    Verdict.TRANSIENT: "sent again after a pause that grows",
    Verdict.PERMANENT: "parked until somebody asks for it",
    Verdict.UNSENT: "sent when the peer answers again",
}

STATUS_TEXTS = {
    statuses.SUCCESS: (
        "Success",
        "the object is on disk (flushed) and in the database; also one that came before "
        "with the same content, and one that is kept in quarantine",
    ),
    statuses.OUT_OF_RESOURCES: (
        "Refused: Out of Resources",
        "the disk is at its reserve or cannot be written, the database is away, or an error of the node",
    ),
    statuses.DOES_NOT_MATCH_SOP_CLASS: (
        "Error: Data Set Does Not Match SOP Class",
        "SOP Class UID of the command differs from that of the presentation context or of the data set",
    ),
    statuses.CANNOT_UNDERSTAND: (
        "Error: Cannot Understand",
        "no data set, one that cannot be parsed, or one of more bytes than `node.max_object_bytes`",
    ),
}
"""What each status of `node.statuses` says and when it is answered to C-STORE."""


def name_of(uid: str) -> str:
    """Return the name of a UID of the Standard, such as "Segmentation Storage"."""
    return NAMES.get(UID(uid), UID(uid).name)


def made_classes() -> tuple[UID, ...]:
    """Return every SOP class that the node makes: those that its gate lets through."""
    return tuple(UID(uid) for uid in CHECKS)


def services_table() -> str:
    """Return the table of network services (PS3.2 A.1)."""
    rows = [f"| {name_of(Verification)} | Yes (`paxnode check`, `paxnode doctor`) | Yes |"]
    for uid in dict.fromkeys((*STORAGE_CLASSES, *made_classes())):
        user = "Yes" if uid in made_classes() else "No"
        rows.append(f"| {name_of(uid)} | {user} | {'Yes' if uid in STORAGE_CLASSES else 'No'} |")
    rows.append(f"| {name_of(PUSH_MODEL)} | Yes (`commitment`) | Yes (`commitment.answer`) |")
    rows.append(f"| {name_of(StudyRootQueryRetrieveInformationModelFind)} | Yes (`query`) | No |")
    return table(("SOP class", "User of service (SCU)", "Provider of service (SCP)"), rows)


def accepted_classes_table() -> str:
    """Return the SOP classes that the node is a provider of (PS3.2 A.4.2.1.1)."""
    return _classes((Verification, *STORAGE_CLASSES), "No", "Yes")


def made_classes_table() -> str:
    """Return the SOP classes that the node is a user of."""
    return _classes(made_classes(), "Yes", "No")


def _classes(uids: Iterable[UID], user: str, provider: str) -> str:
    rows = (f"| {name_of(uid)} | {uid} | {user} | {provider} |" for uid in uids)
    return table(("SOP class name", "SOP class UID", "SCU", "SCP"), rows)


def proof_classes_table() -> str:
    """Return the SOP classes by which deliveries are proven."""
    rows = [
        f"| {name_of(PUSH_MODEL)} | {PUSH_MODEL} | Yes | Yes |",
        f"| {name_of(FIND)} | {FIND} | Yes | No |",
    ]
    return table(("SOP class name", "SOP class UID", "SCU", "SCP"), rows)


def commitment_answers_table() -> str:
    """Return what is answered to N-ACTION and N-EVENT-REPORT."""
    rows = [
        f"| `0x{getattr(commitment_statuses, name):04X}` | {where} | {when} |"
        for name, where, when in COMMITMENT_ANSWERS
    ]
    return table(("Code", "Answer to, or Failure Reason", "When"), rows)


def accepted_syntaxes_table() -> str:
    """Return the transfer syntaxes that are accepted for storage."""
    rows = (f"| {syntax.name} | {syntax} |" for syntax in transfer_syntaxes())
    return table(("Transfer syntax name", "UID"), rows)


def accepted_contexts_table() -> str:
    """Return the acceptable presentation contexts (PS3.2 A.4.2.1.4.1.2)."""
    rows = []
    for context in supported_contexts():
        uid = UID(str(context.abstract_syntax))
        names = ", ".join(UID(syntax).name for syntax in context.transfer_syntax or [])
        syntaxes = "every one of Table 4.5" if uid in STORAGE_CLASSES else names
        rows.append(f"| {name_of(uid)} | {uid} | {syntaxes} | SCP | None |")
    return table(("Abstract syntax", "UID", "Transfer syntaxes", "Role", "Extended negotiation"), rows)


def proposed_contexts_table() -> str:
    """Return the presentation contexts that may be proposed with each SOP class (PS3.2 A.4.2.1.3.1.2)."""
    rows = []
    for uid in made_classes():
        own = OWN_SYNTAXES.get(uid, NATIVE[0])
        words = [
            f"{syntax.name} ({syntax})"
            for syntax in dict.fromkeys((own, *NATIVE, *SYNTAXES.values()))
            if syntax not in COMPRESSED or uid in BYTES
        ]
        rows.append(f"| {name_of(uid)} | {uid} | {'; '.join(words)} | SCU | None |")
    return table(
        (
            "Abstract syntax",
            "UID",
            "Transfer syntaxes, each in a context of its own",
            "Role",
            "Extended negotiation",
        ),
        rows,
    )


def answers_table() -> str:
    """Return the statuses that the node answers to C-STORE (PS3.2 A.4.2.1.4.1.3)."""
    values = [value for name, value in vars(statuses).items() if name.isupper() and isinstance(value, int)]
    rows = []
    for value in values:
        meaning, when = STATUS_TEXTS[value]
        rows.append(f"| {meaning} | `0x{value:04X}` | {when} |")
    return table(("Service status", "Code", "When"), rows)


def judgements_table() -> str:
    """Return what the statuses of peers mean to the node (PS3.2 A.4.2.1.3.1.3)."""
    rows = []
    for rule in STATUS_RULES:
        last = "" if rule.first == rule.last else f" to `0x{rule.last:04X}`"
        rows.append(f"| `0x{rule.first:04X}`{last} | {rule.reason} | {VERDICTS[rule.verdict]} |")
    rows.append(
        f"| any other | not a status that the Standard gives for C-STORE | {VERDICTS[Verdict.PERMANENT]} |"
    )
    return table(("Code", "Meaning", "Behaviour"), rows)


def parameters_table() -> str:
    """Return the parameters that can be set, with their defaults (PS3.2 A.4.4.2)."""
    rows = [
        f"| `{section}.{key}` | {'required' if field.is_required() else shown(field.default)} |"
        for section, model in SECTIONS_OF_SETTINGS.items()
        for key, field in model.model_fields.items()
        if key not in NOT_DICOM
    ]
    return table(("Parameter", "Default"), rows)


def default_of_destination(key: str) -> object:
    """Return the default of a key of `[[destination]]`."""
    return Destination.model_fields[key].default


def attribute_name(keyword: str) -> str:
    """Return the name of an attribute, such as "Patient's Name"."""
    tag = tag_for_keyword(keyword)
    return dictionary_description(tag) if tag is not None else keyword


def shown(value: object) -> str:
    """Return a default as it is printed."""
    if value in ("", ()):
        return "empty"
    return f"{value:g}" if isinstance(value, float) else str(value)


def table(heads: Sequence[str], rows: Iterable[str]) -> str:
    """Return a table in Markdown; the rows are lines already."""
    return "\n".join((f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows))
