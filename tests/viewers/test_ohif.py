"""A page that never comes to rest is told, and not waited for for ever."""

import base64
import io
from collections.abc import Iterable
from itertools import chain, count, repeat
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest
from PIL import Image

from tests.viewers import ohif
from tests.viewers.ohif import CANVAS, Ohif
from tests.viewers.page import NotShownError

if TYPE_CHECKING:  # an extra of its own
    from playwright.sync_api import Page


class _Page:
    """What a page with OHIF would have drawn: pictures of one grey value each."""

    def __init__(self, greys: Iterable[int]) -> None:
        self._greys = iter(greys)

    def evaluate(self, script: str, _argument: object = None) -> str:
        if script != CANVAS:
            return ""
        content = io.BytesIO()
        Image.new("L", (4, 3), next(self._greys) % 256).save(content, "PNG")
        return base64.b64encode(content.getvalue()).decode()

    def ignored(self, *_arguments: object) -> None:
        """Take any other order."""

    set_default_timeout = on = add_init_script = wait_for_timeout = ignored


def viewer(greys: Iterable[int]) -> Ohif:
    return Ohif(cast("Page", _Page(greys)))


def test_picture_counts_once_it_is_drawn_the_same_twice() -> None:
    assert np.unique(viewer(chain([1, 2, 3], repeat(4))).only(None)).tolist() == [4]


def test_picture_that_changes_for_ever_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ohif, "LONGEST_STEP_S", 0.1)
    with pytest.raises(NotShownError, match="a picture that stays did not appear"):
        viewer(count()).only(None)
