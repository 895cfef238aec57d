"""Structures that are told of mirrored pictures as well: whose logits go together, and where."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from ai.errors import BundleError
from ai.labels import LABELS
from ai.mirroring import can_be_told_twice, channel_pairs, counterpart, mirrored_inputs, tell_twice
from ai.onnx_segmenter import OnnxSegmenter
from ai.uncertainty import Reliability
from tests.ai.conftest import MakeBundle

Field = npt.NDArray[np.float32]
SIZE = 64
RIGHT, LEFT, STERNUM, HEART = "clavicle right", "clavicle left", "sternum", "heart"


@pytest.fixture
def fields(disc: Callable[..., Field]) -> dict[str, Field]:
    """What a network says, whatever it sees: the right clavicle well, the left one too small and too high."""
    return {
        HEART: disc(SIZE, 40, 40, 9),
        RIGHT: disc(SIZE, 15.5, 20, 6),
        LEFT: disc(SIZE, 47.5, 17, 3),
        STERNUM: disc(SIZE, 30, 30, 4),
    }


def inputs() -> npt.NDArray[np.float32]:
    return np.random.default_rng(0).random((2, 1, SIZE, SIZE), np.float32)


@pytest.mark.parametrize("label", [each.name for each in LABELS])
def test_counterparts_of_counterparts_are_the_structures_themselves(label: str) -> None:
    assert counterpart(counterpart(label)) == label


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("posterior 4th rib left", "posterior 4th rib right"),
        ("clavicle right", "clavicle left"),
        ("vertebrae T4", "vertebrae T4"),
        ("posterior 4th rib", "posterior 4th rib"),
    ],
)
def test_counterpart_lies_on_the_other_side(name: str, other: str) -> None:
    assert counterpart(name) == other


def test_nothing_is_told_twice_whose_counterpart_the_model_does_not_know() -> None:
    assert can_be_told_twice({RIGHT, STERNUM}, (HEART, RIGHT, STERNUM)) == (STERNUM,)
    assert can_be_told_twice({RIGHT, LEFT, "aorta"}, (LEFT, RIGHT, HEART)) == (LEFT, RIGHT)


def test_means_are_of_a_structure_and_of_its_counterpart_turned_over() -> None:
    labels = (HEART, RIGHT, LEFT)
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(2, 2, 3, 8, 8)).astype(np.float32)
    told = first.copy()
    tell_twice(told, second, channel_pairs((RIGHT, LEFT), labels))
    np.testing.assert_array_equal(told[:, 0], first[:, 0])
    np.testing.assert_array_equal(told[:, 1], (first[:, 1] + second[:, 2, :, ::-1]) / 2)
    np.testing.assert_array_equal(told[:, 2], (first[:, 2] + second[:, 1, :, ::-1]) / 2)


def test_segmenter_tells_the_listed_structures_twice_and_others_as_they_were(
    make_bundle: MakeBundle, fields: dict[str, Field]
) -> None:
    """With a gain the network says of each pixel what it sees there, so that the mirrored look matters."""
    plain = make_bundle(fields, gain=2.0)
    twice = replace(plain, manifest=replace(plain.manifest, mirrored=(RIGHT, LEFT, STERNUM)))
    seen = inputs()
    session = onnxruntime.InferenceSession(plain.onnx_bytes, providers=["CPUExecutionProvider"])
    [of_mirrored] = session.run(["logits"], {"image": mirrored_inputs(seen)})
    for before, after, other in zip(
        OnnxSegmenter(plain).infer(seen), OnnxSegmenter(twice).infer(seen), of_mirrored, strict=True
    ):
        np.testing.assert_array_equal(after.logits[0], before.logits[0])
        for channel, partner in ((1, 2), (2, 1), (3, 3)):
            expected = (before.logits[channel] + other[partner, :, ::-1]) / 2
            np.testing.assert_array_equal(after.logits[channel], expected)
        assert after.view.tolist() == before.view.tolist()


def test_agreement_is_that_of_what_is_told_with_the_second_look(
    make_bundle: MakeBundle, fields: dict[str, Field]
) -> None:
    curves = dict.fromkeys(fields, Reliability(0.8, 0.0, 1.0, 1.0))
    plain = make_bundle(fields, reliability=curves)
    twice = replace(plain, manifest=replace(plain.manifest, mirrored=(RIGHT, LEFT)))
    films = [np.ones((SIZE, SIZE), np.bool_)] * 2
    agreed = [OnnxSegmenter(each).infer(inputs(), films)[0].agreement for each in (plain, twice)]
    assert agreed[0] is not None
    assert agreed[1] is not None
    np.testing.assert_array_equal(agreed[0][[0, 3]], agreed[1][[0, 3]])
    assert agreed[0][2] != agreed[1][2]


def test_manifest_keeps_the_list_and_it_enters_the_uids(
    make_bundle: MakeBundle, fields: dict[str, Field]
) -> None:
    plain = make_bundle(fields).manifest
    twice = replace(plain, mirrored=(RIGHT, LEFT))
    assert type(twice).from_json(twice.to_json()) == twice
    assert "mirrored" not in plain.to_json(), "bundles without it stay as they were"
    assert plain.rules() == ""
    assert twice.rules() not in ("", replace(twice, mirrored=(STERNUM,)).rules())


@pytest.mark.parametrize("wrong", [(RIGHT,), ("scapula left", "scapula right"), ("no such structure",)])
def test_manifest_refuses_what_cannot_be_told_twice(
    make_bundle: MakeBundle, fields: dict[str, Field], wrong: tuple[str, ...]
) -> None:
    del fields[LEFT]
    with pytest.raises(BundleError, match="mirrored must be labels of the model, with their counterparts"):
        make_bundle(fields, mirrored=wrong)


def test_models_for_lateral_views_tell_nothing_twice(
    make_bundle: MakeBundle, fields: dict[str, Field]
) -> None:
    with pytest.raises(BundleError, match="mirrored must be of a model for frontal views alone"):
        make_bundle(fields, views=("frontal", "lateral"), mirrored=(STERNUM,))
