from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import numpy_helper

from ai.bundle import DEFAULT_BUNDLE, Bundle, bundle_digest
from ai.errors import BundleError, NotAChestError
from ai.labels import LABELS
from ai.mask_algebra import share_outside
from ai.onnx_segmenter import MAX_BATCH, OnnxSegmenter
from ai.radiograph import Radiograph, View
from ai.runtime import Way, available_providers
from ai.segmenter import Segmenter, Shared
from ai.uncertainty import SHIFT, Reliability
from node.reader import read_radiograph

Field = npt.NDArray[np.float32]
Disc = Callable[..., Field]
MakeBundle = Callable[..., Bundle]

SIZE = 64


@pytest.fixture
def chest(disc: Disc) -> dict[str, Field]:
    """Channels in another order than the table's, the heart not found."""
    return {
        "visible lung left": disc(SIZE, 44, 32, 12),
        "heart": np.full((SIZE, SIZE), -3, np.float32),
        "visible lung right": disc(SIZE, 20, 32, 12),
    }


def radiograph(rows: int = 320, columns: int = 256, view: View = View.UNKNOWN, seed: int = 0) -> Radiograph:
    pixels = np.random.default_rng(seed).random((rows, columns), np.float32)
    return Radiograph(pixels, view=view)


def test_masks_come_in_table_order_on_the_native_grid(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    segmenter: Segmenter = OnnxSegmenter(make_bundle(chest), way=Way(1))
    [found] = segmenter.segment([radiograph()])
    assert list(found.masks) == ["visible lung right", "visible lung left"]
    assert found.shape == (320, 256)
    assert found.masks["visible lung right"].centroid == pytest.approx((20.5 * 5 - 32, 32.5 * 5), abs=1)


def test_absent_and_unsupported_structures_are_told_apart(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    [found] = OnnxSegmenter(make_bundle(chest)).segment([radiograph()])
    assert found.empty == ("heart",)
    assert len(found.unsupported) == len(LABELS) - 3
    assert "spine" in found.unsupported
    assert found.model.version == "1.2"
    assert found.frontal_probability == pytest.approx(1 / (1 + np.exp(-8)))


def test_batch_larger_than_one_run_keeps_its_order(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    images = [radiograph(rows=200 + 10 * i) for i in range(MAX_BATCH + 2)]
    found = OnnxSegmenter(make_bundle(chest)).segment(images)
    assert [each.shape[0] for each in found] == [image.rows for image in images]
    assert OnnxSegmenter(make_bundle(chest)).segment([]) == []


def test_network_sees_the_normalised_picture_and_black_padding(make_bundle: MakeBundle) -> None:
    segmenter = OnnxSegmenter(make_bundle({"heart": np.zeros((SIZE, SIZE), np.float32)}, gain=1.0))
    inputs, _ = segmenter.prepare([radiograph(320, 160)])
    [output] = segmenter.infer(inputs)
    assert inputs.shape == (1, 1, SIZE, SIZE)
    assert output.logits[0, :, :16].max() == 0
    assert 0.9 < output.logits[0].max() <= 1


def test_thresholds_hold_for_each_label(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    thresholds = {"visible lung left": 0.99, "visible lung right": 0.5, "heart": 0.01}
    [found] = OnnxSegmenter(make_bundle(chest, thresholds=thresholds)).segment([radiograph()])
    assert found.masks["visible lung left"].area < 0.7 * found.masks["visible lung right"].area
    assert "heart" in found.masks


def test_stages_are_timed_by_name(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    stages: list[str] = []
    seconds: list[float] = []

    def observe(stage: str, took: float) -> None:
        stages.append(stage)
        seconds.append(took)

    OnnxSegmenter(make_bundle(chest), observe=observe).segment([radiograph(), radiograph()])
    assert stages == ["preprocess", "inference", "postprocess", "postprocess"]
    assert min(seconds) > 0


def test_stated_lateral_is_refused_by_a_frontal_model(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    with pytest.raises(NotAChestError, match=r"lateral \(LL\)"):
        OnnxSegmenter(make_bundle(chest)).segment([radiograph(view=View.LEFT_LATERAL)])


def test_seen_lateral_is_refused_by_a_frontal_model(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    with pytest.raises(NotAChestError, match=r"looks like a lateral view \(probability 0\.98\)"):
        OnnxSegmenter(make_bundle(chest, view=(-2.0, 2.0))).segment([radiograph()])


def test_lateral_is_segmented_by_a_model_for_laterals(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    bundle = make_bundle(chest, view=(-2.0, 2.0), views=("frontal", "lateral"))
    [found] = OnnxSegmenter(bundle).segment([radiograph(view=View.LEFT_LATERAL)])
    assert found.frontal_probability == pytest.approx(0.018, abs=0.001)
    assert found.masks


def test_image_without_lungs_is_no_chest(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    nothing = dict.fromkeys(chest, np.full((SIZE, SIZE), -1, np.float32))
    with pytest.raises(NotAChestError, match="no lungs were found"):
        OnnxSegmenter(make_bundle(nothing)).segment([radiograph()])


def test_specks_of_lung_are_no_chest(make_bundle: MakeBundle, chest: dict[str, Field], disc: Disc) -> None:
    specks = chest | {"visible lung left": disc(SIZE, 44, 32, 2), "visible lung right": disc(SIZE, 20, 32, 2)}
    with pytest.raises(NotAChestError, match="% of the image"):
        OnnxSegmenter(make_bundle(specks)).segment([radiograph()])


def test_lungs_above_each_other_are_no_frontal_chest(make_bundle: MakeBundle, disc: Disc) -> None:
    stacked = {"right lung": disc(SIZE, 32, 14, 11), "left lung": disc(SIZE, 32, 50, 11)}
    with pytest.raises(NotAChestError, match="one above the other"):
        OnnxSegmenter(make_bundle(stacked)).segment([radiograph()])


def test_model_without_lungs_is_not_judged_by_them(make_bundle: MakeBundle, disc: Disc) -> None:
    [found] = OnnxSegmenter(make_bundle({"heart": disc(SIZE, 32, 32, 3)})).segment([radiograph()])
    assert "heart" in found.masks


def test_repairs_reach_the_segmentation(make_bundle: MakeBundle, chest: dict[str, Field], disc: Disc) -> None:
    chest["heart"] = np.maximum(disc(SIZE, 34, 40, 8), disc(SIZE, 34, 10, 4))
    [found] = OnnxSegmenter(make_bundle(chest)).segment([radiograph()])
    assert any(sentence.startswith("heart: 1 detached") for sentence in found.repairs)


def test_masks_of_a_frontal_view_are_made_consistent_and_it_is_told(
    make_bundle: MakeBundle, chest: dict[str, Field], disc: Disc
) -> None:
    chest |= {"heart": disc(SIZE, 34, 40, 8), "heart atrium left": disc(SIZE, 38, 40, 6)}
    [found] = OnnxSegmenter(make_bundle(chest)).segment([radiograph()])
    assert share_outside(found.masks["heart atrium left"], found.masks["heart"]) == 0
    assert found.repairs[-1].startswith(
        "cut off where they reached beyond what holds them: heart atrium left"
    )


def test_masks_of_a_lateral_view_are_left_alone(
    make_bundle: MakeBundle, chest: dict[str, Field], disc: Disc
) -> None:
    chest |= {"heart": disc(SIZE, 34, 40, 8), "heart atrium left": disc(SIZE, 38, 40, 6)}
    bundle = make_bundle(chest, view=(-2.0, 2.0), views=("frontal", "lateral"))
    [found] = OnnxSegmenter(bundle).segment([radiograph(view=View.LEFT_LATERAL)])
    assert share_outside(found.masks["heart atrium left"], found.masks["heart"]) > 0.1
    assert found.repairs == ()


def test_cpu_is_always_a_provider_and_comes_last(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    assert available_providers()[-1] == "CPUExecutionProvider"
    assert OnnxSegmenter(make_bundle(chest), ["CPUExecutionProvider"]).providers == ("CPUExecutionProvider",)


def test_weights_that_are_no_network_are_refused(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    manifest = make_bundle(chest, sha256=bundle_digest(make_bundle(chest).onnx_bytes)).manifest
    junk = b"not a network"
    changed = {**vars(manifest), "sha256": bundle_digest(junk)}
    with pytest.raises(BundleError, match="does not load"):
        OnnxSegmenter(Bundle(type(manifest)(**changed), junk))


def test_network_of_another_shape_than_its_manifest_is_refused(make_bundle: MakeBundle, disc: Disc) -> None:
    bundle = make_bundle({"heart": disc(SIZE, 32, 32, 9)}, input_size=128)
    with pytest.raises(BundleError, match=r"'image'.*128"):
        OnnxSegmenter(bundle)


def test_a_model_without_curves_is_asked_once_and_not_judged(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    segmenter = OnnxSegmenter(make_bundle(chest))
    assert segmenter.segment([radiograph()])[0].trust == {}
    inputs, boxes = segmenter.prepare([radiograph()])
    assert segmenter.infer(inputs, [box.film() for box in boxes])[0].agreement is None


def test_trust_falls_where_the_second_look_shows_something_else(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    """The network ignores the picture, so its discs stay where they are when the picture moves."""
    curves = dict.fromkeys(chest, Reliability(bar=0.9, intercept=1.0, expected=0.0, agreement=1.0))
    [found] = OnnxSegmenter(make_bundle(chest, reliability=curves)).segment([radiograph()])
    assert set(found.trust) == {"visible lung right", "visible lung left"}, "the heart was not found"
    shifted = {name: shift_dice(chest[name]) for name in found.trust}
    for name, trust in found.trust.items():
        agreed = shifted[name]
        assert trust.probability == pytest.approx(1 / (1 + (1 - agreed) / agreed / np.e), abs=0.02)


def test_lungs_of_which_none_is_sure_are_no_chest(make_bundle: MakeBundle, chest: dict[str, Field]) -> None:
    curves = dict.fromkeys(chest, Reliability(bar=0.9, intercept=-1.0, expected=0.0, agreement=1.0))
    with pytest.raises(NotAChestError, match="neither lungs nor heart can be told with certainty"):
        OnnxSegmenter(make_bundle(chest, reliability=curves)).segment([radiograph()])


def test_a_lateral_view_is_not_refused_for_doubts_about_lungs(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    curves = dict.fromkeys(chest, Reliability(bar=0.9, intercept=-9.0, expected=0.0, agreement=0.0))
    bundle = make_bundle(chest, view=(-2.0, 2.0), views=("frontal", "lateral"), reliability=curves)
    [found] = OnnxSegmenter(bundle).segment([radiograph()])
    assert not any(trust.suffices for trust in found.trust.values())


def test_masks_that_changed_sides_share_the_lower_trust(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    """Whose signs are whose is doubtful: the sure channel drew on the wrong side."""
    fields = chest | {
        "right hemidiaphragm": disc_of(46, 50, 7, steep=6.0),
        "left hemidiaphragm": disc_of(18, 50, 7, steep=0.3),
    }
    curves = dict.fromkeys(fields, Reliability(bar=0.7, intercept=-2.0, expected=2.0, agreement=0.0))
    [found] = OnnxSegmenter(make_bundle(fields, reliability=curves)).segment([radiograph()])
    assert any("were exchanged" in repair for repair in found.repairs)
    right, left = (found.trust[f"{side} hemidiaphragm"] for side in ("right", "left"))
    assert right == left
    assert right.probability < found.trust["visible lung right"].probability


SAMPLE = Path(__file__).parents[2] / "node" / "sample" / "radiograph.dcm"


def test_the_shipped_network_says_the_same_in_company_to_the_last_bit() -> None:
    segmenter = OnnxSegmenter(Bundle.load(DEFAULT_BUNDLE))
    found = read_radiograph(SAMPLE).radiograph
    pictures = [found.pixels, found.pixels[:, ::-1], found.pixels[::2, ::2] ** 2, 1 - found.pixels[:, 100:]]
    inputs, boxes = segmenter.prepare([Radiograph(np.ascontiguousarray(each)) for each in pictures])
    films = [box.film() for box in boxes]
    alone = [segmenter.infer(inputs[i : i + 1], films[i : i + 1])[0] for i in range(MAX_BATCH)]

    for size in range(2, MAX_BATCH + 1):
        together = segmenter.infer(inputs[:size], films[:size])
        assert all(one.equals(other) for one, other in zip(together, alone, strict=False)), size
    assert not alone[0].equals(alone[1])
    assert not alone[0].equals(replace(alone[0], agreement=None))
    assert alone[0].agreement is not None


@pytest.mark.parametrize(("together", "count"), [(False, 1), (True, 1), (False, 3), (True, 2)])
def test_what_is_kept_of_one_image_keeps_nothing_of_its_company(
    make_bundle: MakeBundle, chest: dict[str, Field], *, together: bool, count: int
) -> None:
    curves = dict.fromkeys(chest, Reliability(bar=0.9, intercept=-1.0, expected=0.0, agreement=1.0))
    segmenter = OnnxSegmenter(make_bundle(chest, reliability=curves), way=Way(1, together=together))
    inputs, boxes = segmenter.prepare([radiograph()] * count)
    for output in segmenter.infer(inputs, [box.film() for box in boxes]):
        whole = output.logits if output.logits.base is None else output.logits.base
        assert isinstance(whole, np.ndarray)
        assert whole.nbytes == output.logits.nbytes


def test_a_network_that_takes_no_company_is_told_once_for_each_size_and_no_failed_run_is_counted(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    runs, told = list[int](), list[int]()
    bundle = _for_one_only(make_bundle(chest))
    segmenter = OnnxSegmenter(bundle, batch=3, note_run=runs.append, note_largest=told.append)

    assert len(segmenter.segment([radiograph(seed=number) for number in range(7)])) == 7
    assert told == [2, 1]
    assert runs == [1] * 7


def _for_one_only(bundle: Bundle) -> Bundle:
    """Return the bundle with a network that fails, as one without memory, when several are asked about."""
    network = onnx.load_from_string(bundle.onnx_bytes)
    [shape] = (each for each in network.graph.initializer if each.name == "shape")
    shape.CopyFrom(numpy_helper.from_array(np.array([1, 1], np.int64), "shape"))
    weights = network.SerializeToString()
    return Bundle(replace(bundle.manifest, sha256=bundle_digest(weights)), weights)


def test_who_waits_for_the_network_goes_in_company_and_gets_the_same_masks(
    make_bundle: MakeBundle, chest: dict[str, Field]
) -> None:
    bundle, runs = make_bundle(chest, gain=1.0), list[int]()
    shared = OnnxSegmenter(bundle, batch=2, note_run=runs.append)
    images = [radiograph(seed=number) for number in range(5)]
    alone = [OnnxSegmenter(bundle).segment([image])[0] for image in images]

    found = shared.segment(images, urgency=1)

    assert runs == [2, 1, 1, 2, 1], "two of them went alone, too, when two went together for the first time"
    pairs = list(zip(found, alone, strict=True))
    assert all(one.masks.keys() == other.masks.keys() for one, other in pairs)
    assert all(
        np.array_equal(one.masks[name].dense(one.shape), other.masks[name].dense(other.shape))
        for one, other in pairs
        for name in one.masks
    )
    assert isinstance(shared, Shared)
    assert shared.urged(1).model == shared.model
    assert len(shared.urged(1).segment(images[:1])) == 1


def disc_of(column: float, row: float, radius: float, steep: float) -> Field:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    return np.asarray(steep * (radius - np.hypot(rows - row, columns - column)), np.float32)


def shift_dice(field: Field) -> float:
    """Dice of a field's probabilities with themselves, moved by SHIFT."""
    p = 1 / (1 + np.exp(-field.astype(np.float64)))
    first, second = p[:-SHIFT, :-SHIFT], p[SHIFT:, SHIFT:]
    return float(2 * (first * second).sum() / ((first**2).sum() + (second**2).sum()))
