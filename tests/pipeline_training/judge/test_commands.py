import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ai.bundle import Bundle
from pipeline_training.cli import main
from pipeline_training.judge.network import JudgeNet
from pipeline_training.judge.training import JudgeOptions, Trained

MakeJudge = Callable[..., bytes]


@pytest.fixture
def judge(tmp_path: Path, make_judge: MakeJudge) -> Path:
    path = tmp_path / "judge.onnx"
    path.write_bytes(make_judge())
    return path


def _run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert ended.value.code == 0


def test_a_judge_is_added_and_evaluated_in_its_bundle(
    tmp_path: Path,
    judge: Path,
    tiny_bundle: Callable[[], Path],
    make_reader_set: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle, both = tiny_bundle(), tmp_path / "both"
    _run("add-judge", bundle, judge, "--out", both)
    assert Bundle.load(both).judge_bytes == judge.read_bytes()
    assert "judge.onnx" in (both / "MODEL_CARD.md").read_text()
    data = make_reader_set("jsrt", images=2)
    _run("evaluate-judge", "--judge", both, "--data", data, "--json", tmp_path / "judge.json")
    found = json.loads((tmp_path / "judge.json").read_text())
    assert found["sets"][0]["questions"]["view"] == {
        "asked": 2, "right": 2, "sure_right": 2, "sure_wrong": 0,
    }  # fmt: skip
    assert "0/6 (6 wrong)" in capsys.readouterr().out


def test_a_bundle_without_a_judge_cannot_be_evaluated(
    tiny_bundle: Callable[[], Path], make_reader_set: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate-judge", "--judge", str(tiny_bundle()), "--data", str(make_reader_set("jsrt"))])
    assert "holds no judge" in capsys.readouterr().err


def test_a_trained_judge_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[JudgeOptions] = []

    def train(options: JudgeOptions, tell: Callable[[str], None]) -> Trained:
        asked.append(options)
        tell("a step")
        torch.manual_seed(0)
        return Trained(JudgeNet(32).eval(), {"turn": 0.5})

    monkeypatch.setattr("pipeline_training.judge.training.train_judge", train)
    out = tmp_path / "new" / "judge.onnx"
    _run("train-judge", "--projections", tmp_path, "--radiographs", "a", "--radiographs", "b", "--out", out)
    assert asked == [JudgeOptions([tmp_path], [Path("a"), Path("b")])]
    assert out.stat().st_size > 100_000
    assert "turn: 0.500" in capsys.readouterr().out
