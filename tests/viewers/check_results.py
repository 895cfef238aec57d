"""What is asked of a viewer that has loaded a result: every structure and every line, by its pixels."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import Dataset

from ai.labels import label
from tests.viewers.films import Film
from tests.viewers.ohif import Ohif
from tests.viewers.overlay_pixels import Comparison, compare, line_hits
from tests.viewers.page import ViewerPage

LEAST_LINE_HITS = 0.85
"""Share of a line of a report that must be drawn where its points lie."""

LEAST_LIT = 0.3
"""Share of the film's canvas above black that a viewport with a report must still show."""

MOST_OFF = 12.0
"""Mean difference (of 255) between a Secondary Capture and what is shown of it at the size of the screen."""

DARK = 16
IDLE_S = 5.0

SEG_LIMIT_S, LIMIT_PER_SEGMENT_S, SR_LIMIT_S = 60.0, 3.0, 60.0
"""How long a viewer may take, on two cores without a graphics card."""

UNSHOWN_LIMIT_S = 30.0
"""How long is waited for a Segmentation that OHIF need not show."""


@dataclass
class Finding:
    """What became of one result in the viewer.

    Attributes:
        film: Its name.
        profile: For which the result was written.
        kind: Modality and Series Description.
        viewer: Its name.
        segments: In the Segmentation; 0 for others.
        seconds: From the double click until all of it was listed and drawn; NaN if it was not.
        layers: Pictures that OHIF laid over the film.
        idle_renders: How often OHIF drew again within `IDLE_S` without being touched.
        comparisons: Of each structure that was looked at.
        faults: What is wrong, in words.
        must_be_shown: Whether the viewer has to show it.
    """

    film: str
    profile: str
    kind: str
    viewer: str = Ohif.NAME
    segments: int = 0
    seconds: float = float("nan")
    layers: int = 0
    idle_renders: int = 0
    comparisons: list[Comparison] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    must_be_shown: bool = True

    def limit_s(self, segments: int) -> float:
        """Return how long a viewer may take to show a Segmentation of so many segments."""
        return SEG_LIMIT_S + LIMIT_PER_SEGMENT_S * segments if self.must_be_shown else UNSHOWN_LIMIT_S


def check_segmentation(viewer: ViewerPage, seg: Dataset, film: Film, finding: Finding, picture: Path) -> None:
    """Load a Segmentation, look at its names and its pixels, keep a picture; add to the finding.

    Raises:
        tests.viewers.page.NotShownError: The viewer did not show it.
    """
    names = [str(segment.SegmentLabel) for segment in seg.SegmentSequence]
    finding.segments = len(names)
    finding.seconds = viewer.load(seg.SeriesInstanceUID, len(names), finding.limit_s(len(names)))
    picture.write_bytes(viewer.screenshot())
    if isinstance(viewer, Ohif):
        finding.layers, finding.idle_renders = viewer.layers(), viewer.renders(IDLE_S)
    finding.faults += panel_faults(viewer.panel(), list(film.segmentation.masks), names)
    finding.comparisons += compared(viewer, film, names)
    for each in finding.comparisons:
        finding.faults += [f"{each.name}: {fault}" for fault in each.faults]


def panel_faults(panel: list[tuple[int, str]], found: list[str], sent: list[str]) -> list[str]:
    """Return what is wrong with the names that a viewer lists, given those found and those in the SEG.

    >>> panel_faults([(1, "left lung")], ["right lung"], ["left lung"])
    ["the SEG names 'left lung', which was not found in the film"]
    """
    unknown = [name for name in sent if name not in found]
    faults = [f"the SEG names {name!r}, which was not found in the film" for name in unknown]
    wanted = list(enumerate(sent, start=1))
    if panel != wanted:
        at = next((pair for pair in zip(panel, wanted, strict=False) if pair[0] != pair[1]), None)
        where = f"lists {at[0]} for {at[1]}" if at else f"lists {len(panel)} of {len(wanted)} names"
        faults.append(f"the panel {where}")
    return faults


def compared(viewer: ViewerPage, film: Film, names: list[str]) -> Iterator[Comparison]:
    """Yield how structures are drawn: each of `film.checked` alone, then all together."""
    geometry, shape = viewer.geometry()
    if shape != film.source.shape:
        raise ValueError(f"the viewer shows {shape} pixels, the film has {film.source.shape}")
    stored = {name: mask for name, mask in film.stored_masks.items() if name in names}
    hidden = viewer.only([])
    size = hidden.shape[:2]
    for name in film.checked:
        if name in stored:
            expected = geometry.mask_on_canvas(stored[name], (size[0], size[1]))
            yield compare(name, viewer.only([name]), hidden, expected, label(name).colour)
    union = np.any(list(stored.values()), axis=0)
    everywhere = geometry.mask_on_canvas(union, (size[0], size[1]))
    yield compare("all together", viewer.only(None), hidden, everywhere, None)


def check_report(viewer: Ohif, report: Dataset, finding: Finding, picture: Path) -> None:
    """Load a report, look at its lines, keep a picture; add to the finding.

    Raises:
        tests.viewers.page.NotShownError: The viewer did not show it.
    """
    finding.seconds = viewer.load_report(report.SeriesInstanceUID, SR_LIMIT_S)
    canvas, screen = viewer.canvas(), viewer.viewport_screenshot()
    picture.write_bytes(viewer.screenshot())
    lit = float((canvas.max(axis=2) > DARK).mean())
    if lit < LEAST_LIT:
        finding.faults.append(f"only {lit:.0%} of the viewport is not black")
    geometry, _ = viewer.geometry()
    lines = list(polylines(report))
    if not lines:
        finding.faults.append("the report has no line")
    for name, points in lines:
        hits = line_hits(screen, geometry.on_canvas(points))
        if hits < LEAST_LINE_HITS:
            finding.faults.append(f"{name}: {hits:.0%} of its line is drawn")


def check_picture(viewer: Ohif, capture: Dataset, finding: Finding, picture: Path) -> None:
    """Open a Secondary Capture, compare the canvas with its pixels, keep a picture; add to the finding.

    Raises:
        tests.viewers.page.NotShownError: The viewer did not show it.
    """
    shape = (int(capture.Rows), int(capture.Columns))
    finding.seconds = viewer.load_image(capture.SeriesInstanceUID, shape, SR_LIMIT_S)
    canvas, geometry = viewer.canvas(), viewer.geometry()[0]
    picture.write_bytes(viewer.screenshot())
    (left, top), ((right, _), (_, bottom)) = geometry.first, (geometry.column_step, geometry.row_step)
    columns, rows = int(right * shape[1]), int(bottom * shape[0])
    x, y = max(round(left), 0), max(round(top), 0)
    shown = canvas[y : y + rows, x : x + columns].astype(np.float64)
    wanted = Image.fromarray(capture.pixel_array).resize((shown.shape[1], shown.shape[0]))
    off = float(np.abs(shown - np.asarray(wanted, np.float64)).mean())
    if not off < MOST_OFF:
        finding.faults.append(f"the picture differs by {off:.1f} of 255 a pixel")


def polylines(item: Dataset, name: str = "") -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield tracking identifier and points (column, row) of every SCOORD, in stored image coordinates."""
    for child in item.get("ContentSequence", []):
        if child.ValueType == "TEXT" and child.ConceptNameCodeSequence[0].CodeValue == "112039":
            name = str(child.TextValue)
        if child.ValueType == "SCOORD":
            columns, rows = child.GraphicData[::2], child.GraphicData[1::2]
            yield name, [(float(c), float(r)) for c, r in zip(columns, rows, strict=True)]
        yield from polylines(child, name)
