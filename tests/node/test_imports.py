"""What is not imported before it is needed: a node that listens and short commands do not wait for it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OF_THE_WORK = {"highdicom", "node.pipeline", "onnxruntime", "scipy"}
OF_THE_WEB = {"fastapi", "httpx", "jinja2", "prometheus_client", "uvicorn"}
OF_DICOM = {"pydicom", "pynetdicom"}
NOT_BEFORE_IT_LISTENS = OF_THE_WORK | OF_THE_WEB | {"alembic", "torch"}

LISTENING = """
from pathlib import Path
from node.assembly import build_node
from node.cli import application
from node.uptake import Uptake, beginning
from node.usable import usable

application("serve")
config = Path({config!r})
node = build_node(beginning(config, usable).settings, settings_file=config)
node.listener.start()
"""


def _imported(code: str) -> set[str]:
    """Return the modules that a Python of its own has imported when it has run the code."""
    code = f"import os, sys\n{code}\nprint(*sys.modules, flush=True)\nos._exit(0)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    return set(done.stdout.split())


def test_node_listens_before_it_imports_what_workers_and_the_web_need(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    node = f'[node]\nhost = "127.0.0.1"\nport = 0\ndata_dir = "{tmp_path / "data"}"\ndisk_reserve_mb = 0\n'
    config.write_text(node)
    code = LISTENING.format(config=str(config))
    for _queue in ("new", "there already"):
        imported = _imported(code)
        assert "node.listener" in imported
        assert not NOT_BEFORE_IT_LISTENS & imported


@pytest.mark.parametrize(
    ("code", "needless"),
    [
        ("import node.probe", NOT_BEFORE_IT_LISTENS | OF_DICOM | {"numpy", "sqlalchemy"}),
        ("from node.cli import application\napplication('jobs')", NOT_BEFORE_IT_LISTENS | {"pynetdicom"}),
        ("from node.cli import application\napplication('serve')", NOT_BEFORE_IT_LISTENS | {"sqlalchemy"}),
        ("from node.cli import application\napplication()", OF_THE_WORK | OF_THE_WEB),
    ],
    ids=["paxnode-health", "paxnode jobs", "paxnode serve", "paxnode --help"],
)
def test_commands_import_only_what_they_need(code: str, needless: set[str]) -> None:
    assert not needless & _imported(code)
