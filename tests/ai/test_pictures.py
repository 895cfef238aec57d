import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

from ai.errors import ConstantImageError, NotAChestError, RadiographError
from ai.pictures import EXIF_ORIENTATIONS, NO_SPACING, film_from_array, is_picture, read_picture
from ai.radiograph import View

Bytes = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def gray() -> Bytes:
    """A picture of which no turn and no mirror is itself."""
    rows, columns = np.mgrid[:80, :100]
    return np.asarray((rows + columns**1.1) % 200 + 20, np.uint8)


def saved(path: Path, pixels: npt.NDArray[Any], **how: Any) -> Path:
    Image.fromarray(pixels).save(path, **how)
    return path


def stretched(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    values = pixels.astype(np.float64)
    return np.asarray((values - values.min()) / (values.max() - values.min()))


@pytest.mark.parametrize("name", ["chest.png", "chest.tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_picture_is_read_exactly(tmp_path: Path, gray: Bytes, name: str, dtype: type[Any]) -> None:
    pixels = gray.astype(dtype) * (200 if dtype is np.uint16 else 1)
    film = read_picture(saved(tmp_path / name, pixels))

    assert film.shape == (80, 100)
    assert film.radiograph.pixels == pytest.approx(stretched(pixels), abs=1e-6)
    assert film.radiograph.view is View.UNKNOWN


def test_jpeg_is_read_closely(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(80), np.arange(100)).astype(np.uint8)
    film = read_picture(saved(tmp_path / "chest.jpg", smooth, quality=95))

    assert film.radiograph.pixels == pytest.approx(stretched(smooth), abs=0.03)


def test_equal_channels_are_a_gray_picture(tmp_path: Path, gray: Bytes) -> None:
    expected = read_picture(saved(tmp_path / "gray.png", gray)).radiograph.pixels
    for name in ("rgb.png", "palette.png", "rgba.png", "la.png"):
        mode = {"rgb": "RGB", "palette": "P", "rgba": "RGBA", "la": "LA"}[name.split(".")[0]]
        Image.fromarray(gray).convert(mode).save(tmp_path / name)
        assert np.array_equal(read_picture(tmp_path / name).radiograph.pixels, expected), name


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_colour_is_refused_by_name(tmp_path: Path, gray: Bytes, mode: str) -> None:
    channels = np.stack([gray, gray, gray // 2], axis=2)
    Image.fromarray(channels).convert(mode).save(tmp_path / "colour.png")

    with pytest.raises(NotAChestError, match=r"\d+\.\d % of the pixels are coloured"):
        read_picture(tmp_path / "colour.png")


def test_small_coloured_mark_is_no_colour_picture(tmp_path: Path, gray: Bytes) -> None:
    channels = np.stack([gray, gray, gray], axis=2)
    channels[3, 2:9, 0] = 0
    read_picture(saved(tmp_path / "marked.png", channels))
    channels[:10, :10, 0] = 0

    with pytest.raises(NotAChestError):
        read_picture(saved(tmp_path / "coloured.png", channels))


@pytest.mark.parametrize("mode", ["1", "CMYK"])
def test_other_modes_are_refused(tmp_path: Path, gray: Bytes, mode: str) -> None:
    Image.fromarray(gray).convert(mode).save(tmp_path / "odd.tif")

    with pytest.raises(NotAChestError, match=f"mode '{mode}'"):
        read_picture(tmp_path / "odd.tif")


def test_transparency_is_laid_over_black_and_told(tmp_path: Path, gray: Bytes) -> None:
    cover = np.full_like(gray, 255)
    cover[:, 50:] = 0
    film = read_picture(saved(tmp_path / "half.png", np.stack([gray, gray, gray, cover], axis=2)))

    assert not film.radiograph.pixels[:, 50:].any()
    assert any("transparent" in note for note in film.radiograph.notes)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("tag", EXIF_ORIENTATIONS)
def test_exif_orientation_is_applied_and_leads_back(
    tmp_path: Path, gray: Bytes, tag: int, suffix: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = tag
    quality = {"quality": 100} if suffix == "jpg" else {}
    path = saved(tmp_path / f"turned.{suffix}", gray, exif=exif, **quality)
    film = read_picture(path)
    reference = path if suffix == "jpg" else saved(tmp_path / "reference.png", gray, exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(reference)))

    assert film.shape == gray.shape
    assert film.radiograph.pixels == pytest.approx(stretched(upright), abs=1e-6)
    stored = film.orientation.to_stored(film.radiograph.pixels)
    assert stored == pytest.approx(stretched(gray), abs=0.05)
    assert any(f"Orientation {tag}" in note for note in film.radiograph.notes) == (tag != 1)


def test_dots_per_inch_are_no_spacing(tmp_path: Path, gray: Bytes) -> None:
    for name in ("chest.png", "chest.jpg", "chest.tif"):
        radiograph = read_picture(saved(tmp_path / name, gray, dpi=(180, 180))).radiograph

        assert radiograph.spacing is None
        assert radiograph.notes == (NO_SPACING,)
        assert radiograph.why_no_spacing == "no pixel spacing"


def test_given_spacing_is_that_of_the_stored_pixels(tmp_path: Path, gray: Bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    spacing = read_picture(saved(tmp_path / "t.png", gray, exif=exif), (0.1, 0.2)).radiograph.spacing

    assert spacing is not None
    assert (spacing.row_mm, spacing.column_mm) == (0.2, 0.1)
    assert not spacing.calibrated


@pytest.mark.parametrize("spacing", [0.0, -1.0, 100.0, float("nan")])
def test_impossible_spacing_is_an_error(tmp_path: Path, gray: Bytes, spacing: float) -> None:
    with pytest.raises(RadiographError, match="pixel spacing"):
        read_picture(saved(tmp_path / "chest.png", gray), spacing)


def test_constant_picture_is_an_error(tmp_path: Path, gray: Bytes) -> None:
    with pytest.raises(ConstantImageError, match="every pixel has the value 7"):
        read_picture(saved(tmp_path / "flat.png", np.full_like(gray, 7)))


def test_small_picture_is_an_error(tmp_path: Path, gray: Bytes) -> None:
    with pytest.raises(RadiographError, match=r"at least 64 .* found 63 x 100"):
        read_picture(saved(tmp_path / "small.png", gray[:63]))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_no_cut_or_damaged_file_raises_anything_else(tmp_path: Path, gray: Bytes, kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, gray.shape).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(noise).save(content, kind)
    whole, path = content.getvalue(), tmp_path / "broken"
    generator = np.random.default_rng(2)
    for length in (0, 1, 8, 20, 60, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(RadiographError, match="cannot be decoded"):
            read_picture(path)
    for _ in range(60):
        damaged = bytearray(whole)
        for at in generator.integers(0, min(len(whole), 400), 6):
            damaged[at] = int(generator.integers(0, 256))
        path.write_bytes(bytes(damaged))
        try:
            read_picture(path)
        except RadiographError:
            continue


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_file_that_is_cut_off_says_so(tmp_path: Path, kind: str) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (100, 100)).astype(np.uint8)
    path = saved(tmp_path / "cut", noise, format=kind)
    path.write_bytes(path.read_bytes()[:-800])

    with pytest.raises(RadiographError, match="cut off"):
        read_picture(path)


def test_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_picture(tmp_path / "gone.png")


def test_file_of_several_pictures_is_an_error(tmp_path: Path, gray: Bytes) -> None:
    pages = [Image.fromarray(gray), Image.fromarray(gray)]
    pages[0].save(tmp_path / "two.tif", save_all=True, append_images=pages[1:])

    with pytest.raises(RadiographError, match="2 pictures"):
        read_picture(tmp_path / "two.tif")


def test_picture_is_known_by_suffix_or_content(tmp_path: Path, gray: Bytes) -> None:
    by_content = saved(tmp_path / "no-suffix", gray, format="PNG")
    by_name, neither = tmp_path / "empty.JPG", tmp_path / "text"
    by_name.write_bytes(b"")
    neither.write_bytes(b"")

    assert is_picture(by_content)
    assert is_picture(by_name)
    assert not is_picture(neither)


def test_array_is_stretched_whatever_its_type(gray: Bytes) -> None:
    for array in (gray, gray.astype(np.int16) - 300, gray.astype(np.float64) / 7):
        film = film_from_array(array, 0.2, View.PA)

        assert film.radiograph.pixels == pytest.approx(stretched(array), abs=1e-6)
        assert film.radiograph.view is View.PA


def test_array_of_equal_channels_is_gray_and_of_others_is_refused(gray: Bytes) -> None:
    assert film_from_array(np.stack([gray] * 3, axis=2)).shape == gray.shape
    with pytest.raises(NotAChestError, match="coloured"):
        film_from_array(np.stack([gray, gray, 255 - gray], axis=2))


@pytest.mark.parametrize("shape", [(80,), (80, 80, 2), (3, 80, 80), (1, 80, 80, 3)])
def test_array_of_another_shape_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(RadiographError, match="rows, columns"):
        film_from_array(np.zeros(shape, np.uint8))


def test_array_with_values_that_are_no_numbers_is_an_error(gray: Bytes) -> None:
    array = gray.astype(np.float32)
    array[5, 5] = np.nan

    with pytest.raises(RadiographError, match="must be numbers"):
        film_from_array(array)
