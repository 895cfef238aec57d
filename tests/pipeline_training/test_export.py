import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ai.bundle import Bundle
from ai.onnx_segmenter import OnnxSegmenter
from ai.radiograph import Radiograph
from pipeline_training.errors import ExportError
from pipeline_training.export import ExportOptions, check_parity, export, load_network, read_card
from pipeline_training.mirror import logits_of
from pipeline_training.network import AnatomyNet
from pipeline_training.onnx_graph import to_onnx
from pipeline_training.run_file import read_run
from pipeline_training.train_options import TrainOptions

WIDTHS = (4, 6, 8, 10, 12)
LABELS = ("heart", "aorta", "trachea")
CARD = """
limits = "research only"
[[training_data]]
name = "phantom"
licence = "none"
use = "test"
"""
SHIPPED = Path(__file__).parents[2] / "pipeline_training" / "default_run"


def trained_network() -> AnatomyNet:
    """Return a network whose batch norms have seen something."""
    torch.manual_seed(0)
    network = AnatomyNet(len(LABELS), WIDTHS).train()
    for _ in range(3):
        network(torch.rand(4, 1, 64, 64))
    with torch.no_grad():
        network.view.bias.copy_(torch.tensor([6.0, -6.0]))
        network.head.weight *= 5
        for layer in network.context:
            layer.get_parameter("weight").mul_(50)
    return network.eval()


@pytest.fixture
def options(tmp_path: Path) -> ExportOptions:
    content = {
        "options": {"widths": WIDTHS},
        "labels": list(LABELS),
        "average": trained_network().state_dict(),
    }
    torch.save(content, tmp_path / "checkpoint.pt")
    (tmp_path / "card.toml").write_text(CARD)
    return ExportOptions(
        tmp_path / "checkpoint.pt", tmp_path / "out", tmp_path / "card.toml", "tiny", input_size=64
    )


def test_bundle_loads_and_runs_in_the_node(options: ExportOptions) -> None:
    export(options)
    bundle = Bundle.load(options.out)
    assert bundle.manifest.labels == LABELS
    assert bundle.manifest.limits == "research only"
    assert bundle.manifest.training_data[0].licence == "none"
    picture = Radiograph(np.random.default_rng(0).random((80, 64), np.float32))
    (found,) = OnnxSegmenter(bundle).segment([picture])
    assert found.model.sha256 == bundle.identity.sha256


def test_exported_network_answers_as_its_checkpoint(options: ExportOptions) -> None:
    network, labels = load_network(options.checkpoint)
    assert labels == LABELS
    assert check_parity(network, to_onnx(network, 64), 64) < 0.005


def test_withheld_structure_is_not_in_the_bundle_and_the_others_answer_as_before(
    options: ExportOptions,
) -> None:
    export(options)
    whole = OnnxSegmenter(Bundle.load(options.out))
    options.card.write_text('withheld = ["aorta"]\n' + CARD)
    export(options)
    parted = OnnxSegmenter(Bundle.load(options.out))
    assert parted.manifest.labels == ("heart", "trachea")
    image = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    assert np.array_equal(parted.infer(image)[0].logits, whole.infer(image)[0].logits[[0, 2]])


def test_bones_are_told_twice_where_the_card_says_so_and_the_node_says_what_training_measures(
    options: ExportOptions,
) -> None:
    labels = ("clavicle left", "heart", "clavicle right")
    torch.save(
        torch.load(options.checkpoint, weights_only=False) | {"labels": list(labels)}, options.checkpoint
    )
    export(options)
    assert Bundle.load(options.out).manifest.mirrored == ()
    options.card.write_text("mirror_bones = true\n" + CARD)
    export(options)
    bundle = Bundle.load(options.out)
    assert bundle.manifest.mirrored == ("clavicle left", "clavicle right")
    image = np.random.default_rng(0).random((1, 1, 64, 64), np.float32)
    network, _ = load_network(options.checkpoint)
    ours = logits_of(network, torch.from_numpy(image), labels, is_asked_twice=True)
    theirs = OnnxSegmenter(bundle).infer(image)[0].logits
    assert np.abs(ours[0] - theirs).max() < 0.02 * ours.std()


@pytest.mark.parametrize(
    ("withheld", "told"),
    [('["liver"]', "does not know 'liver'"), ('["heart", "aorta", "trachea"]', "nothing is")],
)
def test_what_cannot_be_withheld_is_told(options: ExportOptions, withheld: str, told: str) -> None:
    options.card.write_text(f"withheld = {withheld}\n{CARD}")
    with pytest.raises(ExportError, match=told):
        export(options)


def test_another_network_is_noticed(options: ExportOptions) -> None:
    network, _ = load_network(options.checkpoint)
    wrong = to_onnx(network, 64)
    with torch.no_grad():
        network.head.weight *= 1.1
    with pytest.raises(ExportError, match="differs by"):
        check_parity(network, wrong, 64)


def test_same_checkpoint_gives_the_same_weights(options: ExportOptions) -> None:
    assert export(options).onnx_bytes == export(options).onnx_bytes


@pytest.mark.parametrize(
    "card",
    [
        "limits = ",
        'limits = "x"',
        'limits = ""\n[[training_data]]\nname = "a"\nlicence = "b"\nuse = "c"',
        'limits = "x"\ntraining_data = []',
        'limits = "x"\n[[training_data]]\nname = "a"\nlicense = "b"\nuse = "c"',
        'mirror_bones = "no"\n' + CARD,
    ],
)
def test_incomplete_card_is_refused_before_anything_is_written(options: ExportOptions, card: str) -> None:
    options.card.write_text(card)
    with pytest.raises(ExportError, match="model card"):
        export(options)
    assert not options.out.exists()


def test_what_is_no_checkpoint_is_refused(options: ExportOptions) -> None:
    options.checkpoint.write_bytes(b"torn")
    with pytest.raises(ExportError, match="is not a checkpoint"):
        export(options)


def test_input_size_is_one_that_the_network_takes(options: ExportOptions) -> None:
    with pytest.raises(ExportError, match="multiple of 32, found 100"):
        replace(options, input_size=100)


def test_evaluation_is_carried_without_single_images(options: ExportOptions, tmp_path: Path) -> None:
    sha256 = export(options).identity.sha256
    path = tmp_path / "evaluation.json"
    sets = [{"name": "a", "images": 2, "structures": [{"structure": "heart", "images": [{}, {}]}]}]
    path.write_text(json.dumps({"model": {"sha256": sha256}, "sets": sets}))
    metrics = export(replace(options, evaluation=path)).manifest.metrics
    assert metrics["sets"][0] == {
        "name": "a",
        "images": 2,
        "structures": [{"structure": "heart", "images": 2}],
    }
    path.write_text(json.dumps({"model": {"sha256": "0"}, "sets": sets}))
    with pytest.raises(ExportError, match="is of weights of sha256 0"):
        export(replace(options, evaluation=path))


def test_files_of_the_shipped_run_are_valid() -> None:
    card = read_card(SHIPPED / "card.toml")
    limits, sources = card.limits, card.sources
    assert "research use only" in limits
    assert len(sources) == 7
    TrainOptions(Path(), Path(), **read_run(SHIPPED / "run.toml", TrainOptions, ("radiographs",)))
