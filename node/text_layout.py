"""Where values are written beside their lines: inside the image, and none over another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ai.orientation import Point

LINE_HEIGHT = 0.018
"""Height of a line of text over the longer side of the image: about 18 pixels of a screen of 1000."""

CHARACTER_WIDTH = 0.55
"""Of an average character over the height of its line: that of common sans-serif fonts, and a little more."""

GAP = 0.4
"""Between line and text, over the height of a line of text."""


@dataclass(frozen=True)
class Box:
    """A rectangle on the stored grid, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two have more than an edge in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def lines(self, count: int) -> list["Box"]:
        """Return the box cut into lines of text, from the top."""
        height = (self.bottom - self.top) / count
        tops = (self.top + number * height for number in range(count))
        return [Box(self.left, top, self.right, top + height) for top in tops]


class TextLayout:
    """Finds room for blocks of text on one image.

    Text goes from its anchor away from the middle of the image, where a reader looks least.

    Args:
        rows: Of the stored grid.
        columns: Of the stored grid.
        reserved: Share of the rows at the bottom that is kept free.
        line_height: Of a line of text over the longer side.
    """

    def __init__(
        self, rows: int, columns: int, reserved: float = 0.0, line_height: float = LINE_HEIGHT
    ) -> None:
        self._height, self._width = rows * (1 - reserved), float(columns)
        self._middle = (columns / 2, rows / 2)
        self._line = line_height * max(rows, columns)
        self._taken: list[Box] = []

    def is_left(self, anchor: Point) -> bool:
        """Whether text at an anchor goes to the left of it."""
        return anchor[0] < self._middle[0]

    def place(self, anchor: Point, texts: Sequence[str]) -> Box:
        """Return where lines of text stand in a block: beside the anchor, or as near as there is room.

        >>> TextLayout(1000, 1000).place((400, 300), ["heart area 98.8 cm2"]).bottom < 300
        True
        """
        width = min(self._width, CHARACTER_WIDTH * self._line * max(map(len, texts)))
        height = min(self._height, len(texts) * self._line)
        wanted = anchor[0] - width if self.is_left(anchor) else anchor[0]
        left = min(max(0.0, wanted), self._width - width)
        tops = (min(max(0.0, top), self._height - height) for top in self._tops(anchor[1], height))
        boxes = [Box(left, top, left + width, top + height) for top in tops]
        free = (box for box in boxes if not any(box.overlaps(other) for other in self._taken))
        chosen = next(free, boxes[0])
        self._taken.append(chosen)
        return chosen

    def _tops(self, row: float, height: float) -> Iterator[float]:
        """Yield where a block may begin: away from the middle, on the other side, then further off."""
        for further in range(round(self._height / self._line) + 1):
            away = (GAP + further) * self._line
            above, below = row - away - height, row + away
            yield from (above, below) if row < self._middle[1] else (below, above)
