"""Audit messages of PS3.15 A.5: who did what with whose study, in XML.

They name patients by their ID, as the Standard demands; nothing else of the node writes one down. The order
of elements is that of the schema in PS3.15 A.5.1.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import islice
from xml.etree import ElementTree

DCM = "DCM"

MAX_VALUE = 64
"""Characters of a value: no more has a Patient ID or a UID (PS3.5 6.2, LO and UI); the rest is cut, so that a
message of a hostile image is no longer than a datagram may be."""

MAX_WORDS = 256
"""Characters of an address (RFC 1035 2.3.4: a host's name has 255 at most) or a description; more is cut."""


@dataclass(frozen=True)
class AuditCode:
    """A coded value: its value, the scheme, and what it means."""

    value: str
    meaning: str
    scheme: str = DCM


# PS3.16 CID 400, Audit Event ID.
APPLICATION_ACTIVITY = AuditCode("110100", "Application Activity")
BEGIN_TRANSFERRING = AuditCode("110102", "Begin Transferring DICOM Instances")
INSTANCES_TRANSFERRED = AuditCode("110104", "DICOM Instances Transferred")
STUDY_DELETED = AuditCode("110105", "DICOM Study Deleted")
SECURITY_ALERT = AuditCode("110113", "Security Alert")

# PS3.16 CID 401, Audit Event Type Code.
APPLICATION_START = AuditCode("110120", "Application Start")
APPLICATION_STOP = AuditCode("110121", "Application Stop")
NODE_AUTHENTICATION = AuditCode("110126", "Node Authentication")

# PS3.16 CID 402, Audit Active Participant Role ID Code.
APPLICATION = AuditCode("110150", "Application")
DESTINATION = AuditCode("110152", "Destination Role ID")
SOURCE = AuditCode("110153", "Source Role ID")

# PS3.16 CID 404, Audit Participant Object ID Type Code; the patient's is of RFC 3881.
STUDY_INSTANCE_UID = AuditCode("110180", "Study Instance UID")
NODE_ID = AuditCode("110182", "Node ID")
PATIENT_NUMBER = AuditCode("2", "Patient Number", "RFC-3881")

APPLICATION_SERVER = "4"
"""Audit Source Type Code: an application server process (PS3.15 Table A.5.2-1, of RFC 3881 5.4.3)."""

PERMANENT_ERASURE = "14"
"""Participant Object Data Life Cycle (RFC 3881 5.5.3)."""


class Action(StrEnum):
    """Event Action Code (RFC 3881 5.1.2)."""

    CREATE = "C"
    READ = "R"
    DELETE = "D"
    EXECUTE = "E"


class EventOutcome(StrEnum):
    """Event Outcome Indicator (RFC 3881 5.1.4)."""

    SUCCESS = "0"
    MINOR_FAILURE = "4"


@dataclass(frozen=True)
class Participant:
    """An Active Participant: a process that took part.

    Attributes:
        user_id: Its identity: for DICOM its AE title.
        is_requestor: Whether it asked for what happened.
        address: Its name or IP address; empty: not known.
        role: What it did; None: nothing that has a code.
        is_dicom: Whether its identity is an AE title.
    """

    user_id: str
    is_requestor: bool
    address: str = ""
    role: AuditCode | None = None
    is_dicom: bool = True


@dataclass(frozen=True)
class AuditObject:
    """A Participant Object: what it happened to.

    Attributes:
        id: Its identity.
        id_type: What kind of identity that is.
        type_code: 1 a person, 2 a system object.
        role: 1 a patient, 3 a report (so a study is called), 13 a security resource.
        classes: Instances by SOP Class UID.
        life_cycle: What became of it; empty: not told.
        description: In words.
    """

    id: str
    id_type: AuditCode
    type_code: str
    role: str
    classes: Mapping[str, int]
    life_cycle: str = ""
    description: str = ""


def study(uid: str, classes: Mapping[str, int], life_cycle: str = "") -> AuditObject:
    """Return a study, with its instances by SOP class."""
    return AuditObject(uid, STUDY_INSTANCE_UID, "2", "3", dict(classes), life_cycle)


def patient(patient_id: str) -> AuditObject:
    """Return a patient; an empty ID is what the image tells, or nothing that could be read."""
    return AuditObject(patient_id, PATIENT_NUMBER, "1", "1", {})


def node(identity: str, description: str) -> AuditObject:
    """Return a machine, and what it did."""
    return AuditObject(identity, NODE_ID, "2", "13", {}, description=description)


@dataclass(frozen=True)
class AuditMessage:
    """What happened, by whom, to what.

    Attributes:
        event: What happened.
        action: Which kind of thing that is.
        participants: Who took part, one at least.
        objects: What it happened to.
        event_type: More closely what happened; None: that has no code.
        outcome: Whether it went well.
    """

    event: AuditCode
    action: Action
    participants: tuple[Participant, ...]
    objects: tuple[AuditObject, ...] = ()
    event_type: AuditCode | None = None
    outcome: EventOutcome = EventOutcome.SUCCESS

    def xml(self, at: datetime, source_id: str, site: str = "") -> str:
        """Return the message as XML.

        Args:
            at: When it happened, with its time zone.
            source_id: Audit Source ID: who tells it.
            site: Audit Enterprise Site ID; empty: left out.
        """
        root = ElementTree.Element("AuditMessage")
        _add_event(root, self, at)
        for participant in self.participants:
            _add_participant(root, participant)
        source = ElementTree.SubElement(root, "AuditSourceIdentification")
        if site:
            source.set("AuditEnterpriseSiteID", _clean(site, MAX_WORDS))
        source.set("AuditSourceID", _clean(source_id, MAX_WORDS))
        ElementTree.SubElement(source, "AuditSourceTypeCode", {"csd-code": APPLICATION_SERVER})
        for each in self.objects:
            _add_object(root, each)
        words = ElementTree.tostring(root, encoding="unicode")
        return f'<?xml version="1.0" encoding="UTF-8"?>{words}'


def _add_event(root: ElementTree.Element, message: AuditMessage, at: datetime) -> None:
    event = ElementTree.SubElement(root, "EventIdentification")
    event.set("EventActionCode", message.action)
    event.set("EventDateTime", at.isoformat(timespec="milliseconds"))
    event.set("EventOutcomeIndicator", message.outcome)
    _add_code(event, "EventID", message.event)
    if message.event_type is not None:
        _add_code(event, "EventTypeCode", message.event_type)


def _add_participant(root: ElementTree.Element, participant: Participant) -> None:
    element = ElementTree.SubElement(root, "ActiveParticipant", UserID=_clean(participant.user_id, MAX_WORDS))
    if participant.is_dicom:
        element.set("AlternativeUserID", f"AETITLES={_clean(participant.user_id, MAX_WORDS)}")
    element.set("UserIsRequestor", "true" if participant.is_requestor else "false")
    if participant.address:
        element.set("NetworkAccessPointID", _clean(participant.address, MAX_WORDS))
        element.set("NetworkAccessPointTypeCode", _kind_of_address(participant.address))
    if participant.role is not None:
        _add_code(element, "RoleIDCode", participant.role)


def _add_object(root: ElementTree.Element, found: AuditObject) -> None:
    element = ElementTree.SubElement(root, "ParticipantObjectIdentification")
    element.set("ParticipantObjectID", _clean(found.id))
    element.set("ParticipantObjectTypeCode", found.type_code)
    element.set("ParticipantObjectTypeCodeRole", found.role)
    if found.life_cycle:
        element.set("ParticipantObjectDataLifeCycle", found.life_cycle)
    _add_code(element, "ParticipantObjectIDTypeCode", found.id_type)
    if found.description:
        ElementTree.SubElement(element, "ParticipantObjectDescription").text = _clean(
            found.description, MAX_WORDS
        )
    for uid, count in sorted(found.classes.items()):
        ElementTree.SubElement(element, "SOPClass", UID=_clean(uid), NumberOfInstances=str(count))


def _add_code(parent: ElementTree.Element, name: str, code: AuditCode) -> None:
    attributes = {"csd-code": code.value, "codeSystemName": code.scheme, "originalText": code.meaning}
    ElementTree.SubElement(parent, name, attributes)


def _clean(text: str, longest: int = MAX_VALUE) -> str:
    """Return text without what XML cannot hold (XML 1.0, 2.2), cut to so many characters."""
    held = (c for c in text if c >= " " and not "\ud800" <= c <= "\udfff" and c not in "\ufffe\uffff")
    return "".join(islice(held, longest))


def _kind_of_address(address: str) -> str:
    """Return 2 for an IP address and 1 for a machine's name (RFC 3881 5.3.2)."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return "1"
    return "2"
