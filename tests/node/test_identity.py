from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pytest
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag
from pydicom.uid import UID, generate_uid

from ai.segmentation import ModelIdentity
from node.encoding import file_bytes
from node.errors import UndecodableError
from node.identity import UidMaker, copy_identity, identity_of, result_uid
from node.options import OutputOptions

MakeDx = Callable[..., Dataset]
MODEL = ModelIdentity("model", "1", "ab" * 32)


def _through_bytes(dataset: Dataset) -> Dataset:
    return dcmread(BytesIO(file_bytes(dataset)))


def _result(make_dx: MakeDx) -> Dataset:
    """Return an object with somebody else's identity, and without pixels."""
    result = make_dx()
    del result.PixelData
    return result


def test_the_same_input_has_the_same_uid_and_any_other_another() -> None:
    first = UidMaker("1.2.3", MODEL, OutputOptions())("SEG")
    others = {
        UidMaker("1.2.4", MODEL, OutputOptions())("SEG"),
        UidMaker("1.2.3", replace(MODEL, version="2"), OutputOptions())("SEG"),
        UidMaker("1.2.3", replace(MODEL, sha256="cd" * 32), OutputOptions())("SEG"),
        UidMaker("1.2.3", replace(MODEL, rules="ef" * 32), OutputOptions())("SEG"),
        UidMaker("1.2.3", MODEL, OutputOptions(report="none"))("SEG"),
        UidMaker("1.2.3", MODEL, OutputOptions())("SR"),
    }
    assert first == UidMaker("1.2.3", MODEL, OutputOptions())("SEG")
    assert len(others | {first}) == 7


@pytest.mark.parametrize("root", ["", "1.2.826.0.1.3680043.10", "1.2.3.4.5.6.7.8.9.10.11"])
def test_uids_are_valid_and_below_their_root(root: str) -> None:
    for source in ("1.2.3", "1.2.4", "1.2.5"):
        uid = UID(result_uid(source, MODEL, "", "SEG", root))
        assert uid.is_valid
        assert uid.startswith(f"{root or '2.25'}.")


@pytest.mark.parametrize(
    ("charsets", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 144", "Жуков^Илья"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_survive_in_the_character_set_of_the_source(
    make_dx: MakeDx, charsets: str | list[str], name: str
) -> None:
    source = make_dx(SpecificCharacterSet=charsets, PatientName=name)
    original = _through_bytes(source).get_item("PatientName").value
    result = _result(make_dx)
    copy_identity(identity_of(_through_bytes(source)), result)
    again = _through_bytes(result)
    assert again.get_item("PatientName").value == original
    assert str(again.PatientName) == name


def test_bytes_that_do_not_fit_the_character_set_come_through_unchanged(make_dx: MakeDx) -> None:
    content = BytesIO()
    make_dx(PatientID="ID-XXXX", SpecificCharacterSet="ISO_IR 192").save_as(content, enforce_file_format=True)
    broken = dcmread(BytesIO(content.getvalue().replace(b"ID-XXXX", b"ID-\xe4\xf6\xfc\xdf")))
    result = _result(make_dx)
    copy_identity(identity_of(broken), result)
    assert _through_bytes(result).get_item("PatientID").value == b"ID-\xe4\xf6\xfc\xdf "


def test_a_value_of_odd_length_is_padded_as_every_value_must_be(make_dx: MakeDx) -> None:
    dataset = make_dx()
    for keyword, value in (("PatientID", b"\xfc12"), ("StudyInstanceUID", b"1.2.3")):
        tag = BaseTag(tag_for_keyword(keyword) or 0)
        dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
    result = _result(make_dx)
    copy_identity(identity_of(dataset), result)
    read = _through_bytes(result)
    assert read.get_item("PatientID").value == b"\xfc12 "
    assert read.get_item("StudyInstanceUID").value == b"1.2.3\0"


def test_missing_type_2_attributes_are_there_and_empty() -> None:
    identity = identity_of(Dataset())
    assert identity.AccessionNumber == ""
    assert identity.PatientID == ""
    assert identity.ReferringPhysicianName == ""


def test_a_malformed_age_is_left_out_and_a_right_one_copied(make_dx: MakeDx) -> None:
    dataset = make_dx()
    dataset.PatientAge = "054Y"
    assert identity_of(_through_bytes(dataset)).PatientAge == "054Y"
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    assert "PatientAge" not in identity_of(dcmread(BytesIO(content.getvalue().replace(b"054Y", b"54  "))))


def test_sequences_of_the_identity_are_copied(make_dx: MakeDx) -> None:
    issuer = Dataset()
    issuer.LocalNamespaceEntityID = "HOSPITAL"
    source = make_dx(IssuerOfAccessionNumberSequence=[issuer], StudyInstanceUID=generate_uid())
    identity = identity_of(_through_bytes(source))
    assert identity.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "HOSPITAL"
    assert identity.StudyInstanceUID == source.StudyInstanceUID


def test_identity_that_is_longer_than_any_is_undecodable(make_dx: MakeDx) -> None:
    with pytest.raises(UndecodableError, match="Patient's Name has 50000 bytes: more than results may carry"):
        identity_of(make_dx(PatientName="A" * 50_000))


def test_sequence_that_results_would_carry_is_bounded(make_dx: MakeDx) -> None:
    def others(count: int) -> list[Dataset]:
        items = [Dataset() for _ in range(count)]
        for item in items:
            item.PatientID = "1"
        return items

    assert len(identity_of(make_dx(OtherPatientIDsSequence=others(500))).OtherPatientIDsSequence) == 500
    with pytest.raises(UndecodableError, match="Other Patient IDs Sequence"):
        identity_of(make_dx(OtherPatientIDsSequence=others(501)))


def test_sequence_that_cannot_be_read_is_left_out(make_dx: MakeDx) -> None:
    dataset = make_dx()
    tag = 0x00101002
    dataset[tag] = RawDataElement(BaseTag(tag), "SQ", 4, b"\xfe\xff\x00\xe0", 0, False, True)
    assert "OtherPatientIDsSequence" not in identity_of(dataset)


def test_sequence_with_a_value_representation_that_is_not_known_is_undecodable(make_dx: MakeDx) -> None:
    item = Dataset()
    item[0x00100020] = RawDataElement(BaseTag(0x00100020), "ZZ", 2, b"12", 0, False, True)

    with pytest.raises(UndecodableError, match="Other Patient IDs Sequence cannot be read"):
        identity_of(make_dx(OtherPatientIDsSequence=[item]))


def test_sequence_that_is_encoded_as_something_else_is_left_out(make_dx: MakeDx) -> None:
    dataset = make_dx()
    tag = BaseTag(0x00101002)
    dataset[tag] = RawDataElement(tag, "IS", 11, b"^^^=^^^=^^^", 0, False, True)
    assert "OtherPatientIDsSequence" not in identity_of(dataset)
