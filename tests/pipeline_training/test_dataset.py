from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import ndimage

from pipeline_training.batches import Batches, Drawing
from pipeline_training.channels import CHANNELS
from pipeline_training.dataset import (
    FRONTAL,
    GRID,
    LATERAL,
    STORED_SIZE,
    UNASKED,
    Look,
    Source,
    draw_look,
    from_projection,
    from_radiograph,
    make_sample,
    part_sides,
    quarters,
    read_sources,
    supported_labels,
)
from pipeline_training.errors import DatasetError
from pipeline_training.projections import NAMES, StoredProjection
from pipeline_training.radiograph_folders import RadiographSet, Structure, read_set
from pipeline_training.readings import Reading
from pipeline_training.told import EVERYWHERE, PLANES

HEART, LUNG, VISIBLE = (NAMES.index(name) for name in ("heart", "lung", "visible lung right"))

DRAWING = Drawing(batch=4, seed=7, real_share=0.5)


class MakeReaderSet(Protocol):
    def __call__(
        self, name: str, images: int = 3, shift: int = 0, structures: tuple[str, ...] = ("heart",)
    ) -> Path: ...


def disc(row: float, column: float, radius: float) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[:STORED_SIZE, :STORED_SIZE]
    return np.asarray(np.hypot(rows + 0.5 - row, columns + 0.5 - column) < radius)


def stored(lateral: bool = False) -> StoredProjection:
    masks = np.zeros((len(NAMES), STORED_SIZE, STORED_SIZE), np.bool_)
    masks[HEART] = masks[VISIBLE] = disc(190, 180, 40)
    known = np.zeros(len(NAMES), np.bool_)
    known[[HEART, LUNG, VISIBLE]] = True
    tissues = np.zeros((len(CHANNELS), STORED_SIZE, STORED_SIZE), np.float16)
    tissues[1], tissues[3] = 1.0, masks[HEART] * 2.0
    packed = np.packbits(masks.reshape(len(NAMES), -1), axis=1)
    told, place = np.ones((PLANES, STORED_SIZE, STORED_SIZE), np.bool_), np.zeros(len(NAMES), np.uint8)
    return StoredProjection("a", lateral, tissues, packed, known, "a", told, place)


def real(mask: npt.NDArray[np.bool_]) -> Source:
    """Return a real radiograph that shows nothing but its one mask."""
    picture = mask[None].astype(np.float16)
    return Source("real/a", picture, quarters(mask[None]), np.array([HEART]), FRONTAL)


def test_projection_becomes_a_source_with_what_it_knows() -> None:
    source = from_projection(stored())
    assert source.known.tolist() == sorted([HEART, LUNG, VISIBLE])
    assert source.coverage.shape == (3, GRID, GRID)
    assert source.coverage.max() == 4
    assert source.view == FRONTAL
    assert not source.is_real


def test_lateral_projection_knows_no_visible_lung() -> None:
    source = from_projection(stored(lateral=True))
    assert source.view == LATERAL
    assert VISIBLE not in source.known


def test_projection_of_another_size_is_refused() -> None:
    tissues, masks = np.zeros((len(CHANNELS), 32, 32), np.float16), np.zeros((161, 128), np.uint8)
    told, none, place = np.ones((PLANES, 32, 32), np.bool_), np.zeros(161, np.bool_), np.zeros(161, np.uint8)
    small = StoredProjection("a", False, tissues, masks, none, "a", told, place)
    with pytest.raises(DatasetError, match="320 pixels wide, found 32"):
        from_projection(small)


def test_targets_of_unknown_structures_mean_nothing() -> None:
    sample = make_sample(real(disc(160, 160, 60)), [HEART, LUNG], 64, np.random.default_rng(0))
    assert sample.known.tolist() == [True, False]
    assert sample.image.shape == (1, 64, 64)
    assert sample.target.shape == (2, 32, 32)
    assert not sample.target[1].any()
    assert 0 <= float(sample.image.min()) <= float(sample.image.max()) <= 1


