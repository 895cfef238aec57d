"""Results that a real Orthanc commits itself to: every one is proven, also one that it lost meanwhile.

Run: python -m tests.faults.commitment_orthanc --size 20 --seed 1
"""

import json
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from rich.console import Console

from config.settings import NodeSettings, Peer
from node.backoff import Backoff
from node.bell import Bell
from node.commitment_scp import CommitmentScp
from node.commitment_scu import CommitmentEvents, CommitmentScu
from node.commitment_store import CommitmentStore
from node.committer import Committer
from node.database import engine_for, upgrade
from node.evidence import Evidence
from node.job_store import JobStore
from node.jobs import AddressedResult, DeliveryState, ReceivedObject, StoredResult
from node.listener import Listener
from node.peer_call import Caller
from node.proofs import ProofKind
from node.prover import ProofRules, Prover, Questions
from node.query import DimseFinder
from node.sender import DeliveryRules, Sender
from node.spool import Spool
from node.transport import DimseTransport
from tests.faults.count import Count, told
from tests.faults.parts import HOST, Modality, write_images
from tests.viewers.orthanc import Orthanc

BACKOFF = Backoff(0.2, 2.0)
LONGEST_S = 180.0


class ModalityOrthanc(Orthanc):
    """An Orthanc that knows the node, so that it can tell it what it committed itself to."""

    def knows(self, port: int) -> None:
        """Tell it where the node listens."""
        body = {"AET": "PAXNODE", "Host": HOST, "Port": port, "Manufacturer": "Generic"}
        url = f"http://{HOST}:{self.http_port}/modalities/paxnode"
        request = urllib.request.Request(url, json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=LONGEST_S).close()

    def remove_one(self) -> str:
        """Delete an instance, and return its SOP Instance UID."""
        number = self._get("/instances")[0]
        url = f"http://{HOST}:{self.http_port}/instances/{number}"
        with urllib.request.urlopen(f"{url}/content/SOPInstanceUID", timeout=LONGEST_S) as answer:
            uid = answer.read().decode().strip(" \0")
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=LONGEST_S).close()
        return str(uid)

    def asks(self, *pairs: tuple[str, str]) -> str:
        """Let it ask the node for storage commitment, and return the transaction."""
        url = f"http://{HOST}:{self.http_port}/modalities/paxnode/storage-commitment"
        body = json.dumps({"DicomInstances": pairs}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=LONGEST_S) as answer:
            return str(json.load(answer)["ID"])

    def heard(self, transaction: str) -> dict[str, Any]:
        """Return what it was told about a transaction."""
        url = f"http://{HOST}:{self.http_port}/storage-commitment/{transaction}"
        with urllib.request.urlopen(url, timeout=LONGEST_S) as answer:
            content: dict[str, Any] = json.load(answer)
        return content


def _result(spool: Spool, study: str, series: str) -> StoredResult:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, series
    dataset.PatientID, dataset.Modality = "SYNTHETIC", "OT"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = spool.root / "made.dcm"
    dataset.save_as(path, enforce_file_format=True)
    kept = spool.store_result(path.read_bytes())
    return StoredResult(
        "SC", SecondaryCaptureImageStorage, str(dataset.SOPInstanceUID), kept.path, kept.digest
    )


def _add_job(store: JobStore, spool: Spool, results: int) -> None:
    uid, series = str(generate_uid()), str(generate_uid())
    store.add_received(ReceivedObject("1.2", uid, uid, uid, ExplicitVRLittleEndian, uid, "objects/x", 1, "M"))
    job = store.claim("worker", 60)
    assert job is not None
    made = [AddressedResult(_result(spool, uid, series), ("orthanc",)) for _ in range(results)]
    store.finish(job.id, "worker", made)


def _until(done: Callable[[], bool], *steps: Callable[[], object]) -> float:
    """Do the steps again and again until something is so; return the seconds that it took."""
    began = time.monotonic()
    while not done() and time.monotonic() - began < LONGEST_S:
        for step in steps:
            step()
        time.sleep(0.05)
    return time.monotonic() - began


def prove(size: int, seed: int, console: Console) -> list[Count]:
    """Prove as many results; the seed changes nothing, because Orthanc is asked in order."""
    with tempfile.TemporaryDirectory() as folder:
        orthanc = ModalityOrthanc(Path(folder) / "orthanc")
        with orthanc:
            return _proven(size, Path(folder) / "node", orthanc)


