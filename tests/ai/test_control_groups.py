"""Processors and memory are those of the process, of its container and of every group around it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from ai.control_groups import memory_bounds, processors

NODE = "0::/system.slice/node.service\n"
OLD = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n2:cpuset:/\n0::/docker/abc\n"


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight processors are ours, as far as the scheduler is concerned."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: set(range(8)))


def groups_of(folder: Path, own: str, files: Mapping[str, str]) -> tuple[Path, Path]:
    """Write what a process would find, and return where the groups are and where its own are told."""
    groups, stated = folder / "groups", folder / "own"
    stated.write_text(own)
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(f"{text}\n")
    return groups, stated


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "100000 100000"}, 1),
        ("0::/\n", {"cpu.max": "50000 100000"}, 1),
        ("0::/\n", {"cpu.max": "260000 100000"}, 3),
        ("0::/\n", {"cpu.max": "max 100000"}, 8),
        ("0::/\n", {"cpu.max": "6400000 100000"}, 8),
        (NODE, {"system.slice/node.service/cpu.max": "200000 100000"}, 2),
        (NODE, {"system.slice/node.service/cpu.max": "max 100000", "system.slice/cpu.max": "40000 10000"}, 4),
        ("0::/outside/abc\n", {"cpu.max": "500000 100000"}, 5),
        (OLD, {"cpu/docker/abc/cpu.cfs_quota_us": "300000", "cpu/docker/abc/cpu.cfs_period_us": "100000"}, 3),
        (OLD, {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2),
        (OLD, {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
        (OLD, {"cpuset/cpu.cfs_quota_us": "200000", "cpuset/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_a_quota_counts_wherever_it_stands(
    tmp_path: Path, own: str, files: Mapping[str, str], expected: int
) -> None:
    assert processors(*groups_of(tmp_path, own, files)) == expected


@pytest.mark.usefixtures("eight")
def test_without_control_groups_all_processors_are_ours(tmp_path: Path) -> None:
    assert processors(tmp_path, tmp_path / "none") == 8
    assert memory_bounds(tmp_path, tmp_path / "none") == []


def test_memory_is_bounded_by_a_group_of_either_version(tmp_path: Path) -> None:
    files = {
        "docker/memory.max": "5000",
        "memory/docker/abc/memory.limit_in_bytes": "4000",
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "cpu/docker/abc/memory.limit_in_bytes": "1",
    }
    found = memory_bounds(*groups_of(tmp_path, OLD, files))
    assert sorted(found) == [4000, 5000, 9223372036854771712]