def test_affine_map_moves_picture_and_mask_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_training.dataset.restyle", lambda image, generator: image)
    source = real(disc(170, 140, 50))
    for seed in range(12):
        sample = make_sample(source, [HEART], 320, np.random.default_rng(seed))
        in_picture = np.array(ndimage.center_of_mass(sample.image[0].numpy() > 0.5)) + 0.5
        in_mask = (np.array(ndimage.center_of_mass(sample.target[0].numpy() > 0.5)) + 0.5) * 2
        np.testing.assert_allclose(in_picture, in_mask, atol=1.0)


def test_same_step_gives_the_same_batch_and_another_gives_another() -> None:
    batches = Batches([from_projection(stored()), real(disc(160, 160, 60))], [HEART], 64, DRAWING)
    first, again, other = batches[3], batches[3], batches[4]
    for ours, theirs in (
        (first.image, again.image),
        (first.target, again.target),
        (first.known, again.known),
    ):
        assert torch.equal(ours, theirs)
    assert not torch.equal(first.image, other.image)
    assert first.image.shape == (4, 1, 64, 64)


def test_look_at_a_projection_tells_of_a_share_and_always_of_what_is_asked_for() -> None:
    sources = [from_projection(stored()), real(disc(160, 160, 60))]
    labels = [int(i) for i in sources[0].known]
    whole = Batches(sources, labels, 64, DRAWING)
    batches = Batches(sources, labels, 64, replace(DRAWING, told_share=0.25, always=(labels[0],)))
    told = []
    for step in range(8):
        batch = batches[step]
        assert torch.equal(batch.known[:2], whole[0].known[:2])  # radiographs
        told.append(batch.known[2:].numpy())
    shares = np.concatenate(told).mean(axis=0)
    assert shares[0] == 1
    assert ((shares[1:] > 0.05) & (shares[1:] < 0.6)).all()
    assert whole[0].known[2:].all()


def test_batches_need_a_projection() -> None:
    with pytest.raises(DatasetError, match="no projection"):
        Batches([real(disc(160, 160, 60))], [HEART], 64, DRAWING)


def test_several_workers_give_the_batches_of_one_in_the_same_order() -> None:
    batches = Batches(
        [from_projection(stored()), real(disc(160, 160, 60))], [HEART], 64, replace(DRAWING, workers=2)
    )
    for step, batch in zip(range(2, 7), batches.steps(2, 7), strict=True):
        assert all(map(torch.equal, batch.tensors(), batches[step].tensors()))


def test_folder_without_projections_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no projection"):
        read_sources(tmp_path, [])


def test_lungs_are_parted_by_side() -> None:
    right, left = disc(160, 80, 50), disc(160, 240, 50)
    parted = part_sides(right | left)
    assert parted is not None
    np.testing.assert_array_equal(parted[0], right)
    np.testing.assert_array_equal(parted[1], left)


def test_each_structure_is_told_where_its_plane_says() -> None:
    kept = stored()
    told, place = np.zeros_like(kept.told), np.zeros_like(kept.place)
    told[EVERYWHERE], place[HEART] = True, EVERYWHERE
    told[2, :160], place[NAMES.index("aorta")] = True, 2
    source = from_projection(replace(kept, told=told, place=place))
    asked = [LUNG, HEART, UNASKED, NAMES.index("aorta")]
    sample = make_sample(source, asked, 64, np.random.default_rng(0), Look(0, (1, 1), (0, 0)))
    assert sample.known.tolist() == [True, True, False, False]
    assert sample.place[[0, 1, 3]].tolist() == [0, EVERYWHERE, 2]
    assert sample.truths.shape == (4, 32, 32)
    assert not sample.truths[0].any()
    assert sample.truths[1].all()
    assert sample.truths[3, :16].all()
    assert not sample.truths[3, 17:].any()
    (batch,) = Batches([source], [LUNG, HEART], 64, DRAWING).steps(0, 1)
    assert torch.equal(batch.place, torch.tensor([[0, EVERYWHERE]]).expand(DRAWING.batch, 2))
    assert batch.told.shape == (DRAWING.batch, PLANES, 32, 32)


