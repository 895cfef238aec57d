"""Results are encoded as pydicom encodes them, byte for byte, whatever is in them."""

from collections.abc import Callable
from copy import deepcopy
from io import BytesIO
from typing import Any

import pytest
from pydicom import DataElement, Dataset, Sequence, dcmread
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RawDataStorage,
)

from ai.stand_in import StandInSegmenter
from node.encoding import _Context, _element, _UnusualError, file_bytes
from node.options import OutputOptions
from node.pipeline import process

MakeDx = Callable[..., Dataset]


def by_pydicom(dataset: Dataset) -> bytes:
    """Return what pydicom writes of a copy: what writing decodes stays undecoded for who writes next."""
    content = BytesIO()
    deepcopy(dataset).save_as(content, enforce_file_format=True)
    return content.getvalue()


def made(syntax: UID = ExplicitVRLittleEndian) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = RawDataStorage, UID("1.2.3")
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = RawDataStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    return dataset


def holding(item: Dataset, **attributes: Any) -> Dataset:
    """Return a data set with a sequence of one item, beside other attributes."""
    dataset = made()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.ContentSequence = [item]
    return dataset


def item(**attributes: Any) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    "options",
    [
        OutputOptions(
            orientation_shim=True, structure_report=True, presentation_state=True, secondary_capture=True
        ),
        OutputOptions(seg="labelmap", report="none"),
        OutputOptions(seg="fractional", report="none"),
    ],
    ids=["bits", "labelmap", "fractional"],
)
def test_results_are_as_pydicom_writes_them(make_dx: MakeDx, options: OutputOptions) -> None:
    source = make_dx(PatientID="ID-XXXX", AccessionNumber="A1  ", SpecificCharacterSet="ISO_IR 192")
    content = BytesIO(by_pydicom(source).replace(b"ID-XXXX", b"ID-\xe4\xf6\xfc\xdf"))
    for result in process(content, StandInSegmenter(), options).results:
        assert by_pydicom(result.dataset) == file_bytes(result.dataset) == result.content
        own = [element for element in result.dataset.elements() if element.VR == "SQ" and element.value]
        assert own
        assert [_element(element, _Context(["iso8859"])) for element in own]  # none is left to pydicom


def test_pixel_data_are_not_copied(make_dx: MakeDx) -> None:
    seg = process(BytesIO(by_pydicom(make_dx())), StandInSegmenter(), OutputOptions()).results[0]
    assert [piece for piece in seg.pieces if piece is seg.dataset.PixelData]


COMMON = {
    "text": item(CodeMeaning="even", CodeValue="odd", TextValue="a\\b"),
    "empty": item(CodeMeaning="", CodeValue=None, ReferencedSOPInstanceUID="", ConceptNameCodeSequence=[]),
    "uid": item(ReferencedSOPInstanceUID="1.2.3", ReferencedSOPClassUID="1.2.34"),
    "numbers": item(GraphicData=[0.5, 1.5], ReferencedFrameNumber=[1, 2], Rows=7, NumericValue="1.50"),
    "decimals": item(NumericValue=1.25, ReferencedFrameNumber=3, SliceThickness="1.0"),
    "tag": item(DimensionIndexPointer=0x00080018),
    "names": item(ImageType=["DERIVED", "PRIMARY"], Laterality="R"),
    "time": item(DateTime="20240102030405.5", Date="20240102", Time="030405"),
    "bytes": item(RedPaletteColorLookupTableData=b"\1\2", EncapsulatedDocument=b"odd"),
    "nested": item(ContentSequence=[item(ContentSequence=[item(TextValue="deep")]), Dataset()]),
}
UNUSUAL = {
    "person": item(PersonName="Greek^Name"),
    "tags": item(FrameIncrementPointer=[0x00181063, 0x00181065]),
    "charset": item(SpecificCharacterSet="ISO_IR 192", TextValue="Ω"),
    "group length": item(TextValue="words"),
    "letters": item(TextValue="äöü"),
    "ambiguous": item(PixelRepresentation=1, SmallestImagePixelValue=-3),
}
UNUSUAL["group length"].add_new(0x00400000, "UL", 12)


@pytest.mark.parametrize("name", COMMON)
def test_common_forms_are_written_directly(name: str) -> None:
    dataset = holding(COMMON[name])
    assert _element(dataset["ContentSequence"], _Context(["iso8859"]))
    assert by_pydicom(dataset) == file_bytes(dataset)


@pytest.mark.parametrize("name", UNUSUAL)
def test_unusual_forms_are_left_to_pydicom(name: str) -> None:
    dataset = holding(UNUSUAL[name], SpecificCharacterSet="ISO_IR 100")
    with pytest.raises(_UnusualError):
        _element(dataset["ContentSequence"], _Context(["latin_1"]))
    assert by_pydicom(dataset) == file_bytes(dataset)