def _proven(size: int, folder: Path, orthanc: ModalityOrthanc) -> list[Count]:
    destination = orthanc.destination.model_copy(update={"commitment": True, "query": True})
    engine = engine_for("", folder)
    upgrade(engine)
    store, spool, bell, caller = JobStore(engine), Spool(folder).prepare(), Bell(), Caller("PAXNODE")
    events = CommitmentEvents(store, [destination], BACKOFF)
    asked = CommitmentStore(engine)
    evidence = Evidence(asked, spool)
    scp = CommitmentScp(asked, evidence, events, True, bell.ring)
    peer = Peer(ae_title=destination.ae_title, host=HOST, port=destination.port)
    committer = Committer("committer", asked, evidence, caller, [peer], BACKOFF, bell)
    settings = NodeSettings(host=HOST, port=0, data_dir=folder, disk_reserve_mb=0)
    listener = Listener(settings, spool, store, commitment=scp)
    listener.start()
    orthanc.knows(listener.port)
    sender_rules = DeliveryRules(BACKOFF, 5, 60.0)
    sender = Sender("sender", destination, store, spool, DimseTransport("PAXNODE"), sender_rules, bell)
    questions = Questions(CommitmentScu(caller, events, keep_open_s=0.5), DimseFinder(caller))
    prover = Prover("prover", destination, store, spool, questions, ProofRules(BACKOFF, 5, 60.0), bell)

    def count(state: DeliveryState) -> int:
        return len(store.deliveries(state=state))

    try:
        _add_job(store, spool, size)
        _until(lambda: count(DeliveryState.SENT) == size, sender.step)
        lost = orthanc.remove_one()  # before it is asked: it said that it stored it, and has it no more
        seconds = _until(lambda: count(DeliveryState.DELIVERED) == size, prover.step, sender.step)
        answered = _answered(orthanc, listener.port, folder, committer)
        return [*_counts(store, size, lost), *answered, Count("seconds to proven", round(seconds, 1))]
    finally:
        listener.stop()
        engine.dispose()


def _counts(store: JobStore, size: int, lost: str) -> list[Count]:
    """Count what Orthanc said of each result; the lost one is that which was deleted there."""
    deliveries, proofs = store.deliveries(job_id=1), store.proofs(1)
    [deleted] = [delivery for delivery in deliveries if delivery.result.sop_instance_uid == lost]
    failed = [p for p in proofs if p.kind is ProofKind.COMMITMENT and not p.holds]
    held = {p.delivery_id for p in proofs if p.kind is ProofKind.COMMITMENT and p.holds}
    found = {p.delivery_id for p in proofs if p.kind is ProofKind.QUERY and p.holds}
    done = sum(delivery.state is DeliveryState.DELIVERED for delivery in deliveries)
    return [
        Count.equal("results delivered", done, size),
        Count.equal("results that Orthanc committed itself to", len(held), size),
        Count.equal("results that Orthanc found", len(found), size),
        Count.equal("commitments refused: the result that was deleted there", len(failed), 1),
        Count.none("refusals of another result", sum(p.delivery_id != deleted.id for p in failed)),
        Count.equal("times the deleted one was sent again", deleted.resends, 1),
    ]


def _answered(orthanc: ModalityOrthanc, port: int, folder: Path, committer: Committer) -> list[Count]:
    """Let Orthanc ask about an image that the node has and one that it has not; count what it was told."""
    [image] = write_images(folder / "images", 1)
    Modality(port, [image], released=1).run()
    head = dcmread(image, stop_before_pixels=True)
    sop_class, uid = str(head.SOPClassUID), str(head.SOPInstanceUID)
    transaction = orthanc.asks((sop_class, uid), (sop_class, str(generate_uid())))
    _until(lambda: orthanc.heard(transaction)["Status"] != "Pending", committer.step)
    heard = orthanc.heard(transaction)
    committed = sum(each["SOPInstanceUID"] == uid for each in heard["Success"])
    return [
        Count.equal("images that the node committed itself to, asked by Orthanc", committed, 1),
        Count.equal("images that it refused, never received", len(heard["Failures"]), 1),
    ]


def main(size: Annotated[int, typer.Option(min=1)] = 20, seed: Annotated[int, typer.Option()] = 1) -> None:
    """Print the figures; exit status 1 when one is wrong."""
    console = Console()
    if not told("storage commitment by Orthanc", prove(size, seed, console), console):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
