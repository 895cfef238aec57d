"""Steps that let the console's script do what the rest of the walk has no need of."""

from collections.abc import Iterator
from contextlib import closing

from node.web.rendering import STATIC
from tests.browser.site import PASSWORD
from tests.browser.walk import Walk, same
from tests.faults.count import Count

SCRIPT = "console.js"
OVER = "Your session is over"
NARROW = "upper lobe"
LEAST = 40
"""Functions that Chromium tells of, those without names among them."""


def script_steps(walk: Walk) -> Iterator[Count]:
    """Yield what came of each step, and which functions of the script nobody has called by then."""
    yield from _status(walk)
    yield from _editor(walk)
    yield from _session(walk)
    yield from _dropping(walk)
    yield from _film(walk)
    count, never = walk.called.never(SCRIPT, (STATIC / SCRIPT).read_text())
    yield Count(f"functions of {SCRIPT}", count, f"{LEAST} and more", count >= LEAST)
    yield Count.none("of these never called", len(never))
    for words in never:
        yield Count(words, "never called", "called", holds=False)


def _status(walk: Walk) -> Iterator[Count]:
    walk.go("/")
    before = walk.said(".at")
    with walk.page.expect_response("**/status"):
        pass
    is_later = "before => document.querySelector('.at').innerText !== before"
    later = walk.page.wait_for_function(is_later, arg=before).json_value()
    yield same("the status page has become later by itself", later, True)


def _editor(walk: Walk) -> Iterator[Count]:
    walk.go("/settings")
    text = walk.page.get_by_label("The settings file")
    wanted = text.input_value().replace("longest_retry_s = 2.0", "longest_retry_s = -2.0")
    text.fill(wanted)
    walk.page.get_by_role("button", name="Show line").click()
    chosen = text.evaluate("text => text.value.slice(text.selectionStart, text.selectionEnd)")
    yield same("the line that is wrong, chosen by its button", chosen, "longest_retry_s = -2.0")
    text.evaluate("text => { text.scrollTop = 20; }")
    walk.page.get_by_role("button", name="Dry run").click()
    walk.page.locator("#outcome .problem").wait_for()
    text.evaluate("text => { text.style.height = '400px'; }")
    fits = "document.querySelector('.numbers').offsetHeight > 390"
    is_high = walk.page.wait_for_function(fits).json_value()
    yield same("the numbers are as high as a text that was made higher", is_high, True)


def _session(walk: Walk) -> Iterator[Count]:
    """What was typed outlives the session: it goes on in one that begins in another tab."""
    text, standing = walk.page.get_by_label("The settings file"), walk.page.locator("[data-refresh]")
    typed = text.input_value()
    with closing(walk.page.context.new_page()) as other:
        other.goto(walk.page.url)
        other.get_by_role("button", name="Log out").click()
        other.get_by_label("Name").wait_for()
        standing.get_by_text(OVER).wait_for()
        walk.page.get_by_role("button", name="Activate").click()
        yield same("activating without a session", walk.said("#outcome")[: len(OVER)], OVER)
        other.get_by_label("Name").fill("admin")
        other.get_by_label("Password").fill(PASSWORD)
        other.get_by_role("button", name="Log in").click()
        other.get_by_role("button", name="Log out").wait_for()
    standing.get_by_text("is active").wait_for()
    walk.page.get_by_role("button", name="Check").click()
    walk.page.locator("#outcome .problem").wait_for()
    yield same("what was typed is there after another login", text.input_value() == typed, True)
    leaves = "window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    yield same("the page may be left without a question", walk.page.evaluate(leaves), False)


def _dropping(walk: Walk) -> Iterator[Count]:
    walk.go("/rules")  # the browser asks whether the text may be lost
    shown = []
    for event in ("dragover", "dragleave"):
        walk.page.dispatch_event(".drop", event)
        shown.append(walk.page.locator(".drop.over").count())
    nothing = walk.page.evaluate_handle("new DataTransfer()")
    walk.page.dispatch_event(".drop", "drop", {"dataTransfer": nothing})
    yield same("verdicts when nothing was dropped", walk.page.locator(".verdict").count(), 0)
    yield same("the place to drop while a file is over it, and then", shown, [1, 0])


def _film(walk: Walk) -> Iterator[Count]:
    walk.go("/jobs/1")
    boxes = walk.page.locator("#structures input")
    boxes.first.wait_for(state="attached")
    walk.page.locator("#filter").fill(NARROW)
    walk.page.get_by_role("button", name="All", exact=True).first.click()
    names = walk.page.locator("#structures li:not([hidden]) input")
    yield same(
        f"structures with {NARROW!r}, all switched on",
        walk.page.locator("#structures input:checked").count(),
        names.count(),
    )
    walk.page.locator("#opacity").fill("80")
    opacity = walk.page.locator("#masks").evaluate("masks => masks.style.opacity")
    yield same("opacity of the masks", opacity, "0.8")
    walk.page.locator("#filter").fill("heart")
    heart = walk.page.get_by_label("Heart", exact=True)
    heart.evaluate("box => { box.dataset.mask = box.dataset.mask.replace(/of=.*/, 'of=another'); }")
    heart.evaluate("box => box.click()")
    walk.page.locator("#why").wait_for()
    words = "The mask cannot be shown: the results of job 1 have changed; load the page again."
    yield same("a mask of results that have changed", walk.said("#why"), words)
    yield same("its switch afterwards", heart.is_checked(), False)
    lines = walk.page.locator("#measured li")
    walk.page.get_by_role("button", name="All", exact=True).last.click()
    lines.nth(1).hover()
    yield same("lines that stand out", walk.page.locator("#lines .near").count(), 1)
    walk.page.mouse.move(1, 1)
    lines.nth(2).locator("input").focus()
    number = walk.page.locator("#lines .near").get_attribute("id")
    yield same("the line whose switch has the focus", number, "line3")
