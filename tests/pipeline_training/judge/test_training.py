from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from ai.appearance import Kind, Presentation
from ai.judge import Judge
from pipeline_training.errors import DatasetError, ExportError, TrainingError
from pipeline_training.judge.beside import build_beside, draw_pose_beside
from pipeline_training.judge.evaluation import COPIES, copies, evaluate_judge
from pipeline_training.judge.export import judge_to_onnx
from pipeline_training.judge.network import Answers, JudgeNet
from pipeline_training.judge.pool import STORED, Picture, PoolOptions, read_pool
from pipeline_training.judge.training import JudgeOptions, Trained, loss_of, rate, train_judge
from pipeline_training.projections import ProjectOptions
from pipeline_training.radiograph_folders import read_set

MakeReaderSet = Callable[..., Path]


@pytest.fixture
def trained(projections: Path, make_reader_set: MakeReaderSet) -> Trained:
    sets = (make_reader_set("jsrt", images=4),)
    options = JudgeOptions(
        (projections,), sets, (projections,), steps=2, batch=6, size=32, drawn=4, validation_share=0.5
    )
    return train_judge(options)


def _picture(kind: Kind) -> Picture:
    return Picture(np.zeros((STORED, STORED), np.uint8), 1.0, kind, is_real=False, patient="")


def test_two_steps_make_a_judge_that_the_node_can_run(trained: Trained) -> None:
    assert len(trained.losses) == 2
    assert all(np.isfinite(trained.losses))
    assert set(trained.validation) == {"kind", "turn", "mirrored", "inverted"}
    content = judge_to_onnx(trained.network)
    pixels = np.random.default_rng(0).random((70, 90), np.float32)
    judge = Judge(content, 32)
    usual, mirror = judge.judge(pixels), judge.judge(np.ascontiguousarray(pixels[:, ::-1]))
    assert sum(usual.kinds) == pytest.approx(1)
    assert usual.mirrored == pytest.approx(1 - mirror.mirrored, abs=1e-4)


def test_the_same_seed_trains_the_same_judge(projections: Path) -> None:
    options = JudgeOptions((projections,), steps=1, batch=4, size=32, drawn=2)
    assert train_judge(options).losses == train_judge(options).losses


def test_a_pool_holds_every_kind(projections: Path, make_reader_set: MakeReaderSet) -> None:
    images = (read_set(make_reader_set("jsrt", images=1)),)
    pool = read_pool(PoolOptions((projections,), (projections,), images, drawn=2, frontal_looks=2))
    kinds = [(picture.kind, picture.is_real) for picture in pool]
    assert kinds.count((Kind.FRONTAL, False)) == 2
    assert kinds.count((Kind.LATERAL, False)) == 5
    assert kinds.count((Kind.FRONTAL, True)) == 1
    assert kinds.count((Kind.OTHER, True)) == 3  # crops of the real one
    assert kinds.count((Kind.OTHER, False)) == 2 + 2 + 10  # drawn, crops, beside


def test_a_pool_without_laterals_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="none is frontal"):
        read_pool(PoolOptions((tmp_path,), drawn=1))


def test_questions_are_asked_only_where_their_answer_is_known() -> None:
    answers = Answers(torch.zeros(1, 3), torch.zeros(1, 4), torch.zeros(1, 1), torch.zeros(1, 1))
    one = [Presentation()]
    frontal, lateral, other = (float(loss_of(answers, [_picture(kind)], one)) for kind in Kind)
    assert other == pytest.approx(np.log(3), abs=1e-4)
    assert lateral == pytest.approx(other + np.log(4) + np.log(2), abs=1e-4)
    assert frontal == pytest.approx(lateral + np.log(2), abs=1e-4)


def test_the_learning_rate_rises_and_falls() -> None:
    options = JudgeOptions((), steps=1000)
    assert rate(0, options) < rate(100, options) > rate(900, options) > 0


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"batch": 2}, {"size": 100}])
def test_options_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="multiple of 32"):
        JudgeOptions((), **wrong)


def test_a_network_of_an_odd_size_is_refused() -> None:
    with pytest.raises(TrainingError, match="100"):
        JudgeNet(100)


def test_an_export_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime.InferenceSession,
        "run",
        lambda self, names, feed: [np.full((2, n), 9, np.float32) for n in (3, 4, 1, 1)],
    )
    with pytest.raises(ExportError, match="differs by"):
        judge_to_onnx(JudgeNet(32))


def test_copies_are_what_the_node_would_see_of_such_pictures(trained: Trained) -> None:
    pixels = np.random.default_rng(0).random((96, 64), np.float32)
    judge = Judge(judge_to_onnx(trained.network), 32)
    at_once = judge.judge_inputs(copies(pixels, 32))
    for way, found in zip(COPIES, at_once, strict=True):
        alone = judge.judge(way.show(pixels))
        assert found.kinds == pytest.approx(alone.kinds, abs=1e-3)
        assert found.turns == pytest.approx(alone.turns, abs=1e-3)
        assert found.inverted == pytest.approx(alone.inverted, abs=1e-3)


def test_answers_are_counted_by_question(
    make_judge: Callable[..., bytes], make_reader_set: MakeReaderSet
) -> None:
    judge = Judge(make_judge(inverted=(0.5,)), 64)
    sets = [read_set(make_reader_set(name, images=2)) for name in ("jsrt", "lateral", "not-chest")]
    frontal, lateral, other = evaluate_judge(judge, sets)
    tally = frontal.tallies["turned"]
    assert (tally.asked, tally.right, tally.sure_wrong) == (6, 0, 6)  # it says "upright" of everything
    assert frontal.tallies["upright"].sure_right == 2
    unsure = frontal.tallies["polarity"]
    assert (unsure.right, unsure.sure_wrong, frontal.tallies["inverted"].right) == (0, 0, 2)
    assert "mirrored" not in lateral.tallies
    assert set(other.tallies) == {"view", "view of copies"}
    assert other.tallies["view"].sure_wrong == 2
    assert frontal.to_json()["images"] == 2
    assert (frontal.refused, frontal.refused_copies) == (0, 0)


def test_what_is_surely_no_frontal_view_counts_as_refused(
    make_judge: Callable[..., bytes], make_reader_set: MakeReaderSet
) -> None:
    judge = Judge(make_judge(kind=(0, 5, 5)), 64)
    [found] = evaluate_judge(judge, [read_set(make_reader_set("jsrt", images=2))])
    assert (found.refused, found.refused_copies) == (2, 10)


def test_poses_beside_a_chest_look_elsewhere() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        pose = draw_pose_beside(generator)
        across, up = pose.shift_mm
        assert up < -200 or (abs(across) >= 140 and pose.field_mm < 200)


def test_what_lies_beside_has_no_lateral_share(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no lateral share"):
        next(build_beside(ProjectOptions([], tmp_path, lateral_share=0.1)))
