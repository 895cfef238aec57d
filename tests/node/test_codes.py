import ast
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sr._concepts_dict import concepts

from ai.labels import LABELS, Code, label
from ai.measurement import Unit
from ai.segmentation import Mask
from ai.stand_in import StandInSegmenter
from node import codes
from node.codes import code_item, concept_of, write_coding_schemes
from node.options import OutputOptions
from node.pipeline import understand, write

MakeDx = Callable[..., Dataset]


def _text_item(code: Code) -> Dataset:
    item = Dataset()
    item.ConceptNameCodeSequence = [code_item(code)]
    return item


def test_the_private_scheme_is_identified_where_one_of_its_codes_is_used_however_deep() -> None:
    inner, result = Dataset(), Dataset()
    inner.ContentSequence = [_text_item(codes.COMMENT), _text_item(codes.NOT_COMPUTED)]
    result.ContentSequence = [inner]
    write_coding_schemes(result)
    (scheme,) = result.CodingSchemeIdentificationSequence
    assert scheme.CodingSchemeDesignator == "99PAXNODE"
    assert scheme.CodingSchemeName
    assert scheme.CodingSchemeResponsibleOrganization == "paxnode"


def test_without_a_private_code_no_scheme_is_identified() -> None:
    result = Dataset()
    result.ContentSequence = [_text_item(codes.COMMENT)]
    write_coding_schemes(result)
    assert "CodingSchemeIdentificationSequence" not in result


def test_private_codes_differ_and_fit_their_value_representations() -> None:
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(codes))) if isinstance(node, ast.Call)]
    own = [
        (ast.literal_eval(call.args[0]), ast.literal_eval(call.args[2]))
        for call in calls
        if len(call.args) == 3 and isinstance(call.args[1], ast.Name) and call.args[1].id == "PRIVATE_SCHEME"
    ]
    assert len({value for value, _ in own}) == len(own) > 0
    assert all(len(value) <= 16 and len(meaning) <= 64 for value, meaning in own)  # SH and LO, PS3.5 6.2


def test_a_measurement_without_a_concept_of_its_own_has_that_of_its_unit() -> None:
    assert concept_of("heart width", Unit.MILLIMETRE) == codes.WIDTH
    assert concept_of("something new", Unit.PERCENT).scheme == codes.PRIVATE_SCHEME


def test_every_unit_has_a_code() -> None:
    assert set(codes.UNITS) == set(codes.BY_UNIT) == set(Unit)


Entry = tuple[str, str]
"""Coding Scheme Designator and Code Value."""


def _tables() -> dict[Entry, dict[str, set[int]]]:
    """Return each code's meanings in PS3.16 as pydicom carries it, and the context groups that list it so.

    A meaning without a context group is of Annex D (DCM), of a template, or SNOMED CT's fully specified name,
    which ends with its kind in brackets.
    """
    found: dict[Entry, dict[str, set[int]]] = {}
    tables: dict[str, Any] = concepts
    for scheme, by_keyword in tables.items():
        for by_value in by_keyword.values():
            for value, (meaning, groups) in by_value.items():
                found.setdefault((scheme, value), {}).setdefault(meaning, set()).update(groups)
    return found


TABLES = _tables()

RIBS = (
    Code("48535007", "SCT", "First rib"),
    Code("78247007", "SCT", "Second rib"),
    Code("25888004", "SCT", "Third rib"),
    Code("25523003", "SCT", "Fourth rib"),
    Code("15339008", "SCT", "Fifth rib"),
    Code("59558009", "SCT", "Sixth rib"),
    Code("24915002", "SCT", "Seventh rib"),
    Code("5953002", "SCT", "Eighth rib"),
    Code("22565002", "SCT", "Ninth rib"),
    Code("77644006", "SCT", "Tenth rib"),
    Code("58830002", "SCT", "Eleventh rib"),
    Code("43993008", "SCT", "Twelfth rib"),
)
TOTALSEGMENTATOR = "SNOMED CT, as in the terminology of TotalSegmentator"
OUTSIDE_THE_TABLES = {
    **dict.fromkeys(RIBS, f"{TOTALSEGMENTATOR} and the AAPM TG-263 value set of HL7 CodeX"),
    Code("74281007", "SCT", "Myocardium"): TOTALSEGMENTATOR,
    codes.PROCEDURE_REPORTED: "SNOMED CT, Plain X-ray of chest (procedure); no member of CID 100, a baseline",
    codes.QUALITATIVE_EVALUATIONS: "PS3.16 TID 1500, the row of that container",
    Code("260753009", "SCT", "Source"): "PS3.16 TID 1410, source image of a region, by way of highdicom",
    Code("276214006", "SCT", "Finding category"): "PS3.16 TID 1410, by way of highdicom",
    Code("en-US", "RFC5646", "English (United States)"): "PS3.16 TID 1204, by way of highdicom",
}
"""Public codes that no table of pydicom holds with this meaning, and where each is from. A new one fails."""


