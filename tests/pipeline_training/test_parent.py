"""The network of a bundle, read back: the same answers, from the file alone or from its checkpoint."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from ai.bundle import DEFAULT_BUNDLE, Bundle
from pipeline_training.errors import TrainingError
from pipeline_training.export import PARITY_TOLERANCE, check_parity
from pipeline_training.onnx_graph import to_onnx
from pipeline_training.parent import label_ids, load_parent, network_of
from pipeline_training.projections import NAMES
from tests.pipeline_training.small_bundles import LABELS, SIZE, WIDTHS, bundle_of, seasoned


def test_network_read_from_a_bundle_answers_as_onnx_runtime_does() -> None:
    bundle = bundle_of(seasoned())
    network = load_parent(bundle)
    assert network.widths == WIDTHS
    assert not network.training
    assert check_parity(network, bundle.onnx_bytes, SIZE) < 1e-4 < PARITY_TOLERANCE, "the same half precision"
    image = np.random.default_rng(0).random((2, 1, SIZE, SIZE), np.float32)
    session = onnxruntime.InferenceSession(bundle.onnx_bytes, providers=["CPUExecutionProvider"])
    logits, view = session.run(["logits", "view"], {"image": image})
    with torch.no_grad():
        ours = network(torch.from_numpy(image))
    np.testing.assert_allclose(ours.logits.numpy(), logits, atol=1e-3)
    np.testing.assert_allclose(ours.view.numpy(), view, atol=1e-3)


def test_what_was_read_is_written_as_the_same_network_again() -> None:
    bundle = bundle_of(seasoned())
    check_parity(network_of(to_onnx(load_parent(bundle), SIZE)), bundle.onnx_bytes, SIZE)


def test_checkpoint_is_taken_where_it_is_the_bundles_own(tmp_path: Path) -> None:
    network, labels = seasoned(), list(LABELS)
    path = tmp_path / "checkpoint.pt"
    torch.save({"options": {"widths": WIDTHS}, "labels": labels, "average": network.state_dict()}, path)
    found = load_parent(bundle_of(network), path)
    assert torch.equal(found.state_dict()["stem.0.weight"], network.state_dict()["stem.0.weight"]), (
        "single precision, not folded"
    )
    with torch.no_grad():
        network.head.weight *= 1.2
    with pytest.raises(TrainingError, match=r"checkpoint\.pt is not the network of parent: .* differs by"):
        load_parent(bundle_of(network), path)


def test_another_kind_of_network_is_refused(tmp_path: Path) -> None:
    shallow = bundle_of(seasoned())
    with pytest.raises(TrainingError, match="cannot be read"):
        network_of(shallow.onnx_bytes[:-100])
    with pytest.raises(TrainingError, match="3 channels, 2 labels"):
        load_parent(bundle_of(seasoned(), LABELS[:2]))


def test_channels_are_known_by_name() -> None:
    assert [NAMES[i] for i in label_ids(bundle_of(seasoned()))] == list(LABELS)


def test_the_default_bundle_can_be_gone_on_from() -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    assert load_parent(bundle).labels == len(bundle.manifest.labels)


def test_networks_of_before_have_contexts_that_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = seasoned()
    before.context = nn.ModuleList()
    with monkeypatch.context() as patched:
        patched.setattr("pipeline_training.onnx_graph.CONTEXTS", 0)
        content = to_onnx(before, SIZE)
    network = network_of(content)
    silent = bundle_of(network)
    assert all(not layer.get_parameter("weight").any() for layer in network.context)
    image = np.random.default_rng(0).random((1, 1, SIZE, SIZE), np.float32)
    told, again = (
        onnxruntime.InferenceSession(each, providers=["CPUExecutionProvider"]).run(
            ["logits"], {"image": image}
        )
        for each in (content, silent.onnx_bytes)
    )
    np.testing.assert_allclose(np.asarray(told), np.asarray(again), atol=1e-3)
