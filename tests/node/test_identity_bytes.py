"""Patient and study go from a source into every result byte for byte, whatever the bytes are."""

from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from ai.stand_in import StandInSegmenter
from node.options import OutputOptions
from node.pipeline import ResultObject, process
from node.transcode import SYNTAXES, offers, transcoded

MakeDx = Callable[..., Dataset]
EVERY_KIND = OutputOptions(structure_report=True, presentation_state=True, secondary_capture=True)

BYTES: Mapping[str, tuple[Any, Mapping[str, bytes]]] = {
    "UTF-8 stated": (
        "ISO_IR 192",
        {"PatientName": b"M\xfcller^J\xf6rg ", "PatientID": b"ID-\xe47 ", "AccessionNumber": b"\xff1\0\0"},
    ),
    "ISO 2022 stated": (
        ["", "ISO 2022 IR 87"],
        {
            "PatientName": b"\x8eR\x93c^\x91\xbe\x98Y=\x1b$B;",
            "PatientID": b"\x8eR",
            "StudyID": b"\x1b$B;!\x1b",
        },
    ),
    "nothing stated": ("", {"PatientName": b"M\xfcller  ", "PatientID": b"A1\0\0", "StudyID": b" 7  "}),
}
"""Specific Character Set, and values that are not what it says, or would not be written so."""

FURTHER: Mapping[str, bytes] = {
    "PatientBirthDate": b"1970.1.1",
    "PatientSex": b"m ",
    "OtherPatientNames": b"\xfc\\\xe4 ",
    "StudyDate": b"2024-1-1",
    "StudyTime": b"12:30:00",
    "ReferringPhysicianName": b"\xc4rztin",
    "StudyDescription": b"Thorax \0",
    "PatientWeight": b"070.50",
    "IssuerOfPatientID": b"H\xc4US",
}
"""Beside each of them."""


def _file(
    make_dx: MakeDx, values: Mapping[str, bytes], charset: Any, syntax: UID = ExplicitVRLittleEndian
) -> bytes:
    """Return a radiograph in which these values stand as they are."""
    dataset = make_dx(128, 112, SpecificCharacterSet=charset)
    dataset["PixelData"].VR = "OW"
    if syntax == RLELossless:
        dataset.compress(syntax, encoding_plugin="pydicom", generate_instance_uid=False)
    _put(dataset, values, charset, syntax)
    dataset.file_meta.TransferSyntaxUID = syntax
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _put(dataset: Dataset, values: Mapping[str, bytes], charset: Any, syntax: UID) -> None:
    is_implicit = syntax == ImplicitVRLittleEndian
    for keyword, value in values.items():
        tag, vr = BaseTag(tag_for_keyword(keyword) or 0), dictionary_VR(keyword)
        dataset[tag] = RawDataElement(tag, vr, len(value), value, 0, is_implicit, True)
    dataset.set_original_encoding(is_implicit, True, dataset._character_set)


def _found(content: bytes, keywords: Mapping[str, bytes]) -> dict[str, object]:
    read = dcmread(BytesIO(content))
    return {keyword: read.get_item(keyword).value for keyword in keywords}


def _results(content: bytes, options: OutputOptions = EVERY_KIND) -> tuple[ResultObject, ...]:
    return process(BytesIO(content), StandInSegmenter(), options).results


@pytest.mark.parametrize(
    ("name", "syntax"),
    [
        ("UTF-8 stated", ExplicitVRLittleEndian),
        ("ISO 2022 stated", ExplicitVRLittleEndian),
        ("nothing stated", ExplicitVRLittleEndian),
        ("UTF-8 stated", ImplicitVRLittleEndian),
        ("ISO 2022 stated", DeflatedExplicitVRLittleEndian),
        ("nothing stated", RLELossless),
    ],
)
def test_every_result_has_the_bytes_of_the_source(make_dx: MakeDx, name: str, syntax: UID) -> None:
    charset, odd = BYTES[name]
    values = {**FURTHER, **odd}
    content = _file(make_dx, values, charset, syntax)
    assert _found(content, values) == values
    results = _results(content)
    assert [result.kind for result in results] == ["SEG", "SR", "SR structures", "PR", "SC"]
    for result in results:
        assert _found(result.content, values) == values


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_items_of_sequences_keep_their_bytes(make_dx: MakeDx, syntax: UID) -> None:
    other, first, second = Dataset(), Dataset(), Dataset()
    other.PatientID, first.RequestedProcedureID, second.AccessionNumber = "ID-XXXX", "ID-XXXX", "ID-XXXX"
    other.IssuerOfPatientIDQualifiersSequence = [Dataset()]
    other.IssuerOfPatientIDQualifiersSequence[0].UniversalEntityID = "ID-XXXX"
    source = make_dx(
        SpecificCharacterSet="ISO_IR 192",
        AccessionNumber="ACC-XXXX",
        OtherPatientIDsSequence=[other],
        RequestAttributesSequence=[first, second],
    )
    source["PixelData"].VR, source.file_meta.TransferSyntaxUID = "OW", syntax
    content = BytesIO()
    source.save_as(content, enforce_file_format=True)
    seg, report = _results(content.getvalue().replace(b"XXXX", b"\xe4\xf6\xfc\xdf"), OutputOptions())
    for result in (seg, report):
        (item,) = dcmread(BytesIO(result.content)).OtherPatientIDsSequence
        (qualifiers,) = item.IssuerOfPatientIDQualifiersSequence
        assert item.get_item("PatientID").value == b"ID-\xe4\xf6\xfc\xdf "
        assert qualifiers.get_item("UniversalEntityID").value == b"ID-\xe4\xf6\xfc\xdf "
    requests = dcmread(BytesIO(report.content)).ReferencedRequestSequence
    assert requests[0].get_item("RequestedProcedureID").value == b"ID-\xe4\xf6\xfc\xdf "
    numbers = [request.get_item("AccessionNumber").value for request in requests]
    assert numbers == [b"ACC-\xe4\xf6\xfc\xdf", b"ID-\xe4\xf6\xfc\xdf "]


def test_every_form_that_a_result_is_sent_in_has_the_bytes_of_the_source(
    make_dx: MakeDx, tmp_path: Path
) -> None:
    charset, values = BYTES["UTF-8 stated"]
    result, *_ = _results(_file(make_dx, values, charset), OutputOptions(seg="labelmap", report="none"))
    path = tmp_path / "result.dcm"
    path.write_bytes(result.content)
    forms = offers(path, result.dataset.file_meta.TransferSyntaxUID, tuple(SYNTAXES.values()))
    assert set(forms) == set(SYNTAXES.values())
    for syntax in forms:
        content = BytesIO()
        transcoded(path, syntax).save_as(content, enforce_file_format=True)
        assert _found(content.getvalue(), values) == values
