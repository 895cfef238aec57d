"""What may stand in rules, and how a mistake in one is told: file, line, key, nearest known name."""

from pathlib import Path

import pytest

from ai.anatomy import Group
from ai.labels import LABELS
from ai.radiograph import View
from config.attributes import VIEWS
from config.conditions import Condition, Operator
from config.errors import SettingsError
from config.settings import Settings, load_settings
from config.terms import GROUPS, STRUCTURES
from node.view import NOT_SERVED

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
"""
FIRST_LINE = PLACES.count("\n") + 1


def load(folder: Path, text: str) -> Settings:
    path = folder / "my-node.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def problem(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def rule(rest: str = "", name: str = "mine") -> str:
    return f'{PLACES}[[rule]]\nname = "{name}"\n{rest}\n'


def when(condition: str) -> str:
    return rule(f"when = [{{ {condition} }}]")


def test_names_of_the_model_are_those_of_the_label_table() -> None:
    assert tuple(item.name for item in LABELS) == STRUCTURES
    assert tuple(map(str, Group)) == GROUPS


def test_views_are_those_that_can_be_found() -> None:
    assert {view.value for view in View if view.value} | set(NOT_SERVED) == set(VIEWS)


def test_a_rule_holds_what_was_written(tmp_path: Path) -> None:
    conditions = (
        '{ attribute = "AnatomicRegionSequence.CodeValue", one_of = [" 51185008", "T-D3000"] }, '
        '{ attribute = "StudyDate", at_least = 2025-01-31 }, { attribute = "age_years", below = 16 }'
    )
    (found,) = load(tmp_path, rule(f'when = [{conditions}]\ndestinations = ["pacs", "sender"]')).rule

    region, date, age = found.when
    assert (region.operator, region.wanted) == (Operator.ONE_OF, ("51185008", "T-D3000"))
    assert (date.wanted, age.wanted) == (("20250131",), (16.0,))
    assert found.destinations == ("pacs", "sender")


def test_a_condition_can_be_made_of_what_it_dumps() -> None:
    condition = Condition.model_validate({"attribute": "Modality", "is": "DX"})

    assert Condition.model_validate(condition.model_dump()) == condition


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ('attribute = "BodyPartExamind", is = "CHEST"', "did you mean 'BodyPartExamined'?"),
        ('attribute = "age_year", below = 16', "did you mean 'age_years'?"),
        ('attribute = "Modality.CodeValue", is = "x"', "'Modality' in 'Modality.CodeValue' is no sequence"),
        ('attribute = "ViewCodeSequence.CodeValu", is = "x"', "did you mean 'CodeValue'?"),
        ('attribute = "Modality", iss = "DX"', "knows no operator 'iss'; did you mean 'is'?"),
        ('attribute = "Modality"', "needs exactly one operator for 'Modality', found none"),
        ('attribute = "Modality", is = "DX", is_not = "CR"', "found is, is_not"),
        ('is = "DX"', "needs an 'attribute'"),
        (
            'attribute = "TransferSyntaxUID", is = "1.2"',
            "'TransferSyntaxUID' is no part of an image's data set",
        ),
        ('attribute = "PatientName", below = 3', "cannot compare 'PatientName' by 'below': it holds text"),
        ('attribute = "PatientAge", below = 16', "cannot compare 'PatientAge' by 'below'"),
        ('attribute = "Rows", contains = "3"', "cannot compare 'Rows' by 'contains': it holds numbers"),
        ('attribute = "StudyDate", contains = "2025"', "it holds dates"),
        ('attribute = "PixelData", is = "x"', "possible are exists"),
        ('attribute = "Rows", is = "512"', "'is' must be a number here, found '512'"),
        ('attribute = "Rows", below = true', "'below' must be a number here, found True"),
        ('attribute = "Rows", below = nan', "'below' must be a number here"),
        ('attribute = "Modality", is = 5', "'is' must be text in quotation marks here, found 5"),
        ('attribute = "Modality", is = " "', "must not be empty: exists = false asks for no value"),
        ('attribute = "Modality", one_of = "DX"', "'one_of' must be a list"),
        ('attribute = "Modality", one_of = []', "with at least one value, found []"),
        ('attribute = "Modality", exists = "yes"', "'exists' must be true or false, found 'yes'"),
        ('attribute = "StudyDate", below = "2025-02-40"', "must be a date here"),
        ('attribute = "StationName", matches = "a**"', "is no regular expression"),
        ('attribute = "StationName", matches = "(a+)+"', "must not repeat a group"),
        ('attribute = "view", is = "PAA"', "'view' must be one of PA, AP"),
        ('attribute = "sop_class", is = "Digital X-Ray Image Storage"', "did you mean 'Digital X-Ray Image"),
    ],
)
def test_a_wrong_condition_is_told_with_its_line(tmp_path: Path, condition: str, words: str) -> None:
    told = problem(tmp_path, when(condition))

    assert told.startswith(f"my-node.toml, line {FIRST_LINE + 2}: 'when' in [rule] ")
    assert words in told


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            'destinations = ["pax"]',
            "'destinations' in [rule] must name destinations, found 'pax'; did you mean 'pacs'?",
        ),
        (
            'profile = "wasis"',
            "'profile' in [rule] must name a profile, found 'wasis'; did you mean 'weasis'?",
        ),
        (
            'structures = ["hart"]',
            "'structures' in [rule] must name structures or groups of them, found 'hart'; did you",
        ),
        (
            'measurements = ["heart with"]',
            "must name measurements, found 'heart with'; did you mean 'heart width'?",
        ),
        ('priority = "soon"', "'priority' in [rule] must be"),
        ('destination = ["pacs"]', "unknown key 'destination' in [rule]; did you mean 'destinations'?"),
        ('ignore = "why"\nprofile = "ohif"', "an image that is ignored has no results, and no profile"),
    ],
)
def test_a_wrong_action_is_told_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    told = problem(tmp_path, rule(line))

    assert f"my-node.toml, line {FIRST_LINE}" in told or f"line {FIRST_LINE + 2}: " in told
    assert words in told


def test_sender_needs_a_peer_and_a_name_of_its_own(tmp_path: Path) -> None:
    back = '[[rule]]\nname = "back"\ndestinations = ["sender"]\n'

    assert "no [[peer]] says where any AE title is reached" in problem(tmp_path, back)
    assert "call the destination otherwise" in problem(tmp_path, PLACES.replace('"pacs"', '"sender"') + back)


def test_rules_have_names_of_their_own(tmp_path: Path) -> None:
    assert "found twice: mine" in problem(tmp_path, rule() + '[[rule]]\nname = "mine"\n')


def test_an_ae_title_that_is_not_let_in_is_told(tmp_path: Path) -> None:
    node = '[node]\ncalling_ae_titles = ["CR1", "ER"]\n'
    text = node + when('attribute = "calling_ae_title", one_of = ["ER", "CR2"]')

    assert "asks for 'CR2', and calling_ae_titles in [node] lets only others in; did" in problem(
        tmp_path, text
    )


def test_a_peer_is_a_destination_only_where_a_rule_sends_back(tmp_path: Path) -> None:
    assert load(tmp_path, rule()).returns == ()
    settings = load(tmp_path, rule('destinations = ["sender"]'))
    (back,) = settings.returns
    assert (back.name, back.ae_title, back.host, back.port) == ("peer:ER", "ER", "h", 1)
    assert [each.name for each in settings.every_destination] == ["pacs", "peer:ER"]
    assert [each.name for each in settings.destinations] == ["pacs"]
