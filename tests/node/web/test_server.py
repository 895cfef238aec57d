"""A real node that is watched over HTTP."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ai.stand_in import StandInSegmenter
from config.settings import Destination, NodeSettings, Settings
from node.assembly import build_node
from node.bell import Bell
from node.doctor import examine_node
from node.doctor_steps import Step, StepState
from node.loop import Loop
from node.service import Node
from node.states import State
from node.transport import DimseTransport, Outgoing
from tests.conftest import MakeDx

Start = Callable[..., Node]
NAME = "Synthetic^Chest"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts nodes that are watched on a free port."""
    monkeypatch.delenv("PAXNODE_WEB__ENABLED")
    started: list[Node] = []

    def begin(**tables: object) -> Node:
        values = {"host": "127.0.0.1", "port": 0, "data_dir": tmp_path / "data", "disk_reserve_mb": 0}
        settings = {"node": NodeSettings.model_validate(values), "web": {"port": 0}} | tables
        node = build_node(Settings.model_validate(settings), segmenter=StandInSegmenter())
        node.start()
        started.append(node)
        return node

    yield begin
    for node in started:
        node.stop()


def _got(node: Node, path: str) -> httpx.Response:
    assert node.web is not None
    return httpx.get(f"http://127.0.0.1:{node.web.port}{path}", timeout=30.0, trust_env=False)


def _samples(node: Node) -> dict[str, float]:
    """Return the samples of a scrape by name and labels."""
    text = _got(node, "/metrics").text
    return {
        sample.name + "".join(f" {value}" for _key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_node_that_runs_lives_and_is_ready(start: Start) -> None:
    node = start()

    for path in ("/livez", "/readyz"):
        answer = _got(node, path)
        assert (answer.status_code, answer.json()) == (200, {"ok": True, "problems": []})


def test_what_is_wrong_is_told_with_503(start: Start, tmp_path: Path) -> None:
    node = start()
    assert node.listener is not None
    node.listener.stop()

    answer = _got(node, "/readyz")

    assert answer.status_code == 503
    assert answer.json()["problems"] == [{"part": "listener", "reason": "it does not listen"}]


def test_disk_at_its_reserve_is_not_ready_and_alive(start: Start, tmp_path: Path) -> None:
    values = {"host": "127.0.0.1", "port": 0, "data_dir": tmp_path / "data", "disk_reserve_mb": 10**9}
    node = start(node=NodeSettings.model_validate(values))

    assert _got(node, "/livez").status_code == 200
    [problem] = json.loads(_got(node, "/readyz").text)["problems"]
    assert problem["part"] == "disk"
    assert _samples(node)["paxnode_ready disk"] == 0.0


def test_an_image_is_seen_in_the_metrics_and_no_patient(
    start: Start, make_dx: MakeDx, tmp_path: Path
) -> None:
    node = start()
    dataset = make_dx(PatientName=NAME, PatientID="CANARY")
    path = tmp_path / "chest.dcm"
    dataset.save_as(path, enforce_file_format=True)
    place = Destination(name="node", ae_title="PAXNODE", host="127.0.0.1", port=node.port)
    [outcome] = DimseTransport("CANARY^AE").send(place, [Outgoing(dataset.SOPInstanceUID, path)])
    assert outcome.status == 0x0000, outcome.reason

    text, samples = _got(node, "/metrics").text, _samples(node)

    assert samples["paxnode_store_requests_total other 0x0000"] == 1.0
    assert samples["paxnode_associations_total other"] == 1.0
    assert samples["paxnode_received_bytes_total other"] > dataset.Rows * dataset.Columns
    waiting = [f"paxnode_jobs {state.value}" for state in State if state is not State.DONE]
    assert set(waiting) <= set(samples)
    for canary in ("CANARY", NAME, str(dataset.StudyInstanceUID)):
        assert canary not in text


def test_port_that_another_has_does_not_stop_the_node(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        node = start(web={"port": taken.getsockname()[1]})

        assert node.port > 0
        assert node.web is not None
        assert node.web.port == 0


def test_the_doctor_hears_from_a_node_that_runs_whether_it_is_ready(start: Start, tmp_path: Path) -> None:
    node = start()
    assert node.web is not None
    values = {"node": NodeSettings(data_dir=tmp_path / "data"), "model": {"bundle": "stand-in"}}
    settings = Settings.model_validate(values | {"web": {"port": node.web.port}})

    def told() -> Step:
        [step] = [step for step in examine_node(settings).steps if step.name == "web port"]
        return step

    assert (told().state, "says at 127.0.0.1" in told().words) == (StepState.PASSED, True)
    assert node.listener is not None
    node.listener.stop()
    assert told().words == "the node runs and is not ready: listener: it does not listen"


def test_nothing_else_is_served(start: Start) -> None:
    node = start()

    assert [_got(node, path).status_code for path in ("/docs", "/openapi.json")] == [404, 404]
    assert "server" not in _got(node, "/livez").headers


def test_port_is_free_again_when_the_node_has_stopped(start: Start, tmp_path: Path) -> None:
    node = start()
    assert node.web is not None
    port = node.web.port
    node.web.stop()

    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/livez", timeout=30.0, trust_env=False)


def test_a_loop_knows_how_long_it_has_not_turned() -> None:
    loop = Loop("worker-0:host-1-abc", lambda: 60.0, Bell())

    turning = [loop.is_turning]
    loop.start()
    turning.append(loop.is_turning)
    assert 0.0 <= loop.age_s < 60.0
    loop.ask_to_stop()
    assert loop.join(20.0)
    turning.append(loop.is_turning)

    assert turning == [False, True, False]
