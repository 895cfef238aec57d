"""Which functions of a script a window has called, told by Chromium itself."""

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

Function = tuple[str, int, str]
"""The file that it is in, where it begins there, and its name; empty for one that has none."""


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

    def take(self) -> None:
        """Count what the page that is shown has called since this was last asked for."""
        for each in self._session.send("Profiler.takePreciseCoverage")["result"]:
            script = each["url"].rpartition("/")[2]
            for function in each["functions"]:
                whole = function["ranges"][0]
                self._calls[script, whole["startOffset"], function["functionName"]] += whole["count"]

    def never(self, script: str, text: str) -> tuple[int, tuple[str, ...]]:
        """Return how many functions of a script there are, and those that were never called.

        Args:
            script: The name of its file.
            text: What is in it; tells the lines.
        """
        self.take()
        known = sorted((start, name) for file, start, name in self._calls if file == script)
        never = [(start, name) for start, name in known if not self._calls[script, start, name]]
        lines = ((name or "a function", text.count("\n", 0, start) + 1) for start, name in never)
        return len(known), tuple(f"{name} in line {line}" for name, line in lines)
