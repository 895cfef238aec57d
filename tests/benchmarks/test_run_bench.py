"""What the bench tells of the parts that it measures, and of those that it cannot."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import encoder, network, run_bench
from tests.benchmarks.figure import Figure, Spread
from tests.benchmarks.run_bench import Bench, main
from tests.viewers.orthanc import NotInstalledError


def measuring(bench: Bench) -> list[Figure]:
    return [Figure("network", "a look", "1 picture", "ms", Spread.of([2.0]), "a pass", Spread.of([1.0]))]


def lacking(bench: Bench) -> list[Figure]:
    raise NotInstalledError("storescu is not installed")


def test_bench_says_in_table_and_results_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(encoder, "measure", lacking)
    monkeypatch.setattr(network, "measure", measuring)
    assert main(["--part", "encoder", "--part", "network", "--out", str(tmp_path)]) == 1
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["left_out"] == {"encoder": "storescu is not installed"}
    assert [each["what"] for each in results["figures"]] == ["a look"]
    told = capsys.readouterr().out
    assert "encoder was left out: storescu is not installed" in told
    assert "a look" in told


def test_bench_keeps_what_it_measured_when_a_later_part_breaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(bench: Bench) -> list[Figure]:
        raise RuntimeError("Pixel Data differs")

    monkeypatch.setattr(network, "measure", measuring)
    monkeypatch.setattr(encoder, "measure", breaking)
    with pytest.raises(RuntimeError, match="Pixel Data differs"):
        main(["--part", "network", "--part", "encoder", "--out", str(tmp_path)])
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert len(results["figures"]) == 1


@pytest.mark.parametrize(
    "words", [("--part", "x"), ("--share", "0"), ("--share", "nan"), ("--share", "much")]
)
def test_bench_refuses_what_it_does_not_know(
    words: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(words)
    assert refused.value.code == 2
    assert f"argument {words[0]}" in capsys.readouterr().err


def test_every_part_can_be_asked_for() -> None:
    assert all((Path(run_bench.__file__).parent / f"{part}.py").is_file() for part in run_bench.PARTS)
