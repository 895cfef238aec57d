"""Drives the console in a headless Chromium as an admin would, keeps pictures of every page, fuzzes the API.

    python -m tests.browser.run_browser          # make browser

Needs Chromium, and the extra `browser` (Playwright, schemathesis). The pictures are in out/browser.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from node.logs import configure_logs
from tests.browser.api_fuzz import fuzz_api
from tests.browser.site import ACCESSION, PASSWORD, SECRET, Site, client, site, until
from tests.browser.walk import SCHEMES, Scheme, Walk, steps
from tests.browser.walk_script import script_steps
from tests.faults.count import Count, told
from tests.viewers.page import chromium

OUT = Path("out") / "browser"
PAGES = {
    "status": "/",
    "images": "/jobs",
    "image": "/jobs/1",
    "ignored-image": "/jobs/2",
    "rules": "/rules",
    "settings": "/settings",
    "versions": "/settings/versions",
    "difference": "/settings/versions?before=1&after=2",
    "version": "/settings/versions/1",
    "peers": "/peers",
    "audit": "/deeds",
    "not-there": "/jobs/999999",
}


def prove(folder: Path, examples: int, seed: int) -> Iterator[Count]:
    """Yield what came of the walk, of the pictures and of the fuzzing."""
    with site(folder) as made, chromium() as browser:
        _until_worked_off(made)
        walk = Walk(browser, made)
        try:
            yield from steps(walk, made, folder / "chest.dcm", folder / "foot.dcm")
            yield from script_steps(walk)
        except Exception:
            walk.picture(OUT / "where-it-stopped.png")
            raise
        finally:
            walk.close()
        yield Count.none("complaints of the browser", len(walk.complaints))
        yield Count.none("requests to elsewhere", len(walk.elsewhere))
        for words in (*walk.complaints, *walk.elsewhere):
            yield Count(words[:200], "said", "nothing", holds=False)
        for scheme in SCHEMES:
            yield Count.equal(
                f"pages kept as pictures, {scheme}",
                _pictures(Walk(browser, made, scheme), scheme),
                len(PAGES) + 1,
            )
        yield from _viewer(Walk(browser, made))
        yield from fuzz_api(made, examples, seed)
        shutil.copy(folder / "schemathesis.txt", OUT)
        logged = made.log.read_text()
        for secret in (ACCESSION, SECRET, PASSWORD):
            yield Count.none(f"{secret!r} in the node's log", logged.count(secret))


def _until_worked_off(made: Site) -> None:
    with client(made, "viewer") as program:
        until(lambda: program.get("/api/v1/status").json()["lanes"][0]["waiting"], "results")


def _pictures(walk: Walk, scheme: Scheme) -> int:
    """Keep a picture of every page; return how many."""
    walk.go("/login")
    walk.picture(OUT / f"login-{scheme}.png")
    walk.log_in("admin")
    for name, path in PAGES.items():
        walk.go(path)
        walk.page.wait_for_load_state("networkidle")
        if name == "image":
            for structure in ("Right lung", "Left lung", "Heart"):
                walk.page.get_by_label(structure, exact=True).evaluate("box => box.click()")
            walk.page.locator("#measured input").first.check()
            walk.page.wait_for_load_state("networkidle")
        walk.picture(OUT / f"{name}-{scheme}.png")
    walk.close()
    return len(list(OUT.glob(f"*-{scheme}.png")))


def _viewer(walk: Walk) -> Iterator[Count]:
    walk.log_in("viewer")
    walk.go("/jobs/1")
    yield Count.none(
        "buttons that change something, for a viewer", walk.page.locator(".orders button").count()
    )
    walk.go("/deeds")
    yield Count.equal("the audit answers a viewer", walk.said("h1").count("Not allowed"), 1)
    walk.close()


def main() -> int:
    """Run it; 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=50, help="requests drawn for each operation of the API")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    configure_logs("ERROR")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="browser-") as folder:
        counts = list(prove(Path(folder), wanted.size, wanted.seed))
    return 0 if told(f"the console; pictures in {OUT}", counts, console) else 1


if __name__ == "__main__":
    sys.exit(main())
