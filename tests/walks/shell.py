"""A reader's shell: blocks of commands run in it in turn, what serves goes on in the background."""

import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

READY_S = 180.0
"""The longest that something that serves may take until it answers."""

ENDS_S = 90.0
LONGEST_S = 1800.0
"""The longest that what stands between two lines that serve may run."""


class FailedError(Exception):
    """A block did not do what it must; the text says at which line, and what was said last."""


@dataclass(frozen=True)
class Serving:
    """A line that does not come back.

    Attributes:
        line: How it begins.
        ready: Shell words that succeed once it serves.
    """

    line: str
    ready: str


class Shell:
    """What a reader has before them, while the `with` block lasts: a folder, variables, programs that run.

    Every block is run by a `sh -e` of its own. The folder that it went to and the variables that it exported
    are there in the next one, as in a terminal that stays open.

    Args:
        folder: Where it begins. What it needs itself lies in `.walk` below.
        variables: Of its environment, besides those of this process.
        paths: Folders in which programs are found, before all others and after them.
        outside: Words before a command that shall see the network outside, where the shell sees its own.
    """

    def __init__(
        self,
        folder: Path,
        variables: Mapping[str, str],
        paths: tuple[Path, Path],
        outside: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self._own = folder / ".walk"
        self._own.mkdir(parents=True)
        self._state, self.said = self._own / "state", self._own / "said"
        lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
        lines += [f'export PATH="{paths[0]}:$PATH:{paths[1]}"', f"export SAID={shlex.quote(str(self.said))}"]
        lines += [f"cd {shlex.quote(str(folder))}"]
        self._state.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._outside = tuple(outside)
        self._serving: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "Shell":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._serving:
            self._end(self._serving[-1][0])

    def run(
        self, text: str, serving: Sequence[Serving] = (), *, answers: str = "", outside: bool = False
    ) -> None:
        """Run a block to its end; what it says is in the file `said` then.

        Args:
            text: Lines of sh.
            serving: Which of them do not come back: each goes on in the background once it is ready, in the
                place of one before it that began alike.
            answers: What is typed when it asks.
            outside: Whether it sees the network outside.

        Raises:
            FailedError: A command failed, or what serves ended or did not answer.
        """
        self.said.write_text("", encoding="utf-8")
        words = self._outside if outside else ()
        for lines, then in _parted(text, serving):
            if lines.strip():
                self._block(lines, self.said, answers, words)
            if then is not None:
                self._serve(lines_of=then[0], serving=then[1])

    def check(self, text: str) -> None:
        """Run lines that look at what a block said or made.

        Raises:
            FailedError: One of them did not succeed.
        """
        checked = self._own / "checked"
        checked.write_text("", encoding="utf-8")
        self._block(text, checked)

    def _block(self, lines: str, to: Path, answers: str = "", words: Sequence[str] = ()) -> None:
        keep = f"export -p > {self._state}.new\necho 'cd \"$PWD\"' >> {self._state}.new\n"
        script = self._script("block", f"{lines}\n{keep}mv {self._state}.new {self._state}\n")
        with to.open("ab") as said:
            try:
                done = subprocess.run(
                    [*words, "sh", "-e", str(script)],
                    input=answers.encode(),
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # no terminal: what asks for a password gets the answers
                    timeout=LONGEST_S,
                    check=False,
                )
            except subprocess.TimeoutExpired as exc:
                raise FailedError(f"not at its end after {LONGEST_S:.0f} s\n{_last(to)}") from exc
        if done.returncode:
            raise FailedError(f"exit status {done.returncode}\n{_last(to)}")

    def _serve(self, lines_of: str, serving: Serving) -> None:
        self._end(serving.line)
        script = self._script(f"serving-{len(list(self._own.iterdir()))}", f"exec {lines_of}\n")
        log = script.with_suffix(".log")
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["sh", "-e", str(script)], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        self._serving.append((serving.line, process))
        ready, began = self._script("ready", serving.ready), time.monotonic()
        while subprocess.run(["sh", "-e", str(ready)], capture_output=True, check=False).returncode:
            if process.poll() is not None or time.monotonic() - began > READY_S:
                raise FailedError(f"{lines_of}: does not serve ({process.poll()})\n{_last(log)}")
            time.sleep(0.3)

    def _end(self, line: str) -> None:
        """End what serves and began so, the latest of it."""
        for each in reversed(self._serving):
            if each[0] == line:
                self._serving.remove(each)
                each[1].terminate()
                try:
                    each[1].wait(ENDS_S)
                except subprocess.TimeoutExpired:
                    each[1].kill()
                    each[1].wait()
                return

    def _script(self, name: str, text: str) -> Path:
        script = self._own / f"{name}.sh"
        script.write_text(f". {shlex.quote(str(self._state))}\n{text}\n", encoding="utf-8")
        return script


def _parted(text: str, serving: Sequence[Serving]) -> list[tuple[str, tuple[str, Serving] | None]]:
    r"""Return the lines before each line that serves, with that line; the rest at last.

    >>> _parted("a\nserve x\nb\n", [Serving("serve", "true")])
    [('a\n', ('serve x', Serving(line='serve', ready='true'))), ('b\n', None)]
    """
    parts: list[tuple[str, tuple[str, Serving] | None]] = []
    before = ""
    for line in text.splitlines():
        found = next((each for each in serving if line.strip().startswith(each.line)), None)
        if found is None:
            before += f"{line}\n"
        else:
            parts.append((before, (line, found)))
            before = ""
    return [*parts, (before, None)]


def _last(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")[-3000:]
