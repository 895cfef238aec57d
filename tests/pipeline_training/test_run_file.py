"""A run file says what its dataclass knows, in the types of its defaults, or is refused by name."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline_training.errors import TrainingError
from pipeline_training.run_file import read_run


@dataclass(frozen=True)
class Options:
    out: Path
    steps: tuple[int, ...] = (1200, 300)
    learning_rate: float = 2e-3
    seed: int = 1
    emphasised: tuple[str, ...] = ()
    radiographs: tuple[Path, ...] = ()


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return path


def test_values_come_in_the_types_of_the_defaults(tmp_path: Path) -> None:
    run = read_run(
        written(tmp_path, "steps = [10, 5]  # short\nlearning_rate = 1\nemphasised = ['heart']\n"), Options
    )
    assert run == {"steps": (10, 5), "learning_rate": 1.0, "emphasised": ("heart",)}
    assert Options(tmp_path, **run).steps == (10, 5)
    assert isinstance(run["learning_rate"], float)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("step = [1]", r"run\.toml: unknown key 'step'; the nearest known one is 'steps'"),
        ("out = 'here'", "unknown key 'out'"),
        ("radiographs = []", "unknown key 'radiographs'"),
        ("seed = 1.5", "seed must look like 1, found 1.5"),
        ("seed = true", "seed must look like 1, found True"),
        ("steps = ['many']", r"steps must look like \(1200, 300\), found \['many'\]"),
        ("emphasised = [1]", r"emphasised must look like \(\), found \[1\]"),
        ("learning_rate = 'fast'", "learning_rate must look like 0.002"),
        ("seed", r"run\.toml cannot be read"),
    ],
)
def test_a_wrong_run_file_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(TrainingError, match=complaint):
        read_run(written(tmp_path, text), Options, but_not=("radiographs",))


def test_an_absent_run_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot be read"):
        read_run(tmp_path / "run.toml", Options)
