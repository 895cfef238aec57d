"""Every limit on what a sender may send stands in docs/limits.md."""

from pathlib import Path

import pytest

from node import limits

PAGE = Path(__file__).parents[2] / "docs" / "limits.md"
NAMES = sorted(name for name in vars(limits) if name.isupper() and name != "MEGABYTE")


@pytest.mark.parametrize("name", NAMES)
def test_limit_has_a_row(name: str) -> None:
    assert f"| `{name}` |" in PAGE.read_text(encoding="utf-8"), f"{name} is not in docs/limits.md"
