"""A running node takes up other settings, and nothing that is in progress is cut."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom.association import Association

from ai.radiograph import Radiograph
from ai.segmentation import Segmentation
from ai.stand_in import StandInSegmenter
from config.settings import Settings, WebDestination
from node.archive import Archive
from node.assembly import build_node
from node.bound import BOUND, in_effect, waiting
from node.database import engine_for
from node.errors import TlsError
from node.implementation import Entity
from node.job_store import JobStore
from node.service import Node
from node.states import State
from tests.authority import Authority

DEADLINE_S = 120.0
RESULTS = 3
"""That the profile "standard" makes of one radiograph."""

MakeDx = Callable[..., Dataset]
DX = DigitalXRayImageStorageForPresentation


class Site:
    """A node, its settings as a table, and the archives that it sends to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tables: dict[str, Any] = {
            "node": {"host": "127.0.0.1", "port": 0, "data_dir": folder / "data", "disk_reserve_mb": 0},
            "delivery": {"first_retry_s": 0.1, "longest_retry_s": 0.5},
        }
        self.node: Node | None = None

    def settings(self, **tables: Any) -> Settings:
        """Return the settings with some tables replaced, `node` in part."""
        node = {**self.tables["node"], **tables.pop("node", {})}
        self.tables = {**self.tables, **tables, "node": node}
        return Settings.model_validate(self.tables)

    def start(self, segmenter: Any = None, **tables: Any) -> Node:
        self.node = build_node(self.settings(**tables), segmenter or StandInSegmenter())
        self.node.start()
        return self.node

    def states(self) -> list[State]:
        engine = engine_for("", self.folder / "data")
        states = [job.state for job in JobStore(engine).jobs()]
        engine.dispose()
        return states


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    if made.node is not None:
        made.node.stop()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


def place(archive: Archive, name: str = "archive", **more: Any) -> dict[str, Any]:
    where = {"ae_title": archive.ae_title, "host": archive.host, "port": archive.port}
    return {"name": name, **where, **more}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def associate(node: Node, title: str = "MODALITY", called: str = "PAXNODE") -> Association:
    ae = Entity(title)
    ae.add_requested_context(DX, ExplicitVRLittleEndian)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE_S
    return ae.associate("127.0.0.1", node.port, ae_title=called)


@contextmanager
def association(node: Node, **how: str) -> Iterator[Association]:
    made = associate(node, **how)
    assert made.is_established
    yield made
    made.release()


def stored(association: Association, dataset: Dataset) -> int:
    return int(association.send_c_store(dataset).Status)


class Gate:
    """A segmenter that waits until it may go on."""

    def __init__(self) -> None:
        self.inside, self.go_on = threading.Event(), threading.Event()
        self._segmenter = StandInSegmenter()
        self.model = self._segmenter.model

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        self.inside.set()
        self.go_on.wait(DEADLINE_S)
        return self._segmenter.segment(radiographs)


# ---- associations


def test_association_in_progress_goes_on_while_rules_change(site: Site, make_dx: MakeDx) -> None:
    node = site.start()
    port = node.port
    with association(node) as before:
        assert stored(before, make_dx()) == 0x0000
        node.take_up(site.settings(node={"calling_ae_titles": ("CR1",), "ae_title": "OTHER"}))
        assert node.port == port
        assert stored(before, make_dx()) == 0x0000
        assert associate(node).is_rejected
        with association(node, title="CR1") as after:
            assert stored(after, make_dx()) == 0x0000
    assert len(site.states()) == 3


def test_object_that_is_on_its_way_arrives(site: Site, make_dx: MakeDx) -> None:
    node = site.start()
    inside, go_on = threading.Event(), threading.Event()
    assert node.listener is not None
    keep = node.listener._keep

    def held(*words: Any) -> Any:
        inside.set()
        go_on.wait(DEADLINE_S)
        return keep(*words)

    node.listener._keep = held  # type: ignore[assignment, method-assign]
    statuses: list[int] = []
    with association(node) as before:
        sending = threading.Thread(target=lambda: statuses.append(stored(before, make_dx())))
        sending.start()
        assert inside.wait(DEADLINE_S)
        node.take_up(site.settings(node={"max_associations": 1}))
        go_on.set()
        sending.join(DEADLINE_S)
        assert statuses == [0x0000]
        assert associate(node).is_rejected  # those that began before count, too


