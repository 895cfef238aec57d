import csv
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline_training.batches import Batches, Drawing
from pipeline_training.dataset import Source, read_sources, supported_labels
from pipeline_training.errors import DatasetError, TrainingError
from pipeline_training.online import OnlineSources
from pipeline_training.run_file import read_run
from pipeline_training.split import is_held_back
from pipeline_training.train import follow, is_emulated, learning_rate, online_of, train
from pipeline_training.train_options import TrainOptions

DEFAULT_RUNS = Path(__file__).parents[2] / "pipeline_training" / "default_run"
RECORDED_LOSSES = (1.0928, 1.5895)
"""4 * entropy + dice of the first and of the sixth step, recorded on an x86 CPU when looks were changed last;
the sixth is larger, because it sees another size and other samples."""


@pytest.fixture
def options(tiny_run: TrainOptions) -> TrainOptions:
    return tiny_run


def stored(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def log(options: TrainOptions) -> list[dict[str, str]]:
    with (options.out / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class _Killed(BaseException):
    """Ends a run as a signal would: no handler of ours stops it."""


def test_killed_run_goes_on_as_if_it_had_never_stopped(
    options: TrainOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = replace(options, out=tmp_path / "whole")
    expected = stored(train(whole))

    def killed(*arguments: Any) -> None:
        follow(*arguments)
        killed.calls += 1  # type: ignore[attr-defined]
        if killed.calls == 5:  # type: ignore[attr-defined]
            raise _Killed

    killed.calls = 0  # type: ignore[attr-defined]
    with monkeypatch.context() as patched:
        patched.setattr("pipeline_training.train.follow", killed)
        with pytest.raises(_Killed):
            train(options)
    assert stored(options.out / "checkpoint.pt")["step"] == 3
    found = stored(train(options))
    assert found["step"] == expected["step"] == 6
    for state in ("network", "average"):
        for key, value in expected[state].items():
            assert torch.equal(found[state][key], value), key
    assert [row["step"] for row in log(options)] == ["1", "2", "3", "4", "5", "6"]
    assert [row["dice"] for row in log(options)] == [row["dice"] for row in log(whole)]


def test_first_losses_are_the_recorded_ones(options: TrainOptions) -> None:
    train(options)
    totals = [4 * float(row["entropy"]) + float(row["dice"]) for row in log(options)]
    np.testing.assert_allclose((totals[0], totals[-1]), RECORDED_LOSSES, atol=0.005)


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", 2), ("batch", 3), ("steps", (4, 3)), ("learning_rate", 1e-3), ("widths", (4,) * 5)],
)
def test_checkpoint_of_another_run_is_refused(options: TrainOptions, key: str, value: Any) -> None:
    options.out.mkdir()
    unstated = {"projections", "out", "radiographs", "told_share"}  # the last as by an earlier version
    plain = {k: v for k, v in vars(options).items() if k not in unstated}
    torch.save({"options": plain, "labels": [], "average": {}}, options.out / "checkpoint.pt")
    with pytest.raises(TrainingError, match=f"was trained with {key}"):
        train(replace(options, **{key: value}))


def test_run_does_not_go_on_without_its_radiographs_but_from_where_they_were_moved(
    options: TrainOptions, tmp_path: Path
) -> None:
    told: list[str] = []
    train(options, told.append)
    assert told[0].startswith("2 projections, 2 radiographs, 0 of both held back")
    assert [words.split(":")[0] for words in told[1:]] == ["step 3", "step 6"]
    with pytest.raises(TrainingError, match=r"trained with radiographs \['jsrt'\], not none"):
        train(replace(options, radiographs=()))
    moved = options.radiographs[0].rename(tmp_path / "jsrt")
    assert train(replace(options, radiographs=(moved,))).exists()


def test_torn_checkpoint_is_refused(options: TrainOptions) -> None:
    options.out.mkdir()
    (options.out / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(TrainingError, match="is not a checkpoint"):
        train(options)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"steps": (1, 2), "sizes": (32,)}, "each size has its number of steps"),
        ({"steps": (1,), "sizes": (40,)}, "multiples of 32, found 40"),
        ({"real_share": 1.0}, "real_share"),
        ({"batch": 1}, "batch"),
        ({"emphasised": ("hart",)}, "emphasised names structures of ours, found 'hart'"),
        ({"emphasis": 0.0}, "emphasis lies above 0"),
        ({"real_share": 0.5, "online_share": 0.75, "online_cases": (Path("a"),)}, "shares of one batch"),
    ],
)
def test_impossible_options_are_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        TrainOptions(Path(), Path(), **wrong)


def test_learning_rate_warms_up_and_falls() -> None:
    options = TrainOptions(Path(), Path(), steps=(1000,), sizes=(32,))
    rates = [learning_rate(options, step) for step in (0, 49, 999)]
    np.testing.assert_allclose(rates, [4e-5, 2e-3, 2e-5], rtol=0.02)


def test_held_back_patients_choose_the_best_checkpoint(options: TrainOptions) -> None:
    chosen = replace(options, validation_share=0.5, seed=_seed_that_parts(options))
    train(chosen)
    scores = [row.split(",")[1] for row in (chosen.out / "validation.csv").read_text().splitlines()[1:]]
    assert len(scores) == 2
    best = stored(chosen.out / "best.pt")
    assert best["step"] == (3 if float(scores[0]) >= float(scores[1]) else 6)
    assert best["best"] == pytest.approx(max(map(float, scores)), abs=1e-5)
    assert len(list((chosen.out / "pictures").glob("*.png"))) == 2