def test_lungs_that_touch_and_no_lungs_are_not_told_apart() -> None:
    assert part_sides(disc(160, 130, 50) | disc(160, 190, 50)) is None
    assert part_sides(np.zeros((9, 9), np.bool_)) is None


def test_radiograph_teaches_what_its_reader_drew(make_reader_set: MakeReaderSet) -> None:
    images = read_set(make_reader_set("jsrt", images=1, structures=("heart", "lungs")))
    source = from_radiograph(images, images.images[0])
    assert source is not None
    assert source.is_real
    assert {NAMES[i] for i in source.known} == {"heart", "visible lung right", "visible lung left"}
    right, left = (source.coverage[source.known.tolist().index(NAMES.index(f"visible lung {side}"))]
                   for side in ("right", "left"))  # fmt: skip
    assert np.nonzero(right)[1].mean() < np.nonzero(left)[1].mean()


def test_radiograph_does_not_teach_what_its_reader_drew_otherwise(make_reader_set: MakeReaderSet) -> None:
    images = read_set(make_reader_set("jsrt", images=1))
    noted = Structure("heart", ("heart",), reading=Reading("drawn with the great vessels"))
    joined = Structure("heart", ("trachea", "tracheal bifurcation"))
    for structure in (noted, joined):
        others = RadiographSet(images.name, images.folder, images.images, (structure,), {})
        assert from_radiograph(others, images.images[0]) is None


def test_structures_that_are_hardly_seen_are_not_supported() -> None:
    assert supported_labels([from_projection(stored())]) == [HEART, VISIBLE]
    assert supported_labels([real(disc(160, 160, 60))]) == []


def test_one_projection_among_many_does_not_make_a_structure_supported() -> None:
    many = from_projection(stored())
    known = many.known != HEART
    without = replace(many, known=many.known[known], coverage=many.coverage[known])
    assert supported_labels([many, *[without] * 99]) == [HEART, VISIBLE]
    assert supported_labels([many, *[without] * 100]) == [VISIBLE]


def test_padding_of_a_radiograph_stays_empty_whatever_is_done_to_the_picture(
    make_reader_set: MakeReaderSet,
) -> None:
    images = read_set(make_reader_set("jsrt", images=1))  # 160 rows, 128 columns
    source = from_radiograph(images, images.images[0])
    assert source is not None
    assert not source.film[:, :31].any()
    assert source.film[:, 33:287].all()
    for seed in range(40):
        generator = np.random.default_rng(seed)
        theta = draw_look(generator).theta()
        grid = torch.nn.functional.affine_grid(theta, [1, 1, 64, 64], align_corners=False)[0]
        beside = grid[..., 0].abs() > 0.85  # the picture ends at 0.8
        image = make_sample(source, [HEART], 64, np.random.default_rng(seed)).image[0]
        assert not image[beside].any()


def test_a_share_of_the_projections_has_the_grey_values_of_radiographs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[float] = []

    def noted(image: np.ndarray, film: object, histogram: np.ndarray, generator: object) -> np.ndarray:
        taken.append(float(histogram[-1]))
        return image

    monkeypatch.setattr("pipeline_training.dataset.in_style", noted)
    sources = [from_projection(stored()), real(disc(160, 160, 60))]
    assert len(Batches(sources, [HEART], 64, DRAWING)[0].image) == 4
    assert taken == []
    styled = Batches(sources, [HEART], 64, replace(DRAWING, style_share=0.5))
    for step in range(20):
        styled[step]
    assert 10 <= len(taken) <= 30  # of 40 projections
