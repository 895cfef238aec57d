import pytest

from ai.field import PARTS, field_findings
from ai.measurement import Finding
from tests.ai.boxes import Field, MakeChest, MakeFilm, box


def test_lungs_inside_the_picture_have_all_their_parts_inside(
    make_film: MakeFilm, make_chest: MakeChest
) -> None:
    findings = field_findings(make_film(), make_chest())
    assert [finding.name for finding in findings] == [f"{part} inside the picture" for part, _, _ in PARTS]
    assert all(finding.holds for finding in findings)
    assert findings[0].structures == ("visible lung right",)
    assert findings[-1].structures == ("visible lung left",)


@pytest.mark.parametrize(
    ("part", "lung", "mask"),
    [
        ("right apex", "visible lung right", box((0, 420), (50, 200))),
        ("left apex", "visible lung left", box((0, 420), (300, 450))),
        ("right costophrenic base", "visible lung right", box((80, 600), (50, 200))),
        ("left costophrenic base", "visible lung left", box((80, 600), (300, 450))),
        ("right side", "visible lung right", box((80, 420), (0, 200))),
        ("left side", "visible lung left", box((80, 420), (300, 500))),
    ],
)
def test_part_that_lies_on_the_border_is_outside(
    make_film: MakeFilm, make_chest: MakeChest, part: str, lung: str, mask: Field
) -> None:
    heart = box((270, 560), (190, 330)) if "base" in part else box((270, 420), (190, 330))
    findings = field_findings(make_film(), make_chest({lung: mask, "heart": heart}))
    assert [finding.name for finding in findings if not finding.holds] == [f"{part} inside the picture"]


def test_touching_the_border_with_a_tip_is_inside(make_film: MakeFilm, make_chest: MakeChest) -> None:
    tip = box((80, 420), (50, 200)) | box((0, 80), (120, 126))
    findings = field_findings(make_film(), make_chest({"visible lung right": tip}))
    assert findings[0].holds


def test_one_lung_alone_may_be_on_either_side(make_film: MakeFilm, make_chest: MakeChest) -> None:
    findings = field_findings(make_film(), make_chest(without=("visible lung left",)))
    told = "not told: side and size of the other lung cannot be checked: visible lung left was not found"
    assert {finding.text for finding in findings} == {told}


def test_nothing_is_told_of_a_lateral_view(make_film: MakeFilm, make_chest: MakeChest) -> None:
    findings = field_findings(make_film(), make_chest(frontal=0.1))
    assert all(finding.holds is None and "lateral" in finding.reason for finding in findings)


def test_finding_has_an_answer_or_a_reason() -> None:
    assert (Finding("a", True).text, Finding("a", False).text) == ("yes", "no")
    with pytest.raises(ValueError, match="finding 'a' needs an answer or a reason"):
        Finding("a", None)
    with pytest.raises(ValueError, match="finding 'a' needs an answer or a reason"):
        Finding("a", True, "why")