def test_called_title_and_largest_object_are_those_of_now(site: Site, make_dx: MakeDx) -> None:
    node = site.start()
    with association(node, called="OTHER") as before:
        assert before.is_established
    node.take_up(site.settings(node={"called_ae_titles": ("AI",), "max_object_bytes": 1_048_576}))
    assert associate(node, called="OTHER").is_rejected
    with association(node, called="AI") as after:
        assert stored(after, make_dx(rows=1024, columns=1024)) == 0xC000
        assert stored(after, make_dx()) == 0x0000


def test_addresses_that_may_connect_change(site: Site) -> None:
    node = site.start()
    node.take_up(site.settings(node={"calling_addresses": ("192.0.2.1",)}))
    until(lambda: not associate(node).is_established)
    node.take_up(site.settings(node={"calling_addresses": ()}))
    until(lambda: associate(node).is_established)


def test_stop_after_a_change_closes_what_began_before_it(site: Site) -> None:
    node = site.start()
    before = associate(node)
    node.take_up(site.settings(node={"max_associations": 3}))
    node.stop()
    site.node = None
    before.join(DEADLINE_S)
    assert before.is_aborted
    assert not associate(node).is_established


def test_files_of_tls_that_cannot_be_used_change_nothing(site: Site, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    tls = authority.identity("node").settings(authority).model_dump()
    node = site.start(tls=tls)
    before = node.settings
    broken = site.settings(tls={**tls, "certificate": str(tmp_path / "none.crt")}, node={"ae_title": "OTHER"})
    with pytest.raises(TlsError, match=r"none\.crt"):
        node.take_up(broken)
    assert node.settings is before
    associate(node).release()


# ---- jobs and deliveries


def test_job_in_hand_ends_as_it_began_and_the_next_one_meets_the_new_settings(
    site: Site, archive: Archive, make_dx: MakeDx
) -> None:
    gate = Gate()
    node = site.start(gate, destination=[place(archive)])
    workers = node.workers
    with association(node) as sending:
        assert stored(sending, make_dx()) == 0x0000
        assert gate.inside.wait(DEADLINE_S)
        node.take_up(site.settings(destination=[place(archive, profile="minimal")]))
        assert stored(sending, make_dx()) == 0x0000
    gate.go_on.set()
    until(lambda: site.states() == [State.DONE] * 2)
    assert node.workers is workers
    assert archive.wait_for(RESULTS + 2, timeout_s=DEADLINE_S)
    assert sorted(archive.counts.values()) == [1] * len(archive.arrivals)
    assert RESULTS < len(archive.arrivals) < 2 * RESULTS


def test_destination_is_added_changed_and_removed(
    site: Site, archive: Archive, tmp_path: Path, make_dx: MakeDx
) -> None:
    node = site.start(destination=[place(archive)])
    [first] = node.senders
    with Archive(tmp_path / "second") as second, association(node) as sending:
        node.take_up(site.settings(destination=[place(archive), place(second, "second")]))
        assert node.senders[0] is first
        assert stored(sending, make_dx()) == 0x0000
        assert archive.wait_for(RESULTS, timeout_s=DEADLINE_S)
        assert second.wait_for(RESULTS, timeout_s=DEADLINE_S)
        node.take_up(site.settings(destination=[place(second, "second", timeout_s=7.0)]))
        assert stored(sending, make_dx()) == 0x0000
        assert second.wait_for(2 * RESULTS, timeout_s=DEADLINE_S)
        until(lambda: site.states() == [State.DONE] * 2)
        assert first.loop.join(DEADLINE_S)
        assert len(archive.arrivals) == RESULTS


def test_batch_in_hand_of_a_removed_destination_is_sent(site: Site, tmp_path: Path, make_dx: MakeDx) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(_uid: str, _before: int) -> int:
        inside.set()
        go_on.wait(DEADLINE_S)
        return 0x0000

    with Archive(tmp_path / "slow", answer=slow) as archive:
        node = site.start(destination=[place(archive)])
        with association(node) as sending:
            assert stored(sending, make_dx()) == 0x0000
        assert inside.wait(DEADLINE_S)
        node.take_up(site.settings(destination=[]))
        assert node.senders == ()
        go_on.set()
        assert archive.wait_for(RESULTS, timeout_s=DEADLINE_S)
        until(lambda: site.states() == [State.DONE])
        assert set(archive.counts.values()) == {1}


def test_rules_hold_from_the_next_job_on_and_counts_go_on(
    site: Site, archive: Archive, make_dx: MakeDx
) -> None:
    node = site.start(destination=[place(archive)])
    with association(node) as sending:
        assert stored(sending, make_dx()) == 0x0000
        until(lambda: site.states() == [State.DONE])
        node.take_up(site.settings(rule=[{"name": "none", "ignore": "we are closed"}]))
        assert stored(sending, make_dx()) == 0x0000
        until(lambda: sorted(site.states()) == [State.DONE, State.IGNORED])
    assert node.listener is not None
    assert sum(node.listener.traffic.counts.answers.values()) == 2


def test_bundle_that_a_rule_names_anew_waits_for_a_restart(tmp_path: Path) -> None:
    running = Settings.model_validate({"node": {"data_dir": tmp_path}})
    rule = {"name": "other", "model": str(tmp_path / "other.zip")}
    wanted = Settings.model_validate({"node": {"data_dir": tmp_path}, "rule": [rule]})
    assert waiting(running, wanted) == ("rule.model",)
    assert waiting(wanted, wanted) == ()
    running_on = in_effect(running, wanted)
    assert running_on.rule == (), "images of such a rule would be put aside"
    assert waiting(running_on, wanted) == ("rule.model",), "it is told also after the others are taken up"


def test_parts_whose_settings_stay_the_same_stay(site: Site, archive: Archive) -> None:
    asked = place(archive, query=True)
    node = site.start(destination=[asked], commitment={"answer": True})
    senders, others = node.senders, node.others
    assert len(others) == 3
    node.take_up(site.settings(node={"urgent_ae_titles": ("ER",)}))
    assert (node.senders, node.others) == (senders, others)
    node.take_up(site.settings(retention={"files_days": 9}))
    assert [new is old for new, old in zip(node.others, others, strict=True)] == [True, True, False]


# ---- what is bound


def test_what_is_bound_waits_for_a_restart_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PAXNODE_WEB__ENABLED", raising=False)
    running = Settings.model_validate({"node": {"data_dir": tmp_path}})
    web = WebDestination(name="web", url="https://192.0.2.1/web")
    wanted = Settings.model_validate(
        {
            "node": {"data_dir": tmp_path / "other", "port": 104, "host": "127.0.0.1", "ae_title": "AI"},
            "database": {"url": "postgresql+psycopg://server/paxnode"},
            "model": {"bundle": "other.zip", "threads": 3, "batch": 2},
            "worker": {"count": 4, "max_attempts": 9, "lease_s": 61.0},
            "tls": {"port": 2763},
            "web": {
                "enabled": not running.web.enabled,
                "host": "192.0.2.7",
                "port": 9,
                "trusted_proxies": ("192.0.2.8/32",),
            },
            "console": {"enabled": False},
            "web_destination": (web,),
        }
    )
    got = in_effect(running, wanted)
    assert {*waiting(running, wanted), "tls.only"} == {f"{section}.{key}" for section, key in BOUND}
    assert waiting(running, got) == ()
    assert (got.node.ae_title, got.worker.max_attempts, got.web_destination) == ("AI", 9, (web,))


def test_turning_tls_on_waits_as_a_whole(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    running, tls = Settings(), authority.identity("node").settings(authority, port=2763)
    wanted = running.model_copy(update={"tls": tls})
    assert waiting(running, wanted) == ("tls (turned on or off)",)
    assert in_effect(running, wanted).tls == running.tls
