"""Plants a violation of each gate in a copy of the tree and sees the gate catch it: `make gates`.

A gate counts once it has been seen to fail. Each row below writes one file (or adds to one) in a fresh copy
of the tracked tree, runs the gate as `make lint test` would, and asks for a failure that names the rule.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
RUFF = (str(BIN / "ruff"), "check", "--no-cache", "--output-format=concise")
FORMAT = (str(BIN / "ruff"), "format", "--no-cache", "--check", "node")
MYPY = (sys.executable, "-m", "mypy", "--no-incremental", "--follow-imports=silent", "node/planted.py")
IMPORTS = (str(BIN / "lint-imports"), "--no-cache", "--no-logo")
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
LONG_FUNCTION = "\n".join(f"    a{i} = {i}" for i in range(31))
BRANCHES = "\n".join(f"    if x == {i}:\n        return {i}" for i in range(9))


@dataclass(frozen=True)
class Planted:
    """One violation: what is written where, the gate that must see it, and the words it must say.

    Attributes:
        rule: What the gate forbids.
        path: File in the tree; the text is added to its end, or the file is made.
        text: The violation.
        gate: Command, run in the copy.
        words: What the gate's output holds when it is this violation that it found.
    """

    rule: str
    path: str
    text: str
    gate: tuple[str, ...]
    words: str


def module(body: str) -> str:
    """Return the text of a documented module with this body."""
    return f'"""Planted."""\n\n{body}\n'


def function(body: str, signature: str = "planted(x: int) -> int") -> str:
    """Return the text of a documented module with one documented function of this body."""
    return module(f'\ndef {signature}:\n    """Return x."""\n{body}\n    return x')


VIOLATIONS = (
    Planted(
        "commands in the documentation exist",
        "docs/faults.md",
        "\n```sh\npaxnode sreve --config node.toml\n```\n",
        (*PYTEST, "tests/house/test_doc_commands.py"),
        "'sreve' is no command of paxnode",
    ),
    Planted(
        "commands in the documentation have a place in the plan of what is run",
        "docs/faults.md",
        "\n```sh\nsudo reboot\n```\n",
        (*PYTEST, "tests/walks/test_plan.py"),
        "say how it is run, or why not",
    ),
    Planted(
        "every event of the log is documented",
        "node/planted.py",
        module('from node.logs import get_logger\n\nget_logger().info("planted here")'),
        (*PYTEST, "tests/house/test_log_reference.py"),
        "planted here",
    ),
    Planted(
        "every page is in the menu of the site",
        "docs/planted.md",
        "# Planted\n",
        (*PYTEST, "tests/house/test_site.py"),
        "planted.md",
    ),
    Planted(
        "links lead to headings that are there",
        "docs/faults.md",
        "\nSee [nothing](proof.md#nowhere).\n",
        (*PYTEST, "tests/house/test_site.py"),
        "anchor='nowhere'",
    ),
    Planted("no print", "node/planted.py", function("    print(x)"), (*RUFF, "node/planted.py"), "T201"),
    Planted(
        "no broad except",
        "node/planted.py",
        function("    try:\n        x = int(x)\n    except Exception:\n        x = 0"),
        (*RUFF, "node/planted.py"),
        "BLE001",
    ),
    Planted(
        "no undocumented function",
        "ai/planted.py",
        module("\ndef planted():\n    return 1"),
        (*RUFF, "ai/planted.py"),
        "D103",
    ),
    Planted(
        "complexity at most 8", "node/planted.py", function(BRANCHES), (*RUFF, "node/planted.py"), "C901"
    ),
    Planted(
        "at most 30 statements",
        "node/planted.py",
        function(LONG_FUNCTION),
        (*RUFF, "node/planted.py"),
        "PLR0915",
    ),
    Planted(
        "at most 7 parameters",
        "node/planted.py",
        function("    x += 1", "planted(a, b, c, d, e, f, g, x)"),
        (*RUFF, "node/planted.py"),
        "PLR0913",
    ),
    Planted(
        "os.environ in config/settings.py only",
        "node/planted.py",
        module("import os\n\nHOME = os.environ['HOME']"),
        (*RUFF, "node/planted.py"),
        "TID251",
    ),
    Planted("unused import", "node/planted.py", module("import os"), (*RUFF, "node/planted.py"), "F401"),
    Planted("one format", "node/planted.py", module("planted  =  {'a':1}"), FORMAT, "planted.py"),
    Planted(
        "types are stated", "node/planted.py", module("def planted(x):\n    return x"), MYPY, "no-untyped-def"
    ),
    Planted("types are right", "node/planted.py", module('PLANTED: int = "one"'), MYPY, "assignment"),
    Planted("ai knows no DICOM", "ai/planted.py", module("import pydicom"), IMPORTS, "no torch BROKEN"),
    Planted(
        "node knows no torch",
        "node/planted.py",
        module("import torch"),
        IMPORTS,
        "torch is for training only",
    ),
    Planted(
        "node does not import pipeline_training",
        "node/planted.py",
        module("import pipeline_training"),
        IMPORTS,
        "neighbour BROKEN",
    ),
    Planted(
        "config imports nothing of ours",
        "config/planted.py",
        module("import ai.labels"),
        IMPORTS,
        "neighbour BROKEN",
    ),
    Planted(
        "doctests are true",
        "ai/planted.py",
        '"""Planted.\n\n>>> 1 + 1\n3\n"""\n',
        (*PYTEST, "ai/planted.py"),
        "Expected:",
    ),
    Planted(
        "warnings are errors",
        "tests/node/test_planted.py",
        'import warnings\n\n\ndef test_it() -> None:\n    warnings.warn("planted", DeprecationWarning)\n',
        (*PYTEST, "tests/node/test_planted.py"),
        "DeprecationWarning: planted",
    ),
    Planted(
        "at most 400 lines a module",
        "node/planted.py",
        module("\n".join(f"LINE_{i} = {i}" for i in range(400))),
        (*PYTEST, "tests/house/test_module_size.py"),
        "node/planted.py has 402 lines",
    ),
    Planted(
        "every setting is documented",
        "config/node.toml",
        "\n[planted]\nsetting = 1\n",
        (*PYTEST, "tests/house/test_docs.py"),
        "FAILED tests/house/test_docs.py::test_setting_has_a_row_in_its_section[planted-setting]",
    ),
    Planted(
        "every error class is documented",
        "node/errors.py",
        '\n\nclass PlantedError(NodeError):\n    """Planted."""\n',
        (*PYTEST, "tests/house/test_docs.py"),
        "FAILED tests/house/test_docs.py::test_error_class_is_listed[node-PlantedError]",
    ),
    Planted(
        "every metric is documented, and no other",
        "docs/metrics.md",
        "\n| `paxnode_planted` | | nothing |\n",
        (*PYTEST, "tests/node/test_metrics.py"),
        "FAILED tests/node/test_metrics.py::test_every_exported_metric_is_documented_and_no_other",
    ),
    Planted(
        "code in the docs runs",
        "docs/method.md",
        "\n```python\nraise ValueError('planted')\n```\n",
        (*PYTEST, "tests/house/test_docs.py"),
        "ValueError: planted",
    ),
    Planted(
        "the conformance statement is what the code does",
        "node/result_header.py",
        '\n\nMANUFACTURER = "planted"\n',
        (*PYTEST, "tests/house/test_conformance_statement.py"),
        "the code has changed: write the page anew with `make statement`",
    ),
)


def tracked_files() -> list[str]:
    """Return the paths of the tracked files and of those about to be, as git knows them."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [name for name in listing.split("\0") if name and (ROOT / name).is_file()]


