import re

import pytest
from pydicom import Dataset
from pydicom.sr.codedict import codes as standard_codes

from ai.orientation import USUAL, Orientation
from ai.radiograph import View
from node.errors import RefusedImageError
from node.view import BY_CODE, DECUBITUS_CODES, NOT_SERVED_CODES, stated_view

cid4010, cid20 = standard_codes.cid4010, standard_codes.cid20
CHEST_VIEW = re.compile(
    r"^((antero-posterior|postero-anterior|frontal|(left|right)( anterior| posterior)?)( oblique| lateral)?"
    r"|lateral|sagittal|oblique|lateral-medial|medial-lateral)$"
)


def _dataset(**attributes: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("position", "view"),
    [
        ("PA", View.PA),
        ("AP", View.AP),
        ("LL", View.LEFT_LATERAL),
        ("RL", View.RIGHT_LATERAL),
        ("LATERAL", View.LEFT_LATERAL),
        ("", View.UNKNOWN),
        ("XX", View.UNKNOWN),
    ],
)
def test_view_position_states_the_view(position: str, view: View) -> None:
    assert stated_view(_dataset(ViewPosition=position)).view is view


@pytest.mark.parametrize(
    ("position", "view"), [("AP", View.AP), ("PA", View.PA), ("XX", View.UNKNOWN), ("HFS", View.UNKNOWN)]
)
def test_patient_position_may_hide_the_view(position: str, view: View) -> None:
    assert stated_view(_dataset(ViewPosition="", PatientPosition=position)).view is view


@pytest.mark.parametrize(("code", "view"), [("272479007", View.PA), ("R-10236", View.LEFT_LATERAL)])
def test_view_code_sequence_states_the_view(code: str, view: View) -> None:
    assert stated_view(_dataset(ViewCodeSequence=[_dataset(CodeValue=code)])).view is view


@pytest.mark.parametrize("code", ["399067008", "30730003", "R-102CD"])
def test_a_lateral_view_without_its_side_is_lateral(code: str) -> None:
    assert stated_view(_dataset(ViewCodeSequence=[_dataset(CodeValue=code)])).view.is_lateral


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("399135007", "left anterior oblique"),
        ("R-10210", "right posterior oblique"),
        ("399182000", "oblique"),
    ],
)
@pytest.mark.parametrize("position", ["", "PA"])
def test_oblique_view_codes_are_refused_by_name(position: str, code: str, words: str) -> None:
    dataset = _dataset(ViewPosition=position, ViewCodeSequence=[_dataset(CodeValue=code)])
    with pytest.raises(RefusedImageError, match=f"View Code '{code}' .{words}. is not served"):
        stated_view(dataset)


def test_every_view_code_of_the_standard_that_shows_a_chest_is_known() -> None:
    """The others of CID 4010 are views of skull, foot and breast, or say at which angle the beam came."""
    table = {code.value: code.meaning for code in (getattr(cid4010, name) for name in cid4010.dir())}
    of_chests = {value for value, meaning in table.items() if CHEST_VIEW.search(meaning.lower())}
    assert of_chests <= set(BY_CODE) | set(NOT_SERVED_CODES)
    assert all(table[value].lower() == words for value, words in NOT_SERVED_CODES.items() if value in table)
    assert set(DECUBITUS_CODES) >= {
        code.value for code in (getattr(cid20, name) for name in cid20.dir()) if "lateral" in code.meaning
    }


@pytest.mark.parametrize("code", ["102536004", "F-10317"])
def test_a_patient_who_lies_on_a_side_is_refused(code: str) -> None:
    modifier = _dataset(PatientOrientationModifierCodeSequence=[_dataset(CodeValue=code)])
    dataset = _dataset(ViewPosition="AP", PatientOrientationCodeSequence=[modifier])
    with pytest.raises(RefusedImageError, match="lateral decubitus is not served"):
        stated_view(dataset)
    with pytest.raises(RefusedImageError, match="Patient Position 'HFDR'"):
        stated_view(_dataset(ViewPosition="AP", PatientPosition="HFDR"))


def test_a_supine_patient_is_served() -> None:
    modifier = _dataset(PatientOrientationModifierCodeSequence=[_dataset(CodeValue="40199007")])
    dataset = _dataset(ViewPosition="AP", PatientOrientationCodeSequence=[modifier], PatientPosition="HFS")
    assert stated_view(dataset).view is View.AP


def test_a_view_code_that_is_not_known_is_told() -> None:
    stated = stated_view(_dataset(ViewCodeSequence=[_dataset(CodeValue="12345")]))
    assert stated.view is View.UNKNOWN
    assert "View Code '12345' is not known and was ignored" in stated.notes


@pytest.mark.parametrize("position", ["LLD", "RLD", "LLO", "RLO", "LAO", "RPO", "OBLIQUE"])
def test_decubitus_and_oblique_views_are_refused_by_name(position: str) -> None:
    with pytest.raises(RefusedImageError, match=f"View Position '{position}'"):
        stated_view(_dataset(ViewPosition=position))


@pytest.mark.parametrize("first", ["A", "P"])
def test_patient_orientation_alone_may_say_lateral(first: str) -> None:
    stated = stated_view(_dataset(PatientOrientation=[first, "F"]))
    assert stated.view.is_lateral
    assert stated.orientation == USUAL


def test_a_mirrored_frontal_view_is_respected_and_told() -> None:
    stated = stated_view(_dataset(ViewPosition="PA", PatientOrientation=["R", "F"]))
    assert stated.orientation == Orientation(flip_columns=True)
    assert "R\\F" in stated.notes[0]


def test_the_usual_orientation_leaves_no_note() -> None:
    assert stated_view(_dataset(ViewPosition="AP", PatientOrientation=["L", "F"])).notes == ()


def test_an_orientation_that_contradicts_a_frontal_view_is_ignored_and_told() -> None:
    stated = stated_view(_dataset(ViewPosition="PA", PatientOrientation=["A", "F"]))
    assert stated.view is View.PA
    assert "ignored" in stated.notes[0]


@pytest.mark.parametrize("attributes", [{}, {"PatientOrientation": ["L"]}, {"PatientOrientation": ["", ""]}])
def test_a_frontal_view_without_an_orientation_is_taken_as_usual_and_told(
    attributes: dict[str, object],
) -> None:
    stated = stated_view(_dataset(ViewPosition="PA", **attributes))
    assert stated.orientation == USUAL
    (note,) = stated.notes
    assert note.startswith(
        "Patient Orientation is not stated: the usual one (left of the patient at the right"
    )


def test_a_lateral_view_needs_no_orientation() -> None:
    assert stated_view(_dataset(ViewPosition="LL")).notes == ()
