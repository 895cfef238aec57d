"""What differs between two settings files, without what is secret."""

import pytest

from config.differences import Change, changes, masked
from config.errors import SettingsError
from config.settings import Settings
from config.source import SECRET_KEYS, Source, is_secret

PACS = '[[destination]]\nname = "pacs"\nport = 104\n'
WEB = '[[web_destination]]\nname = "web"\nurl = "https://192.0.2.1/web"\npassword = "{}"\n'
VNA = '[[destination]]\nname = "vna"\nport = 105\n'


def found(before: str, after: str) -> list[Change]:
    return list(changes(Source.parsed("a", before, {}), Source.parsed("b", after, {})))


def test_value_that_differs_is_shown_with_its_place() -> None:
    assert found("[node]\nport = 104", "[node]\nport = 105") == [Change("[node] port", "104", "105")]


def test_value_that_is_not_set_is_shown_with_its_default() -> None:
    assert found("", "[node]\nport = 105") == [Change("[node] port", "not set (11112)", "105")]


def test_texts_lists_and_truth_are_shown_as_toml() -> None:
    [title, called, only] = found(
        '[node]\nae_title = "A"\ncalled_ae_titles = ["A"]\n[tls]\nonly = false',
        '[node]\nae_title = "B"\ncalled_ae_titles = ["A", "B"]\n[tls]\nonly = true',
    )
    assert title == Change("[node] ae_title", '"A"', '"B"')
    assert called == Change("[node] called_ae_titles", '["A"]', '["A", "B"]')
    assert only == Change("[tls] only", "false", "true")


def test_table_is_known_by_its_name_wherever_it_stands() -> None:
    changed = VNA.replace("105", "106")
    assert found(PACS + VNA, PACS + changed) == [Change("[[destination]] vna: port", "105", "106")]
    assert found(PACS, PACS + VNA) == [
        Change("[[destination]] vna", "not there", '{ name = "vna", port = 105 }')
    ]


def test_order_of_tables_is_told() -> None:
    assert found(PACS + VNA, VNA + PACS) == [Change("[[destination]] order", "pacs, vna", "vna, pacs")]


def test_comments_and_order_of_sections_are_no_difference() -> None:
    assert found("[node]\nport = 1 # one\n[tls]\nonly = false", "[tls]\nonly = false\n[node]\nport = 1") == []


def test_secret_that_differs_is_told_and_not_shown() -> None:
    assert found(WEB.format("first"), WEB.format("second")) == [
        Change("[[web_destination]] web: password", "***", "***")
    ]
    [added] = found("", WEB.format("first"))
    assert "first" not in added.after
    assert "192.0.2.1" not in added.after


def test_text_is_shown_with_stars_also_in_comments() -> None:
    text = (
        '# password = "one"\n[database]\nurl = "postgresql://u:two@h/d"  # url = "three"\n'
        + WEB.format("four")
        + 'token = """five\nfive"""\n'
    )
    shown = masked(text)
    for secret in ("one", "two", "three", "four", "five"):
        assert secret not in shown
    assert shown.count("***") == 6
    assert 'name = "web"' in shown


@pytest.mark.parametrize(
    "text",
    [
        'pasword = "canary"',
        '[database]\nPassword = "canary"',
        '[database]\napi_token = "canary"',
        '[database.url]\nx = "canary"\ny = ["canary", [{ z = "canary" }]]',
        'url = ["canary", 7]',
        '[[token]]\na = "canary"',
        '[rule]\nwhen = [[{ pasword = "canary" }]]',
        "# password: canary",
        '# "API-Token" = "canary"',
        "port = 1  # the password is canary",
        "# was postgresql://node:canary@db/q",
    ],
)
def test_what_may_be_a_secret_never_shows(text: str) -> None:
    assert "canary" not in masked(text)
    if not text.startswith("#"):
        assert "canary" not in str(found("", text)) + str(found(text, ""))


def test_every_other_key_can_be_read() -> None:
    fields = Settings.model_json_schema()
    tables = [fields, *fields["$defs"].values()]
    keys = {key for table in tables for key in table.get("properties", {})}
    assert len(keys) > 80
    assert {key for key in keys if is_secret(key)} == SECRET_KEYS


def test_text_of_which_secrets_cannot_be_told_is_not_shown() -> None:
    with pytest.raises(SettingsError, match="cannot be shown without its secrets"):
        masked('[[d.x]]\nurl = "u"\n[e.x]\n[d.x.y]\n')
