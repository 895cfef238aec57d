"""A walk through the console in a real browser: every step does something and looks whether it came true."""

import base64
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx
import numpy as np
import numpy.typing as npt
from PIL import Image
from pydicom import dcmread

from tests.browser.called import Called
from tests.browser.site import ACCESSION, PASSWORD, Site, client, until
from tests.faults.count import Count

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        BrowserContext,
        ConsoleMessage,
        Page,
        Request,
        Response,
        ViewportSize,
    )

Scheme = Literal["dark", "light"]
SCHEMES: tuple[Scheme, ...] = ("dark", "light")
LONGEST_STEP_MS = 120_000
STRUCTURE = "Right lung"
LEAST_IOU = 0.9
"""Of a mask and what was drawn when it was switched on: the picture is scaled, and edges are soft."""

DROP = """([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name));
    return carried;
}"""


class Walk:
    """One person at one browser.

    Args:
        browser: Chromium.
        made: What is driven.
        scheme: "dark" or "light".

    Attributes:
        page: What is on the screen.
        complaints: What the browser said that a page of ours must not bring about: errors of scripts, things
            that the Content Security Policy forbids, answers of 5xx.
        elsewhere: Addresses outside the console that a page asked for.
        called: Which functions of our script have been called.
    """

    def __init__(self, browser: "Browser", made: Site, scheme: Scheme = "dark") -> None:
        self._made = made
        size: ViewportSize = {"width": 1366, "height": 768}
        self._context: BrowserContext = browser.new_context(viewport=size, color_scheme=scheme)
        self.page: Page = self._context.new_page()
        self.page.set_default_timeout(LONGEST_STEP_MS)
        self.called = Called(self._context, self.page)
        self.complaints: list[str] = []
        self.elsewhere: list[str] = []
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", self._see)
        self.page.on("request", self._notice)
        self.page.on("dialog", lambda dialog: dialog.accept())

    def close(self) -> None:
        """Close the window."""
        self._context.close()

    def go(self, path: str) -> None:
        """Open a page; what the one before has called is counted first, for it is forgotten with that."""
        self.called.take()
        self.page.goto(f"{self._made.url}{path}")

    def log_in(self, account: str) -> None:
        """Log in, and see the first page."""
        self.go("/")
        self.page.get_by_label("Name").fill(account)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        self.page.get_by_role("heading", name="Destinations").wait_for()

    def _hear(self, said: "ConsoleMessage") -> None:
        if (
            said.type == "error" and "status of 4" not in said.text
        ):  # pages that are not there are asked for, too
            self.complaints.append(said.text)

    def _see(self, got: "Response") -> None:
        if got.status >= 500:
            self.complaints.append(f"{got.status} from {got.url}")

    def _notice(self, asked: "Request") -> None:
        if not asked.url.startswith((self._made.url, "data:", "blob:")):
            self.elsewhere.append(asked.url)

    def picture(self, path: Path) -> None:
        """Keep what is on the screen, whole pages at their length."""
        self.page.screenshot(path=path, full_page=True)

    def said(self, selector: str) -> str:
        """Return the text of a part of the page."""
        return str(self.page.locator(selector).first.inner_text())


def steps(walk: Walk, made: Site, chest: Path, foot: Path) -> Iterator[Count]:
    """Yield what came of each step of the walk."""
    walk.log_in("admin")
    yield from _keyboard(walk)
    yield from _tester(walk, chest, foot)
    yield from _settings(walk, made)
    yield from _session_over(walk, made)
    yield from _failing(walk)
    yield from _study(walk)
    yield from _resending(walk, made)
    yield from _peers(walk)
    yield from _audit(walk)


def _keyboard(walk: Walk) -> Iterator[Count]:
    walk.page.keyboard.press("Tab")
    focused = walk.page.evaluate("document.activeElement.className")
    walk.page.keyboard.press("Enter")
    inside = walk.page.evaluate("document.activeElement.id")
    yield same(
        "the first Tab reaches the way past the menu, and Enter goes it", (focused, inside), ("skip", "main")
    )


