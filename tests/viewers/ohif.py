"""OHIF in a headless Chromium: a study is opened, results are loaded as a reader would, pictures are taken.

OHIF 3.13 leaves `cornerstone`, `cornerstoneTools` and `services` on the window; the scripts below ask them
where the film lies on the canvas and switch segments, as the eye symbols in its panel do.
"""

import io
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.viewers.overlay_pixels import Picture, coloured
from tests.viewers.page import LONGEST_STEP_S, ViewerPage

if TYPE_CHECKING:  # an extra of its own: the tests that need no browser run without it
    from playwright.sync_api import Page

LEAST_COLOURED = 150
"""Canvas pixels that are not grey before an overlay counts as drawn."""

PROMPT = '[data-cy="yes-hydrate-btn"], [data-cy="prompt-begin-tracking-yes-btn"]'
NO_TOUR = "localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']))"
VIEWPORT = """
const viewport = cornerstone.getRenderingEngines().flatMap(engine => engine.getViewports())
  .find(each => each.canvas.getBoundingClientRect().width > 0);
"""
GEOMETRY = f"""() => {{
  {VIEWPORT}
  const {{dimensions, spacing, origin, direction}} = viewport.getImageData();
  const at = (column, row) => viewport.worldToCanvas([0, 1, 2].map(axis =>
    origin[axis] + column * spacing[0] * direction[axis] + row * spacing[1] * direction[3 + axis]));
  const scale = viewport.canvas.width / viewport.canvas.getBoundingClientRect().width;
  return {{scale, columns: dimensions[0], rows: dimensions[1],
    first: at(0, 0), right: at(dimensions[0] - 1, 0), below: at(0, dimensions[1] - 1)}};
}}"""
CANVAS = f"() => {{ {VIEWPORT} return viewport.canvas.toDataURL('image/png').split(',')[1]; }}"
WHOLE_FILM = f"() => {{ {VIEWPORT} viewport.resetCamera(); }}"
DRAW = f"() => {{ {VIEWPORT} if (viewport) viewport.render(); }}"
"""OHIF does not always draw once it has read the lines of a report: they stay away until somebody zooms."""

DRAWN_AGAIN = f"""() => {{
  {VIEWPORT}
  return new Promise(done => {{
    let left = 2;
    const drawn = () => {{
      left -= 1;
      if (left) return viewport.render();
      viewport.element.removeEventListener('CORNERSTONE_IMAGE_RENDERED', drawn);
      done();
    }};
    viewport.element.addEventListener('CORNERSTONE_IMAGE_RENDERED', drawn);
    viewport.render();
  }});
}}"""
RENDERS = f"""seconds => {{
  {VIEWPORT}
  return new Promise(done => {{
    let count = 0;
    viewport.element.addEventListener('CORNERSTONE_IMAGE_RENDERED', () => {{ count += 1; }});
    setTimeout(() => done(count), 1000 * seconds);
  }});
}}"""
DISPLAY_SET = """uid =>
  services.displaySetService.getActiveDisplaySets().find(e => e.SeriesInstanceUID === uid)
    ?.displaySetInstanceUID"""
IS_LAID_OVER = f"""id => {{
  {VIEWPORT}
  if (!viewport) return false;
  const shown = services.viewportGridService.getState().viewports.get(viewport.id).displaySetInstanceUIDs;
  const over = services.segmentationService.getSegmentationRepresentations(viewport.id) || [];
  return shown[0] !== id && over.some(each => each.segmentationId === id);
}}"""
SHOW_ONLY = f"""names => {{
  {VIEWPORT}
  const service = services.segmentationService;
  for (const segmentation of service.getSegmentations())
    for (const segment of Object.values(segmentation.segments))
      service.setSegmentVisibility(viewport.id, segmentation.segmentationId, segment.segmentIndex,
        names === null || names.includes(segment.label), 'Labelmap');
}}"""
NO_OUTLINES = """() => services.segmentationService.setStyle(
  {type: 'Labelmap'}, {renderOutline: false, renderOutlineInactive: false})"""
LAYERS = f"() => {{ {VIEWPORT} return viewport.getActors().length - 1; }}"
PANEL = """() => [...document.querySelectorAll('[data-cy="data-row"]')].map(row => [
  row.innerText.trim().split('\\n')[0], row.querySelector('[data-cy="data-row-title"]').textContent])"""


