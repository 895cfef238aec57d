from dataclasses import replace

import numpy as np
import numpy.typing as npt

from pipeline_training.anatomy import Anatomy, Layer
from pipeline_training.paint import add_room
from pipeline_training.scanned import EXTENSION_MM, Scanned, extend, ribs_cut_below, whole_structures
from pipeline_training.warp import Field


def field(z: float) -> Field:
    voxels: npt.NDArray[np.float32] = np.zeros((3, 2, 2, 2), np.float32)
    voxels[2] = z
    return Field(voxels)


def test_extension_repeats_hu_and_holds_no_structure(anatomy: Anatomy) -> None:
    longer, scanned = extend(anatomy)
    added = round(EXTENSION_MM / anatomy.spacing_mm)
    assert len(longer.hu) == len(anatomy.hu) + 2 * added
    np.testing.assert_array_equal(longer.hu[0], longer.hu[added])
    np.testing.assert_array_equal(longer.hu[-1], longer.hu[-1 - added])
    assert not any(layer.parts[:added].any() or layer.parts[-added:].any() for layer in longer.layers)
    assert longer.centre[0] == anatomy.centre[0] + added
    assert scanned == Scanned(added, added + len(anatomy.hu) - 1)


def test_extension_leaves_out_air_but_no_structure(anatomy: Anatomy) -> None:
    wide = add_room(anatomy, sides_mm=300.0, front_mm=90.0)
    longer, _ = extend(wide)
    assert longer.hu.shape[1] < wide.hu.shape[1]
    assert longer.hu.shape[2] < wide.hu.shape[2]
    assert np.count_nonzero(longer.organs.parts) == np.count_nonzero(anatomy.organs.parts)
    place = tuple(round(c) for c in anatomy.centre)
    moved = tuple(round(c) for c in longer.centre)
    assert longer.organs.parts[moved] == anatomy.organs.parts[place]


def test_moved_body_is_known_where_it_comes_from_the_scan() -> None:
    scanned = Scanned(10.0, 40.0).moved((60, 10, 10), (field(4.0),), 6.0)
    assert scanned == Scanned(6.0, 36.0)
    assert Scanned(10.0, 40.0).moved((60, 10, 10), (field(500.0),), 6.0) == Scanned(0.0, -1.0)


def column(anatomy: Anatomy, **slices: tuple[int, int]) -> Anatomy:
    """Return the anatomy with these structures only, each on slices [first, last) of a column of its own."""
    organs = Layer.empty(anatomy.hu.shape)
    for place, (name, (first, last)) in enumerate(slices.items()):
        mask = np.zeros(anatomy.hu.shape, np.bool_)
        mask[first:last, 20, 20 + place] = True
        organs.add(mask, name.replace("_", " "))
    return replace(anatomy, organs=organs, regions=())


def test_whole_is_what_ends_before_the_scan_does(anatomy: Anatomy) -> None:
    top = len(anatomy.hu)
    cut = column(
        anatomy, heart=(2, top - 2), aorta=(1, 20), trachea=(20, top - 1), spine=(0, top), liver=(5, 5)
    )
    assert whole_structures(cut) == {"heart"}
    assert extend(cut)[0].whole == {"heart"}
    both = column(anatomy, anterior_4th_rib_left=(10, 20), posterior_4th_rib_left=(20, top))
    assert whole_structures(both) == frozenset(), "where a cut rib turns forward is not known"


def test_of_ribs_that_leave_the_scan_below_nothing_is_known(anatomy: Anatomy) -> None:
    top = len(anatomy.hu)
    ribs = column(
        anatomy,
        anterior_10th_rib_right=(10, 20),
        posterior_10th_rib_right=(0, 20),
        anterior_1st_rib_left=(10, 20),
        posterior_1st_rib_left=(20, top),
        liver=(0, 20),
    )
    assert ribs_cut_below(ribs) == {"anterior 10th rib right", "posterior 10th rib right"}
    assert extend(ribs)[0].known() == ["anterior 1st rib left", "liver", "posterior 1st rib left"]