def _is_known(code: Code, in_any_case: bool = False) -> bool:
    """Whether the code has a meaning that PS3.16 gives it; a unit's may be the unit itself (PS3.16 7.2.2).

    Args:
        code: A public one.
        in_any_case: Whether capitals do not count, for highdicom writes some meanings with others.
    """
    meanings = {meaning for meaning in TABLES.get((code.scheme, code.value), {}) if not meaning.endswith(")")}
    if meanings and code.scheme == "UCUM":
        meanings.add(code.value)
    if in_any_case and code.meaning.lower() in {meaning.lower() for meaning in meanings}:
        return True
    return code in OUTSIDE_THE_TABLES or code.meaning in meanings


def _codes_of(value: object) -> Iterator[Code]:
    if isinstance(value, Code):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _codes_of(each)
    elif isinstance(value, tuple | list):
        for each in value:
            yield from _codes_of(each)


WRITTEN_DOWN = {
    *(
        code
        for value in vars(codes).values()
        for code in _codes_of(value)
        if code.scheme != codes.PRIVATE_SCHEME
    ),
    *(code for item in LABELS for code in (item.category, item.type, *item.modifiers)),
}
"""Every public code of node/codes.py and ai/labels.csv."""


@pytest.mark.parametrize(
    "code", sorted(WRITTEN_DOWN, key=str), ids=lambda code: f"{code.scheme} {code.value}"
)
def test_every_public_code_has_the_meaning_of_the_standards_tables(code: Code) -> None:
    assert _is_known(code), f"{code}; the tables have {TABLES.get((code.scheme, code.value))}"


def test_codes_that_no_table_holds_are_few_and_each_is_used(results: list[Dataset]) -> None:
    used = {*WRITTEN_DOWN, *(code for result in results for code in _items(result))}
    assert [code for code in OUTSIDE_THE_TABLES if code not in used] == []
    held = [code for code in OUTSIDE_THE_TABLES if code.meaning in TABLES.get((code.scheme, code.value), {})]
    assert held == []


def test_placeholders_and_wrong_meanings_would_be_found() -> None:
    assert not _is_known(Code("123109", "DCM", "Artificial Intelligence"))
    assert not _is_known(Code("113076", "DCM", "Source image for image processing operation"))
    assert not _is_known(Code("00000000", "SCT", "Lung"))
    assert not _is_known(Code("39607008", "SCT", "Lung structure (body structure)"))


ASKED_FOR: list[tuple[int, str, Iterable[Code]]] = [
    (7021, "Concept Name of the root, TID 1500", [codes.REPORT_TITLE]),
    (7162, "Algorithm Family Code Sequence", [codes.ARTIFICIAL_INTELLIGENCE]),
    (7202, "Purpose of Reference Code Sequence of a source image", [codes.SOURCE_IMAGE]),
    (7203, "Derivation Code Sequence", [codes.SEGMENTATION]),
    (7150, "Segmented Property Category Code Sequence", {item.category for item in LABELS}),
    (244, "Laterality of a finding site", codes.SIDES),
    (
        2,
        "Topographical modifier of a finding site",
        {code for each in LABELS if (code := codes.part_of(each))},
    ),
    (230, "yes and no", [codes.YES, codes.NO]),
    (7464, "Derivation of a measurement", codes.DERIVATIONS.values()),
    (7551, "purpose of the images of a measurement, TID 320", [codes.SOURCE_OF_MEASUREMENT]),
    (7470, "linear measurements", [codes.WIDTH, codes.DISTANCE, codes.HEIGHT]),
    (7471, "area measurements", [codes.AREA]),
    (12304, "angles", [codes.ANGLE]),
    (7460, "units of lengths", [codes.UNITS[Unit.MILLIMETRE]]),
    (7461, "units of areas", [codes.UNITS[Unit.SQUARE_CENTIMETRE]]),
    (7183, "units of angles", [codes.UNITS[Unit.DEGREE]]),
    (7181, "other units", [codes.UNITS[unit] for unit in (Unit.RATIO, Unit.PERCENT, Unit.COUNT)]),
    (7151, "Finding of a line without a structure", [codes.THORAX]),
]
"""Context groups, what asks for them, and what we answer."""


