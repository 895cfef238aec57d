"""Versions of a settings file: what is kept is there, whole and unchanged, whatever breaks off in between."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from config.durable import write_file
from config.errors import SettingsError
from config.home import data_dir_of, user, versions_of
from config.versions import INDEX, Versions


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    return Versions(tmp_path / "node.toml.versions")


def test_versions_are_numbered_and_know_by_whom_and_why(versions: Versions) -> None:
    first = versions.keep("[node]\n", "anna", "the\nfirst")
    second = versions.keep("[node]\nport = 104\n", "ben", origin=1)
    assert versions.all() == (first, second)
    assert (first.number, first.who, first.why, first.origin) == (1, "anna", "the first", 0)
    assert (second.number, second.who, second.origin) == (2, "ben", 1)
    assert versions.latest() == second
    assert versions.text(versions.numbered(1)) == "[node]\n"
    assert versions.path(second).name == "0002.toml"


def test_same_text_again_is_the_same_version(versions: Versions) -> None:
    first = versions.keep("a = 1", "anna")
    assert versions.keep("a = 1", "ben") == first
    assert versions.keep("a = 2", "ben").number == 2
    assert versions.keep("a = 1", "ben").number == 3


def test_folder_and_files_are_for_their_owner_alone(versions: Versions) -> None:
    versions.keep("a = 1", "anna")
    assert stat.S_IMODE(versions.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in versions.folder.iterdir()} == {0o600}


def test_line_ends_and_letters_stay_as_they_are(versions: Versions) -> None:
    text = "# Größe\r\n[node]\r\n"
    assert versions.text(versions.keep(text, "anna")) == text


def test_text_that_was_changed_afterwards_is_not_used(versions: Versions) -> None:
    made = versions.keep("a = 1", "anna")
    versions.path(made).write_text("a = 2")
    with pytest.raises(SettingsError, match="is not what was kept as version 1"):
        versions.text(made)


def test_version_that_is_not_there_is_named(versions: Versions) -> None:
    with pytest.raises(SettingsError, match=r"no version 3 .* there is none yet"):
        versions.numbered(3)
    versions.keep("a = 1", "anna")
    with pytest.raises(SettingsError, match="there are 1 to 1"):
        versions.numbered(3)


def test_text_without_its_line_in_the_index_does_not_count(
    versions: Versions, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions.keep("a = 1", "anna")
    rename = os.rename

    def broken(source: Path, target: Path) -> None:
        if target.name == INDEX:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", broken)
    with pytest.raises(SettingsError, match="No space left"):
        versions.keep("a = 2", "anna")
    monkeypatch.undo()
    assert [each.number for each in versions.all()] == [1]
    assert versions.text(versions.keep("a = 3", "anna")) == "a = 3"
    assert [each.number for each in versions.all()] == [1, 2]
    assert not [path for path in versions.folder.iterdir() if path.name.startswith(".")]


def test_index_that_cannot_be_read_is_told(versions: Versions) -> None:
    versions.keep("a = 1", "anna")
    (versions.folder / INDEX).write_text(json.dumps({"number": 1}))
    with pytest.raises(SettingsError, match=r"index\.jsonl: cannot be read"):
        versions.all()


def test_writers_at_the_same_time_lose_nothing(versions: Versions) -> None:
    texts = [f"a = {number}" for number in range(12)]
    threads = [threading.Thread(target=versions.keep, args=(text, "anna")) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    known = versions.all()
    assert [each.number for each in known] == list(range(1, 13))
    assert sorted(versions.text(each) for each in known) == sorted(texts)


def test_file_is_written_in_one_step_and_keeps_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text("old")
    path.chmod(0o640)
    write_file(path, b"new", like=path)
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with pytest.raises(SettingsError, match="cannot be written"):
        write_file(tmp_path / "none" / "node.toml", b"new")


def test_versions_lie_beside_the_file_and_else_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = tmp_path / "etc" / "node.toml", tmp_path / "data"
    path.parent.mkdir()
    data.mkdir()
    path.write_text(f'[node]\ndata_dir = "{data}"  # here\n')
    assert versions_of(path).folder == tmp_path / "etc" / "node.toml.versions"
    monkeypatch.setattr(os, "access", lambda *_: False)
    inside = versions_of(path)
    assert inside.folder == data / "configuration"
    inside.keep("a = 1", "anna")
    monkeypatch.undo()
    assert versions_of(path).folder == inside.folder  # once it is there, it is so for everybody


def test_data_folder_is_known_also_from_a_file_that_is_no_toml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAXNODE_NODE__DATA_DIR", raising=False)
    path = tmp_path / "node.toml"
    path.write_text('[node\ndata_dir = "/var/lib/images"\n')
    assert data_dir_of(path) == Path("/var/lib/images")
    assert data_dir_of(tmp_path / "none.toml") == Path("./paxnode-data")
    monkeypatch.setenv("PAXNODE_NODE__DATA_DIR", "/elsewhere")
    assert data_dir_of(path) == Path("/elsewhere")


def test_user_is_the_one_who_used_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "anna")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert user() == "anna"
    monkeypatch.delenv("SUDO_USER")
    assert user() == "root"
