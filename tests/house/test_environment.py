"""docs/environment.md is true: each setting has a variable of its own, and no other variable is one."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from config.settings import Settings, SettingsError, load_settings
from tests.house.pages import DOCS

PAGE = (DOCS / "environment.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"`(PAXNODE_[A-Z_]+)=([^`]+)` \|", PAGE))
TABLES = ("profile", "destination", "web_destination", "peer", "rule")


def written(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return value if isinstance(value, str) else str(value) if isinstance(value, Path) else json.dumps(value)


def test_every_setting_can_be_given_as_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings()
    sections = [name for name in Settings.model_fields if name not in TABLES]
    for section in sections:
        table = getattr(defaults, section)
        for key in type(table).model_fields:
            monkeypatch.setenv(f"PAXNODE_{section}__{key}".upper(), written(getattr(table, key)))

    loaded = load_settings()
    assert [name for name in sections if getattr(loaded, name) != getattr(defaults, name)] == []
    assert len(sections) > 10


@pytest.mark.parametrize(("name", "value"), EXAMPLES.items())
def test_example_of_the_page_is_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(name, raising=False)
    before = load_settings()
    monkeypatch.setenv(name, value)

    assert load_settings() != before


def test_every_kind_of_value_has_an_example() -> None:
    assert (
        len(EXAMPLES)
        == len(re.findall(r"^\| (?!kind|---)[^|]+ \| [^|]+ \| `PAXNODE_", PAGE, re.MULTILINE))
        == 5
    )


def test_tables_that_may_stand_several_times_are_named() -> None:
    repeated = [name for name, field in Settings.model_fields.items() if field.default == ()]

    assert sorted(repeated) == sorted(TABLES)
    assert "(`profile`, `destination`, `web_destination`, `peer`, `rule`)" in PAGE


def test_a_variable_that_is_no_setting_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAXNODE_NODE__PROT", "104")

    with pytest.raises(SettingsError, match="PAXNODE_NODE__PROT"):
        load_settings()
