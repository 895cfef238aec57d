"""Schemathesis against the API as its own OpenAPI describes it: no answer of 5xx, and each as described."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.browser.site import Site
from tests.faults.count import Count

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
LONGEST_RUN_S = 3600
TOTAL = re.compile(r"(\d+) generated")
FAILURE = re.compile(r"^ *[❌-] (.+): (\d+)$", re.MULTILINE)


def fuzz_api(made: Site, examples: int, seed: int) -> Iterator[Count]:
    """Yield what schemathesis found, asking as an admin.

    Args:
        made: The node.
        examples: So many requests are drawn for each operation.
        seed: Repeats a run.
    """
    tool = shutil.which("schemathesis", path=str(Path(sys.executable).parent))
    if tool is None:
        raise SystemExit("schemathesis is not installed: pip install '.[browser]'")
    command = [tool, "run", f"{made.url}/api/openapi.json", "--checks", CHECKS, "--no-color"]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--continue-on-failure"]
    command += ["--header", f"Authorization: Bearer {made.token('admin')}", "--request-timeout", "120"]
    done = subprocess.run(
        command, cwd=made.folder, capture_output=True, text=True, timeout=LONGEST_RUN_S, check=False
    )
    (made.folder / "schemathesis.txt").write_text(done.stdout + done.stderr)
    sent = TOTAL.search(done.stdout)
    if sent is None:
        raise RuntimeError(f"schemathesis did not run: {done.stdout[-2000:]} {done.stderr[-2000:]}")
    yield Count("requests that schemathesis sent to the API", int(sent[1]))
    for what, count in FAILURE.findall(done.stdout.split("Failures:")[-1]):
        yield Count.none(f"schemathesis: {what}", int(count))
    yield Count.equal("exit status of schemathesis", done.returncode, 0)
