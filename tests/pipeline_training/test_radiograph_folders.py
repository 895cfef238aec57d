"""Folders of pictures and masks: what is found, what it is compared with, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ai.errors import ConstantImageError, RadiographError
from ai.labels import LABELS, label
from pipeline_training.errors import RadiographSetError
from pipeline_training.radiograph_folders import (
    PROTOCOLS,
    Structure,
    read_mask,
    read_radiograph,
    read_set,
    read_sets,
)
from pipeline_training.readings import READINGS

SHAPE = (80, 96)


def write_picture(path: Path, pixels: np.ndarray | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.tile(np.arange(SHAPE[1], dtype=np.uint8), (SHAPE[0], 1))
    Image.fromarray(ramp if pixels is None else pixels).save(path)
    return path


def make_set(folder: Path, *structures: str) -> Path:
    image = write_picture(folder / "images" / "a.png")
    for name in structures:
        write_picture(folder / "masks" / name / image.name, np.eye(*SHAPE, dtype=np.uint8) * 255)
    return folder


def compared(folder: Path) -> dict[str, tuple[str, ...]]:
    return {structure.folder: structure.labels for structure in read_set(folder).structures}


def test_one_set_is_read_from_its_own_folder(tmp_path: Path) -> None:
    (only,) = read_sets(make_set(tmp_path / "mine", "heart"))
    assert (only.name, [path.name for path in only.images]) == ("mine", ["a.png"])


def test_all_sets_are_read_from_the_folder_above_them(tmp_path: Path) -> None:
    for name in ("b", "a"):
        make_set(tmp_path / name, "heart")
    (tmp_path / "not a set").mkdir()
    assert [found.name for found in read_sets(tmp_path)] == ["a", "b"]


def test_a_folder_without_sets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RadiographSetError, match="holds no images/ folder"):
        read_sets(tmp_path)


def test_a_set_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    with pytest.raises(RadiographSetError, match="no PNG or JPEG picture"):
        read_set(tmp_path)


def test_every_label_of_the_known_protocols_is_in_the_label_table() -> None:
    for protocol in PROTOCOLS.values():
        for names in protocol.values():
            assert [label(name).name for name in names] == list(names)


def test_every_note_belongs_to_a_known_protocol() -> None:
    assert all(folder in PROTOCOLS[name] for name, folder in READINGS)


def test_every_label_of_the_known_readings_is_in_the_label_table() -> None:
    named = {name for reading in READINGS.values() for name in reading.cutters}
    assert {label(name).name for name in named} == named


def test_lungs_are_visible_lungs_where_readers_exclude_the_heart(tmp_path: Path) -> None:
    jsrt = compared(make_set(tmp_path / "jsrt", "right_lung", "left_clavicle"))
    assert jsrt == {"left_clavicle": ("clavicle left",), "right_lung": ("visible lung right",)}
    assert compared(make_set(tmp_path / "montgomery", "lungs")) == {
        "lungs": ("visible lung right", "visible lung left")
    }


def test_lungs_are_whole_lungs_where_readers_include_what_lies_behind_the_heart(tmp_path: Path) -> None:
    assert compared(make_set(tmp_path / "v7-portable", "lungs")) == {"lungs": ("right lung", "left lung")}


def test_folders_named_like_a_label_or_its_slug_are_compared_with_it(tmp_path: Path) -> None:
    own = compared(make_set(tmp_path / "own", "clavicle_left", "right lung"))
    assert own == {"clavicle_left": ("clavicle left",), "right lung": ("right lung",)}


def test_names_and_slugs_of_labels_are_unambiguous() -> None:
    assert len({known.slug for known in LABELS}) == len(LABELS)


def test_unknown_structures_are_named_with_the_way_to_map_them(tmp_path: Path) -> None:
    with pytest.raises(RadiographSetError, match=r"\['pacemaker', 'tube'\].*protocol\.json.*pacemaker"):
        read_set(make_set(tmp_path / "own", "heart", "tube", "pacemaker"))


def test_protocol_file_maps_folders_and_leaves_some_out(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "jsrt", "heart", "right_lung", "tube")
    (folder / "protocol.json").write_text(json.dumps({"tube": [], "right_lung": ["right lung", "heart"]}))
    assert compared(folder) == {"heart": ("heart",), "right_lung": ("right lung", "heart")}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "cannot be read"),
        ("[]", "must map mask folders"),
        ('{"heart": "heart"}', "'heart' must be a list of label names"),
        ('{"heart": ["hearth"]}', "the nearest known one is 'heart'"),
        ('{"liver": ["liver"]}', r"names \['liver'\], which .*masks does not hold"),
    ],
)
def test_a_wrong_protocol_file_is_refused_by_name(tmp_path: Path, text: str, complaint: str) -> None:
    folder = make_set(tmp_path / "own", "heart")
    (folder / "protocol.json").write_text(text)
    with pytest.raises(RadiographSetError, match=complaint) as refusal:
        read_set(folder)
    assert "protocol.json" in str(refusal.value)


def test_ratios_are_read_by_file_name(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "own", "heart")
    (folder / "ctr.csv").write_text("file,cardiothoracic_ratio\na.png,0.4625\n")
    assert read_set(folder).ratios == {"a.png": 0.4625}


@pytest.mark.parametrize("text", ["name,ratio\na.png,0.5\n", "file,cardiothoracic_ratio\na.png,wide\n"])
def test_a_wrong_table_of_ratios_is_refused(tmp_path: Path, text: str) -> None:
    folder = make_set(tmp_path / "own", "heart")
    (folder / "ctr.csv").write_text(text)
    with pytest.raises(RadiographSetError, match=r"ctr\.csv must have columns"):
        read_set(folder)


def test_display_values_are_the_grey_values_over_the_largest_possible(tmp_path: Path) -> None:
    shallow = read_radiograph(write_picture(tmp_path / "a.png"))
    assert shallow.pixels[0, 51] == pytest.approx(51 / 255)
    deep = np.tile(np.linspace(0, 65535, SHAPE[1]).astype(np.uint16), (SHAPE[0], 1))
    assert read_radiograph(write_picture(tmp_path / "b.png", deep)).pixels.max() == 1


def test_colour_pictures_become_grey(tmp_path: Path) -> None:
    grey = np.tile(np.arange(SHAPE[1], dtype=np.uint8)[:, None], (SHAPE[0], 1, 3))
    assert read_radiograph(write_picture(tmp_path / "a.png", grey)).pixels.shape == SHAPE


def test_pictures_that_are_no_radiograph_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RadiographError):
        read_radiograph(write_picture(tmp_path / "small.png", np.eye(8, dtype=np.uint8)))
    with pytest.raises(ConstantImageError):
        read_radiograph(write_picture(tmp_path / "black.png", np.zeros(SHAPE, np.uint8)))


def test_a_file_that_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    broken = tmp_path / "a.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(RadiographSetError, match=r"a\.png cannot be read as a picture"):
        read_radiograph(broken)


def test_masks_of_zeros_and_ones_equal_those_of_zeros_and_255(tmp_path: Path) -> None:
    ones = np.eye(*SHAPE, dtype=np.uint8)
    for name, pixels in (("one.png", ones), ("full.png", ones * 255), ("bits.png", ones.astype(np.bool_))):
        assert np.array_equal(read_mask(write_picture(tmp_path / name, pixels)), ones.astype(np.bool_)), name


def test_a_black_mask_is_empty(tmp_path: Path) -> None:
    assert not read_mask(write_picture(tmp_path / "a.png", np.zeros(SHAPE, np.uint8))).any()


def test_masks_are_found_by_name_or_as_png_and_may_be_absent(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "own", "heart")
    write_picture(folder / "images" / "b.jpg")
    write_picture(folder / "images" / "c.png")
    write_picture(folder / "masks" / "heart" / "b.png")
    found = read_set(folder)
    (heart,) = found.structures
    assert [found.truth(heart, image, SHAPE) is not None for image in found.images] == [True, True, False]


def test_a_mask_of_another_shape_than_its_image_is_refused(tmp_path: Path) -> None:
    found = read_set(make_set(tmp_path / "own", "heart"))
    with pytest.raises(RadiographSetError, match=r"\(80, 96\) rows and columns, its image \(512, 512\)"):
        found.truth(found.structures[0], found.images[0], (512, 512))


def test_a_structure_is_compared_with_at_least_one_label() -> None:
    with pytest.raises(RadiographSetError, match="compared with no label"):
        Structure("heart", ())


def test_lung_that_may_mean_two_things_must_be_explained(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "site", "left_lung")
    with pytest.raises(RadiographSetError, match="may mean 'left lung' or 'visible lung left'"):
        read_set(folder)
    (folder / "protocol.json").write_text('{"left_lung": ["visible lung left"]}')
    assert read_set(folder).structures[0].labels == ("visible lung left",)
