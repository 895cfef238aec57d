"""Rules that leave images unmatched are told, with the rule to add."""

import pytest

from config.settings import Settings
from node.unmatched import unmatched_warning

LATERALS = {
    "name": "laterals",
    "when": [{"attribute": "view", "one_of": ["LL", "RL"]}],
    "ignore": "frontal only",
}
ADULTS = {
    "name": "adults",
    "when": [{"attribute": "Modality", "is": "DX"}, {"attribute": "age_years", "at_least": 16}],
}


def _told(*rules: object, match: str = "first") -> str:
    return unmatched_warning(Settings.model_validate({"rule": rules, "routing": {"match": match}}))


@pytest.mark.parametrize("match", ["first", "all"])
def test_images_that_no_rule_matches_are_named_with_the_rule_to_add(match: str) -> None:
    said = _told(LATERALS, ADULTS, match=match)

    assert "every image but these stays unmatched, kept and not worked on" in said
    assert (
        "view one of LL, RL (rule laterals); Modality is DX and age_years at least 16 (rule adults)." in said
    )
    assert '[[rule]], and below it name = "everything-else"' in said


def test_rule_without_conditions_leaves_none_unmatched() -> None:
    assert _told() == ""
    assert _told(LATERALS, {"name": "everything-else"}) == ""


def test_many_rules_and_long_conditions_are_not_all_told() -> None:
    stations = {"attribute": "station", "one_of": [f"ROOM{number}" for number in range(100)]}
    said = _told(*({"name": f"r{number}", "when": [stations]} for number in range(7)))

    assert said.count("ROOM0, ") == 5
    assert "; and those of 2 more. " in said
    assert len(said) < 1100
