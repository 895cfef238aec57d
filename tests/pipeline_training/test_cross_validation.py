from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pipeline_training.cli import main
from pipeline_training.cross_validation import cross_validate, cross_validation_page, pooled
from pipeline_training.errors import EvaluationError
from pipeline_training.evaluate import EvaluateOptions, evaluate
from pipeline_training.evaluation_report import Evaluation
from pipeline_training.folds import write_folds

FAR = (44, 2)
"""Of a heart that does not touch the reader's."""


@pytest.fixture
def folds(make_reader_set: Callable[..., Path], tmp_path: Path) -> Path:
    folder = make_reader_set("wingspan", 5, structures=("heart", "right_lung"))
    (folder / "ctr.csv").write_text("file,cardiothoracic_ratio\n0.png,0.4\n1.png,0.5\n2.png,0.6\n")
    write_folds(folder, 2, tmp_path / "folds")
    return tmp_path / "folds"


def asked(folds: Path, *bundles: Path) -> Sequence[Evaluation]:
    return cross_validate(folds, bundles, EvaluateOptions(folds, resamples=50))


def test_each_image_is_answered_by_the_network_that_it_was_kept_from(
    folds: Path, tiny_bundle: Callable[..., Path]
) -> None:
    near, far = tiny_bundle("near"), tiny_bundle("far", FAR)
    found = asked(folds, near, far)
    whole = pooled(found)
    heart, lung = whole.structures
    assert (whole.name, whole.images, heart.structure, lung.structure) == (
        "wingspan",
        5,
        "heart",
        "right_lung",
    )
    scores = {score.image: score.dice for score in heart.images}
    for number, bundle in ((1, near), (2, far)):
        kept = folds / f"fold_{number}" / "kept" / "wingspan"
        (alone,) = evaluate(EvaluateOptions(kept, bundle, resamples=50)).sets
        assert {score.image: score.dice for score in alone.structures[0].images}.items() <= scores.items()
        assert len(alone.structures[0].images) in (2, 3)
    assert sorted(scores) == [f"{n}.png" for n in range(5)]
    assert heart.with_refusals is not None
    assert heart.with_refusals.n == 5
    assert heart.with_refusals.dice.mean == pytest.approx(sum(scores.values()) / 5)
    assert len(set(scores.values())) == 2
    ratios = whole.cardiothoracic_ratio
    assert ratios is not None
    assert sorted(score.image for score in ratios.images) == ["0.png", "1.png", "2.png"]


def test_page_tells_set_scores_and_networks(folds: Path, tiny_bundle: Callable[..., Path]) -> None:
    found = asked(folds, tiny_bundle("near"), tiny_bundle("far", FAR))
    page = cross_validation_page(found, "Both were drawn by hand.")
    assert page.startswith("# Cross-validation on wingspan\n\n5 images in 2 folds: ")
    assert "had not learned from it. Nothing says which images are of one patient.\n" in page
    assert "\nBoth were drawn by hand.\n\n| set |" in page
    assert "| wingspan | heart | 5 | 0 | " in page
    assert all(
        f"| {n} | squares 1 | `{each.model.sha256}` |" in page for n, each in enumerate(found, start=1)
    )


def test_page_tells_that_patients_were_kept_apart_where_they_are_named(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_reader_set("jsrt", 4)
    (folder / "patients.csv").write_text("file,patient\n0.png,a\n1.png,a\n2.png,b\n3.png,b\n")
    write_folds(folder, 2, tmp_path / "apart")
    page = cross_validation_page(asked(tmp_path / "apart", tiny_bundle("near"), tiny_bundle("far", FAR)), "")
    assert (
        "4 images in 2 folds: each was answered by a network that had not learned from its patient.\n" in page
    )


def test_a_fold_without_a_row_of_the_table_takes_no_ratio_from_masks(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_reader_set("wingspan", 4, structures=("heart", "right_lung", "left_lung"))
    (folder / "ctr.csv").write_text("file,cardiothoracic_ratio\n0.png,0.4\n")
    write_folds(folder, 2, tmp_path / "one")
    whole = pooled(asked(tmp_path / "one", tiny_bundle("near"), tiny_bundle("far", FAR)))
    assert whole.cardiothoracic_ratio is not None
    assert [score.image for score in whole.cardiothoracic_ratio.images] == ["0.png"]


def test_page_has_the_remarks_of_the_set(
    make_reader_set: Callable[..., Path], tiny_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    write_folds(make_reader_set("jsrt", 4, structures=("heart", "left_clavicle")), 2, tmp_path / "cut")
    page = cross_validation_page(asked(tmp_path / "cut", tiny_bundle("near"), tiny_bundle("far", FAR)), "")
    assert "* jsrt/left_clavicle: not supported: clavicle left" in page


def test_one_network_for_two_folds_is_refused(folds: Path, tiny_bundle: Callable[..., Path]) -> None:
    bundle = tiny_bundle()
    with pytest.raises(EvaluationError, match="two folds were named the same network"):
        asked(folds, bundle, bundle)


def test_a_fold_without_a_network_is_refused(folds: Path, tiny_bundle: Callable[..., Path]) -> None:
    bundle, other = tiny_bundle(), tiny_bundle("far", FAR)
    with pytest.raises(EvaluationError, match="2 folds, but 1 bundles"):
        asked(folds, bundle)
    with pytest.raises(EvaluationError, match="2 folds, but 3 bundles"):
        asked(folds, bundle, other, bundle)


def test_an_image_of_two_folds_is_refused(folds: Path, tiny_bundle: Callable[..., Path]) -> None:
    first, _ = asked(folds, tiny_bundle("near"), tiny_bundle("far", FAR))
    with pytest.raises(EvaluationError, match="kept in two folds"):
        pooled([first, first])


def test_commands_deal_and_ask(
    make_reader_set: Callable[..., Path],
    tiny_bundle: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, page, json = tmp_path / "dealt", tmp_path / "docs" / "page.md", tmp_path / "all.json"
    folder, near, far = make_reader_set("jsrt", 4), tiny_bundle("near"), tiny_bundle("far", FAR)
    _run("fold", "--radiographs", folder, "--folds", 2, "--out", out)
    assert f"{out / 'fold_2'}" in capsys.readouterr().out
    _run("cross-validate", "--folds", out, "--bundle", near, "--bundle", far, "--page", page, "--json", json)
    assert "| jsrt | heart | 4 | 0 |" in page.read_text()
    assert json.read_text().count('"definitions"') == 2


def _run(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert ended.value.code == 0