def _tester(walk: Walk, chest: Path, foot: Path) -> Iterator[Count]:
    walk.go("/rules")
    side = chest.with_name("side.dcm")
    dataset = dcmread(chest)
    dataset.ViewPosition = "LL"
    dataset.save_as(side)
    walk.page.locator("input[type=file]").set_input_files(side)
    walk.page.get_by_role("button", name="Try it").click()
    walk.page.locator(".verdict").wait_for()
    yield has("a lateral view in the tester, last box", walk.said(".gate.refused"), "it would be refused")
    walk.page.locator("input[type=file]").set_input_files(foot)
    walk.page.get_by_role("button", name="Try it").click()
    walk.page.locator(".verdict").wait_for()
    yield same("a foot in the tester", walk.said(".verdict h2"), "It would be ignored")
    yield same("the rule that fires", walk.said(".rule.decides h3 .mark"), "✔ decides")
    content = base64.b64encode(chest.read_bytes()).decode()
    carried = walk.page.evaluate_handle(DROP, [chest.name, content])
    with walk.page.expect_navigation():
        walk.page.dispatch_event(".drop", "drop", {"dataTransfer": carried})
    yield same("a chest dropped on the tester", walk.said(".verdict h2"), "It would be worked on")
    yield has("what the node would send", walk.said(".verdict"), "to pacs")


def _settings(walk: Walk, made: Site) -> Iterator[Count]:
    walk.go("/settings")
    text = walk.page.get_by_label("The settings file")
    before = text.input_value()
    text.fill(before.replace("longest_retry_s", "longest_retri_s"))
    walk.page.locator("#outcome .problem").wait_for()
    yield has(
        "a key that is not known, told while it is typed", walk.said("#outcome .problem"), "longest_retry_s"
    )
    text.fill(before.replace("longest_retry_s = 2.0", "longest_retry_s = 3.0"))
    walk.page.locator("#outcome .done").wait_for()
    yield has("the mended text would change", walk.said("#outcome"), "longest_retry_s")
    walk.page.get_by_label("Why").fill("a longer wait")
    with walk.page.expect_navigation():
        walk.page.get_by_role("button", name="Activate").click()
    with client(made, "admin") as program:
        until(lambda: _version(program) == 2, "version 2")
        yield Count.equal("version that the node goes by, activated", _version(program), 2)
        walk.go("/settings/versions")
        with walk.page.expect_navigation():
            walk.page.get_by_role("button", name="Roll back to this").last.click()
        until(lambda: _version(program) == 3, "version 3")
        yield Count.equal("version that the node goes by, rolled back", _version(program), 3)
    yield same("the file is as it was, secret and all", made.config.read_text(), made.first_text)


def _session_over(walk: Walk, made: Site) -> Iterator[Count]:
    """Activate what was typed when the session has ended, before the page has noticed."""
    walk.go("/settings")
    text = walk.page.get_by_label("The settings file")
    typed = text.input_value().replace("longest_retry_s = 2.0", "longest_retry_s = 4.0")
    text.fill(typed)
    walk.page.locator("#outcome .done").wait_for()
    walk.page.context.clear_cookies()
    with walk.page.expect_navigation():
        walk.page.get_by_role("button", name="Activate").click()
    walk.page.get_by_label("Name").fill("admin")
    walk.page.get_by_label("Password").fill(PASSWORD)
    with walk.page.expect_navigation():
        walk.page.get_by_role("button", name="Log in").click()
    yield has("after the login", walk.said("main .problem"), "what you typed is here again")
    yield same("the text in the editor", text.input_value(), typed)
    yield same("the file, which was not touched", made.config.read_text(), made.first_text)


def _version(program: httpx.Client) -> int:
    return int(program.get("/api/v1/status").json()["settings_version"])