@pytest.mark.parametrize(("cid", "what", "ours"), ASKED_FOR, ids=[f"CID {cid}" for cid, *_ in ASKED_FOR])
def test_a_code_is_of_the_context_group_that_is_asked_for(cid: int, what: str, ours: Iterable[Code]) -> None:
    members = {
        entry for entry, meanings in TABLES.items() if any(cid in groups for groups in meanings.values())
    }
    assert members
    given = {(code.scheme, code.value) for code in ours}
    assert given
    assert given <= members, what


def test_types_outside_cid_7151_are_ribs_the_myocardium_and_the_zones_of_the_lung() -> None:
    listed = {
        entry for entry, meanings in TABLES.items() if any(7151 in groups for groups in meanings.values())
    }
    others = {item.type for item in LABELS if (item.type.scheme, item.type.value) not in listed}
    zones = {code for code in others if code not in OUTSIDE_THE_TABLES}
    assert others - zones == {*RIBS, Code("74281007", "SCT", "Myocardium")}
    assert all(6171 in TABLES[code.scheme, code.value][code.meaning] for code in zones)  # lung zones
    assert len(zones) == 3


def test_both_sides_are_a_laterality_and_leave_room_for_the_part() -> None:
    rib = label("posterior 9th rib")
    assert codes.side_of(rib) == codes.BILATERAL
    assert codes.part_of(rib) == Code("255551008", "SCT", "Posterior")
    assert codes.part_of(label("lung")) is None
    assert codes.side_of(label("upper mediastinum")) is None
    for item in LABELS:
        said = [code for code in (codes.side_of(item), codes.part_of(item)) if code]
        assert set(said) == set(item.modifiers)  # nothing is left out


@pytest.fixture(scope="module")
def results(make_dx: MakeDx) -> list[Dataset]:
    """Every kind of object, as somebody reads it who was sent its bytes."""
    content = BytesIO()
    make_dx(rows=128, columns=96, ViewPosition="AP").save_as(content, enforce_file_format=True)
    content.seek(0)
    found = understand(content, StandInSegmenter(), lambda stage, seconds: None)
    box = np.ones((20, 20), np.bool_)
    ribs = [item.name for item in LABELS if "rib" in item.name] + ["heart myocardium"]
    masks = {**found.segmentation.masks, **{name: Mask(box, 10, 10) for name in ribs}}
    found = replace(found, segmentation=replace(found.segmentation, masks=masks))
    options = OutputOptions(structure_report=True, presentation_state=True, secondary_capture=True)
    again: list[Dataset] = []
    for result in write(found, options):
        content = BytesIO()
        result.dataset.save_as(content, enforce_file_format=True)
        content.seek(0)
        again.append(dcmread(content))
    return again


def _items(dataset: Dataset) -> Iterator[Code]:
    """Yield every code of a result, also those that highdicom put there."""
    if "CodeValue" in dataset:
        yield Code(dataset.CodeValue, dataset.CodingSchemeDesignator, dataset.CodeMeaning)
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _items(item)


def test_every_code_in_every_kind_of_object_is_public_and_right_or_identified_as_ours(
    results: list[Dataset],
) -> None:
    assert {result.Modality for result in results} == {"SEG", "SR", "PR", "OT"}
    for result in results:
        found = set(_items(result))
        schemes = [
            item.CodingSchemeDesignator for item in result.get("CodingSchemeIdentificationSequence", [])
        ]
        private = {code for code in found if code.scheme in schemes}
        assert [
            code for code in sorted(found - private, key=str) if not _is_known(code, in_any_case=True)
        ] == []
        assert private == {code for code in found if code.scheme.startswith("99")}
