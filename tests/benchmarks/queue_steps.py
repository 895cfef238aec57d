"""Everything that a node asks of its queue again and again; first the way of an image, then the rest."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from pydicom.uid import generate_uid
from sqlalchemy import Engine

from config.network import RetentionSettings
from node.backoff import Backoff
from node.commitment_store import CommitmentStore
from node.job_rows import utc_now
from node.job_store import JobStore
from node.jobs import AddressedResult, Delivery, Identifiers, Job, ReceivedObject, StoredResult
from node.keeping_store import KeepingStore
from node.proofs import CommitmentAnswer, ProofKind
from node.queue_figures import queue_figures
from node.states import State
from node.study_view import job_view
from node.web.deeds import DeedStore
from node.web.job_list import PAGE
from tests.benchmarks.queue_rows import DAYS, DESTINATIONS, FILES_DAYS, path, uid

LEASE_S = 60.0
ASKED = frozenset({ProofKind.COMMITMENT})
BACKOFF = Backoff(15.0, 600.0)
WORKER = "worker-1"
PACS = DESTINATIONS[0]

NOTHING_DUE = RetentionSettings(files_days=FILES_DAYS + 1, refused_days=FILES_DAYS + 1, rows_days=DAYS + 1)
"""House was kept a moment ago."""

MUCH_DUE = RetentionSettings(files_days=1, refused_days=1, rows_days=FILES_DAYS + 3)
"""The settings were just changed: a fifth of the jobs lose their files, three quarters their rows."""

SWEPT = 100
"""Files in one question."""


@dataclass(frozen=True)
class Step:
    """One operation.

    Attributes:
        name: In words.
        act: Does it.
        times: How often it may be done at most, since it uses rows up; 0: any number of times.
        least: It makes no sense with fewer images.
        leads_on: Whether later steps need it, so that it is done in every turn.
    """

    name: str
    act: Callable[[], object]
    times: int = 0
    least: int = 0
    leads_on: bool = False


@dataclass
class _InHand:
    """What one step leaves to the next."""

    job: Job | None = None
    sent: list[Delivery] = field(default_factory=list)
    transaction: str = ""


class Queue:
    """A queue with rows (`tests.benchmarks.queue_rows`), and what is asked of it.

    Args:
        engine: Of its database.
        count: How many images it has.
    """

    def __init__(self, engine: Engine, count: int) -> None:
        self.engine = engine
        self.count = count
        self._store = JobStore(engine)
        self._keeping = KeepingStore(engine)
        self._deeds = DeedStore(engine, utc_now)
        self._commitments = CommitmentStore(engine)
        self._numbers = itertools.count(count + 1)
        self._has = _InHand()

    def steps(self) -> list[Step]:
        """Return every operation, in the order of an image's way; each step expects those before it."""
        return [*self._way(), *self._console(), *self._watching(), *self._keeping_house()]

    def _way(self) -> list[Step]:
        steps: list[tuple[str, Callable[[], object]]] = [
            ("admit an image", self._admit),
            ("admit it once more", lambda: self._admit(again=True)),
            ("claim a job", self._claim),
            ("heartbeat", lambda: self._store.heartbeat(self._job.id, WORKER, LEASE_S, "segmenting")),
            ("note what was read", self._note_read),
            ("finish with two results", self._finish),
            ("claim two deliveries", self._claim_deliveries),
            ("renew their leases", lambda: self._store.renew(self._ids, WORKER, LEASE_S)),
            ("record two objects as sent", self._record_sent),
            ("claim what lacks a proof", self._claim_unproven),
            ("begin a storage commitment", self._begin_commitment),
            ("record its answer", self._record_answer),
            ("ask a destination without work", self._ask_idle),
            ("settle at a sender's start", lambda: self._store.settle(PACS, ASKED)),
            ("hurry what waits", lambda: self._store.hurry(PACS)),
            ("look for an answer that is owed", lambda: self._commitments.claim(WORKER, LEASE_S)),
            ("look for what others ask about", lambda: self._commitments.kept(uid(1, self._old))),
        ]
        return [Step(name, act, leads_on=True) for name, act in steps]

    def _console(self) -> list[Step]:
        looked_for = {
            "accession number": f"A{self._old}",
            "patient": f"P{self._old // 4}",
            "study UID": uid(2, self._old // 2),
            "SOP Instance UID": uid(1, self._old),
            "sender": "XRAY1",
            "nothing known": "NOBODY",
        }
        steps = [Step(f"look up: {what}", self._looking(word)) for what, word in looked_for.items()]
        steps += [
            Step("look up: sender, failed", self._looking("XRAY1", State.FAILED)),
            Step("look up: sender, done", self._looking("XRAY1", State.DONE)),
            Step("list: newest", self._looking("")),
            Step("list: from the middle", self._looking("", None, self._old)),
        ]
        steps += [Step(f"list: {state}", self._looking("", state)) for state in _LISTED]
        return [
            *steps,
            Step("one image with everything", lambda: job_view(self._store, self._old)),
            Step("images of its study", lambda: self._store.study(uid(2, self._old // 2))),
            Step("deeds: newest", lambda: self._deeds.latest(50)),
            Step("deeds: of somebody new", lambda: self._deeds.latest(50, who="newcomer")),
        ]

    def _watching(self) -> list[Step]:
        return [
            Step("figures for /metrics", lambda: queue_figures(self.engine, DESTINATIONS, utc_now)),
            Step("what waits, at the start", self._store.waiting),
            Step("newest job", self._keeping.highest_job),
        ]

    def _keeping_house(self) -> list[Step]:
        sample = [path(1 + n * self.count // SWEPT) for n in range(SWEPT)]
        return [
            Step("sweep: are files known", lambda: self._keeping.known(sample)),
            Step("sweep: are files needed", lambda: self._keeping.needed(sample)),
            Step("house: no files due", lambda: list(self._keeping.mark_files_removed(NOTHING_DUE))),
            Step("house: no rows due", lambda: list(self._keeping.remove_rows(NOTHING_DUE))),
            Step("house: no talk due", lambda: self._keeping.remove_conversations(NOTHING_DUE)),
            Step(
                "house: mark 200 jobs",
                lambda: next(self._keeping.mark_files_removed(MUCH_DUE), None),
                7,
                1_500,
            ),
            Step("house: remove 200 jobs", lambda: next(self._keeping.remove_rows(MUCH_DUE), None), 7, 1_500),
        ]

    # ---- an image's way

    @property
    def _old(self) -> int:
        """An image from the middle."""
        return self.count // 2

    @property
    def _job(self) -> Job:
        assert self._has.job is not None
        return self._has.job

    @property
    def _ids(self) -> list[int]:
        return [delivery.id for delivery in self._has.sent]

    def _admit(self, *, again: bool = False) -> None:
        number = self.count + 1 if again else next(self._numbers)
        known = Identifiers(f"P{number // 4}", "HOSPITAL", f"A{number}", "DX", "20250102")
        self._store.add_received(
            ReceivedObject(
                sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
                sop_instance_uid=uid(1, number),
                study_instance_uid=uid(2, number // 2),
                series_instance_uid=uid(3, number),
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                digest=path(number)[8:-4],
                path=path(number),
                size=15_000_000,
                calling_ae_title=f"XRAY{number % 6}",
                identifiers=known,
            )
        )

    def _claim(self) -> None:
        self._has.job = self._store.claim(WORKER, LEASE_S)

    def _note_read(self) -> None:
        self._store.note_read(self._job, Identifiers("P1", "HOSPITAL", "A1", "DX", "20250102"))

    def _finish(self) -> None:
        made = [
            StoredResult(kind, sop_class, str(generate_uid()), f"results/{self._job.id}.{kind}.dcm", "digest")
            for kind, sop_class in _MADE
        ]
        self._store.finish(self._job.id, WORKER, [AddressedResult(result, (PACS,)) for result in made])

    def _claim_deliveries(self) -> None:
        self._has.sent = self._store.claim_deliveries(PACS, WORKER, LEASE_S, 2)

    def _record_sent(self) -> None:
        for number in self._ids:
            self._store.delivered(number, 0x0000, ASKED)

    def _claim_unproven(self) -> None:
        unproven = self._store.claim_unproven(PACS, WORKER, LEASE_S, 2)
        assert len(unproven) == 2

    def _begin_commitment(self) -> None:
        self._has.transaction = str(generate_uid())
        self._store.begin_transaction(self._has.transaction, PACS, self._ids)
        self._store.commitment_asked(self._has.transaction)

    def _record_answer(self) -> None:
        begun = self._store.transaction(self._has.transaction)
        assert begun is not None
        committed = frozenset(each.result.sop_instance_uid for each in self._has.sent)
        self._store.record_answer(begun, CommitmentAnswer(committed), ASKED, BACKOFF)

    def _ask_idle(self) -> None:
        self._store.claim_deliveries("idle", WORKER, LEASE_S, 2)

    def _looking(self, words: str, state: State | None = None, before: int = 0) -> Callable[[], object]:
        return lambda: self._page(words, state, before)

    def _page(self, words: str, state: State | None, before: int) -> None:
        """Ask what `node.web.job_list` asks for a page of images."""
        found = [job.id for job in self._store.look_up(words, state, PAGE + 1, before)][:PAGE]
        self._store.identifiers_of(found)
        self._store.undelivered(found)


_MADE = (("SEG", "1.2.840.10008.5.1.4.1.1.66.4"), ("SR", "1.2.840.10008.5.1.4.1.1.88.34"))

_LISTED = (State.DONE, State.QUEUED, State.REFUSED, State.FAILED, State.STORED)
"""Frequent ones, rare ones, and one in which nothing is."""
