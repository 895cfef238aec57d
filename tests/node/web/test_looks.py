"""One look is written down once, and again when it was long ago."""

import pytest

from node.web import looks
from node.web.looks import AGAIN_S, Looks


class Written:
    """Looks at a time that the test sets, and what was written down."""

    def __init__(self) -> None:
        self.now = 5.0
        self.lines: list[str] = []
        self._looks = Looks(lambda: self.now)

    def look(self, who: str, *, is_part: bool = True) -> None:
        self._looks.note(who, lambda: self.lines.append(who), is_part=is_part)


@pytest.fixture
def written() -> Written:
    return Written()


def test_parts_of_a_look_are_written_once_and_again_after_ten_minutes(written: Written) -> None:
    for now in (5.0, 6.0, 4.0 + AGAIN_S, 5.0 + AGAIN_S, 6.0 + AGAIN_S):
        written.now = now
        written.look("ada")
    assert written.lines == ["ada"] * 2
    written.look("eve")
    written.look("ada", is_part=False)
    assert written.lines == ["ada", "ada", "eve", "ada"]


def test_no_more_than_so_many_are_remembered(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MOST", 2)
    for who in ("ada", "bea", "ada", "cid", "bea", "ada"):
        written.look(who)

    assert written.lines == ["ada", "bea", "cid", "ada"]


def test_look_that_could_not_be_written_is_not_remembered(written: Written) -> None:
    def fail() -> None:
        raise OSError("away")

    remembered = Looks()
    with pytest.raises(OSError, match="away"):
        remembered.note("ada", fail, is_part=True)
    remembered.note("ada", lambda: written.lines.append("ada"), is_part=True)
    assert written.lines == ["ada"]
