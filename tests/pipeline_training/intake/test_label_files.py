"""NIfTI, NRRD and MetaImage files, label maps and folders of one file for each class."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from pipeline_training.errors import VolumeError
from pipeline_training.intake.case import load_case, read_case
from pipeline_training.intake.ct import CtVolume
from pipeline_training.volumes import LabelMap


def write_nifti(chest: Any, path: Path, voxels: npt.NDArray[Any], axes: str = "LPS") -> None:
    library: Any = nibabel
    affine = np.diag([-chest.spacing_mm, -chest.spacing_mm, chest.spacing_mm, 1.0])
    affine[:3, 3] = np.multiply(chest.first_mm, (-1, -1, 1))
    data = np.ascontiguousarray(voxels.transpose(2, 1, 0))
    image = library.nifti1.Nifti1Image(data.astype(np.uint8) if data.dtype == bool else data, affine)
    wanted = library.orientations.axcodes2ornt(tuple(axes))
    change = library.orientations.ornt_transform(library.orientations.io_orientation(affine), wanted)
    path.parent.mkdir(parents=True, exist_ok=True)
    library.loadsave.save(image.as_reoriented(change), path)


def write_itk(chest: Any, path: Path, voxels: npt.NDArray[Any], flipped: bool = False) -> None:
    """Write by SimpleITK; `flipped` stores the columns from left to right."""
    image: Any = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels[:, :, ::-1] if flipped else voxels))
    image.SetSpacing((chest.spacing_mm,) * 3)
    left, posterior, superior = chest.first_mm
    left += chest.spacing_mm * (voxels.shape[2] - 1) if flipped else 0
    image.SetOrigin((left, posterior, superior))
    image.SetDirection((-1.0 if flipped else 1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path))


def label_map(chest: Any) -> tuple[npt.NDArray[np.uint8], dict[str, str]]:
    labels = np.zeros(chest.hu.shape, np.uint8)
    for number, mask in enumerate(chest.masks.values(), 1):
        labels[mask] = number
    return labels, {str(number): name for number, name in enumerate(chest.masks, 1)}


def check(volume: LabelMap | CtVolume, chest: Any) -> None:
    assert isinstance(volume, LabelMap)
    assert volume.hu is not None
    np.testing.assert_array_equal(volume.hu, chest.hu)
    for name, mask in chest.masks.items():
        np.testing.assert_array_equal(volume.mask(name), mask, name)


@pytest.mark.parametrize("axes", ["LPS", "RAS", "SAL", "PIR"])
def test_nifti_ct_without_labels_in_any_orientation(chest: Any, tmp_path: Path, axes: str) -> None:
    write_nifti(chest, tmp_path / "a" / "ct.nii.gz", chest.hu, axes)
    for path in (tmp_path / "a", tmp_path / "a" / "ct.nii.gz"):
        volume = load_case(path)
        assert isinstance(volume, CtVolume)
        np.testing.assert_array_equal(volume.hu, chest.hu)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("end", ["nrrd", "mha"])
def test_ct_and_labels_by_itk(chest: Any, tmp_path: Path, end: str, flipped: bool) -> None:
    labels, names = label_map(chest)
    write_itk(chest, tmp_path / "a" / f"ct.{end}", chest.hu, flipped)
    write_itk(chest, tmp_path / "a" / f"labels.{end}", labels)
    (tmp_path / "a" / "labels.json").write_text(json.dumps({"labels": names}))
    check(load_case(tmp_path / "a"), chest)


def test_label_map_tells_patient_and_vocabulary(chest: Any, tmp_path: Path) -> None:
    labels, names = label_map(chest)
    write_nifti(chest, tmp_path / "a" / "ct.nii.gz", chest.hu)
    write_nifti(chest, tmp_path / "a" / "labels.nii.gz", labels, "RAS")
    described = {"labels": names, "vocabulary": ["spleen", *names.values()], "patient": "p7"}
    (tmp_path / "a" / "labels.json").write_text(json.dumps(described))
    volume = load_case(tmp_path / "a")
    check(volume, chest)
    assert isinstance(volume, LabelMap)
    assert volume.patient == "p7"
    assert volume.absent == {"spleen"}


@pytest.mark.parametrize("where", ["segmentations", "total", "."])
def test_class_folder_tells_present_absent_and_unknown(chest: Any, tmp_path: Path, where: str) -> None:
    folder = tmp_path / "a" / where
    write_nifti(chest, tmp_path / "a" / "ct.nii.gz", chest.hu)
    for name, mask in chest.masks.items():
        write_nifti(chest, folder / f"{name}.nii.gz", mask, "RAS")
    write_nifti(chest, folder / "spleen.nii.gz", np.zeros_like(chest.masks["liver"]))
    write_nifti(chest, folder / "something.nii.gz", chest.masks["liver"])
    case = read_case(tmp_path / "a")
    check(case.volume, chest)
    assert isinstance(case.volume, LabelMap)
    assert case.volume.absent == {"spleen"}
    assert "something" not in case.volume.vocabulary
    assert any("something.nii.gz: no structure of that name is known" in each for each in case.remarks)


def test_of_overlapping_classes_the_smaller_stays(chest: Any, tmp_path: Path) -> None:
    inner = np.zeros_like(chest.masks["liver"])
    inner[6:8, 4:6, 2:4] = True
    write_nifti(chest, tmp_path / "a" / "ct.nii.gz", chest.hu)
    for name, mask in {**chest.masks, "aorta": inner, "trachea": inner | chest.masks["liver"]}.items():
        write_nifti(chest, tmp_path / "a" / "segmentations" / f"{name}.nii.gz", mask)
    volume = load_case(tmp_path / "a")
    assert isinstance(volume, LabelMap)
    np.testing.assert_array_equal(volume.mask("aorta"), inner)
    np.testing.assert_array_equal(volume.mask("liver"), chest.masks["liver"])
    assert "trachea" not in volume.names.values()


def test_nifti_that_does_not_say_where_it_lies_is_refused(chest: Any, tmp_path: Path) -> None:
    path = tmp_path / "ct.nii.gz"
    write_nifti(chest, path, chest.hu)
    image: Any = nibabel.load(path)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nibabel.loadsave.save(image, path)
    with pytest.raises(VolumeError, match=r"neither qform_code nor sform_code is set, so left and right"):
        load_case(path)


def test_nrrd_without_a_space_is_refused(chest: Any, tmp_path: Path) -> None:
    path = tmp_path / "ct.nrrd"
    write_itk(chest, path, chest.hu)
    head, data = path.read_bytes().split(b"\n\n", 1)
    lines = [line for line in head.split(b"\n") if not line.startswith(b"space:")]
    path.write_bytes(b"\n".join(lines) + b"\n\n" + data)
    with pytest.raises(VolumeError, match="cannot be read"):
        load_case(path)


def test_nrrd_of_bare_spacings_is_refused(chest: Any, tmp_path: Path) -> None:
    path = tmp_path / "ct.nrrd"
    write_itk(chest, path, chest.hu)
    head, data = path.read_bytes().split(b"\n\n", 1)
    lines = [line for line in head.split(b"\n") if not line.startswith(b"space")]
    path.write_bytes(b"\n".join([*lines, b"spacings: 1.5 1.5 1.5"]) + b"\n\n" + data)
    with pytest.raises(VolumeError, match="'space directions' is missing"):
        load_case(path)


def test_ids_below_zero_are_refused(chest: Any, tmp_path: Path) -> None:
    labels, names = label_map(chest)
    below = labels.astype(np.int16)
    below[0, 0, 0] = -3
    (tmp_path / "a").mkdir()
    write_itk(chest, tmp_path / "a" / "labels.mha", below)
    (tmp_path / "a" / "labels.json").write_text(json.dumps({"labels": names}))
    with pytest.raises(VolumeError, match=r"a: label ids lie in 0\.\.255, found -3 to"):
        load_case(tmp_path / "a")


def test_labels_that_lie_elsewhere_are_refused(chest: Any, tmp_path: Path) -> None:
    labels, names = label_map(chest)
    write_itk(chest, tmp_path / "a" / "ct.nrrd", chest.hu)
    image: Any = SimpleITK.GetImageFromArray(labels)
    image.SetSpacing((1.5,) * 3)
    SimpleITK.WriteImage(image, str(tmp_path / "a" / "labels.nrrd"))
    (tmp_path / "a" / "labels.json").write_text(json.dumps({"labels": names}))
    with pytest.raises(VolumeError, match=r"labels\.nrrd lies outside the CT: 0 of \d+ ml are within it"):
        load_case(tmp_path / "a")


def test_two_labellings_are_refused(chest: Any, tmp_path: Path) -> None:
    labels, _ = label_map(chest)
    write_nifti(chest, tmp_path / "a" / "labels.nii.gz", labels)
    write_nifti(chest, tmp_path / "a" / "segmentations" / "liver.nii.gz", chest.masks["liver"])
    with pytest.raises(VolumeError, match=r"labels\.nii\.gz and a folder of classes: which labels are meant"):
        load_case(tmp_path / "a")


def test_two_cts_are_refused(chest: Any, tmp_path: Path) -> None:
    write_nifti(chest, tmp_path / "a" / "ct.nii.gz", chest.hu)
    write_itk(chest, tmp_path / "a" / "ct.nrrd", chest.hu)
    with pytest.raises(VolumeError, match=r"a: ct\.nii\.gz and ct\.nrrd: which one is meant"):
        load_case(tmp_path / "a")


def test_what_holds_no_volume_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "note.txt").write_text("nothing")
    with pytest.raises(VolumeError, match=r"a: no volume is here: neither labels\.nii\.gz with labels\.json"):
        load_case(tmp_path / "a")
    with pytest.raises(
        VolumeError, match=r"note\.txt: a case is a folder, or a volume that ends in \.nii\.gz"
    ):
        load_case(tmp_path / "a" / "note.txt")
    with pytest.raises(VolumeError, match="gone: there is no such file or folder"):
        load_case(tmp_path / "gone")


def test_picture_of_grey_values_is_refused(chest: Any, tmp_path: Path) -> None:
    write_nifti(chest, tmp_path / "ct.nii.gz", np.clip(chest.hu, 0, 255).astype(np.int16))
    with pytest.raises(VolumeError, match=r"the values are not Hounsfield units: they lie in 0\.\.255"):
        load_case(tmp_path / "ct.nii.gz")
