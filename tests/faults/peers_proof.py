"""Proof: peers that misbehave delay nobody else, and what they did not get they get when they are well again.

`python -m tests.faults.peers_proof --size 1000 --seed 1`: a node process with two good destinations, two that
change their manner at random, and one that is dead until the others have everything.
"""

import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SegmentationStorage, generate_uid
from rich.console import Console

from node.archive import Archive
from node.database import engine_for, existing_engine, upgrade
from node.job_store import JobStore
from node.jobs import AddressedResult, Delivery, DeliveryState, ReceivedObject, StoredResult
from node.outcome import Verdict, judge
from node.spool import Spool
from node.stow_answer import failure_rule
from tests.faults.command import run_proof
from tests.faults.count import Count
from tests.faults.parts import HOST, Modality, NodeProcess, free_port, until_it_listens, write_images
from tests.faults.peers import BadPeer, Manner, Order
from tests.faults.web_peers import BadWeb, WebManner, WebOrder

RESULTS_PER_IMAGE = 2
"""A segmentation and a report: profile `minimal`."""

STATUSES = (0xA700, 0xA900, 0xC000, 0x0110, 0x0111, 0x0122)
HTTP_STATUSES = (401, 404, 413, 429, 500, 503)
LONGEST_S = 1800.0
POLL_S = 0.05
NAMES = ("good", "dead", "bad", "web-good", "web-bad")
HEALTHY = ("good", "dead", "web-good")
WELL_S = 10.0
"""The good destination's results are there within so long after they were made, 95 of 100."""

SETTINGS = """
[web]
enabled = false

[node]
host = "{host}"
port = {port}
data_dir = "{data}"
disk_reserve_mb = 0
[model]
bundle = "stand-in"
[results]
profile = "minimal"
[delivery]
first_retry_s = 0.2
longest_retry_s = 5.0
breaker_failures = 3
"""
DESTINATION = '[[destination]]\nname = "{name}"\nae_title = "{name}"\nhost = "{host}"\nport = {port}\n'
WEB = '[[web_destination]]\nname = "{name}"\nurl = "{url}"\n'
PATIENCE = "timeout_s = 3.0\n"


