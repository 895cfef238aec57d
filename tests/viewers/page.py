"""A page of a viewer in a headless Chromium: what is asked of every viewer, whichever program it is."""

import base64
import io
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from PIL import Image

from tests.viewers.orthanc import found
from tests.viewers.overlay_pixels import Geometry, Picture

if TYPE_CHECKING:  # an extra of its own: the tests that need no browser run without it
    from playwright.sync_api import Browser, ConsoleMessage, Page

WIDTH, HEIGHT = 1280, 800
"""Of the window: small, because WebGL is drawn in software here and takes its time for every pixel."""

ARGUMENTS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
]
LONGEST_STEP_S = 240.0
"""For one question to a page that is busy drawing; 159 structures keep it busy for a minute."""

POLL_S = 0.2


class NotShownError(Exception):
    """A viewer did not show something in time; the message has what its console said."""


class ViewerPage(ABC):
    """One page of a viewer with one study.

    Attributes:
        errors: What its console said.
        NAME: Of the viewer.
        CANVAS: JavaScript that returns the film's canvas as PNG in Base64.
        GEOMETRY: JavaScript that tells `columns` and `rows` of the film, and where on the canvas the centres
            of its first pixel, of the last in the first row and of the last in the first column lie (`first`,
            `right`, `below`), times `scale` in canvas pixels.
        PANEL: JavaScript that returns number and name of every segment listed.
    """

    NAME: ClassVar[str]
    CANVAS: ClassVar[str]
    GEOMETRY: ClassVar[str]
    PANEL: ClassVar[str]

    def __init__(self, page: "Page") -> None:
        self._page = page
        self.errors: list[str] = []
        page.set_default_timeout(1000 * LONGEST_STEP_S)
        page.on("pageerror", lambda error: self.errors.append(str(error)[:300]))
        page.on("console", self._note)

    @abstractmethod
    def open(self, site: str, study_uid: str) -> None:
        """Open a study; wait until the film is there.

        Raises:
            NotShownError: It did not appear.
        """

    @abstractmethod
    def load(self, series_uid: str, segments: int, limit_s: float) -> float:
        """Load a Segmentation over the film; return the seconds until all is listed and drawn.

        Raises:
            NotShownError: That took longer than `limit_s`.
        """

    @abstractmethod
    def only(self, names: Sequence[str] | None) -> Picture:
        """Show these structures and no others, or all (None); return the canvas."""

    def geometry(self) -> tuple[Geometry, tuple[int, int]]:
        """Return where the film lies on the canvas, and the film's (rows, columns)."""
        told: dict[str, Any] = self._page.evaluate(self.GEOMETRY)
        first, right, below = (np.array(told[name]) * told["scale"] for name in ("first", "right", "below"))
        across = (right - first) / (told["columns"] - 1)
        down = (below - first) / (told["rows"] - 1)
        x, y = first.tolist()
        return Geometry((x, y), tuple(across), tuple(down)), (told["rows"], told["columns"])

    def canvas(self) -> Picture:
        """Return what is drawn on the film's canvas: without the text around it."""
        content = base64.b64decode(self._page.evaluate(self.CANVAS))
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def panel(self) -> list[tuple[int, str]]:
        """Return number and name of each segment in the list, in order."""
        return [(int(number), name) for number, name in self._page.evaluate(self.PANEL)]

    def screenshot(self) -> bytes:
        """Return the whole window as PNG."""
        content: bytes = self._page.screenshot(timeout=1000 * LONGEST_STEP_S)
        return content

    def _note(self, message: "ConsoleMessage") -> None:
        if message.type == "error":
            self.errors.append(message.text[:300])

    def _until(self, holds: Callable[[], object], what: str, limit_s: float) -> None:
        deadline = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() > deadline:
                raise NotShownError(f"{what} did not appear in {limit_s:g} s; {json.dumps(self.errors[-3:])}")
            self._page.wait_for_timeout(1000 * POLL_S)


Opened = TypeVar("Opened", bound=ViewerPage)


@contextmanager
def chromium() -> "Iterator[Browser]":
    """Yield the installed Chromium, without a window and with WebGL in software."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found("chromium"), args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: "Browser", viewer: type[Opened], site: str, study_uid: str) -> Iterator[Opened]:
    """Yield a fresh page of a viewer that shows a study.

    Raises:
        NotShownError: The page does not do what it is asked.
    """
    from playwright.sync_api import Error

    context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, device_scale_factor=1)
    try:
        page = viewer(context.new_page())
        page.open(site, study_uid)
        yield page
    except Error as error:  # of Playwright, for a page that does not answer
        raise NotShownError(str(error)[:300]) from error
    finally:
        context.close()