def test_ambiguous_values_are_told_by_what_is_around_them() -> None:
    dataset = holding(item(SmallestImagePixelValue=-3), PixelRepresentation=1, LargestImagePixelValue=-1)
    expected = by_pydicom(dataset)
    content = file_bytes(dataset)
    assert content == expected
    read = dcmread(BytesIO(content))
    assert (read.LargestImagePixelValue, read.ContentSequence[0].SmallestImagePixelValue) == (-1, -3)


@pytest.mark.parametrize("charset", ["ISO_IR 13", ["ISO 2022 IR 13", "ISO 2022 IR 87"], "ISO_IR 192"])
def test_text_in_every_character_set(charset: Any) -> None:
    dataset = holding(item(TextValue="a~b", CodeMeaning="c"), SpecificCharacterSet=charset, PatientName="A^B")
    assert by_pydicom(dataset) == file_bytes(dataset)


UNDECODED = {
    "PatientID": b"ID-\xfc7",
    "PatientName": b"M\xfcller^J ",
    "AccessionNumber": b"A1\0\0",
    "StudyID": b"7   ",
    "StudyInstanceUID": b"1.2 ",
    "PatientSex": b"",
}


def with_undecoded(charset: Any, implicit: bool = False) -> Dataset:
    """Return a data set read so, with values that nobody has decoded yet."""
    dataset = holding(item(TextValue="words"), SpecificCharacterSet=charset)
    for keyword, value in UNDECODED.items():
        tag = BaseTag(tag_for_keyword(keyword) or 0)
        dataset[tag] = RawDataElement(tag, dictionary_VR(keyword), len(value), value, 0, implicit, True)
    dataset.set_original_encoding(implicit, True, dataset._character_set)
    return dataset


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 100", ["", "ISO 2022 IR 87"], "", None])
def test_what_nobody_decoded_is_written_as_it_is(charset: Any) -> None:
    dataset = with_undecoded(charset)
    expected = by_pydicom(dataset)
    content = file_bytes(dataset)
    assert content == expected
    read = dcmread(BytesIO(content))
    assert {keyword: read.get_item(keyword).value for keyword in UNDECODED} == UNDECODED


def test_what_was_read_in_another_encoding_is_decoded() -> None:
    implicit, recoded = with_undecoded("ISO_IR 100", implicit=True), with_undecoded("ISO_IR 100")
    recoded.SpecificCharacterSet = "ISO_IR 192"
    for dataset in (implicit, recoded):
        expected = by_pydicom(dataset)
        assert file_bytes(dataset) == expected
    assert "ü".encode() in expected


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_sequences_of_the_source_stay_as_they_came(syntax: UID) -> None:
    inner = item(PatientID="1", PersonName="A^B", TextValue="words")
    inner.is_undefined_length_sequence_item = True
    sent = made(syntax)
    sent.ReferencedRequestSequence = [inner]
    sent["ReferencedRequestSequence"].is_undefined_length = True
    read = dcmread(BytesIO(by_pydicom(sent)))
    dataset = made()
    dataset.ReferencedRequestSequence = Sequence(read.ReferencedRequestSequence)
    dataset.ContentSequence = [Dataset()]
    dataset.ContentSequence[0]._dict.update(read.ReferencedRequestSequence[0]._dict)
    assert by_pydicom(dataset) == file_bytes(dataset)


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_other_transfer_syntaxes_are_left_to_pydicom(syntax: UID) -> None:
    dataset = made(syntax)
    dataset.ContentSequence = [COMMON["text"]]
    assert by_pydicom(dataset) == file_bytes(dataset)


def test_text_that_is_too_long_for_its_length_becomes_unknown_as_with_pydicom() -> None:
    long = Dataset()
    long[0x00080104] = DataElement(0x00080104, "LO", ["x" * 60] * 1200)
    dataset = holding(long)
    with pytest.warns(UserWarning, match="exceeds"):
        expected = by_pydicom(dataset)
    with pytest.warns(UserWarning, match="exceeds"):
        assert file_bytes(dataset) == expected


def test_what_cannot_be_packed_is_pydicoms_to_refuse() -> None:
    dataset = holding(item(TextValue="words"))
    dataset.ContentSequence[0].Rows = 70000
    with pytest.raises(OSError, match="for data_element"):
        file_bytes(dataset)


def test_command_elements_are_pydicoms_to_refuse() -> None:
    dataset = made()
    dataset.add_new(0x00000002, "UI", "1.2.3")
    with pytest.raises(ValueError, match="Command Set"):
        file_bytes(dataset)


def test_file_meta_information_follows_the_data_set() -> None:
    dataset = holding(item(TextValue="words"))
    del dataset.file_meta.MediaStorageSOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.99")
    assert by_pydicom(dataset) == file_bytes(dataset)
    assert dcmread(BytesIO(file_bytes(dataset))).file_meta.MediaStorageSOPInstanceUID == "1.2.3"
