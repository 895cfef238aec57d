from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_training.errors import OutputError, RadiographSetError
from pipeline_training.folds import write_folds
from pipeline_training.radiograph_folders import RadiographSet, read_mask, read_set


def test_every_picture_is_kept_once_and_teaches_the_other_folds(
    make_reader_set: Callable[..., Path], tmp_path: Path
) -> None:
    whole = read_set(make_reader_set("wingspan", 7, structures=("heart", "right_lung")))
    folds = write_folds(whole.folder, 3, tmp_path / "folds")
    kept = [read_set(fold / "kept" / "wingspan") for fold in folds]
    taught = [read_set(fold / "taught" / "wingspan") for fold in folds]
    assert [fold.name for fold in folds] == ["fold_1", "fold_2", "fold_3"]
    assert sorted(len(each.images) for each in kept) == [2, 2, 3]
    assert sorted(name for each in kept for name in _names(each)) == _names(whole)
    assert all(sorted(_names(a) + _names(b)) == _names(whole) for a, b in zip(kept, taught, strict=True))


def test_pictures_masks_and_tables_are_those_of_the_set(
    make_reader_set: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_reader_set("mine", 4)
    (folder / "protocol.json").write_text('{"heart": ["heart"]}')
    (folder / "ctr.csv").write_text(
        "file,cardiothoracic_ratio\n" + "".join(f"{n}.png,0.4{n}\n" for n in range(3))
    )
    (folder / "sites.csv").write_text("site\nward\n")
    (folder / "empty.csv").write_text("")
    whole = read_set(folder)
    known = whole.ratios or {}
    assert len(known) == 3
    for fold in write_folds(folder, 2, tmp_path / "folds"):
        for part in (read_set(fold / "kept" / "mine"), read_set(fold / "taught" / "mine")):
            assert part.structures == whole.structures
            assert part.ratios == {name: known[name] for name in _names(part) if name in known}
            for image in part.images:
                assert image.read_bytes() == (folder / "images" / image.name).read_bytes()
                mask = part.mask_path(part.structures[0], image)
                assert mask is not None
                assert (read_mask(mask) == read_mask(folder / "masks" / "heart" / image.name)).all()
            assert (part.folder / "sites.csv").read_text() == "site\nward\n"
            assert not (part.folder / "empty.csv").read_text()


def test_pictures_of_a_patient_stay_together(make_reader_set: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_reader_set("mine", 6)
    owners = "".join(f"{n}.png,patient {n // 2}\n" for n in range(6))
    (folder / "patients.csv").write_text(f"file,patient\n{owners}")
    for seed in range(4):
        folds = write_folds(folder, 3, tmp_path / str(seed), seed)
        kept = [sorted(int(name[0]) for name in _names(read_set(fold / "kept" / "mine"))) for fold in folds]
        assert sorted(kept) == [[0, 1], [2, 3], [4, 5]]


def test_a_seed_deals_otherwise_and_always_alike(
    make_reader_set: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_reader_set("mine", 12)
    dealt = [
        _names(read_set(write_folds(folder, 2, tmp_path / name, seed)[0] / "kept" / "mine"))
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert dealt[0] == dealt[1] != dealt[2]


@pytest.mark.parametrize("count", [1, 4])
def test_more_folds_than_patients_or_one_are_refused(
    make_reader_set: Callable[..., Path], tmp_path: Path, count: int
) -> None:
    with pytest.raises(RadiographSetError, match=f"3 patients of mine cannot be dealt into {count} folds"):
        write_folds(make_reader_set("mine"), count, tmp_path / "folds")
    assert not (tmp_path / "folds").exists()


def test_folds_are_not_written_over_others(make_reader_set: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_reader_set("mine")
    write_folds(folder, 2, tmp_path / "folds")
    with pytest.raises(OutputError, match="fold_1 is there already"):
        write_folds(folder, 3, tmp_path / "folds")
    assert not (tmp_path / "folds" / "fold_3").exists()


def _names(found: RadiographSet) -> list[str]:
    return [image.name for image in found.images]
