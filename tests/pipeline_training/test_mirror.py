"""Mirrored projections: bones change sides with the picture, and nothing else is known of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline_training.batches import Batches, Drawing
from pipeline_training.channels import CHANNELS
from pipeline_training.dataset import FRONTAL, GRID, LATERAL, STORED_SIZE, Look, Source, make_sample
from pipeline_training.errors import TrainingError
from pipeline_training.mirror import bones_among, can_be_mirrored, logits_of, mirrored
from pipeline_training.network import AnatomyNet
from pipeline_training.projections import NAMES
from pipeline_training.told import PLANES
from pipeline_training.train_options import TrainOptions

HEART, RIGHT, LEFT, STERNUM, SCAPULA = (
    NAMES.index(name) for name in ("heart", "clavicle right", "clavicle left", "sternum", "scapula left")
)
PLAIN = Look(0.0, (1.0, 1.0), (0.0, 0.0))


@pytest.fixture
def source() -> Source:
    """Return a projection of blocks: each structure where its tissue is, the right clavicle at the left."""
    places = {HEART: slice(80, 120), LEFT: slice(100, 130), RIGHT: slice(20, 60), STERNUM: slice(70, 80)}
    known = np.array(sorted(places))
    coverage = np.zeros((len(known), GRID, GRID), np.uint8)
    for row, index in enumerate(known):
        coverage[row, 40:50, places[int(index)]] = 4
    tissues = np.zeros((len(CHANNELS), STORED_SIZE, STORED_SIZE), np.float16)
    tissues[1, 80:100, 40:120] = 1.0
    told = np.ones((PLANES, GRID, GRID), np.bool_)
    told[1, :, :30] = False
    place = np.zeros(len(NAMES), np.uint8)
    place[RIGHT] = 1
    film = np.ones((STORED_SIZE, STORED_SIZE), np.bool_)
    film[:, :10] = False
    return Source("a", tissues, coverage, known, FRONTAL, told, film, place)


def test_bones_change_sides_with_the_picture(source: Source) -> None:
    turned = mirrored(source)
    names = [LEFT, RIGHT, STERNUM]
    before, after = (
        make_sample(each, names, STORED_SIZE, np.random.default_rng(0), look=PLAIN, restyled=False)
        for each in (source, turned)
    )
    assert before.known.all()
    assert after.known.all()
    np.testing.assert_allclose(after.target[[1, 0, 2]].flip(-1), before.target, atol=1e-5)
    assert before.target[0].any()
    assert (after.film.flip(-1) == before.film).all()
    assert (turned.tissues[..., ::-1] == source.tissues).all()
    assert turned.tissues[1].argmax(axis=1).max() == STORED_SIZE - 120


def test_where_a_bone_is_told_goes_with_it(source: Source) -> None:
    turned = mirrored(source)
    np.testing.assert_array_equal(turned.told[turned.place[LEFT]], source.told[source.place[RIGHT]][:, ::-1])
    np.testing.assert_array_equal(turned.told[turned.place[RIGHT]], source.told[source.place[LEFT]][:, ::-1])
    assert not turned.told[turned.place[LEFT]].all()
    assert turned.told[turned.place[RIGHT]].all()


def test_of_organs_and_of_unknown_bones_nothing_is_known(source: Source) -> None:
    one_sided = replace(source, known=source.known[:-1], coverage=source.coverage[:-1])
    assert source.known[-1] == HEART
    assert set(mirrored(source).known) == {LEFT, RIGHT, STERNUM}
    alone = replace(one_sided, known=np.array([RIGHT]), coverage=source.coverage[:1])
    assert mirrored(alone).known.tolist() == [LEFT]


def test_mirrored_twice_the_bones_are_what_they_were(source: Source) -> None:
    twice = mirrored(mirrored(source))
    bones = source.known != HEART
    np.testing.assert_array_equal(twice.known, source.known[bones])
    np.testing.assert_array_equal(twice.coverage, source.coverage[bones])
    for ours, theirs in (
        (twice.tissues, source.tissues),
        (twice.told, source.told),
        (twice.film, source.film),
    ):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(twice.place, source.place)


def test_frontal_projections_with_bones_can_be_mirrored(source: Source) -> None:
    radiograph = replace(source, tissues=source.tissues[:1])
    organs = replace(source, known=np.array([HEART]), coverage=source.coverage[:1])
    assert can_be_mirrored(source)
    assert not can_be_mirrored(replace(source, view=LATERAL))
    assert not can_be_mirrored(radiograph)
    assert not can_be_mirrored(organs)


def test_a_share_of_the_looks_is_mirrored(source: Source) -> None:
    def count_without_heart(share: float) -> int:
        batches = Batches([source], [HEART, RIGHT], 32, Drawing(batch=4, seed=3, mirror_share=share))
        looks = [batches[step] for step in range(25)]
        assert all(look.known[:, 1].all() for look in looks)
        return sum(int((~look.known[:, 0]).sum()) for look in looks)

    assert count_without_heart(0.0) == 0
    assert 20 <= count_without_heart(0.35) <= 50  # of 100
    assert count_without_heart(1.0) == 100


def test_share_that_is_none_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"mirror_share lies in \[0, 1\], found 1.5"):
        TrainOptions(projections="p", out="o", mirror_share=1.5)  # type: ignore[arg-type]


def test_bones_that_are_told_twice_have_their_counterparts_among_the_labels() -> None:
    labels = (
        "heart",
        "clavicle left",
        "right lung",
        "scapula left",
        "left lung",
        "clavicle right",
        "sternum",
    )
    assert bones_among(labels) == ("clavicle left", "clavicle right", "sternum")


def test_a_network_asked_twice_says_of_a_mirrored_picture_the_same_mirrored() -> None:
    labels = ("heart", "clavicle left", "clavicle right")
    torch.manual_seed(0)
    network = AnatomyNet(len(labels), (4, 4, 4, 4, 4)).eval()
    picture = torch.rand(2, 1, 64, 64)
    once = logits_of(network, picture, labels, is_asked_twice=False)
    twice = logits_of(network, picture, labels, is_asked_twice=True)
    turned = logits_of(network, torch.flip(picture, (3,)), labels, is_asked_twice=True)
    np.testing.assert_array_equal(once[:, 0], twice[:, 0])
    np.testing.assert_allclose(twice[:, 1], turned[:, 2, :, ::-1], atol=1e-6)
    assert np.abs(once[:, 1] - twice[:, 1]).max() > 1e-4
