from resource import RUSAGE_THREAD, getpagesize, getrusage

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.rle import _rle_decode_frame

from ai.segmentation import Mask
from node.mask_encoding import encode, is_byte_aligned, pack_bits, run_lengths

SHAPES = [(64, 64), (67, 64), (66, 68), (71, 8), (63, 65), (301, 259)]


def _random_masks(shape: tuple[int, int], count: int = 5) -> list[npt.NDArray[np.bool_]]:
    rng = np.random.default_rng(shape[0])
    masks = []
    for _ in range(count):
        dense = np.zeros(shape, np.bool_)
        top, left = rng.integers(0, shape[0] // 2), rng.integers(0, shape[1] // 2)
        patch = dense[top : top + shape[0] // 3 + 1, left : left + shape[1] // 3 + 1]
        patch[:] = rng.random(patch.shape) > 0.3
        masks.append(dense)
    masks.append(np.ones(shape, np.bool_))
    corner = np.zeros(shape, np.bool_)
    corner[-1, -1] = True
    return [*masks, corner]


def _crops(dense: list[npt.NDArray[np.bool_]]) -> list[Mask]:
    return [mask for mask in map(Mask.from_dense, dense) if mask is not None]


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[0] * shape[1] % 8 == 0])
def test_packed_frames_hold_every_pixel_of_every_mask(shape: tuple[int, int]) -> None:
    dense = _random_masks(shape)
    bits = np.unpackbits(np.frombuffer(pack_bits(_crops(dense), shape), np.uint8), bitorder="little")
    frames = bits[: len(dense) * shape[0] * shape[1]].reshape(len(dense), *shape)
    assert np.array_equal(frames.astype(np.bool_), np.stack(dense))


def test_of_frames_only_the_memory_that_masks_fill_is_touched() -> None:
    small, shape = Mask(np.ones((8, 8), np.bool_), 1000, 1000), (4096, 4096)
    faults = []
    for _ in range(3):  # of this thread; the least, for anything may be collected meanwhile
        before = getrusage(RUSAGE_THREAD).ru_minflt
        packed = pack_bits([small] * 20, shape)
        faults.append(getrusage(RUSAGE_THREAD).ru_minflt - before)
    assert min(faults) < len(packed) / getpagesize() / 10


@pytest.mark.parametrize("shape", SHAPES)
def test_run_length_frames_hold_every_pixel_of_every_mask(shape: tuple[int, int]) -> None:
    for dense in _random_masks(shape):
        mask = Mask.from_dense(dense)
        assert mask is not None
        decoded = _rle_decode_frame(run_lengths(mask, shape), *shape, 1, 8)
        assert np.array_equal(np.frombuffer(decoded, np.uint8).reshape(shape), dense * np.uint8(255))


def test_frames_that_do_not_end_with_a_byte_are_encoded_a_byte_a_pixel() -> None:
    crops = _crops(_random_masks((63, 65)))
    encoded = encode(crops, (63, 65))
    assert encoded.bits == 8
    assert len(list(generate_frames(encoded.pixel_data, number_of_frames=len(crops)))) == len(crops)


def test_a_single_frame_of_any_size_is_one_bit_a_pixel() -> None:
    crops = _crops(_random_masks((63, 65))[:1])
    assert is_byte_aligned(1, (63, 65))
    encoded = encode(crops, (63, 65))
    assert (encoded.bits, len(encoded.pixel_data)) == (1, 512)


def test_byte_aligned_frames_are_one_bit_a_pixel() -> None:
    assert encode(_crops(_random_masks((64, 64))), (64, 64)).bits == 1
