"""A page that never comes to rest is told, and one that does not draw by itself is asked to."""

import base64
import io
from collections.abc import Iterable
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image

from tests.viewers import ohif
from tests.viewers.ohif import CANVAS, DISPLAY_SET, DRAW, Ohif
from tests.viewers.page import NotShownError

if TYPE_CHECKING:  # an extra of its own
    from playwright.sync_api import Page


class _Found:
    """What was found on a page."""

    def __init__(self, count: int) -> None:
        self.count = lambda: count

    def dblclick(self) -> None:
        """Take it."""


class _Page:
    """What a page with OHIF would have drawn: grey pictures, and a report's lines when asked."""

    def __init__(self, greys: Iterable[int]) -> None:
        self._greys, self._lines = iter(greys), 0

    def evaluate(self, script: str, _argument: object = None) -> str:
        self._lines = 26 if script == DRAW else self._lines
        if script == DISPLAY_SET:
            return "a report"
        if script != CANVAS:
            return ""
        content = io.BytesIO()
        Image.new("L", (4, 3), next(self._greys) % 256).save(content, "PNG")
        return base64.b64encode(content.getvalue()).decode()

    def ignored(self, *_arguments: object) -> None:
        """Take any other order."""

    def locator(self, selector: str) -> "_Found":
        return _Found(self._lines if "svg" in selector else 0)

    set_default_timeout = on = add_init_script = wait_for_timeout = ignored


def viewer(greys: Iterable[int]) -> Ohif:
    return Ohif(cast("Page", _Page(greys)))


def test_picture_counts_once_it_is_drawn_the_same_twice() -> None:
    assert np.unique(viewer(chain([1, 2, 3], repeat(4))).only(None)).tolist() == [4]


def test_picture_that_changes_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ohif, "LONGEST_STEP_S", 0.1)
    with pytest.raises(NotShownError, match="a picture that stays did not appear"):
        viewer(count()).only(None)


def test_lines_of_a_report_are_asked_for() -> None:
    assert viewer(()).load_report("1.2.3", 0.1) < 10
