import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from pipeline_training.errors import VolumeError
from pipeline_training.volumes import LabelMap, check_orientation, load_label_map

MakeCase = Callable[..., Path]
StoreNifti = Callable[..., None]


@pytest.mark.parametrize("axes", ["LAS", "RAS", "LPS", "SPL", "ASR"])
def test_orientation_of_the_file_does_not_matter(make_case: MakeCase, phantom: LabelMap, axes: str) -> None:
    loaded = load_label_map(make_case(axes=axes, with_ct=True))
    assert loaded.hu is not None
    np.testing.assert_array_equal(loaded.labels, phantom.labels)
    np.testing.assert_array_equal(loaded.hu, phantom.labels.astype(int) * 40 - 1000)
    assert loaded.names == phantom.names
    assert loaded.labels.dtype == np.uint8
    assert loaded.hu.dtype == np.int16


def test_case_without_ct_has_no_hu(make_case: MakeCase) -> None:
    assert load_label_map(make_case()).hu is None


@pytest.mark.parametrize(
    ("axis", "reason"),
    [
        (0, "the liver lies above"),
        (1, "lower lobes lie in front"),
        (2, "the right lung lies left of the left lung"),
    ],
)
def test_flipped_volume_is_refused_by_name(make_case: MakeCase, axis: int, reason: str) -> None:
    with pytest.raises(VolumeError, match=f"mirror: the volume is flipped: .*{reason}"):
        load_label_map(make_case(name="mirror", flip=axis))


def test_heart_on_the_right_is_refused(phantom: LabelMap) -> None:
    names = {i: name for i, name in phantom.names.items() if name.startswith("lung")}
    labels = phantom.labels.copy()
    labels[20:24, 14:18, 8:12] = 250
    with pytest.raises(VolumeError, match="the heart lies right"):
        check_orientation(LabelMap("x", labels, names | {250: "heart"}, None, 6.0))


def test_labels_of_another_extent_land_where_they_lie(
    make_case: MakeCase, store_nifti: StoreNifti, phantom: LabelMap
) -> None:
    case = make_case()
    hu = np.pad(phantom.labels.astype(np.int16) * 40 - 1000, ((0, 0), (0, 0), (0, 9)), constant_values=-1000)
    store_nifti(case / "ct.nii.gz", hu)
    loaded = load_label_map(case)
    assert loaded.hu is not None
    np.testing.assert_array_equal(loaded.hu, hu)
    np.testing.assert_array_equal(loaded.labels[..., :60], phantom.labels)
    assert not loaded.labels[..., 60:].any()


def test_labels_that_lie_elsewhere_are_refused(
    make_case: MakeCase, store_nifti: StoreNifti, phantom: LabelMap
) -> None:
    case = make_case()
    stored: Any = nibabel.load(case / "labels.nii.gz")
    moved = stored.affine.copy()
    moved[0, 3] += 70.0
    nibabel.loadsave.save(stored.__class__(np.asarray(stored.dataobj), moved), case / "labels.nii.gz")
    store_nifti(case / "ct.nii.gz", phantom.labels.astype(np.int16) * 40 - 1000)
    with pytest.raises(
        VolumeError, match=r"case: labels\.nii\.gz lies outside the CT: \d+ of \d+ ml are within it"
    ):
        load_label_map(case)


def test_ct_that_holds_no_hounsfield_units_is_refused(make_case: MakeCase, store_nifti: StoreNifti) -> None:
    case = make_case()
    store_nifti(case / "ct.nii.gz", np.full((60, 40, 60), 90, np.int16))
    with pytest.raises(VolumeError, match=r"not Hounsfield units: they lie in 90\.\.90"):
        load_label_map(case)


@pytest.mark.parametrize("missing", ["labels.nii.gz", "labels.json"])
def test_missing_file_is_named(make_case: MakeCase, missing: str) -> None:
    case = make_case()
    (case / missing).unlink()
    with pytest.raises(VolumeError, match=r"needs labels\.nii\.gz and labels\.json"):
        load_label_map(case)


