import pytest
from pydicom import Dataset

from ai.orientation import USUAL, Orientation
from ai.radiograph import View
from node.errors import RefusedImageError
from node.view import stated_view


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


@pytest.mark.parametrize("position", ["LLD", "RLD", "LLO", "RLO"])
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
