"""A changed settings file is taken up when it can be used, and told when it cannot."""

import io
import json
import os
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from config.errors import SettingsError
from config.home import versions_of
from config.settings import Settings
from node.errors import StorageError
from node.uptake import Standing, Uptake, beginning, for_log
from node.usable import check_file, usable

examine = partial(usable, with_model=False)


class Taker:
    """Takes settings up, as a node does, unless it is told to fail."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.version = 0
        self.failure: Exception | None = None

    def take_up(self, wanted: Settings) -> None:
        if self.failure is not None:
            raise self.failure
        self.settings = wanted


class Site:
    """A settings file, who watches it, and what was logged."""

    def __init__(self, folder: Path, lines: io.StringIO) -> None:
        self.path = folder / "node.toml"
        self.folder = folder
        self._lines = lines
        self.write("AI")
        self.begun = beginning(self.path, examine)
        self.node = Taker(self.begun.settings)
        self.uptake = Uptake(self.path, self.node, self.begun, examine)

    def text(self, title: str, more: str = "") -> str:
        return f'[node]\ndata_dir = "{self.folder / "data"}"\nae_title = "{title}"\n{more}'

    def write(self, title: str, more: str = "") -> None:
        """Replace the file; its stamp differs even on a disk of coarse times."""
        fresh = self.folder / "fresh.toml"
        fresh.write_text(self.text(title, more))
        os.rename(fresh, self.path)

    def look(self, times: int = 2) -> Standing:
        for _ in range(times):
            self.uptake.step()
        return self.uptake.standing

    @property
    def title(self) -> str:
        return self.node.settings.node.ae_title

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._lines.getvalue().splitlines()]

    def kept(self) -> list[str]:
        versions = versions_of(self.path)
        return [versions.text(each) for each in versions.all()]


@pytest.fixture
def site(tmp_path: Path, lines: io.StringIO) -> Site:
    return Site(tmp_path, lines)


def test_changed_file_is_taken_up_when_it_has_stayed_the_same_for_a_look(site: Site) -> None:
    site.write("NEW")
    site.look(1)
    assert site.title == "AI"
    assert site.look(1).version == versions_of(site.path).latest()
    assert site.title == "NEW"
    assert site.logged()[-1]["event"] == "settings were taken up"
    assert site.kept() == [site.text("NEW")]


def test_file_that_is_still_written_is_left_alone(site: Site) -> None:
    for title in ("ONE", "TWO", "THREE"):
        site.write(title)
        site.look(1)
    assert site.title == "AI"
    site.look(1)
    assert site.title == "THREE"


def test_who_asks_need_not_wait(site: Site) -> None:
    site.write("NEW")
    site.uptake.ask()
    site.look(1)
    assert site.title == "NEW"


def test_file_that_cannot_be_used_is_told_once_and_changes_nothing(site: Site) -> None:
    site.write("AI", "prot = 104\n")
    standing = site.look(5)
    assert site.title == "AI"
    assert "line 4: unknown key 'prot' in [node]; did you mean 'port'?" in standing.refused
    [told] = site.logged()
    assert told["event"] == "the settings file cannot be used: what was in effect stays"
    assert "line 4: unknown key prot in [node]; did you mean port" in told["reason"]
    assert site.kept() == []


def test_file_that_was_mended_is_taken_up(site: Site) -> None:
    site.write("BROKEN TITLE THAT IS TOO LONG")
    assert site.look().refused
    site.write("NEW")
    assert site.look().refused == ""
    assert site.title == "NEW"


def test_file_that_was_put_back_is_what_is_in_effect(site: Site) -> None:
    site.write("BROKEN TITLE THAT IS TOO LONG")
    assert site.look().refused
    site.write("AI")
    assert site.look().refused == ""
    assert site.logged()[-1]["event"] == "the settings file holds what is in effect"


def test_file_that_is_gone_changes_nothing(site: Site) -> None:
    site.path.unlink()
    assert "cannot be read: No such file" in site.look().refused
    assert site.title == "AI"


def test_node_that_cannot_take_it_up_now_is_asked_again(site: Site) -> None:
    site.write("NEW")
    site.look(1)
    site.node.failure = StorageError("the database is away")
    with pytest.raises(StorageError):
        site.look(1)
    site.node.failure = None
    site.look(1)
    assert site.title == "NEW"


def test_what_waits_for_a_restart_is_named(site: Site) -> None:
    running = site.node.settings
    site.node.take_up = lambda _wanted: None  # type: ignore[assignment, method-assign]
    site.node.settings = running
    site.write("AI", "port = 104\n[worker]\ncount = 3\n")
    assert site.look().waiting == ("node.port", "worker.count")
    told = site.logged()[-1]
    assert told["event"] == "some settings take effect after a restart"
    assert told["reason"] == "node.port, worker.count"


def test_start_keeps_its_file_as_a_version(site: Site) -> None:
    site.uptake.start()
    site.uptake.stop()
    assert site.kept() == [site.text("AI")]
    assert site.uptake.standing.version is not None


def test_start_with_a_file_that_cannot_be_used_goes_by_the_last_good_one(site: Site) -> None:
    site.uptake.start()
    site.uptake.stop()
    site.write("AI", "prot = 104\n")
    begun = beginning(site.path, examine)
    assert (begun.settings, begun.version) == (site.begun.settings, site.uptake.standing.version)
    again = Uptake(site.path, site.node, begun, examine)
    again.start()
    again.stop()
    told = site.logged()[-1]
    assert told["event"] == "the settings file cannot be used: the last good version is in effect"
    assert (told["level"], told["version"]) == ("error", "1")
    assert "line 4: unknown key prot" in told["reason"]
    for _ in range(3):
        again.step()
    assert site.logged()[-1] == told
    site.write("NEW")
    again.step()
    again.step()
    assert (site.title, again.standing.refused) == ("NEW", "")


def test_start_without_a_last_good_one_fails_as_the_file_does(site: Site) -> None:
    site.write("AI", "prot = 104\n")
    with pytest.raises(SettingsError, match="unknown key 'prot'"):
        beginning(site.path, examine)


def test_start_without_a_last_good_one_goes_by_a_file_that_is_right_in_itself(site: Site) -> None:
    site.write("NEW", '[tls]\nauthorities = "no.pem"\n')
    begun = beginning(site.path, examine)
    assert (begun.settings.node.ae_title, begun.version) == ("NEW", None)
    started = Uptake(site.path, site.node, begun, examine)
    started.start()
    started.stop()
    assert site.logged()[-1]["event"] == "something that the settings file names cannot be used"
    assert site.kept() == []


def test_last_good_one_that_cannot_be_used_any_more_does_not_count(site: Site) -> None:
    versions_of(site.path).keep("[of-an-older-program]", "anna")
    site.write("AI", "prot = 104\n")
    with pytest.raises(SettingsError, match="unknown key 'prot'"):
        beginning(site.path, examine)


def test_version_that_cannot_be_kept_stops_nothing(site: Site, tmp_path: Path) -> None:
    (tmp_path / "node.toml.versions").write_text("in the way")
    site.write("NEW")
    assert site.look().version is None
    assert site.title == "NEW"


@pytest.mark.parametrize(
    ("reason", "logged"),
    [
        ("n.toml, line 9: 'host' must be text, found 'Doe^John'", "n.toml, line 9: host must be text"),
        ("n.toml: found \"O'Hara\"; did you mean 'x'?", "n.toml:"),
    ],
)
def test_value_that_was_found_is_not_logged(reason: str, logged: str) -> None:
    assert for_log(reason) == logged


# ---- whether a file can be used


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ('[[profile]]\nname = "own"\nstructures = ["hart"]\n', "line 6: profile 'own'"),
        ('[tls]\ncertificate = "no.crt"\nkey = "no.key"\nauthorities = "no.pem"\n', "line 5: .*no.pem"),
        ('[model]\nbundle = "no-bundle"\n', "line 5: .*no-bundle"),
    ],
)
def test_what_a_file_names_must_be_there(site: Site, more: str, problem: str) -> None:
    site.write("AI", more)
    [result] = check_file(site.path)
    assert not result.passed
    assert re.search(problem, result.words)


def test_file_that_can_be_used_is_described(site: Site) -> None:
    site.write("AI", '[[destination]]\nname = "pacs"\nae_title = "P"\nhost = "192.0.2.1"\nport = 104\n')
    found = {each.name: each for each in check_file(site.path)}
    assert all(each.passed for each in found.values())
    assert found["settings"].words == "read; AE title AI"
    assert found["profile of pacs"].words.startswith("standard: masks of up to ")


def test_process_that_does_not_work_needs_no_bundle(site: Site) -> None:
    site.write("AI", '[model]\nbundle = "no-bundle"\n')
    assert beginning(site.path, examine).settings.model.bundle == "no-bundle"
