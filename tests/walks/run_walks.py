"""Runs the command blocks of the documentation as a reader would, and tells what came of each: `make walks`.

In a network of its own, so that every port and address that a page writes is free. Needs root, and Debian's
packages orthanc, orthanc-dicomweb, dcmtk, nginx-light, npm, jq, openssl, curl, file and postgresql-client;
the tutorial reaches for pip's and npm's index.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.deployment.engine import NotInstalledError, check_root, found
from tests.house.pages import ROOT
from tests.walks.ground import Ground, fence_off, fenced_off
from tests.walks.plan import PLAN
from tests.walks.shell import FailedError, Shell
from tests.walks.walk import Walk

NEEDED = (
    "Orthanc",
    "curl",
    "createuser",
    "file",
    "git",
    "jq",
    "nginx",
    "npm",
    "nsenter",
    "openssl",
    "storescu",
)
INSIDE = "--inside"


@dataclass(frozen=True)
class Came:
    """What came of a block.

    Attributes:
        walk: Its entry in the plan.
        seconds: That it ran; None where it was not run.
        failed: Why it did not do what it must; empty where it did.
    """

    walk: Walk
    seconds: float | None = None
    failed: str = ""


def walked(walks: Sequence[Walk], shell: Shell) -> Iterator[Came]:
    """Run the blocks of a stage in their order; what follows one that failed is not run."""
    for walk in walks:
        try:
            yield Came(walk, _done(walk, shell))
        except FailedError as error:
            yield Came(walk, failed=str(error))
            return


def _done(walk: Walk, shell: Shell) -> float | None:
    """Return the seconds of the block itself; None where it is only written into its file."""
    if walk.into:
        file = shell.folder / walk.into
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(walk.text(), encoding="utf-8")
        return None
    shell.run(walk.before, walk.serving)
    began = time.monotonic()
    shell.run(walk.text(), walk.serving, answers=walk.answers, outside=walk.outside)
    took_s = time.monotonic() - began
    shell.check(walk.then)
    return took_s


def everything(plan: Sequence[Walk], ground: Ground, console: Console) -> list[Came]:
    """Run the plan, stage after stage, and tell of each block as it is done."""
    came = [Came(walk) for walk in plan if walk.not_here]
    here = [walk for walk in plan if not walk.not_here]
    for page, walks in groupby(here, lambda walk: walk.page):
        with ground.stage(page) as shell:
            for each in walked(list(walks), shell):
                took = "" if each.seconds is None else f"{each.seconds:6.1f} s"
                words = f"{page:28} {took:9} {each.walk.first.splitlines()[0]}"
                console.print(words, markup=False, highlight=False, soft_wrap=True)
                if each.failed:
                    console.print(each.failed, style="red", markup=False, highlight=False, soft_wrap=True)
                came.append(each)
    return came


def chosen(only: str) -> list[Walk]:
    """Return the plan of the pages whose names begin with one of these beginnings, joined by commas.

    Raises:
        SystemExit: None does.
    """
    found_walks = [walk for walk in PLAN if walk.page.startswith(tuple(only.split(",")))]
    if not found_walks:
        raise SystemExit(f"no page begins with {only!r}")
    return found_walks


def table(plan: Sequence[Walk], came: Sequence[Came]) -> Table:
    """Return a line for each block: what it is, and what came of it."""
    shown = Table("page", "block", "seconds", "what came of it", title="the blocks of the documentation")
    told = {each.walk: each for each in came}
    for walk in plan:
        each = told.get(walk)
        seconds = "" if each is None or each.seconds is None else f"{each.seconds:.1f}"
        shown.add_row(walk.page, escape(walk.first.splitlines()[0][:60]), seconds, _words(walk, each))
    return shown


def _words(walk: Walk, came: Came | None) -> str:
    if came is None:
        return "[red]not reached[/]"
    if came.failed:
        return "[bold red]failed[/]"
    if walk.not_here:
        return f"not run here: {escape(walk.not_here)}"
    return f"written into {escape(walk.into)}" if walk.into else "ran"


def _inside(folder: Path, outside: int, only: str) -> int:
    own = folder / "system"
    own.mkdir(exist_ok=True)
    fence_off(own)
    words = (found("nsenter"), f"--net=/proc/{os.getpid()}/fd/{outside}", "--")
    plan = chosen(only)
    console, began = Console(width=None if sys.stdout.isatty() else 150), time.monotonic()
    came = everything(plan, Ground(folder, words), console)
    console.print(table(plan, came))
    holds = len(came) == len(plan) and not any(each.failed for each in came)
    console.print(f"{'holds' if holds else 'does not hold'}, {time.monotonic() - began:.0f} s")
    return 0 if holds else 1


def main() -> None:
    """Print what came of every block; exit status 1 when one failed or something is not installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", default="", help="only pages whose names begin so")
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "walks", help="for the stages")
    parser.add_argument(INSIDE, type=int, metavar="DESCRIPTOR", help="in namespaces of its own already")
    wanted = parser.parse_args()
    folder = wanted.folder.absolute()
    if wanted.inside is not None:
        sys.exit(_inside(folder, wanted.inside, wanted.page))
    chosen(wanted.page)
    try:
        check_root()
        for program in NEEDED:
            found(program)
    except NotInstalledError as error:
        sys.exit(f"{error}; so does the beginning of tests/walks/run_walks.py")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    own = ["--page", wanted.page, "--folder", str(folder), INSIDE, str(outside)]
    sys.exit(fenced_off([sys.executable, "-m", "tests.walks.run_walks", *own], outside))


if __name__ == "__main__":
    main()