class Ohif(ViewerPage):
    """One page of OHIF with one study."""

    NAME = "OHIF"
    CANVAS = CANVAS
    GEOMETRY = GEOMETRY
    PANEL = PANEL

    def __init__(self, page: "Page") -> None:
        super().__init__(page)
        page.add_init_script(NO_TOUR)

    def open(self, site: str, study_uid: str) -> None:
        """Open a study and the panel of segmentations; wait until the film is there."""
        self._page.goto(f"{site}/viewer?StudyInstanceUIDs={study_uid}")
        self._page.wait_for_selector(".cornerstone-canvas")
        self._page.click('[data-cy="panelSegmentation-btn"]')
        self._until(lambda: self._film_is_there(), "the film", 60)
        self._page.evaluate(WHOLE_FILM)
        self._redraw()

    def load(self, series_uid: str, segments: int, limit_s: float) -> float:
        """Double-click a Segmentation, say yes; return the seconds until all is listed and drawn.

        Its structures are drawn without their outlines from then on, which takes a third of the time.

        Raises:
            tests.viewers.page.NotShownError: That took longer than `limit_s`.
        """
        start = time.monotonic()
        self._double_click(series_uid)
        self._until(lambda: self._is_laid_over(series_uid, segments), "the overlay", limit_s)
        seconds = time.monotonic() - start
        self._page.evaluate(NO_OUTLINES)
        return seconds

    def load_report(self, series_uid: str, limit_s: float) -> float:
        """Double-click a report, say yes if asked; return the seconds until its lines are drawn.

        Raises:
            tests.viewers.page.NotShownError: That took longer than `limit_s`.
        """
        start = time.monotonic()
        self._double_click(series_uid)
        self._until(self._has_lines, "a line of the report", limit_s)
        return time.monotonic() - start

    def load_image(self, series_uid: str, shape: tuple[int, int], limit_s: float) -> float:
        """Double-click an image; return the seconds until one of this shape (rows, columns) is shown.

        Raises:
            tests.viewers.page.NotShownError: That took longer than `limit_s`.
        """
        start = time.monotonic()
        self._double_click(series_uid)
        self._until(lambda: self.geometry()[1] == shape, "the image", limit_s)
        return time.monotonic() - start

    def canvas(self) -> Picture:
        """Return what is drawn on the film's canvas: without the text around it."""
        self._redraw()
        return super().canvas()

    def only(self, names: Sequence[str] | None) -> Picture:
        """Show these structures and no others, or all (None); return the canvas once it stays as it is.

        Raises:
            tests.viewers.page.NotShownError: It was drawn otherwise each time, for `LONGEST_STEP_S`.
        """
        self._page.evaluate(SHOW_ONLY, None if names is None else list(names))
        drawn = [self.canvas()]

        def is_at_rest() -> bool:
            drawn.append(self.canvas())
            return np.array_equal(drawn.pop(0), drawn[0])

        self._until(is_at_rest, "a picture that stays", LONGEST_STEP_S)
        return drawn[0]

    def viewport_screenshot(self) -> Picture:
        """Return the window where the canvas lies, with the lines and the text over it."""
        box = self._page.locator(".cornerstone-canvas").first.bounding_box()
        assert box is not None
        content = self._page.screenshot(
            clip={"x": box["x"], "y": box["y"], "width": box["width"], "height": box["height"]},
            timeout=1000 * LONGEST_STEP_S,
        )
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))

    def layers(self) -> int:
        """Return how many pictures OHIF lays over the film: it needs more where structures overlap."""
        count: int = self._page.evaluate(LAYERS)
        return count

    def renders(self, seconds: float) -> int:
        """Return how often OHIF draws in so many seconds in which nobody touches anything."""
        count: int = self._page.evaluate(RENDERS, seconds)
        return count

    def _double_click(self, series_uid: str) -> None:
        self._until(lambda: self._page.evaluate(DISPLAY_SET, series_uid), "the series in the list", 30)
        identity = self._page.evaluate(DISPLAY_SET, series_uid)
        self._page.locator(f'[id="thumbnail-{identity}"]').dblclick()

    def _film_is_there(self) -> bool:
        return int(super().canvas().max()) > 32

    def _is_laid_over(self, series_uid: str, segments: int) -> bool:
        """Whether the film is shown again, now with a Segmentation over it (before the yes: its preview)."""
        self._agree()
        if not self._page.evaluate(IS_LAID_OVER, self._page.evaluate(DISPLAY_SET, series_uid)):
            return False
        if len(self.panel()) < segments:
            return False
        return int(coloured(super().canvas(), 16).sum()) >= LEAST_COLOURED

    def _has_lines(self) -> bool:
        self._agree()
        self._page.evaluate(DRAW)
        count: int = self._page.locator("svg.svg-layer polyline, svg.svg-layer line").count()
        return count > 0

    def _agree(self) -> None:
        prompt = self._page.locator(PROMPT)
        if prompt.count():
            prompt.first.click()

    def _redraw(self) -> None:
        self._page.evaluate(DRAWN_AGAIN)
