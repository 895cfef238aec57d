import numpy as np
import pytest

from ai.errors import NotAChestError
from ai.labels import LABELS
from ai.radiograph import Radiograph, View
from ai.segmenter import Segmenter
from ai.stand_in import StandInSegmenter


def radiograph(view: View = View.PA) -> Radiograph:
    return Radiograph(np.random.default_rng(0).random((300, 256), np.float32), view=view)


def test_shapes_lie_on_their_sides_in_table_order() -> None:
    segmenter: Segmenter = StandInSegmenter()
    [found] = segmenter.segment([radiograph()])
    order = [item.name for item in LABELS]
    assert sorted(found.masks, key=order.index) == list(found.masks)
    for right, left in (("right lung", "left lung"), ("clavicle right", "clavicle left")):
        assert found.masks[right].centroid[0] < 128 < found.masks[left].centroid[0]


def test_visible_lung_leaves_the_heart_out() -> None:
    [found] = StandInSegmenter().segment([radiograph()])
    heart = found.masks["heart"].dense(found.shape)
    assert not (found.masks["visible lung left"].dense(found.shape) & heart).any()
    assert (found.masks["left lung"].dense(found.shape) & heart).any()


def test_everything_is_drawn_or_unsupported() -> None:
    [found] = StandInSegmenter().segment([radiograph()])
    assert len(found.masks) + len(found.unsupported) == len(LABELS)


def test_stated_lateral_is_refused() -> None:
    with pytest.raises(NotAChestError, match="lateral"):
        StandInSegmenter().segment([radiograph(View.RIGHT_LATERAL)])
