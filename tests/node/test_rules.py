"""What the rules of the settings make of an image."""

from pathlib import Path

import pytest
from pydicom import Dataset

from config.settings import Settings, load_settings
from node.jobs import Priority
from node.options import destinations_by_options
from node.rule_facts import Titles
from node.rules import NO_RULE, Decision, Fate, decide, explain

PLACES = """
[[peer]]
ae_title = "ER"
host = "h"
port = 1
[[destination]]
name = "pacs"
ae_title = "PACS"
host = "h"
port = 1
profile = "weasis"
[[destination]]
name = "viewer"
ae_title = "VIEWER"
host = "h"
port = 1
profile = "ohif"
"""
CHILD = 'when = [{ attribute = "age_years", below = 16 }]'
DX = 'when = [{ attribute = "Modality", is = "DX" }]'


def settings_of(folder: Path, *rules: str, more: str = "") -> Settings:
    path = folder / "node.toml"
    tables = [f'[[rule]]\nname = "r{number}"\n{rule}\n' for number, rule in enumerate(rules)]
    path.write_text(more + PLACES + "\n".join(tables), encoding="utf-8")
    return load_settings(path)


@pytest.fixture
def header() -> Dataset:
    dataset = Dataset()
    dataset.Modality, dataset.PatientAge, dataset.PatientName = "DX", "040Y", "Secret^Name"
    return dataset


def sent(decision: Decision) -> dict[str, str]:
    """Return which destination gets which grouping of segments, and how many structures."""
    return {
        name: f"{'shim' if options.orientation_shim else 'plain'} {len(options.structures)}"
        for options, names in decision.outputs.items()
        for name in names
    }


def test_without_rules_everything_goes_everywhere(tmp_path: Path, header: Dataset) -> None:
    settings = settings_of(tmp_path)

    assert decide(settings, header, Titles("X")) == Decision(outputs=destinations_by_options(settings))


def test_the_first_rule_that_holds_decides(tmp_path: Path, header: Dataset) -> None:
    rules = (CHILD + '\nignore = "no children"', DX + '\ndestinations = ["viewer"]', 'ignore = "the rest"')
    decision = decide(settings_of(tmp_path, *rules), header, Titles("X"))

    assert (decision.rules, list(sent(decision))) == (("r1",), ["viewer"])


def test_where_no_rule_holds_the_image_is_unmatched(tmp_path: Path, header: Dataset) -> None:
    decision = decide(settings_of(tmp_path, CHILD), header, Titles("X"))

    assert (decision.fate, decision.reason, decision.rules) == (Fate.UNMATCHED, NO_RULE, ())


def test_an_ignored_image_has_the_rule_and_its_reason(tmp_path: Path, header: Dataset) -> None:
    decision = decide(settings_of(tmp_path, DX + '\nignore = "a trial"'), header, Titles("X"))

    assert (decision.fate, decision.reason, decision.rules) == (Fate.IGNORED, "rule r0: a trial", ("r0",))
    assert decision.outputs == {}


def test_a_rule_without_actions_lets_everything_go_everywhere(tmp_path: Path, header: Dataset) -> None:
    settings = settings_of(tmp_path, DX)

    assert decide(settings, header, Titles("X")).outputs == destinations_by_options(settings)


def test_overrides_take_the_place_of_what_the_profile_says(tmp_path: Path, header: Dataset) -> None:
    actions = 'structures = ["heart"]\nmeasurements = ["heart width", "cardiothoracic ratio"]'
    decision = decide(settings_of(tmp_path, actions), header, Titles("X"))

    assert sent(decision) == {"pacs": "plain 1", "viewer": "shim 1"}  # the rest of each profile stays
    assert {o.measurements for o in decision.outputs} == {("cardiothoracic ratio", "heart width")}


def test_the_profile_of_a_rule_is_everybodys(tmp_path: Path, header: Dataset) -> None:
    decision = decide(settings_of(tmp_path, 'profile = "ohif"'), header, Titles("X"))

    assert list(decision.outputs.values()) == [("pacs", "viewer")]


def test_results_go_back_to_who_sent_the_image(tmp_path: Path, header: Dataset) -> None:
    settings = settings_of(tmp_path, 'destinations = ["pacs", "sender"]')

    assert list(sent(decide(settings, header, Titles("ER ")))) == ["pacs", "peer:ER"]


def test_a_sender_that_no_peer_names_costs_only_itself(tmp_path: Path, header: Dataset) -> None:
    both = decide(settings_of(tmp_path, 'destinations = ["pacs", "sender"]'), header, Titles("CR9"))
    alone = decide(settings_of(tmp_path, 'destinations = ["sender"]'), header, Titles("CR9"))

    assert list(sent(both)) == ["pacs"]
    assert both.remarks == ("nothing for the sender: no [[peer]] says where 'CR9' is reached",)
    assert (alone.fate, alone.rules, (alone.reason,)) == (Fate.UNMATCHED, ("r0",), both.remarks)


def test_with_match_all_destinations_add_up_and_the_first_says_the_rest(
    tmp_path: Path, header: Dataset
) -> None:
    rules = (
        DX + '\ndestinations = ["viewer"]\npriority = "low"',
        CHILD + '\ndestinations = ["sender"]\npriority = "urgent"',
        'destinations = ["pacs", "viewer"]\nprofile = "ohif"\npriority = "urgent"\nmodel = "other.zip"',
        'profile = "weasis"\nmodel = "third.zip"',
    )
    settings = settings_of(tmp_path, *rules, more='[routing]\nmatch = "all"\n')
    decision = decide(settings, header, Titles("ER"))

    assert decision.rules == ("r0", "r2", "r3")
    assert list(decision.outputs.values()) == [("viewer", "pacs")]
    assert (decision.priority, decision.model) == (Priority.LOW, "other.zip")


def test_with_match_all_any_rule_that_ignores_does(tmp_path: Path, header: Dataset) -> None:
    rules = ('destinations = ["pacs"]', DX + '\nignore = "a trial"')
    decision = decide(settings_of(tmp_path, *rules, more='[routing]\nmatch = "all"\n'), header, Titles("ER"))

    assert (decision.fate, decision.rules) == (Fate.IGNORED, ("r1",))


def test_without_destinations_results_stay_in_the_form_that_a_rule_says(
    tmp_path: Path, header: Dataset
) -> None:
    path = tmp_path / "node.toml"
    path.write_text('[[rule]]\nname = "r"\nstructures = ["heart"]\n', encoding="utf-8")
    ((options, names),) = decide(load_settings(path), header, Titles("X")).outputs.items()

    assert (options.structures, names) == (("heart",), ())


def test_an_explanation_has_every_rule_and_what_was_found(tmp_path: Path, header: Dataset) -> None:
    second = (
        'when = [{ attribute = "PatientName", contains = "secret" }, { attribute = "Modality", is = "CR" }]'
    )
    found = explain(settings_of(tmp_path, CHILD, second, DX, ""), header, Titles("X"))

    assert [(rule.name, rule.holds, rule.counts) for rule in found.rules] == [
        ("r0", False, False),
        ("r1", False, False),
        ("r2", True, True),
        ("r3", True, False),
    ]
    name, modality = found.rules[1].conditions
    assert (name.found, name.holds, modality.found, modality.holds) == (
        ("Secret^Name",),
        True,
        ("DX",),
        False,
    )
    assert "Secret" not in repr(found)  # a log would have it from there