def test_best_checkpoint_survives_a_kill_while_pictures_are_drawn(
    options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = replace(options, validation_share=0.5, seed=_seed_that_parts(options))

    def killed(*_: Any) -> None:
        raise _Killed

    monkeypatch.setattr("pipeline_training.train.write_pictures", killed)
    with pytest.raises(_Killed):
        train(chosen)
    assert stored(chosen.out / "best.pt")["best"] == stored(chosen.out / "checkpoint.pt")["best"] >= 0


def _seed_that_parts(options: TrainOptions) -> int:
    """Return a seed that holds a radiograph back and teaches the phantom's projections."""
    patients = ["0", "1"]
    return next(
        seed
        for seed in range(100)
        if not is_held_back("phantom", 0.5, seed) and any(is_held_back(p, 0.5, seed) for p in patients)
    )


def test_projections_made_meanwhile_fill_their_share_of_the_batch(
    options: TrainOptions, make_case: Callable[..., Path]
) -> None:
    online = OnlineSources((make_case("fresh"),), seed=1)
    taught = read_sources(options.projections, ())
    labels = supported_labels(taught)
    drawing, ready = Drawing(batch=4, seed=1, fresh_share=0.5), _Ready([online.draw(0)] * 2)
    (plain,) = Batches(taught, labels, 32, drawing).steps(0, 1)
    (mixed,) = Batches(taught, labels, 32, drawing, fresh=ready).steps(0, 1)
    assert torch.equal(mixed.image[:2], plain.image[:2])
    assert not torch.equal(mixed.image[2], plain.image[2])
    assert not torch.equal(mixed.image[2], mixed.image[3]), "each place is another look"


class _Ready:
    """Sources that lie ready."""

    def __init__(self, sources: list[Source]) -> None:
        self._sources = sources

    def stream(self, start: int = 0) -> Generator[Source]:
        yield from self._sources[start:]


def test_patients_held_back_are_not_rendered_either(
    options: TrainOptions, make_case: Callable[..., Path]
) -> None:
    case = make_case("fresh")
    seed = next(
        n for n in range(100) if is_held_back("fresh", 0.5, n) and not is_held_back("phantom", 0.5, n)
    )
    parted = replace(
        options,
        radiographs=(),
        online_cases=(case,),
        validation_share=0.5,
        seed=seed,
        projections=options.projections,
    )
    with pytest.raises(DatasetError, match="of 1 patients none is held back"):
        train(parted)
    with pytest.raises(DatasetError, match="there is no case to make projections of"):
        online_of(parted)


def test_bfloat16_learns_about_the_same(options: TrainOptions) -> None:
    train(options)
    train(replace(options, out=options.out / "half", precision="bfloat16"))
    whole, half = log(options), log(replace(options, out=options.out / "half"))
    assert float(half[0]["dice"]) == pytest.approx(float(whole[0]["dice"]), abs=0.02)
    assert half[0]["dice"] != whole[0]["dice"]


@pytest.mark.parametrize(
    ("precision", "device", "capabilities", "told"),
    [
        ("bfloat16", "cpu", {"avx2": True, "avx512_bf16": False, "amx_bf16": False}, True),
        ("bfloat16", "cpu", {"avx2": True, "avx512_bf16": True, "amx_bf16": False}, False),
        ("bfloat16", "cpu", {"avx2": True, "amx_bf16": True}, False),
        ("bfloat16", "cpu", {"architecture": "aarch64"}, False),
        ("bfloat16", "cuda", {"avx2": True}, False),
        ("float32", "cpu", {"avx2": True}, False),
    ],
)
def test_bfloat16_on_a_processor_without_it_is_told(
    options: TrainOptions, precision: str, device: str, capabilities: dict[str, Any], told: bool
) -> None:
    assert is_emulated(replace(options, precision=precision, device=device), capabilities) is told


@pytest.mark.parametrize(
    "name",
    ["run", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "folds", "gpu"],
)
def test_shipped_run_files_make_two_steps(name: str, options: TrainOptions) -> None:
    """On a CPU, of small pictures: everything else as the file says, precision and widths too."""
    stated = read_run(DEFAULT_RUNS / f"{name}.toml", TrainOptions)
    phases = len(stated["sizes"])
    small = {
        "steps": (2, *[0] * (phases - 1)),
        "sizes": (32,) * phases,
        "device": "cpu",
        "workers": 1,
        "batch": 4,
    }
    checkpoint = stored(train(replace(options, **stated | small)))
    assert checkpoint["step"] == 2
    assert tuple(checkpoint["options"]["widths"]) == stated["widths"]


def test_a_run_begins_with_the_network_of_another_and_holds_to_it(
    options: TrainOptions, tmp_path: Path
) -> None:
    first = train(options)
    second = replace(options, out=tmp_path / "second", begin=first, steps=(1, 0), learning_rate=1e-9)
    begun = stored(train(second))["average"]
    expected = stored(first)["average"]
    torch.testing.assert_close(begun["head.weight"], expected["head.weight"])
    other = tmp_path / "other.pt"
    torch.save({**stored(first), "step": 0}, other)
    with pytest.raises(TrainingError, match="did not begin with"):
        train(replace(second, begin=other, steps=(1, 0)))
    train(second)  # the same one again, and none at all, go on
    train(replace(second, begin=None))
