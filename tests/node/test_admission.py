from collections.abc import Callable

import pytest
from pydicom import DataElement, Dataset
from pydicom.uid import CTImageStorage, SecondaryCaptureImageStorage

from node.admission import check_admission
from node.errors import RefusedImageError, UndecodableError

MakeDx = Callable[..., Dataset]


def _item(**attributes: object) -> Dataset:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"SOPClassUID": CTImageStorage}, "SOP Class UID CT Image Storage"),
        ({"SOPClassUID": "1.2.3.4"}, "SOP Class UID '1.2.3.4'"),
        ({"Modality": "CT"}, "Modality 'CT'"),
        ({"Modality": "MG"}, "Modality 'MG'"),
        ({"Modality": "XC", "SOPClassUID": SecondaryCaptureImageStorage}, "Modality 'XC'"),
        ({"Modality": "ZZ", "SOPClassUID": SecondaryCaptureImageStorage}, "Modality 'ZZ'"),
        ({"BodyPartExamined": "HAND"}, "Body Part Examined 'HAND'"),
        ({"BodyPartExamined": "KNEE"}, "Body Part Examined 'KNEE'"),
        ({"BodyPartExamined": "PELVIS"}, "Body Part Examined 'PELVIS'"),
        ({"BodyPartExamined": "SKULL"}, "Body Part Examined 'SKULL'"),
        (
            {"BodyPartExamined": "", "AnatomicRegionSequence": [_item(CodeValue="T-D8000")]},
            "Anatomic Region Sequence 'T-D8000'",
        ),
        ({"PatientSpeciesDescription": "Canine"}, "Patient Species 'CANINE'"),
        ({"PatientSpeciesCodeSequence": [_item(CodeValue="448771007")]}, "Patient Species '448771007'"),
        ({"PatientBreedDescription": "Beagle"}, "Patient Breed is stated"),
        ({"NumberOfFrames": 2}, "Number of Frames 2"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "'PALETTE COLOR' with Samples per Pixel 1"),
    ],
)
def test_what_is_not_served_is_refused_by_attribute_and_value(
    make_dx: MakeDx, attributes: dict[str, object], reason: str
) -> None:
    with pytest.raises(RefusedImageError, match=reason):
        check_admission(make_dx(**attributes))


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        *(
            {"BodyPartExamined": part}
            for part in ("THORAX", "LUNG", "RIBCAGE", "PORTABLE CHEST", "", "UNKNOWN")
        ),
        *({"Modality": modality} for modality in ("CR", "RG", "DR", "XR", "", "UNHEARD OF")),
        *({"Modality": m, "SOPClassUID": SecondaryCaptureImageStorage} for m in ("CR", "DX", "RG", "OT", "")),
        {"BodyPartExamined": "", "AnatomicRegionSequence": [_item(CodeValue="51185008")]},
        {"PatientSpeciesDescription": "Homo sapiens"},
        {"NumberOfFrames": 1},
    ],
)
def test_chest_radiographs_are_admitted_whatever_their_words(
    make_dx: MakeDx, attributes: dict[str, object]
) -> None:
    check_admission(make_dx(**attributes))


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
def test_images_that_no_result_can_point_to_are_undecodable(make_dx: MakeDx, keyword: str) -> None:
    dataset = make_dx()
    delattr(dataset, keyword)
    with pytest.raises(UndecodableError, match="missing or malformed"):
        check_admission(dataset)


@pytest.mark.parametrize("found", [["1.2.3", "1.2.4"], "1.2.a", "1.2.3\\4"])
def test_uids_that_are_none_or_several_are_undecodable(make_dx: MakeDx, found: object) -> None:
    with pytest.raises(UndecodableError, match=r"Series Instance UID .* is missing or malformed"):
        check_admission(make_dx(SeriesInstanceUID=found))


def test_uid_with_the_value_representation_of_a_number_is_undecodable(make_dx: MakeDx) -> None:
    dataset = make_dx()
    dataset["SeriesInstanceUID"] = DataElement("SeriesInstanceUID", "US", [24158, 15710])
    with pytest.raises(UndecodableError, match=r"Series Instance UID .* is missing or malformed"):
        check_admission(dataset)


def test_a_reason_never_quotes_free_text(make_dx: MakeDx) -> None:
    with pytest.raises(RefusedImageError) as caught:
        check_admission(make_dx(BodyPartExamined="HAND (A PERSON)"))
    assert "person" not in str(caught.value).lower()
