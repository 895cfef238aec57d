"""Blocks that need nothing but the programs of this project are run in every test run, as they stand."""

import sys
from pathlib import Path

import pytest

from tests.house.pages import ROOT
from tests.walks.plan import PLAN
from tests.walks.shell import Shell

SETTINGS = '[node]\ndata_dir = "data"\n'
QUICK = (("console.md", "paxnode users add"), ("howto_return_to_sender.md", "paxnode rules test"))


@pytest.mark.parametrize(("page", "first"), QUICK)
def test_block_runs_and_says_what_it_must(page: str, first: str, tmp_path: Path) -> None:
    (walk,) = (each for each in PLAN if each.page == page and each.first.startswith(first))
    settings = [each for each in PLAN if each.page == page and each.into == "node.toml"]
    sample = str(ROOT / "node" / "sample" / "radiograph.dcm")
    paths = (Path(__file__).with_name("programs"), Path(sys.executable).parent)
    with Shell(tmp_path / "stage", {"PYTHONPATH": str(ROOT), "RADIOGRAPH": sample}, paths) as shell:
        text = settings[0].text() if settings else SETTINGS
        (shell.folder / "node.toml").write_text(text, encoding="utf-8")
        shell.run(walk.before if settings else "")
        shell.run(walk.text(), answers=walk.answers)
        shell.check(walk.then)
