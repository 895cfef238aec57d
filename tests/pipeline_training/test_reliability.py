"""A model that knows when it fails says so; one that does not gets no slope."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.bundle import Bundle
from ai.onnx_segmenter import OnnxSegmenter
from ai.uncertainty import Reliability
from pipeline_training.cli import main
from pipeline_training.dataset import Source
from pipeline_training.errors import EvaluationError
from pipeline_training.model_card import model_card
from pipeline_training.projections import NAMES
from pipeline_training.reliability import LEAST_LOOKS, Sign, answered, check, check_table, fit, fit_curve
from pipeline_training.spoil import SPOILERS, spoilt

HEART = NAMES.index("heart")
CURVE = Reliability(bar=0.7, intercept=0.0, expected=1.0, agreement=1.0)


def drawn_signs(count: int, telling: bool) -> list[Sign]:
    """Signs that tell Dice, or that say nothing about it."""
    generator = np.random.default_rng(0)
    seen = []
    for _ in range(count):
        dice = float(generator.uniform(0.3, 1.0))
        other = float(generator.uniform(0.3, 1.0))
        seen.append(Sign("heart", other, dice if telling else float(generator.uniform(0.3, 1.0)), dice))
    return seen


def test_curve_of_telling_signs_is_right_about_new_masks() -> None:
    curve = fit_curve(drawn_signs(400, telling=True), bar=0.7)
    assert curve.agreement > 10 * curve.expected
    assert curve.probability(0.65, 0.95) > 0.9
    assert curve.probability(0.65, 0.4) < 0.1
    assert curve.probability(0.65, 0.7) == pytest.approx(0.5, abs=0.15)


def test_curve_of_signs_that_tell_nothing_is_the_share_that_passes() -> None:
    seen = drawn_signs(400, telling=False)
    curve = fit_curve(seen, bar=0.7)
    share = np.mean([each.dice >= 0.7 for each in seen])
    assert curve.probability(0.5, 0.95) == pytest.approx(share, abs=0.12)
    assert curve.probability(0.5, 0.4) == pytest.approx(share, abs=0.12)


@pytest.mark.parametrize(("dice", "low", "high"), [(0.95, 0.9, 1.0), (0.2, 0.0, 0.1)])
def test_curve_stays_finite_where_all_pass_or_none(dice: float, low: float, high: float) -> None:
    seen = [Sign("heart", 0.9, 0.9 + 0.001 * i, dice) for i in range(50)]
    assert low < fit_curve(seen, bar=0.7).probability(0.9, 0.92) < high


@pytest.mark.parametrize("how", ["", *SPOILERS])
def test_spoilt_pictures_keep_their_truth(sources: list[Source], how: str) -> None:
    samples = [spoilt(sources[0], how, [HEART], 64, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert all(
        sample.image.shape == (1, 64, 64) and sample.image.dtype == torch.float32 for sample in samples
    )
    assert all(sample.image.min() >= 0 and sample.image.max() <= 1 for sample in samples)
    assert torch.equal(samples[0].image, samples[1].image), "by seed"
    plain = spoilt(sources[0], "", [HEART], 64, np.random.default_rng(0))
    assert torch.equal(plain.image, samples[0].image) == (how == "")
    assert torch.equal(plain.target, samples[0].target) == (how not in {"crop", "rotation"})


def test_signs_are_told_of_masks_that_were_found(
    sources: list[Source], tiny_bundle: Callable[[], Path]
) -> None:
    bundle = Bundle.load(tiny_bundle())
    judged = Bundle(replace(bundle.manifest, reliability={"heart": CURVE}), bundle.onnx_bytes)
    labels = [NAMES.index(name) for name in judged.manifest.labels]
    sample = spoilt(sources[0], "", labels, 64, np.random.default_rng(0))
    (sign,) = answered(OnnxSegmenter(judged), sample).signs
    assert sign.structure == "heart", "of the lungs nothing is known"
    found = torch.zeros(64, 64) > 0
    found[36:50, 30:42] = True
    truth = sample.target[0].repeat_interleave(2, 0).repeat_interleave(2, 1) > 0.5
    assert sign.expected > 0.99
    assert sign.dice == pytest.approx((2 * (found & truth).sum() / (found.sum() + truth.sum())).item())
    assert 0 < sign.dice < 1


def test_a_bundle_without_curves_cannot_be_checked(
    sources: list[Source], tiny_bundle: Callable[[], Path]
) -> None:
    with pytest.raises(EvaluationError, match="states no reliability"):
        check(Bundle.load(tiny_bundle()), {"jsrt": sources})


def test_commands_fit_and_check(
    make_reader_set: Callable[..., Path],
    tiny_bundle: Callable[[], Path],
    sources: list[Source],
    tmp_path: Path,
) -> None:
    bundle = Bundle.load(tiny_bundle())
    fitted = fit(bundle, sources, LEAST_LOOKS)
    assert set(fitted.manifest.reliability) == {"heart"}
    assert fit(bundle, sources, LEAST_LOOKS - 1).manifest.reliability == {}
    fitted.save(tmp_path / "fitted")
    assert Bundle.load(tmp_path / "fitted").manifest == fitted.manifest
    found = check(fitted, {"jsrt": sources})
    assert {each.spoilt for each in found.rankings} == {"", *SPOILERS}
    assert all(each.n == 3 and each.structure == "heart" for each in found.rankings if not each.spoilt)
    assert check_table(found).row_count == len(found.rankings)
    out = tmp_path / "check.json"
    asked = ["check-reliability", "--data", make_reader_set("shenzhen"), "--bundle", tmp_path / "fitted"]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, asked), "--json", str(out)])
    assert ended.value.code == 0
    assert '"rank_correlation"' in out.read_text()


def test_command_fits_and_writes_bundle_and_card(
    make_reader_set: Callable[..., Path],
    tiny_bundle: Callable[[], Path],
    projections: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bundle, out = tiny_bundle(), tmp_path / "fitted"
    asked = ["fit-reliability", "--bundle", bundle, "--out", out, "--projections", projections]
    with pytest.raises(SystemExit) as ended:
        main([*map(str, asked), "--radiographs", str(make_reader_set("jsrt")), "--looks", "60"])
    assert ended.value.code == 0
    before, fitted = Bundle.load(bundle), Bundle.load(out)
    curves, labels = fitted.manifest.reliability, fitted.manifest.labels
    assert f"{len(curves)} of {len(labels)} structures have a curve" in capsys.readouterr().out
    assert "heart" in curves
    assert replace(fitted.manifest, reliability={}) == before.manifest
    assert (out / "MODEL_CARD.md").read_text() == model_card(fitted.manifest)
