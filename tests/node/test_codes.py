import ast
import inspect

from pydicom import Dataset

from ai.labels import Code
from ai.measurement import Unit
from node import codes
from node.codes import code_item, concept_of, write_coding_schemes


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
