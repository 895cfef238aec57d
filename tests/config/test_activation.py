"""The active settings file: what could not be written leaves no trace, nobody overwrites what came since."""

import errno
import os
from pathlib import Path

import pytest

from config import durable
from config.activation import ActiveFile
from config.errors import SettingsChangedError, SettingsError
from config.settings import settings_of
from config.source import Source
from config.versions import INDEX, digest_of

NO_SUCH_FILE = os.strerror(errno.ENOENT)
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
    before = active.path.read_bytes(), list(active.path.parent.iterdir())
    assert active.unwritable == ""

    def cannot(_source: Path, _target: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "rename", cannot)
    assert active.unwritable == "Read-only file system"
    assert (active.path.read_bytes(), list(active.path.parent.iterdir())) == before
    assert ActiveFile(active.path.parent / "away" / "node.toml", settings_of).unwritable == NO_SUCH_FILE


def test_file_that_is_mounted_by_itself_is_known_beforehand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "the settings"
    folder.mkdir()
    mounted = folder / "node.toml"
    mounted.write_text(FIRST)
    (tmp_path / "link.toml").symlink_to(mounted)
    place = str(mounted).replace(" ", "\\040")
    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:21 / /proc rw,nosuid - proc proc rw\n"
        f"36 35 98:0 /srv/node.toml {place} rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    )
    monkeypatch.setattr(durable, "MOUNTS", table)

    for path in (mounted, tmp_path / "link.toml"):
        assert "mounted as a single file" in ActiveFile(path, settings_of).unwritable
    assert ActiveFile(folder / "other.toml", settings_of).unwritable == ""


def test_what_this_process_sees_mounted_is_read() -> None:
    assert durable.is_mount_point(Path("/proc"))
    assert not durable.is_mount_point(Path(__file__))
