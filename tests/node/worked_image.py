"""A queue with one image, worked on by several models one after the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ai.radiograph import Radiograph
from ai.segmentation import ModelIdentity, Segmentation
from ai.stand_in import StandInSegmenter
from node.database import engine_for, upgrade
from node.job_store import JobStore
from node.jobs import ReceivedObject, StoredResult
from node.options import OutputOptions
from node.pipeline import ResultObject
from node.rules import Decision
from node.spool import Spool
from node.work import Decide, Model, Work

MakeDx = Callable[..., Dataset]
PLAIN, SHIMMED = OutputOptions(), OutputOptions(orientation_shim=True)


def always(outputs: Mapping[OutputOptions, tuple[str, ...]]) -> Decide:
    """Decide the same of every image."""
    return lambda _header, _titles: Decision(outputs=outputs)


class Versioned(StandInSegmenter):
    """The stand-in, under another version; it counts how often it was asked."""

    def __init__(self, version: str) -> None:
        self.model = ModelIdentity("stand-in", version, version.encode().hex().ljust(64, "0"))
        self.asked = 0

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        self.asked += 1
        return [replace(found, model=self.model) for found in super().segment(radiographs)]


@dataclass(frozen=True)
class AddressedObject:
    """A result that was made, and the names of the destinations that get it."""

    result: ResultObject
    destinations: tuple[str, ...]


class Node:
    """A queue with one image, on which several models work one after the other."""

    def __init__(self, folder: Path, image: Dataset) -> None:
        engine = engine_for("", folder)
        upgrade(engine)
        self.store, self.spool = JobStore(engine), Spool(folder).prepare()
        incoming, content = self.spool.begin(), BytesIO()
        image.save_as(content, enforce_file_format=True)
        incoming.write(content.getvalue())
        kept, uid = incoming.keep(), UID(image.SOPInstanceUID)
        received = ReceivedObject(
            image.SOPClassUID, uid, uid, uid, ExplicitVRLittleEndian, kept.digest, kept.path, 1, "TEST"
        )
        self.store.add_received(replace(received, called_ae_title="NODE"))

    def run(
        self,
        segmenter: Versioned,
        outputs: Mapping[OutputOptions, tuple[str, ...]] | Decide,
        others: Mapping[str, Versioned] | None = None,
    ) -> list[AddressedObject]:
        """Work on the image as a worker would, deliver everything, and return what was made."""
        job = self.store.claim("worker", 60)
        assert job is not None
        decide = outputs if callable(outputs) else always(outputs)
        models = {name: Model(each) for name, each in {"": segmenter, **(others or {})}.items()}
        written: dict[str, ResultObject] = {}

        def keep(result: ResultObject) -> StoredResult:
            written[str(result.dataset.SOPInstanceUID)] = result
            return self.keep(result)

        found = Work(models, decide, self.store, self.spool)(job, keep)
        self.store.finish(job.id, "worker", found.results, "; ".join(found.remarks))
        for delivery in self.store.deliveries(job.id):
            self.store.delivered(delivery.id, 0)
        return [AddressedObject(written[e.result.sop_instance_uid], e.destinations) for e in found.results]

    def keep(self, result: ResultObject) -> StoredResult:
        """Make a result durable, as a worker would."""
        kept = self.spool.store_result(result.content)
        uids = (str(result.dataset.SOPClassUID), str(result.dataset.SOPInstanceUID))
        return StoredResult(result.kind, *uids, kept.path, kept.digest)

    def again(self) -> None:
        """Queue the image once more."""
        self.store.rerun(self.store.jobs()[0].id)
