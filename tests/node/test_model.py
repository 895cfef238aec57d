"""What the node says of the network that it loads."""

import io
import json
from dataclasses import replace
from pathlib import Path

import onnx

from ai.bundle import DEFAULT_BUNDLE, Bundle, bundle_digest
from ai.onnx_segmenter import OnnxSegmenter
from config.settings import ModelSettings
from node.model import load_segmenter
from node.reader import read_radiograph

SAMPLE = Path(__file__).parents[2] / "node" / "sample" / "radiograph.dcm"


def test_the_log_tells_every_way_that_was_tried_and_what_runs_it(lines: io.StringIO) -> None:
    segmenter = load_segmenter(ModelSettings(), with_trial=True)

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert told[0]["threads"] == 1, "its answer counts"
    assert [line["event"] for line in told].count("the network runs this way") == 1
    assert isinstance(segmenter, OnnxSegmenter)
    assert {line["provider"] for line in told} == {segmenter.providers[0]}


def test_a_network_that_takes_no_company_is_told(tmp_path: Path, lines: io.StringIO) -> None:
    bundle = Bundle.load(DEFAULT_BUNDLE)
    network = onnx.load_from_string(bundle.onnx_bytes)
    network.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    weights = network.SerializeToString()
    Bundle(replace(bundle.manifest, sha256=bundle_digest(weights)), weights, bundle.judge_bytes).save(
        tmp_path
    )

    segmenter = load_segmenter(ModelSettings(bundle=str(tmp_path), batch=2))
    assert len(segmenter.segment([read_radiograph(SAMPLE).radiograph] * 2)) == 2

    (line,) = [json.loads(line) for line in lines.getvalue().splitlines()]
    told = {"event": "fewer images go through the network together", "count": 1, "level": "warning"}
    assert line.items() >= {**told, "model_id": bundle.manifest.id}.items()
