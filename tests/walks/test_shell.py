"""The shell runs a block as a reader would, and no failure in it goes unseen."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.walks.shell import FailedError, Serving, Shell

PROGRAMS = Path(__file__).with_name("programs")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    with Shell(tmp_path / "stage", {"GREETING": "it's me"}, (PROGRAMS, PROGRAMS)) as made:
        yield made


def test_folder_and_exported_variables_last(shell: Shell) -> None:
    shell.run("mkdir sub\ncd sub\nexport MORE='a  b'\nmine=1\n")
    shell.run('echo "$MORE $GREETING $mine ${PWD##*/}"')
    assert shell.said.read_text() == "a  b it's me  sub\n"


@pytest.mark.parametrize(
    "block", ["true\nfalse\ntrue\n", "for x in 1 2; do\n  false\ndone\n", "echo a\nno-such-program\n"]
)
def test_a_line_that_fails_in_the_middle_fails_the_block(shell: Shell, block: str) -> None:
    with pytest.raises(FailedError, match="exit status"):
        shell.run(f"{block}touch reached\n")
    assert not (shell.folder / "reached").exists()


def test_an_unknown_option_fails_the_block_and_is_told(shell: Shell) -> None:
    with pytest.raises(FailedError, match="unrecognized option '--no-such-option'"):
        shell.run("echo before\nls --no-such-option\necho after\n")


def test_a_check_sees_what_the_block_said(shell: Shell) -> None:
    shell.run("echo done\n")
    shell.check("grep -q done $SAID")
    with pytest.raises(FailedError):
        shell.check("grep -q failed $SAID")


def test_what_asks_is_answered(shell: Shell) -> None:
    shell.run("read first\nread second\necho $second $first\n", answers="a\nb\n")
    assert shell.said.read_text() == "b a\n"


def test_what_serves_goes_on_until_the_end_and_only_then(tmp_path: Path) -> None:
    serving = Serving("serve", "test -e serving")
    line = "serve() { trap 'echo ended > ended; exit' TERM; touch serving; while :; do sleep 0.1; done; }"
    with Shell(tmp_path / "stage", {}, (PROGRAMS, PROGRAMS)) as shell:
        (tmp_path / "stage" / "serve.sh").write_text(f"{line}\nserve\n")
        shell.run("sh serve.sh\ntest -e serving\n", (Serving("sh serve.sh", serving.ready),))
        assert not (tmp_path / "stage" / "ended").exists()
    assert (tmp_path / "stage" / "ended").exists()


def test_what_does_not_serve_fails_the_block(shell: Shell) -> None:
    with pytest.raises(FailedError, match="does not serve"):
        shell.run("sh -c 'exit 3'\n", (Serving("sh -c", "false"),))
