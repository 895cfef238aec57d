"""`paxnode config` and a node that runs: what an admin does with settings, and sees."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from config.home import user
from node.cli import main
from node.implementation import Entity

DEADLINE_S = 60.0


class Desk:
    """A folder with a settings file, and the command."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self.active, self.candidate = folder, folder / "node.toml", folder / "candidate.toml"
        self._monkeypatch, self._capfd = monkeypatch, capfd
        monkeypatch.setenv("COLUMNS", "300")
        monkeypatch.setenv("SUDO_USER", "anna")

    def text(self, title: str, more: str = "") -> str:
        node = f'[node]\ndata_dir = "{self.folder / "data"}"\nhost = "127.0.0.1"\nport = 0\n'
        return f'{node}disk_reserve_mb = 0\nae_title = "{title}"\n{more}'

    def run(self, *words: str | Path, status: int = 0) -> str:
        """Run the command in this process; return what it printed."""
        self._monkeypatch.setattr(sys, "argv", ["paxnode", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = self._capfd.readouterr()
        assert int(ended.value.code or 0) == status, said.err
        return said.out + said.err

    def config(self, *words: str | Path, status: int = 0) -> str:
        return self.run("config", *words, "--config", self.active, status=status)

    def activate(self, title: str, more: str = "", why: str = "") -> str:
        self.candidate.write_text(self.text(title, more))
        return self.config("activate", self.candidate, "--why", why)

    def numbers(self) -> list[list[str]]:
        """Return the list of versions, each as (mark, number, why)."""
        rows = [line.split("\t") for line in self.config("list").splitlines() if "\t" in line]
        return [[row[0], row[1], row[4]] for row in rows]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, monkeypatch, capfd)


def test_file_is_tried_before_it_is_activated(desk: Desk) -> None:
    desk.candidate.write_text(desk.text("AI", "prot = 1\n"))
    said = desk.run("config", "check", desk.candidate, status=1)
    assert "unknown key 'prot' in [node]; did you mean 'port'?" in said
    desk.candidate.write_text(desk.text("AI"))
    assert "read; AE title AI" in desk.run("config", "check", desk.candidate)


def test_activated_file_is_the_active_one_and_a_version(desk: Desk) -> None:
    assert "is version 1 now" in desk.activate("ONE", why="first")
    assert desk.active.read_text() == desk.text("ONE")
    assert "is version 2 now" in desk.activate("TWO")
    assert desk.numbers() == [["active", "2", ""], ["", "1", "first"]]
    assert f"\t{user()}\t" in desk.config("list")


def test_file_that_cannot_be_used_is_not_activated(desk: Desk) -> None:
    desk.activate("ONE")
    desk.candidate.write_text(desk.text("AI", "prot = 1\n"))
    said = desk.config("activate", desk.candidate, status=2)
    assert "candidate.toml, line 7: unknown key 'prot'" in said
    assert desk.active.read_text() == desk.text("ONE")
    assert [row[1] for row in desk.numbers()] == ["1"]


def test_rules_that_leave_images_unmatched_are_a_warning(desk: Desk) -> None:
    dx = '[[rule]]\nname = "dx"\nwhen = [{ attribute = "Modality", is = "DX" }]\n'
    rule = f'[model]\nbundle = "stand-in"\n{dx}'
    unmatched = "every image but these stays unmatched, kept and not worked on: Modality is DX (rule dx)"
    desk.candidate.write_text(desk.text("AI", rule))

    checked = desk.run("config", "check", desk.candidate)
    assert f"warning  rules: {unmatched}" in checked
    assert f"warning: {unmatched}" in desk.activate("AI", rule)
    assert f"warning  rules: {unmatched}" in desk.run("check", "--config", desk.active)

    complete = rule + '[[rule]]\nname = "everything-else"\n'
    assert "unmatched" not in desk.activate("AI", complete)
    assert "ok  rules: 2; one of them holds for every image" in desk.run("config", "check", desk.active)


def test_what_was_changed_by_hand_is_kept_before_it_is_replaced(desk: Desk) -> None:
    desk.active.write_text(desk.text("HAND"))
    assert "is no version" in desk.config("list")
    desk.activate("TWO")
    assert desk.numbers() == [["active", "2", ""], ["", "1", "found as the active file"]]
    assert 'ae_title = "HAND"' in desk.config("show", "1")


def test_what_cannot_be_used_is_set_aside_before_it_is_replaced(desk: Desk) -> None:
    desk.activate("ONE")
    desk.active.write_text("not TOML")
    said = desk.config("rollback")
    assert "is version 1 now" in said
    assert desk.active.read_text() == desk.text("ONE")
    assert (desk.folder / "node.toml.versions" / "replaced.toml").read_text() == "not TOML"


def test_rollback_goes_one_further_back_each_time(desk: Desk) -> None:
    for title in ("ONE", "TWO", "THREE"):
        desk.activate(title)
    assert "is version 4 now, the same as version 2" in desk.config("rollback")
    assert desk.active.read_text() == desk.text("TWO")
    assert "is version 5 now, the same as version 1" in desk.config("rollback")
    assert "version 1 is the first one" in desk.config("rollback", status=2)
    assert "is version 6 now, the same as version 3" in desk.config("rollback", "3", "--why", "better")
    assert desk.numbers()[0] == ["active", "6", "better"]
    assert "there is no version 9" in desk.config("rollback", "9", status=2)


def test_differences_show_no_secrets(desk: Desk) -> None:
    web = '[[web_destination]]\nname = "web"\nurl = "https://192.0.2.1/web"\nuser = "u"\npassword = "{}"\n'
    desk.activate("ONE", web.format("hidden-one"))
    desk.activate("TWO", web.format("hidden-two"))
    said = desk.config("diff")
    assert '[node] ae_title\t"ONE"\t"TWO"' in said
    assert "[[web_destination]] web: password\t***\t***" in said
    desk.candidate.write_text(desk.text("TRY"))
    assert '[node] ae_title\t"TWO"\t"TRY"' in desk.config("diff", desk.candidate)
    assert '[node] ae_title\t"TWO"\t"ONE"' in desk.config("diff", "2", "1")
    assert '[node] ae_title\t"ONE"\t"TWO"' in desk.config("diff", "1")
    assert "no setting differs" in desk.config("diff", "2", "2")
    assert "hidden" not in said + desk.config("show", "1")


def test_permissions_of_the_file_stay_and_a_link_stays_one(desk: Desk) -> None:
    real = desk.folder / "real.toml"
    real.write_text(desk.text("ONE"))
    real.chmod(0o640)
    desk.active.symlink_to(real)
    desk.activate("TWO")
    assert desk.active.is_symlink()
    assert real.read_text() == desk.text("TWO")
    assert real.stat().st_mode & 0o777 == 0o640


def test_check_names_the_last_good_version_that_a_start_uses(desk: Desk) -> None:
    desk.activate("ONE", '[model]\nbundle = "stand-in"\n')
    desk.active.write_text(desk.text("AI", "prot = 1\n"))
    said = desk.run("check", "--config", desk.active, status=1)
    assert "unknown key 'prot'" in said
    assert "a start uses the last good ones, version 1" in said
    assert "AE title ONE" in said


# ---- a node in a process of its own


class Serving:
    """`paxnode serve`, and what it logs."""

    def __init__(self, active: Path) -> None:
        command = [sys.executable, "-m", "node.cli", "serve", "--config", str(active)]
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True)
        self.lines: list[dict[str, Any]] = []

    def wait_for(self, event: str) -> dict[str, Any]:
        """Return the next line with this event."""
        assert self._process.stderr is not None
        for text in self._process.stderr:
            self.lines.append(json.loads(text))
            if event in self.lines[-1]["event"]:
                return self.lines[-1]
        raise AssertionError(f"the process ended without {event!r}: {self.lines}")

    def ask(self) -> None:
        self._process.send_signal(signal.SIGHUP)

    def end(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=DEADLINE_S)
        return self._process.returncode

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture
def serve(desk: Desk) -> Iterator[Callable[[], Serving]]:
    started: list[Serving] = []

    def start() -> Serving:
        started.append(Serving(desk.active))
        return started[-1]

    yield start
    for each in started:
        each.kill()


