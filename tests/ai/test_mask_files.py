from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ai.labels import LABELS
from ai.mask_files import BOXES, MODEL, NAMES, SHAPE, png_of, read_npz, write_npz, write_pngs
from ai.segmentation import Mask, ModelIdentity, Segmentation

GRID = (83, 101)


@pytest.fixture(scope="module")
def found() -> Segmentation:
    generator = np.random.default_rng(0)
    masks: dict[str, Mask] = {}
    for number, item in enumerate(LABELS[:20]):
        dense = np.zeros(GRID, np.bool_)
        dense[number : 40 + number, 2 * number : 2 * number + 37] = generator.random((40, 37)) < 0.5
        mask = Mask.from_dense(dense)
        assert mask is not None
        masks[item.name] = mask
    masks[LABELS[20].name] = Mask(np.ones(GRID, np.bool_), 0, 0)
    masks[LABELS[21].name] = Mask(np.ones((1, 1), np.bool_), 82, 100)
    return Segmentation(GRID, masks, ModelIdentity("tiny", "1.2", "a" * 64))


def test_masks_come_back_from_the_npz(tmp_path: Path, found: Segmentation) -> None:
    write_npz(tmp_path / "masks.npz", found)
    masks = read_npz(tmp_path / "masks.npz")

    assert list(masks) == list(found.masks)
    for name, mask in masks.items():
        assert np.array_equal(mask.dense(GRID), found.masks[name].dense(GRID)), name


def test_npz_says_what_it_is(tmp_path: Path, found: Segmentation) -> None:
    write_npz(tmp_path / "masks.npz", found)
    with np.load(tmp_path / "masks.npz") as arrays:
        assert arrays[SHAPE].tolist() == list(GRID)
        assert arrays[MODEL].tolist() == ["tiny", "1.2", "a" * 64]
        assert arrays[BOXES].shape == (22, 4)


def test_npz_of_the_same_masks_is_the_same_file(tmp_path: Path, found: Segmentation) -> None:
    for name in ("one", "two"):
        write_npz(tmp_path / f"{name}.npz", found)

    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_npz_of_nothing_is_empty(tmp_path: Path) -> None:
    write_npz(tmp_path / "masks.npz", Segmentation(GRID, {}, ModelIdentity("tiny", "1", "")))

    assert read_npz(tmp_path / "masks.npz") == {}


def test_no_structure_is_called_like_another_array() -> None:
    assert not {NAMES, BOXES, SHAPE, MODEL}.intersection(item.name for item in LABELS)


def test_each_structure_is_a_png_of_one_bit(tmp_path: Path, found: Segmentation) -> None:
    write_pngs(tmp_path / "masks", found)

    assert {path.stem for path in (tmp_path / "masks").iterdir()} == {item.slug for item in LABELS[:22]}
    for item in LABELS[:22]:
        picture = Image.open(tmp_path / "masks" / f"{item.slug}.png")
        values = np.asarray(picture.convert("L"))

        assert picture.mode == "1"
        assert values.shape == GRID
        assert np.array_equal(values, 255 * found.masks[item.name].dense(GRID).astype(np.uint8)), item.name


@pytest.mark.parametrize("columns", range(64, 74))
def test_png_has_every_width(tmp_path: Path, columns: int) -> None:
    mask = Mask(np.ones((1, 3), np.bool_), 5, columns - 3)
    (tmp_path / "mask.png").write_bytes(png_of(mask, (9, columns)))

    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), mask.dense((9, columns)))
