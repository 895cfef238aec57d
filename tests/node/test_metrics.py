"""What is exported, what is documented, and what dashboard and alert rules name are the same metrics."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from ai.segmentation import ModelIdentity
from config.settings import Destination, NodeSettings, Settings
from node.backoff import NO_FAILURES, BreakerState, Failures
from node.bell import Bell
from node.database import engine_for, upgrade
from node.job_rows import utc_now
from node.job_store import JobStore
from node.listener import Listener
from node.loop import Loop
from node.meters import Meters
from node.metrics import MOST_REASONS, OTHER, Exposition, bounded
from node.spool import Spool
from node.watched import Parts, Watched
from tests.authority import Authority

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "config" / "monitoring" / "grafana-dashboard.json"
ALERTS = ROOT / "config" / "monitoring" / "alerts.yml"
NAME = re.compile(r"\b(?:paxnode|process)_[a-z_]+\b")
HISTOGRAM_ENDS = re.compile(r"_(bucket|sum|count)$")


@dataclass
class _Sender:
    loop: Loop
    breaker: BreakerState = BreakerState.OPEN
    failures: Failures = NO_FAILURES


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """A node with a listener that does not listen, a destination that is dead, and a certificate."""
    authority = Authority(tmp_path / "authority")
    settings = Settings(
        node=NodeSettings(data_dir=tmp_path / "data"),
        destination=(Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104),),
        tls=authority.identity("node", 42).settings(authority),
    )
    engine = engine_for("", settings.node.data_dir)
    upgrade(engine)
    spool = Spool(settings.node.data_dir)
    sender = _Sender(Loop("sender-pacs:host-1-abc", lambda: 60.0, Bell()))
    listener = Listener(settings.node, spool, JobStore(engine))
    parts = Parts(listener, (sender,), (("pacs", sender),), ModelIdentity("chest", "3", "ab"))
    yield Watched(lambda: settings, lambda: parts, engine, spool, utc_now, Meters(), lambda: 7)
    engine.dispose()


def _exported(watched: Watched) -> dict[str, Metric]:
    """Return every family by the name that it has in queries."""
    Exposition(watched)
    families = watched.meters.registry.collect()
    return {f"{each.name}_total" if each.type == "counter" else each.name: each for each in families}


def _value(families: dict[str, Metric], name: str, **labels: str) -> float:
    [value] = [sample.value for sample in families[name].samples if sample.labels == labels]
    return float(value)


def _names_in(text: str, known: dict[str, Metric]) -> set[str]:
    return {
        stem if (stem := HISTOGRAM_ENDS.sub("", name)) in known and known[stem].type == "histogram" else name
        for name in NAME.findall(text)
    }


def test_figures_are_those_of_the_node(watched: Watched) -> None:
    found = _exported(watched)

    assert _value(found, "paxnode_certificate_days_left") == 42
    assert _value(found, "paxnode_configuration_version") == 7
    assert _value(found, "paxnode_model_info", id="chest", version="3") == 1
    assert _value(found, "paxnode_destination_breaker", destination="pacs", state="open") == 1
    assert _value(found, "paxnode_destination_breaker", destination="pacs", state="closed") == 0
    assert _value(found, "paxnode_ready", part="listener") == 0
    assert _value(found, "paxnode_ready", part="database") == 1
    assert _value(found, "paxnode_jobs", state="queued") == 0
    aged = {sample.labels["state"] for sample in found["paxnode_jobs_oldest_seconds"].samples}
    assert aged == {"queued", "segmenting", "stored", "delivering"}
    assert [sample.labels for sample in found["paxnode_loop_age_seconds"].samples] == [
        {"loop": "sender-pacs"}
    ]


def test_database_that_is_away_costs_only_the_figures_of_the_queue(watched: Watched) -> None:
    file = watched.settings().node.data_dir / "paxnode.sqlite"
    watched.engine.dispose()
    file.write_bytes(b"no database")

    found = _exported(watched)

    assert _value(found, "paxnode_ready", part="database") == 0
    assert "paxnode_jobs" not in found
    assert "paxnode_disk_free_bytes" in found


def test_every_exported_metric_is_documented_and_no_other(watched: Watched) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `((?:paxnode|process)_[a-z_]+)` \|", page, re.MULTILINE))

    assert rows == set(_exported(watched))


def test_dashboard_names_what_is_exported_and_shows_all_of_ours(watched: Watched) -> None:
    exported = _exported(watched)
    board: dict[str, Any] = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    named = _names_in(" ".join(t["expr"] for panel in board["panels"] for t in panel["targets"]), exported)

    assert named <= set(exported)
    assert {name for name in exported if name.startswith("paxnode_")} <= named
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_alert_rules_name_what_is_exported_and_say_what_to_do(watched: Watched) -> None:
    exported = _exported(watched)
    [group] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]

    for rule in group["rules"]:
        assert _names_in(rule["expr"].replace('job="paxnode"', ""), exported) <= set(exported), rule["alert"]
        assert {"summary", "what_to_do"} <= set(rule["annotations"]), rule["alert"]
        assert rule["labels"]["severity"] in {"page", "look"}
    assert len({rule["alert"] for rule in group["rules"]}) == len(group["rules"])


def test_commands_in_alert_rules_are_there() -> None:
    text = ALERTS.read_text(encoding="utf-8")

    assert set(re.findall(r"paxnode (jobs|doctor|housekeeping|check)\b", text)) == {
        "jobs", "doctor", "housekeeping",
    }  # fmt: skip


def test_reasons_are_bounded() -> None:
    found = bounded({f"reason {number}": 2 for number in range(MOST_REASONS + 10)})

    assert len(found) == MOST_REASONS + 1
    assert found[OTHER] == 20