@contextmanager
def planted_tree(violation: Planted, files: list[str]) -> Iterator[Path]:
    """Yield the root of a copy of the tree that holds the violation; it is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="paxnode-gates-") as folder:
        tree = Path(folder)
        for name in files:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
        (tree / violation.path).parent.mkdir(parents=True, exist_ok=True)
        with (tree / violation.path).open("a", encoding="utf-8") as file:
            file.write(violation.text)
        yield tree


def caught(violation: Planted, files: list[str]) -> tuple[bool, str]:
    """Return whether the gate failed on the violation and named it, and the line that names it."""
    with planted_tree(violation, files) as tree:
        environment = {**os.environ, "PYTHONPATH": str(tree)}  # noqa: TID251  so that the copy is imported
        done = subprocess.run(
            violation.gate, cwd=tree, env=environment, capture_output=True, text=True, check=False
        )
    output = done.stdout + done.stderr
    named = [line.strip() for line in output.splitlines() if violation.words in line]
    last_line = (output.strip().splitlines() or ["no output"])[-1]
    return done.returncode != 0 and bool(named), named[0] if named else last_line


def name_of(gate: tuple[str, ...]) -> str:
    """Return the gate's name without its options: `ruff check`."""
    words = gate[2:] if gate[0] == sys.executable else gate
    return " ".join(Path(word).name for word in takewhile(lambda word: not word.startswith("-"), words))


def main() -> int:
    """Print a table of every gate and what it said; return 1 if a violation slipped through."""
    console, files = Console(), tracked_files()
    table = Table("gate", "planted violation", "caught", "what the gate said", title="Gates seen to fail")
    missed = 0
    for violation in VIOLATIONS:
        found, line = caught(violation, files)
        missed += not found
        table.add_row(name_of(violation.gate), violation.rule, "yes" if found else "[bold red]NO", Text(line))
    console.print(table)
    console.print(f"{len(VIOLATIONS) - missed} of {len(VIOLATIONS)} planted violations were caught")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