def test_unreadable_files_are_refused_not_raised_raw(make_case: MakeCase) -> None:
    case = make_case("torn")
    whole = (case / "labels.nii.gz").read_bytes()
    (case / "labels.nii.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(VolumeError, match="cannot be read"):
        load_label_map(case)
    (case / "labels.nii.gz").write_bytes(b"no NIfTI")
    with pytest.raises(VolumeError, match="cannot be read"):
        load_label_map(case)
    (case / "labels.json").write_text("[]")
    with pytest.raises(VolumeError, match=r"labels\.json must read"):
        load_label_map(case)


def test_ids_beyond_a_byte_are_refused_not_wrapped(
    make_case: MakeCase, store_nifti: StoreNifti, phantom: LabelMap
) -> None:
    case = make_case()
    store_nifti(case / "labels.nii.gz", phantom.labels.astype(np.int16) + 250)
    with pytest.raises(VolumeError, match=r"label ids lie in 0\.\.255"):
        load_label_map(case)


def test_case_without_lungs_is_refused(make_case: MakeCase) -> None:
    case = make_case()
    (case / "labels.json").write_text(json.dumps({"labels": {"1": "liver"}}))
    with pytest.raises(VolumeError, match="no lung lobe"):
        load_label_map(case)


def test_other_spacings_are_resampled_and_air_is_added_at_the_edges(
    make_case: MakeCase, store_nifti: StoreNifti, phantom: LabelMap
) -> None:
    case = make_case()
    store_nifti(case / "labels.nii.gz", phantom.labels, "ASR", 3.1)
    air = np.full(phantom.labels.shape, -1000, np.int16)
    air[20:23, 20:23, 20:23] = 1000
    store_nifti(case / "ct.nii.gz", air, "ASR", 3.1)
    loaded = load_label_map(case)
    assert loaded.hu is not None
    edges = (loaded.hu[[0, -1]], loaded.hu[:, [0, -1]], loaded.hu[:, :, [0, -1]])
    assert all((edge == -1000).all() for edge in edges)
    assert loaded.hu.max() == 1000
    volume = np.count_nonzero(phantom.mask("liver")) * (3.1 / 1.5) ** 3
    assert np.count_nonzero(loaded.mask("liver")) == pytest.approx(volume, rel=0.05)


def test_what_is_cropped_away_is_not_known(
    make_case: MakeCase, store_nifti: StoreNifti, phantom: LabelMap
) -> None:
    case = make_case()
    deep = np.concatenate([np.zeros((120, 40, 60), np.uint8), phantom.labels])
    deep[:5] = 200
    store_nifti(case / "labels.nii.gz", deep)
    names = {str(i): name for i, name in phantom.names.items()} | {"200": "hip_left"}
    (case / "labels.json").write_text(json.dumps({"labels": names}))
    loaded = load_label_map(case)
    assert len(loaded.labels) == 100 + 46
    assert "hip_left" not in loaded.names.values()


def boxes(**places: tuple[int, int, int]) -> LabelMap:
    """Return structures of two voxels in height, the first of them where it is said."""
    labels = np.zeros((40, 40, 40), np.uint8)
    for number, (z, y, x) in enumerate(places.values(), 1):
        labels[z : z + 2, y, x] = number
    return LabelMap("x", labels, dict(enumerate(places, 1)), None, 1.5)


SPINE = {f"vertebrae_T{number}": (30 - 3 * number, 30, 20) for number in range(1, 6)}
RIBS = {
    f"rib_{side}_{number}": (30 - 3 * number, 10, column)
    for side, column in (("right", 5), ("left", 35))
    for number in range(1, 6)
}


def test_sound_sequences_are_accepted() -> None:
    check_orientation(boxes(sternum=(15, 5, 20), **SPINE, **RIBS))


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        (
            {name: (35 - z, y, x) for name, (z, y, x) in SPINE.items()},
            "the vertebrae follow each other upwards, such as vertebrae_T4 and vertebrae_T5; 4 of 4 pairs",
        ),
        (
            {name: (35 - z, y, x) for name, (z, y, x) in RIBS.items() if "left" in name},
            "the left ribs follow each other upwards",
        ),
        (
            {name: (35 - z, y, x) for name, (z, y, x) in RIBS.items() if "right" in name},
            "the right ribs follow each other upwards",
        ),
        (
            {name: (z, y, 39 - x) for name, (z, y, x) in RIBS.items()},
            "the right ribs lie left of the left ribs.*5 of 5 pairs",
        ),
        ({"sternum": (15, 35, 20)} | SPINE, "the sternum lies behind the spine"),
    ],
)
def test_flipped_bones_are_refused_by_name(places: dict[str, tuple[int, int, int]], reason: str) -> None:
    with pytest.raises(VolumeError, match=f"the volume is flipped: {reason}"):
        check_orientation(boxes(**places))


def test_one_bone_out_of_order_is_no_flip() -> None:
    swapped = SPINE | {"vertebrae_T2": SPINE["vertebrae_T3"], "vertebrae_T3": SPINE["vertebrae_T2"]}
    check_orientation(boxes(**swapped, **RIBS))
