"""A container's bound counts as the memory that there is."""

import os
from pathlib import Path

import pytest

from node.memory import memory_bytes

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


@pytest.mark.parametrize(
    ("own", "bounds", "expected"),
    [
        ("0::/\n", {"": "1000000"}, 1_000_000),
        ("4:memory:/old\n0::/system.slice/node\n", {"system.slice/node": "max", "system.slice": "2000000"},
         2_000_000),
        ("0::/system.slice/node\n", {"system.slice/node": "max"}, MACHINE),
        ("4:memory:/old\n", {"": "1000000"}, MACHINE),
    ],
)  # fmt: skip
def test_memory_is_that_of_the_machine_or_of_the_group_that_bounds_it(
    tmp_path: Path, own: str, bounds: dict[str, str], expected: int
) -> None:
    groups, stated = tmp_path / "groups", tmp_path / "own"
    stated.write_text(own)
    for name, bound in bounds.items():
        (groups / name).mkdir(parents=True, exist_ok=True)
        (groups / name / "memory.max").write_text(f"{bound}\n")

    assert memory_bytes(groups, stated) == expected


def test_without_control_groups_it_is_the_machine(tmp_path: Path) -> None:
    assert memory_bytes(tmp_path, tmp_path / "none") == MACHINE
