"""A small receiving archive: enough of a PACS for the demonstration and for proving what was delivered.

It answers C-ECHO and C-STORE, keeps every object as a file named by its SOP Instance UID, and counts how
often each one came. It is no product: nothing can be queried or deleted.
"""

import hashlib
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, _config, build_context, evt
from pynetdicom.dsutils import split_dataset
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from node.late_abort import close_on_late_abort
from node.statuses import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, SUCCESS

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE

LOG_NAME = "arrivals.log"

Answer = Callable[[str, int], int]
"""What to answer: (SOP Instance UID, how often it came before) -> DIMSE status."""


@dataclass(frozen=True)
class Arrival:
    """One acknowledged C-STORE.

    Attributes:
        sop_class_uid: What it is.
        sop_instance_uid: Its identity.
        digest: sha256 of its data set as it was sent (without File Meta Information), hexadecimal.
    """

    sop_class_uid: str
    sop_instance_uid: str
    digest: str


def _store_and_echo() -> list[PresentationContext]:
    contexts = [
        build_context(str(c.abstract_syntax), ALL_TRANSFER_SYNTAXES) for c in AllStoragePresentationContexts
    ]
    return [*contexts, build_context(Verification)]


def _digest(path: Path) -> str:
    _, start = split_dataset(path)
    with path.open("rb") as file:
        file.seek(start)
        return hashlib.file_digest(file, "sha256").hexdigest()


class Archive:
    """A C-STORE SCP that writes what it receives to a folder.

    Args:
        folder: Where files go; it is made if missing. What an earlier archive received there is counted too.
        ae_title: Its own title; any called title is accepted.
        host: Address to listen on.
        port: 0 takes a free one; `port` tells which.
        answer: Chooses the status for each object; None answers 0x0000. Only what is answered with success
            or a warning (PS3.7 Annex C) is kept.
        contexts: What to accept; None accepts every storage SOP class in every transfer syntax.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ae_title: str = "ARCHIVE",
        host: str = "127.0.0.1",
        port: int = 0,
        answer: Answer | None = None,
        contexts: Sequence[PresentationContext] | None = None,
    ) -> None:
        self.folder = folder
        self.ae_title = ae_title
        self.host = host
        self.port = port
        self._answer = answer or (lambda _uid, _before: SUCCESS)
        self._contexts = list(contexts) if contexts is not None else _store_and_echo()
        self._arrivals: list[Arrival] = []
        self._asked: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._ae: AE | None = None

    def __enter__(self) -> "Archive":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; `port` then holds the port in use."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._read_log()
        close_on_late_abort()
        _config.STORE_RECV_CHUNKED_DATASET = True  # objects go to a file, never whole into memory
        ae = AE(self.ae_title)
        ae.supported_contexts = self._contexts
        ae.maximum_associations = 50
        server = ae.start_server((self.host, self.port), block=False, evt_handlers=self.handlers())
        assert server is not None, "pynetdicom returns a server unless it blocks"
        self.port = server.server_address[1]
        self._ae = ae

    def handlers(self) -> list[evt.EventHandlerType]:
        """Return what answers each service; an archive that knows more of them adds to it."""
        return [(evt.EVT_C_STORE, self._store)]

    def stop(self) -> None:
        """End every association and free the port."""
        if self._ae is not None:
            self._ae.shutdown()
            self._ae = None

    @property
    def arrivals(self) -> tuple[Arrival, ...]:
        """Everything acknowledged so far, in order, repetitions included."""
        with self._changed:
            return tuple(self._arrivals)

    @property
    def counts(self) -> Counter[str]:
        """How often each SOP Instance UID was acknowledged."""
        return Counter(arrival.sop_instance_uid for arrival in self.arrivals)

    def path(self, sop_instance_uid: str) -> Path:
        """Return where the object with this UID lies."""
        name = re.sub("[^0-9.]", "_", sop_instance_uid)  # a peer may send anything, "../" too
        return self.folder / f"{name}.dcm"

    def wait_for(self, instances: int, timeout_s: float) -> bool:
        """Wait until that many distinct objects have come; tell whether they have."""
        with self._changed:
            return self._changed.wait_for(lambda: self._distinct() >= instances, timeout_s)

    def _distinct(self) -> int:
        return len({arrival.sop_instance_uid for arrival in self._arrivals})

    def _read_log(self) -> None:
        log = self.folder / LOG_NAME
        lines = log.read_text().splitlines() if log.exists() else []
        self._arrivals = [Arrival(*line.split()) for line in lines]
        self._asked = Counter(arrival.sop_instance_uid for arrival in self._arrivals)

    def _store(self, event: evt.Event) -> int:
        request = cast("C_STORE", event.request)
        uid = UID(str(request.AffectedSOPInstanceUID))
        if not uid.is_valid:  # it becomes a file name
            return CANNOT_UNDERSTAND
        with self._changed:
            status = self._answer(str(uid), self._asked[uid])
            self._asked[uid] += 1
        if not _keeps(status):
            return status
        try:
            arrival = Arrival(str(request.AffectedSOPClassUID), str(uid), _digest(event.dataset_path))
            self._keep(arrival, event.dataset_path)
        except OSError:
            return OUT_OF_RESOURCES
        return status

    def _keep(self, arrival: Arrival, received: Path) -> None:
        with self._changed:
            kept = self.path(arrival.sop_instance_uid)
            if not kept.exists():
                partial = kept.with_suffix(".partial")
                shutil.copyfile(received, partial)
                partial.rename(kept)
            with (self.folder / LOG_NAME).open("a") as log:
                log.write(f"{arrival.sop_class_uid} {arrival.sop_instance_uid} {arrival.digest}\n")
            self._arrivals.append(arrival)
            self._changed.notify_all()


def _keeps(status: int) -> bool:
    return status == SUCCESS or status >> 12 == 0xB  # warnings are Bxxx: PS3.7 Annex C.1