def test_served_node_takes_up_what_is_activated_and_keeps_an_association(
    desk: Desk, serve: Callable[[], Serving]
) -> None:
    more = '[model]\nbundle = "stand-in"\n'
    desk.active.write_text(desk.text("ONE", more))
    node = serve()
    port = node.wait_for("node started")["port"]
    assert node.wait_for("settings are in effect")["version"] == "1"
    ae = Entity("CR1")
    ae.add_requested_context(Verification)
    before = ae.associate("127.0.0.1", port, ae_title="ONE")
    assert before.send_c_echo().Status == 0x0000
    desk.activate("TWO", 'calling_ae_titles = ["OTHER"]\n' + more)
    assert node.wait_for("settings were taken up")["version"] == "2"
    assert before.send_c_echo().Status == 0x0000
    assert ae.associate("127.0.0.1", port, ae_title="TWO").is_rejected
    before.release()
    desk.active.write_text(desk.text("AI", "prot = 1\n"))
    node.ask()
    assert "line 7: unknown key prot" in node.wait_for("cannot be used: what was in effect stays")["reason"]
    assert node.end() == 0
    again = serve()
    told = again.wait_for("cannot be used: the last good version is in effect")
    assert (told["level"], told["version"]) == ("error", "2")
    assert again.end() == 0
