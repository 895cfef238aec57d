"""Which functions of a script a window has called, told by Chromium itself."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

Function = tuple[str, int]
"""Its name, empty for one that has none, and where it begins in the text of its script."""


class Called:
    """Counts the calls of functions, over all pages that a window shows one after the other.

    Args:
        context: Of the window.
        page: The window.
    """

    def __init__(self, context: "BrowserContext", page: "Page") -> None:
        self._session = context.new_cdp_session(page)
        self._calls: Counter[Function] = Counter()
        self._session.send("Profiler.enable")
        self._session.send("Profiler.startPreciseCoverage", {"callCount": True, "detailed": False})

    def count(self, script: str) -> Counter[Function]:
        """Return how often each function of a script was called, whose address ends like this; 0: never."""
        for each in self._session.send("Profiler.takePreciseCoverage")["result"]:
            if each["url"].endswith(script):
                for function in each["functions"]:
                    [whole, *_] = function["ranges"]
                    self._calls[function["functionName"], whole["startOffset"]] += whole["count"]
        return self._calls

    def never(self, script: str, text: str) -> tuple[str, ...]:
        """Return the functions of a script that were never called, by name and line of its text."""
        calls = self.count(script)
        return tuple(
            f"{name or 'a function'} in line {text.count(chr(10), 0, start) + 1}"
            for (name, start), count in sorted(calls.items(), key=lambda item: item[0][1])
            if not count
        )
