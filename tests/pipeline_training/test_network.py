import pytest
import torch

from pipeline_training.errors import TrainingError
from pipeline_training.network import SIZE_MULTIPLE, AnatomyNet

WIDTHS = (4, 6, 8, 10, 12)


@pytest.mark.parametrize("size", [SIZE_MULTIPLE, 3 * SIZE_MULTIPLE])
def test_logits_have_half_the_resolution(size: int) -> None:
    outputs = AnatomyNet(7, WIDTHS).eval()(torch.zeros(2, 1, size, size))
    assert outputs.logits.shape == (2, 7, size // 2, size // 2)
    assert outputs.view.shape == (2, 2)


def test_other_sizes_do_not_fit() -> None:
    with pytest.raises(RuntimeError):
        AnatomyNet(7, WIDTHS).eval()(torch.zeros(1, 1, SIZE_MULTIPLE + 2, SIZE_MULTIPLE + 2))


def test_widths_are_one_for_each_stride() -> None:
    with pytest.raises(TrainingError, match="5 numbers of channels"):
        AnatomyNet(7, (4, 8))


def test_default_network_keeps_its_keys_and_size() -> None:
    network = AnatomyNet(154)
    assert sum(p.numel() for p in network.parameters()) == 1_598_740
    assert {key.split(".")[0] for key in network.state_dict()} == {
        "stem",
        "down",
        "up",
        "context",
        "head",
        "view",
    }
