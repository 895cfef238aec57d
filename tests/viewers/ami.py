"""The toolkit AMI, with a page of ours around it, in a headless Chromium.

No viewer at hand draws Segmentations without an orientation (docs/viewers.md). AMI does, and is another
program that parses, decodes and colours what the node writes; the page lays one picture upon the other.
"""

import time
from collections.abc import Sequence

from tests.viewers.overlay_pixels import Picture
from tests.viewers.page import ViewerPage

FILM_LIMIT_S = 60.0


class Ami(ViewerPage):
    """One page with AMI and one study."""

    NAME = "AMI"
    CANVAS = "() => renderer.domElement.toDataURL('image/png').split(',')[1]"
    GEOMETRY = "() => geometry()"
    PANEL = "() => [...document.querySelectorAll('#panel li')].map(e => [e.dataset.number, e.textContent])"

    def open(self, site: str, study_uid: str) -> None:
        """Open a study; wait until the film is there."""
        self._page.goto(f"{site}/?study={study_uid}")
        self._until(lambda: self._page.evaluate("() => camera !== null"), "the film", FILM_LIMIT_S)

    def load(self, series_uid: str, segments: int, limit_s: float) -> float:
        """Load a Segmentation over the film; return the seconds until all is listed and drawn.

        Raises:
            tests.viewers.page.NotShownError: That took longer than `limit_s`.
        """
        start = time.monotonic()
        self._page.evaluate("uid => { loadSegmentation(uid); }", series_uid)
        self._until(lambda: len(self.panel()) >= segments, "the overlay", limit_s)
        return time.monotonic() - start

    def only(self, names: Sequence[str] | None) -> Picture:
        """Show these structures and no others, or all (None); return the canvas."""
        self._page.evaluate("names => showOnly(names)", None if names is None else list(names))
        return self.canvas()