def _study(walk: Walk) -> Iterator[Count]:
    walk.go("/")
    walk.page.get_by_label("Find an image").fill(ACCESSION)
    walk.page.keyboard.press("Enter")
    rows = walk.page.locator("table tbody tr")
    rows.first.wait_for()
    yield Count.equal("images found by accession number", rows.count(), 1)
    rows.locator("a").first.click()
    switch = walk.page.get_by_label(STRUCTURE, exact=True)
    switch.wait_for(state="attached")
    walk.page.locator("#filter").fill(STRUCTURE)
    film = walk.page.locator(".stack")
    walk.page.locator("img.radiograph").evaluate("image => image.decode()")
    without = _pixels(film.screenshot())
    switch.check()
    mask = walk.page.locator("#masks img").first
    mask.evaluate("image => image.decode()")
    drawn = np.abs(_pixels(film.screenshot()) - without).sum(axis=2) > 12
    source = walk.page.request.get(f"{mask.evaluate('image => image.src')}").body()
    iou = _overlap(drawn, source)
    yield Count(
        f"{STRUCTURE}: overlap of mask and drawn pixels",
        round(iou, 3),
        f"at least {LEAST_IOU}",
        iou >= LEAST_IOU,
    )
    switch.uncheck()
    left = int((np.abs(_pixels(film.screenshot()) - without).sum(axis=2) > 12).sum())
    yield Count.none(f"{STRUCTURE}: pixels drawn when it is switched off", left)
    lines = walk.page.locator("#measured input")
    lines.first.check()
    shown = walk.page.locator("#lines g:not(.off)").count()
    yield Count.equal("measurement lines on the film, one switched on", shown, 1)


def _pixels(png: bytes) -> npt.NDArray[np.int16]:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(np.int16)


def _overlap(drawn: npt.NDArray[np.bool_], mask: bytes) -> float:
    """Return the intersection over union of what was drawn and of a mask, scaled to the screen."""
    height, width = drawn.shape
    wanted = np.asarray(Image.open(BytesIO(mask)).convert("RGBA").resize((width, height)))[..., 3] > 127
    return float((wanted & drawn).sum() / max(1, (wanted | drawn).sum()))


def _resending(walk: Walk, made: Site) -> Iterator[Count]:
    yield same("the image while its destination is away", _state(walk), "delivering")
    made.archive.start()  # the destination is mended, and its next try is near: no button is needed
    until(lambda: _state(walk) == "done", "the delivery of all results")
    first = sum(made.archive.counts.values())
    yield Count("results that came when the destination was mended", first, "1 and more", first > 0)
    walk.page.locator("select[name=to]").select_option("pacs")
    walk.page.get_by_role("button", name="Send again").click()
    until(lambda: sum(made.archive.counts.values()) == 2 * first, "every result once more")
    yield Count.equal("results that came, sent again", sum(made.archive.counts.values()), 2 * first)
    until(lambda: _state(walk) == "done", "the end of the second delivery")


def _failing(walk: Walk) -> Iterator[Count]:
    failures = walk.page.locator("tr", has_text="pacs").locator(".bad").first
    for path in ("/", "/peers"):
        walk.go(path)
        yield has(f"a destination that is away, on {path}", failures.inner_text(), "since")
    walk.go("/jobs")
    yield has(
        "what its image waits for, in the list", walk.said("table .bad"), "waits for pacs: no connection"
    )
    walk.go("/jobs/1")
    yield has("what its image waits for, on its page", walk.said("main > .warned"), "next try")
    yield has("its timeline", walk.said(".timeline"), "to deliver")


def _state(walk: Walk) -> str:
    walk.page.reload()
    return walk.said("h1 .state")


def _peers(walk: Walk) -> Iterator[Count]:
    walk.go("/peers")
    for name, wanted in (("pacs", "No step failed."), ("web-pacs", "A step failed.")):
        walk.page.get_by_role("button", name=f"Examine {name}", exact=True).click()
        walk.page.locator(".examination h2", has_text=f" {name} ").wait_for()
        yield same(f"the doctor of {name}", walk.said(".examination p"), wanted)


def _audit(walk: Walk) -> Iterator[Count]:
    walk.go("/deeds")
    found = walk.said("table")
    for act in (
        "log in",
        "try rules on a file",
        "activate settings",
        "roll settings back",
        "look at a study",
    ):
        yield has("the audit", found, act)
    yield has("the audit", found, "send again")


def same(what: str, found: object, wanted: object) -> Count:
    """Return whether something is what it must be."""
    return Count(what, _short(found), _short(wanted), found == wanted)


def has(what: str, found: str, wanted: str) -> Count:
    """Return whether a text has the words that it must have."""
    return Count(what, _short(found), f"has {wanted!r}", wanted in found)


def _short(value: object) -> str:
    words = " ".join(str(value).split())
    return words if len(words) <= 90 else f"{words[:87]}..."
