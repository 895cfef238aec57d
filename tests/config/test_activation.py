"""The active settings file: what could not be written leaves no trace, nobody overwrites what came since."""

import os
from pathlib import Path

import pytest

from config.activation import ActiveFile
from config.errors import SettingsChangedError, SettingsError
from config.settings import settings_of
from config.source import Source
from config.versions import INDEX, digest_of

FIRST, SECOND = "[node]\nport = 104\n", "[node]\nport = 105\n"


@pytest.fixture
def active(tmp_path: Path) -> ActiveFile:
    path = tmp_path / "node.toml"
    path.write_text(FIRST)
    return ActiveFile(path, settings_of)


def _activate(active: ActiveFile, text: str, began: str = "") -> None:
    active.activate_source(Source.parsed("candidate", text, {}), "anna", began=began)


@pytest.mark.parametrize("broken", ["node.toml", INDEX])
def test_text_that_could_not_be_written_is_neither_active_nor_a_version(
    active: ActiveFile, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    _activate(active, FIRST)
    rename = os.rename

    def cannot(source: Path, target: Path) -> None:
        if target.name == broken:
            raise OSError(30, "Read-only file system")
        rename(source, target)

    monkeypatch.setattr(os, "rename", cannot)
    with pytest.raises(SettingsError, match="Read-only file system"):
        _activate(active, SECOND)

    assert active.text() == FIRST
    assert [active.versions.text(each) for each in active.versions.all()] == [FIRST]


def test_text_made_from_another_than_the_active_one_is_refused(active: ActiveFile) -> None:
    began = digest_of(FIRST)
    _activate(active, SECOND, began)
    with pytest.raises(SettingsChangedError, match="was changed meanwhile; nothing was written"):
        _activate(active, FIRST, began)
    assert active.text() == SECOND


def test_file_that_cannot_be_written_is_known_beforehand(
    active: ActiveFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert active.is_writable
    monkeypatch.setattr(os, "access", lambda place, _mode: place != active.path.parent)
    assert not active.is_writable
