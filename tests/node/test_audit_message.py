"""Audit messages have the elements of PS3.15 A.5.1 in their order, and the codes of PS3.16."""

from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from pydicom.sr.codedict import codes

from node import audit_message
from node.audit_message import Action, AuditCode, AuditMessage, Participant

AT = datetime(2025, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
CODED = [value for value in vars(audit_message).values() if isinstance(value, AuditCode)]

ORDER = [
    "EventIdentification",
    "ActiveParticipant",
    "AuditSourceIdentification",
    "ParticipantObjectIdentification",
]
REQUIRED = {
    "EventIdentification": {"EventActionCode", "EventDateTime", "EventOutcomeIndicator"},
    "ActiveParticipant": {"UserID", "UserIsRequestor"},
    "AuditSourceIdentification": {"AuditSourceID"},
    "ParticipantObjectIdentification": {"ParticipantObjectID", "ParticipantObjectTypeCode"},
}
CHILDREN = {
    "EventIdentification": ["EventID", "EventTypeCode"],
    "ActiveParticipant": ["RoleIDCode"],
    "AuditSourceIdentification": ["AuditSourceTypeCode"],
    "ParticipantObjectIdentification": [
        "ParticipantObjectIDTypeCode",
        "ParticipantObjectName",
        "ParticipantObjectDescription",
        "SOPClass",
    ],
}


def check_structure(xml: str) -> ElementTree.Element:
    """Return a message's root, after looking at its elements and attributes as the schema orders them."""
    root = ElementTree.fromstring(xml)
    names = [child.tag for child in root]
    assert root.tag == "AuditMessage"
    assert names == sorted(names, key=ORDER.index)
    assert names.count("EventIdentification") == names.count("AuditSourceIdentification") == 1
    assert "ActiveParticipant" in names
    for child in root:
        assert set(child.attrib) >= REQUIRED[child.tag]
        inner = [each.tag for each in child]
        assert inner == sorted(inner, key=CHILDREN[child.tag].index)
        coded = [each for each in child if each.tag.endswith(("Code", "EventID"))]
        assert coded or child.tag == "ActiveParticipant"
        assert all("csd-code" in each.attrib for each in coded)
    return root


def message(*objects: audit_message.AuditObject) -> AuditMessage:
    peer = Participant("MODALITY", True, "192.0.2.1", audit_message.SOURCE)
    us = Participant("PAXNODE", False, "node.example", audit_message.DESTINATION)
    return AuditMessage(audit_message.INSTANCES_TRANSFERRED, Action.CREATE, (peer, us), objects)


def test_message_has_the_elements_of_the_schema_in_their_order() -> None:
    study = audit_message.study("1.2.3", {"1.2.840.2": 2, "1.2.840.1": 1})
    root = check_structure(message(study, audit_message.patient("ID 7")).xml(AT, "PAXNODE@node", "site"))

    event = root[0]
    assert event.attrib == {
        "EventActionCode": "C",
        "EventDateTime": "2025-01-02T03:04:05.678+00:00",
        "EventOutcomeIndicator": "0",
    }
    assert event[0].attrib["csd-code"] == "110104"
    assert [p.get("NetworkAccessPointTypeCode") for p in root.iter("ActiveParticipant")] == ["2", "1"]
    assert [p.get("UserIsRequestor") for p in root.iter("ActiveParticipant")] == ["true", "false"]
    source = root.find("AuditSourceIdentification")
    assert source is not None
    assert source.attrib == {"AuditEnterpriseSiteID": "site", "AuditSourceID": "PAXNODE@node"}
    found, person = root.findall("ParticipantObjectIdentification")
    assert (found.get("ParticipantObjectID"), found.get("ParticipantObjectTypeCodeRole")) == ("1.2.3", "3")
    assert [(c.get("UID"), c.get("NumberOfInstances")) for c in found.findall("SOPClass")] == [
        ("1.2.840.1", "1"),
        ("1.2.840.2", "2"),
    ]
    assert (person.get("ParticipantObjectID"), person.get("ParticipantObjectTypeCode")) == ("ID 7", "1")
    assert person[0].attrib["codeSystemName"] == "RFC-3881"


@pytest.mark.parametrize("text", ['<&">', "Müller 日本", "a\0b\x1bc\ud800d￾"])
def test_whatever_a_sender_wrote_makes_xml_that_can_be_read(text: str) -> None:
    xml = message(audit_message.patient(text)).xml(AT, "PAXNODE@node")
    root = check_structure(xml.encode("utf-8").decode("utf-8"))

    [person] = root.findall("ParticipantObjectIdentification")
    assert person.get("ParticipantObjectID") == ("abcd" if "\0" in text else text)


def test_site_that_is_not_set_is_left_out() -> None:
    assert "AuditEnterpriseSiteID" not in message().xml(AT, "PAXNODE@node")


@pytest.mark.parametrize("code", [code for code in CODED if code.scheme == "DCM"], ids=lambda c: c.value)
def test_code_is_that_of_the_standard(code: AuditCode) -> None:
    keyword = "".join(word[0].upper() + word[1:] for word in code.meaning.split())
    known = getattr(codes.DCM, keyword)

    assert (known.value, known.meaning) == (code.value, code.meaning)


def test_whatever_a_sender_wrote_makes_a_message_that_fits_into_a_datagram() -> None:
    objects = audit_message.study("1" * 65_534, {"2" * 65_534: 1}), audit_message.patient("\0&日" * 21_844)
    alert = audit_message.node("3" * 65_534, "4" * 65_534)
    root = check_structure(message(*objects, alert).xml(AT, "PAXNODE@node"))

    found = [each.get("ParticipantObjectID") for each in root.findall("ParticipantObjectIdentification")]
    assert found == ["1" * 64, "&日" * 32, "3" * 64]
    assert [each.get("UID") for each in root.iter("SOPClass")] == ["2" * 64]
    assert [each.text for each in root.iter("ParticipantObjectDescription")] == ["4" * 256]