@dataclass
class Scene:
    """Every peer of the node."""

    good: Archive
    dead: Archive
    bad: BadPeer
    web_good: BadWeb
    web_bad: BadWeb

    def tables(self) -> str:
        """Return the destinations as settings."""
        places = {"good": self.good.port, "dead": self.dead.port, "bad": self.bad.port}
        dicom = [DESTINATION.format(name=name, host=HOST, port=port) for name, port in places.items()]
        webs = {"web-good": self.web_good.url, "web-bad": self.web_bad.url}
        return "".join(t + PATIENCE for t in (*dicom, *(WEB.format(name=n, url=u) for n, u in webs.items())))


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Return what became of `size` results that waited, and of those of new images, at five destinations."""
    with tempfile.TemporaryDirectory() as folder:
        return _prove(Path(folder), size, random.Random(seed), console)


def _prove(folder: Path, size: int, rng: random.Random, console: Console) -> list[Count]:
    dead = Archive(folder / "dead", port=free_port())
    with (
        Archive(folder / "good") as good,
        BadPeer(folder / "bad") as bad,
        BadWeb() as web_good,
        BadWeb() as web_bad,
    ):
        scene = Scene(good, dead, bad, web_good, web_bad)
        port = free_port()
        settings = SETTINGS.format(host=HOST, port=port, data=folder / "data") + scene.tables()
        (folder / "node.toml").write_text(settings)
        _queue(folder / "data", size, rng)
        node = NodeProcess(folder / "node.toml", folder / "node.log")
        try:
            until_it_listens(port)
            modality = Modality(port, write_images(folder / "images", max(3, size // 50)))
            return _told(folder, scene, modality, (size, rng), console)
        finally:
            node.stop()
            dead.stop()


def _queue(data: Path, size: int, rng: random.Random) -> None:
    """Put results into the queue as workers do, before the node runs: each of a size of its own."""
    engine = engine_for("", data)
    upgrade(engine)
    store, spool = JobStore(engine), Spool(data).prepare()
    for number in range(size):
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, generate_uid()
        dataset.PatientID = "SYNTHETIC"
        dataset.add_new(0x7FE00010, "OB", rng.randbytes(2 * rng.randrange(500, 5000)))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        content = BytesIO()
        dataset.save_as(content, enforce_file_format=True)
        kept = spool.store_result(content.getvalue())
        uid = f"2.25.{number + 1}"
        store.add_received(
            ReceivedObject(
                SegmentationStorage, uid, uid, uid, ExplicitVRLittleEndian, uid, "objects/x", 1, "X"
            )
        )
        job = store.claim("worker", 30)
        assert job is not None
        result = StoredResult("SEG", SegmentationStorage, str(dataset.SOPInstanceUID), kept.path, kept.digest)
        store.finish(job.id, "worker", [AddressedResult(result, NAMES)])
    engine.dispose()


def _told(
    folder: Path, scene: Scene, modality: Modality, chosen: tuple[int, random.Random], console: Console
) -> list[Count]:
    size, rng = chosen
    results = size + len(modality.images) * RESULTS_PER_IMAGE
    seen: dict[str, datetime] = {}
    calm = threading.Event()
    threads = [
        threading.Thread(target=modality.run, daemon=True),
        threading.Thread(target=_misbehave, args=(scene, rng, calm), daemon=True),
    ]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    _until(lambda: _note(scene.good, seen) >= size)
    console.print(f"the good destination had what waited, {size}, after {time.monotonic() - began:.0f} s")
    modality.released = len(modality.images)
    flowed = _until(lambda: _note(scene.good, seen) >= results)
    console.print(f"the good destination had {len(seen)} of {results} after {time.monotonic() - began:.0f} s")
    waiting_for_dead = _store(folder).waiting().get("dead", 0)
    scene.dead.start()
    calm.set()
    threads[1].join()
    back = time.monotonic()
    _until(lambda: len(scene.dead.counts) >= results)
    console.print(
        f"the dead one had {len(scene.dead.counts)} {time.monotonic() - back:.0f} s after its return"
    )
    _until(lambda: not _open(folder))
    return [
        Count.equal("images acknowledged", len(modality.acknowledged), len(modality.images)),
        Count.equal("results at the good one while the dead one was down", len(seen) * flowed, results),
        Count.equal("results that waited for the dead one then", waiting_for_dead, results),
        _latency(folder, seen, size),
        *_counts(folder, scene, results),
    ]


def _misbehave(scene: Scene, rng: random.Random, calm: threading.Event) -> None:
    """Change the manners of the bad ones until it is calm, then let them be good."""
    while not calm.wait(rng.uniform(0.3, 2.0)):
        scene.bad.order = Order(rng.choice(list(Manner)), rng.choice(STATUSES))
        manner = rng.choice(list(WebManner))
        code = rng.choice(HTTP_STATUSES) if manner is WebManner.HTTP else 0
        scene.web_bad.order = WebOrder(manner, rng.choice(STATUSES) if manner is WebManner.FAILS else code)
    scene.bad.order, scene.web_bad.order = Order(), WebOrder()


def _note(archive: Archive, seen: dict[str, datetime]) -> int:
    now = datetime.now(UTC)
    for uid in archive.counts:
        seen.setdefault(uid, now)
    return len(seen)


def _until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + LONGEST_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _store(folder: Path) -> JobStore:
    engine = existing_engine("", folder / "data")
    assert engine is not None, "the node made it"
    return JobStore(engine)


def _open(folder: Path) -> list[Delivery]:
    time.sleep(0.5)
    return _store(folder).deliveries(state=DeliveryState.WAITING)


def _latency(folder: Path, seen: dict[str, datetime], queued: int) -> Count:
    """Tell how long after it was made each result of a new image was at the good destination."""
    with sqlite3.connect(folder / "data" / "paxnode.sqlite") as database:
        rows = database.execute(
            "SELECT r.sop_instance_uid, e.at FROM results r JOIN job_events e ON e.job_id = r.job_id"
            f" WHERE e.event = 'store' AND r.job_id > {queued}"
        ).fetchall()
    waits = sorted((seen[uid] - _utc(at)).total_seconds() for uid, at in rows if uid in seen)
    median, most = statistics.median(waits), waits[int(0.95 * (len(waits) - 1))]
    what = f"seconds from a result to the good destination, {len(waits)} of new images: median, 95 of 100"
    return Count(what, f"{median:.2f}, {most:.2f}", f"the latter below {WELL_S:g}", most < WELL_S)


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _counts(folder: Path, scene: Scene, results: int) -> list[Count]:
    store = _store(folder)
    found = store.deliveries()
    parked = {name: _parked(found, name) for name in NAMES}
    healthy = [scene.good.counts, scene.dead.counts, scene.web_good.counts]
    refused = {uid for uid, s in scene.bad.answered if judge(uid, s).verdict is Verdict.PERMANENT}
    claimed = {uid for uid, s in scene.bad.answered if judge(uid, s).verdict is Verdict.STORED}
    missing = _delivered(found, "bad") - set(scene.bad.archive.counts) - claimed
    web_missing = _delivered(found, "web-bad") - set(scene.web_bad.counts) - _duplicates(found)
    unexplained = [d for name in ("bad", "web-bad") for d in parked[name] if not _explained(d, refused)]
    archives = (scene.good, scene.dead, scene.bad.archive)
    kept = [{(a.sop_instance_uid, a.digest) for a in archive.arrivals} for archive in archives]
    kept += [{(a.uid, a.digest) for a in peer.kept} for peer in (scene.web_good, scene.web_bad)]
    other = sum(len(pairs) - len({uid for uid, _digest in pairs}) for pairs in kept)
    total = len({d.result.sop_instance_uid for d in found})
    return [
        Count.equal("results in the database", total, results),
        Count.equal("deliveries in the database", len(found), 5 * results),
        Count.none("deliveries still open", len(store.deliveries(state=DeliveryState.WAITING))),
        *(Count.equal(f"results at a healthy destination ({n})", len(counts), results)
          for n, counts in enumerate(healthy)),
        Count.none("results that a healthy destination got twice", sum(max(c.values()) > 1 for c in healthy)),
        Count.none("parked for a healthy destination", sum(len(parked[n]) for n in HEALTHY)),
        Count("parked for the bad ones", f"{len(parked['bad'])} and {len(parked['web-bad'])}"),
        Count.none("parked without a refusal, or without a reason", len(unexplained)),
        Count.none("delivered to the bad one, neither there nor claimed by it", len(missing)),
        Count.none("delivered to the bad web, neither there nor a duplicate", len(web_missing)),
        Count("claimed by the bad one and not kept", len(claimed - set(scene.bad.archive.counts))),
        Count("refused for good by the bad one", len(refused)),
        Count.none("objects of other bytes under the same UID", other),
    ]  # fmt: skip


def _delivered(found: Sequence[Delivery], destination: str) -> set[str]:
    of_it = (d for d in found if d.destination == destination and d.state is DeliveryState.DELIVERED)
    return {d.result.sop_instance_uid for d in of_it}


def _duplicates(found: Sequence[Delivery]) -> set[str]:
    return {d.result.sop_instance_uid for d in found if d.status == 0x0111}


def _parked(found: Sequence[Delivery], destination: str) -> list[Delivery]:
    return [d for d in found if d.destination == destination and d.state is DeliveryState.PARKED]


def _explained(delivery: Delivery, refused: set[str]) -> bool:
    """Whether a parked delivery tells of a refusal that its peer really gave."""
    if delivery.status is None:
        return any(words in delivery.reason for words in ("accepts no presentation context", "(HTTP 4"))
    if delivery.destination == "bad":
        return delivery.result.sop_instance_uid in refused
    return failure_rule(delivery.status).verdict is Verdict.PERMANENT and bool(delivery.reason)


if __name__ == "__main__":
    run_proof(__doc__, prove, size=1000, size_means="results that wait for each destination")
