import numpy as np
import pytest
import torch

from ai.appearance import Presentation
from ai.preprocess import network_input
from pipeline_training.judge.looks import draw_frames, draw_presentations, lay, look, normalised, shown
from pipeline_training.judge.training import PRESENTATIONS


def test_a_stack_lies_as_each_presentation_says() -> None:
    stack = torch.rand(len(PRESENTATIONS), 1, 8, 8)
    found = shown(stack, list(PRESENTATIONS))
    for picture, lies, presentation in zip(stack, found, PRESENTATIONS, strict=True):
        assert np.array_equal(lies[0].numpy(), presentation.to_shown(picture[0].numpy()))


def test_looks_are_normalised_as_the_node_does() -> None:
    pixels = np.random.default_rng(0).random((64, 48), np.float32)
    grid, box = network_input(pixels, 64)
    film = torch.from_numpy(box.to_network(np.ones_like(pixels)) > 0.5)[None, None]
    ours = normalised(torch.from_numpy(box.to_network(pixels))[None, None], film)
    assert ours[0, 0].numpy() == pytest.approx(grid, abs=0.03)


def test_the_film_keeps_the_aspect_and_the_rest_is_black() -> None:
    dice = torch.Generator().manual_seed(0)
    frames = draw_frames(torch.full((40,), 0.5), 64, dice)
    wide = frames.film.any(dim=2).sum(dim=2).float()
    assert frames.film.any(dim=3).sum(dim=2).float().mean() == 64
    assert 22 < float(wide.mean()) < 46
    pictures = torch.randint(0, 256, (40, 1, 32, 32), dtype=torch.uint8)
    usual = [Presentation()] * 40
    images = look(pictures, torch.full((40,), 0.5), usual, 64, torch.Generator().manual_seed(0))
    assert images[~frames.film].abs().max() == 0
    assert (float(images.min()), float(images.max())) == (0, 1)


def test_a_picture_that_is_laid_straight_is_itself() -> None:
    frames = draw_frames(torch.ones(1), 16, torch.Generator().manual_seed(0))
    straight = type(frames)(torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]), frames.film)
    picture = torch.rand(1, 1, 16, 16)
    assert torch.allclose(lay(picture, straight, torch.Generator().manual_seed(0)), picture, atol=1e-5)


def test_presentations_are_drawn_in_their_shares() -> None:
    drawn = draw_presentations(2000, np.random.default_rng(0))
    assert np.mean([each.turn == 0 for each in drawn]) == pytest.approx(0.4, abs=0.05)
    assert np.mean([each.mirrored for each in drawn]) == pytest.approx(0.5, abs=0.05)
    assert np.mean([each.inverted for each in drawn]) == pytest.approx(0.5, abs=0.05)
