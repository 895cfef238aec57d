"""The atlas says which bone it is, the CT where it is."""

import numpy as np

from pipeline_training.labelling.bone_names import named_bones, rib_paths
from pipeline_training.labelling.rib_count import SpineAxis
from pipeline_training.volumes import LabelMap

SHAPE = (24, 40, 90)
AXIS = SpineAxis(np.full(SHAPE[0], 30.0), np.full(SHAPE[0], 10.0))


def _tube(low: int) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    tube = np.zeros(SHAPE, np.bool_)
    tube[low : low + 5, 28:33, 20:80] = True
    return tube


def test_rib_is_named_by_its_section_and_filled_with_its_marrow() -> None:
    true, shell = _tube(10), _tube(10)
    shell[12, 30, 22:78] = False
    # the atlas lies two voxels too low and calls the rib by its neighbour's number
    prior = LabelMap("atlas", _tube(8) * np.uint8(5), {5: "rib_left_6", 9: "rib_left_7"},
                     np.where(true, 300, 0).astype(np.int16), 1.5)  # fmt: skip
    sections = np.zeros(SHAPE, np.uint8)
    sections[:, :, 44:46] = 19 * shell[:, :, 44:46]
    paths, _ = rib_paths(shell, sections, prior, np.zeros(SHAPE, np.bool_), AXIS, 12.0)
    assert (named_bones(shell, paths, prior) == 9 * true.astype(np.uint8)).all()


def test_shoulder_blade_that_touches_a_rib_keeps_only_itself() -> None:
    rib = _tube(6)
    blade = np.zeros(SHAPE, np.bool_)
    blade[11:22, 30:33, 60:75] = True  # it touches the rib
    labels = rib * np.uint8(1)
    labels[blade] = 2
    prior = LabelMap("atlas", labels, {1: "rib_left_7", 2: "scapula_left"}, None, 1.5)
    sections = np.zeros(SHAPE, np.uint8)
    sections[:, :, 22:24] = 19 * rib[:, :, 22:24]
    lungs = np.zeros(SHAPE, np.bool_)
    lungs[:4, :10] = True
    paths, _ = rib_paths(rib | blade, sections, prior, lungs, AXIS, 12.0)
    found = named_bones(rib | blade, paths, prior)
    assert (found[blade] == 2).mean() > 0.9
    assert (found[rib] == 1).mean() > 0.95


def test_what_lies_far_from_every_bone_of_the_atlas_has_no_name() -> None:
    bone, labels = np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.uint8)
    bone[2:8, 4:10, 4:10] = bone[2:8, 4:10, 50:56] = True
    labels[3:8, 4:10, 4:10] = 1
    prior = LabelMap("atlas", labels, {1: "vertebrae_T5"}, None, 1.5)
    found = named_bones(bone, np.zeros(SHAPE, np.uint8), prior)
    assert (found[2:8, 4:10, 4:10] == 1).all()
    assert not found[:, :, 50:56].any()
