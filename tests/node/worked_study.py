"""An image in a real spool and a real queue, worked on by a real worker with shapes for anatomy."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydicom import Dataset

from ai.radiograph import Radiograph
from ai.segmentation import ModelIdentity, Segmentation
from config.settings import ResultSettings
from node.bell import Bell
from node.database import engine_for, upgrade
from node.identities import identifiers_in
from node.job_store import JobStore
from node.jobs import ReceivedObject, StoredResult
from node.options import OutputOptions, options_of
from node.rules import Decision
from node.spool import Spool
from node.work import Model, Work
from node.worker import Worker
from tests.node.written_profiles import FORMS, Drawn, as_bytes

JOB = 1


class Weights(Drawn):
    """Shapes under the name of some weights; others than the first ones find no heart."""

    def __init__(self, version: str) -> None:
        self.model = ModelIdentity("drawn", version, version.encode().hex().ljust(64, "0"))

    def segment(self, radiographs: Sequence[Radiograph]) -> list[Segmentation]:
        [found] = super().segment(radiographs)
        masks = {
            name: mask for name, mask in found.masks.items() if self.model.version == "1" or name != "heart"
        }
        return [replace(found, masks=masks, model=self.model)]


class WorkedStudy:
    """One received image."""

    def __init__(self, folder: Path, image: Dataset) -> None:
        engine = engine_for("", folder)
        upgrade(engine)
        self.store, self.spool, self.image = JobStore(engine), Spool(folder).prepare(), image
        incoming = self.spool.begin()
        incoming.write(as_bytes(image))
        kept, syntax = incoming.keep(), str(image.file_meta.TransferSyntaxUID)
        uids = (image.SOPInstanceUID, image.StudyInstanceUID, image.SeriesInstanceUID)
        received = ReceivedObject(image.SOPClassUID, *uids, syntax, kept.digest, kept.path, 1, "ER")
        self.store.add_received(replace(received, identifiers=identifiers_in(image)))

    def work(self, forms: Mapping[str, tuple[str, ...]], weights: str = "1", **changes: object) -> None:
        """Have it worked on for destinations by the forms of `written_profiles`, and deliver everything."""
        outputs = {_options(form, changes): names for form, names in forms.items()}
        model = Model(Weights(weights))
        work = Work({"": model}, lambda _header, _titles: Decision(outputs=outputs), self.store, self.spool)
        Worker("worker", self.store, self.spool, work, 60.0, Bell(), Bell()).step()
        for delivery in self.store.deliveries(JOB):
            self.store.delivered(delivery.id, 0)

    def work_again(self, forms: Mapping[str, tuple[str, ...]], weights: str = "1") -> None:
        """Have it worked on once more."""
        self.store.rerun(JOB)
        self.work(forms, weights)

    def result(self, kind: str) -> StoredResult:
        """Return the newest result of a kind."""
        return [each for each in self.store.results(JOB) if each.kind == kind][-1]


def _options(form: str, changes: Mapping[str, object]) -> OutputOptions:
    options = options_of(FORMS[form].profile, ResultSettings())
    return replace(options, **changes)  # type: ignore[arg-type]
