"""Sends broken objects to a node, thousands of them, and looks at what became of each: `make fuzz`.

The objects are mutations (`tests.faults.mutations`) of synthetic chests in every kind of transfer syntax, and
of the files of a folder where one is given. They go through real associations into a node that is a process
of its own. Every one that was acknowledged must have a job in a visible end, and the node must neither end,
nor grow, nor meet an error that it does not know.
"""

import argparse
import hashlib
import importlib.util
import io
import json
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import split_dataset
from rich.console import Console

from node.archive import Archive
from node.contexts import STORAGE_CLASSES, transfer_syntaxes
from node.implementation import Entity
from node.states import PUT_ASIDE, State
from tests.faults.count import Count, told
from tests.faults.mutations import Specimen, mutated
from tests.faults.parts import HOST, LONGEST_WAIT_S, NodeProcess, free_port, until_it_listens
from tests.faults.watch import Watch

SENDERS = 3
OBJECTS_PER_ASSOCIATION = 50
UNMADE = "a result cannot be made"
"""How the reason begins where a library could not express a result (`node.pipeline.write`)."""

MAX_NODE_MB = 2_500
"""A mutant may have as many pixels as Pixel Data has bytes for, in 32-bit values several times over."""

MAX_DECODER_MB = 1_600
"""The largest real picture here has 4 million samples: `DECODER_MEMORY_BYTES` and 200 MB for it."""

MAX_GROWTH_MB = 400
"""How much larger the node may be at the end than after the first tenth of the objects."""

MAX_THREADS = 60
SLOWEST_S = 90.0
"""One image may take the decoder's 60 s, and what it takes besides on a busy machine."""

ENDS = (State.DONE, State.DELIVERING, *PUT_ASIDE)
SETTINGS = """
[web]
enabled = false

[node]
host = "{host}"
port = {port}
data_dir = "{data}"
disk_reserve_mb = 0
max_pdu = 1048576
[model]
bundle = "stand-in"
[worker]
count = 2
[[profile]]
name = "everything"
structure_report = true
presentation_state = true
secondary_capture = true
[[destination]]
name = "archive"
ae_title = "ARCHIVE"
host = "{host}"
port = {archive_port}
profile = "everything"
"""


def synthetic() -> Iterator[Specimen]:
    """Yield a chest in each kind of transfer syntax, small enough for thousands of them."""
    conftest = Path(__file__).parents[1] / "conftest.py"
    spec = importlib.util.spec_from_file_location("shared_conftest", conftest)
    assert spec is not None
    assert spec.loader is not None
    shared = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shared)
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        yield specimen(shared._dx(96, 80), syntax)
    big = shared._dx(96, 80)
    big.PixelData = big.pixel_array.astype(">u2").tobytes()
    yield specimen(big, ExplicitVRBigEndian)
    for syntax, plugin in (
        (RLELossless, "pylibjpeg"),
        (JPEG2000Lossless, "pylibjpeg"),
        (JPEGLSLossless, "pyjpegls"),
    ):
        dataset = shared._dx(96, 80)
        dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
        yield specimen(dataset, syntax)


def specimen(dataset: Dataset, syntax: UID) -> Specimen:
    """Return a data set encoded in a transfer syntax that fits its pixels."""
    buffer = io.BytesIO()
    bare = Dataset(dataset)
    bare.save_as(buffer, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    return Specimen(str(dataset.SOPClassUID), UID(syntax), buffer.getvalue())


def of_folder(folder: Path) -> Iterator[Specimen]:
    """Yield the files below a folder that the node would take, as their bytes are."""
    taken = set(transfer_syntaxes()) - {DeflatedExplicitVRLittleEndian}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with suppress(InvalidDicomError, ValueError, OSError, KeyError, AttributeError):
            header = dcmread(path, stop_before_pixels=True)
            syntax = UID(str(header.file_meta.TransferSyntaxUID))
            _, start = split_dataset(path)
            if header.SOPClassUID in STORAGE_CLASSES and syntax in taken:
                yield Specimen(str(header.SOPClassUID), syntax, path.read_bytes()[start:])


@dataclass
class Sender:
    """Sends mutants in associations of its own; each is drawn from its number, whoever sends it."""

    port: int
    sources: Sequence[Specimen]
    seed: int
    numbers: Sequence[int]
    answers: Counter[str] = field(default_factory=Counter)
    acknowledged: dict[str, str] = field(default_factory=dict)  # digest to what was done
    silent: list[str] = field(default_factory=list)  # what was done to those that got no answer
    slowest_s: float = 0.0

    def run(self) -> None:
        """Send everything."""
        for start in range(0, len(self.numbers), OBJECTS_PER_ASSOCIATION):
            self._send_all(self.numbers[start : start + OBJECTS_PER_ASSOCIATION])

    def _send_all(self, numbers: Sequence[int]) -> None:
        drawn = [self._mutant(number) for number in numbers]
        contexts = {(each.sop_class, each.syntax) for each, _ in drawn}
        association = self._associate(contexts)
        for number, (mutant, what) in zip(numbers, drawn, strict=True):
            if not association.is_established:
                self.answers["association ended"] += 1
                association = self._associate(contexts)
            begun = time.monotonic()
            answer = store(association, mutant, f"2.25.{self.seed}{number:09}", number)
            self.answers[answer] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
            if answer == "none":
                self.silent.append(f"{number}: {what}, {len(mutant.sent)} bytes of {mutant.syntax.name}")
            if answer == "0x0000":
                digest = hashlib.sha256(f"{mutant.syntax}\n".encode() + padded(mutant.sent)).hexdigest()
                self.acknowledged[digest] = what
        association.release()

    def _mutant(self, number: int) -> tuple[Specimen, str]:
        draw = random.Random(self.seed * 1_000_003 + number)
        source = draw.choices(self.sources, [1 / len(each.content) ** 0.5 for each in self.sources])[0]
        return mutated(source, draw, f"2.25.{self.seed}{number:09}")

    def _associate(self, contexts: set[tuple[str, UID]]) -> Association:
        ae = Entity("FUZZER")
        ae.maximum_pdu_size = 0
        ae.dimse_timeout = SLOWEST_S
        for sop_class, syntax in contexts:
            ae.add_requested_context(sop_class, syntax)
        while not (association := ae.associate(HOST, self.port, ae_title="PAXNODE")).is_established:
            time.sleep(0.05)
        return association


def padded(content: bytes) -> bytes:
    """Return a data set of an even length, as it must be; never none: pynetdicom would send nothing."""
    return content + b"\0" * (len(content) % 2) or b"\0\0"


def store(association: Association, mutant: Specimen, uid: str, number: int) -> str:
    """Send the bytes as they are; return the status, or that there was none in time."""
    context = next(
        each
        for each in association.accepted_contexts
        if (each.abstract_syntax, each.transfer_syntax[0]) == (mutant.sop_class, mutant.syntax)
    )
    request = C_STORE()
    request.MessageID, request.Priority = number % 65_535 + 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = mutant.sop_class, uid
    request.DataSet = io.BytesIO(padded(mutant.sent))
    association._reactor_checkpoint.clear()
    while not association._is_paused:
        time.sleep(0.0001)
    association.dimse.send_msg(request, context.context_id or 0)
    answer = _answer(association, request.MessageID)
    association._reactor_checkpoint.set()
    return "none" if answer is None or answer.Status is None else f"0x{answer.Status:04X}"


def _answer(association: Association, number: int) -> C_STORE | None:
    """Return the answer to a message; one that comes too late is not taken for that of the next."""
    while True:
        _, answer = association.dimse.get_msg(block=True)
        if not isinstance(answer, C_STORE):
            return None
        if answer.MessageIDBeingRespondedTo == number:
            return answer


def prove(size: int, seed: int, console: Console, folder: Path | None = None) -> list[Count]:
    """Send so many mutants; return what was counted."""
    sources = [*synthetic(), *(of_folder(folder) if folder else ())]
    console.print(f"{size} mutants of {len(sources)} objects, seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-h2-") as scratch,
        Archive(Path(scratch) / "archive") as archive,
    ):
        place = Path(scratch)
        port = free_port()
        config, data = place / "node.toml", place / "data"
        config.write_text(SETTINGS.format(host=HOST, port=port, data=data, archive_port=archive.port))
        node = NodeProcess(config, place / "node.log")
        if not until_it_listens(port):
            raise SystemExit("the node does not listen")
        watch = Watch(node.pid)
        threading.Thread(target=watch.run, daemon=True).start()
        begun = time.monotonic()
        senders = _send(port, sources, size, seed)
        sent_s = time.monotonic() - begun
        unfinished = _wait(data / "paxnode.sqlite")
        all_s = time.monotonic() - begun
        watch.done.set()
        alive = node.is_alive()
        status = node.stop() if alive else -1
        _tell_failures(place / "node.log", data / "paxnode.sqlite", senders, console)
        console.print(f"sent in {sent_s:.0f} s, all ended after {all_s:.0f} s: {size / all_s:.1f} a second")
        jobs = _jobs(data / "paxnode.sqlite")
        return [
            *_of_answers(senders, jobs, size),
            *_of_jobs(jobs, unfinished, data / "paxnode.sqlite"),
            *_of_process(watch, alive, status, place / "node.log"),
        ]


def _send(port: int, sources: Sequence[Specimen], size: int, seed: int) -> list[Sender]:
    senders = [Sender(port, sources, seed, range(first, size, SENDERS)) for first in range(SENDERS)]
    threads = [threading.Thread(target=sender.run, daemon=True) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return senders


def _jobs(database: Path) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute("SELECT id, state, digest, reason FROM jobs").fetchall()


def _wait(database: Path) -> int:
    """Wait until every job has ended; return how many have not after a long while without any progress."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < LONGEST_WAIT_S:
        left = sum(job[1] not in (*ENDS[:1], *ENDS[2:]) for job in _jobs(database))
        if left == 0:
            return 0
        if left != before:
            before, since = left, time.monotonic()
        time.sleep(0.5)
    return before


def _log(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text().splitlines():
        with suppress(ValueError):
            found = json.loads(line)
            if isinstance(found, dict):
                yield found


def _tell_failures(log: Path, database: Path, senders: Sequence[Sender], console: Console) -> None:
    """Print the place of each error that the node did not know, and what was wrong with the object."""
    places = Counter(
        f"{line['event']}: {line.get('error')} in {line.get('place')}"
        for line in _log(log)
        if "place" in line
    )
    for words, count in places.most_common():
        console.print(f"{count} x {words}", markup=False, highlight=False)
    for words in (words for sender in senders for words in sender.silent):
        console.print(f"no answer to {words}", markup=False, highlight=False)
    done = {digest: what for sender in senders for digest, what in sender.acknowledged.items()}
    for _, state, digest, reason in _jobs(database):
        if state == State.FAILED or str(reason).startswith(UNMADE):
            console.print(f"{state}: {done.get(digest, '?')}: {reason}", markup=False, highlight=False)
    reasons = Counter(f"{job[1]}: {str(job[3])[:70]}" for job in _jobs(database) if job[3])
    for words, count in reasons.most_common(40):
        console.print(f"{count:6} {words}", markup=False, highlight=False)


def _of_answers(senders: Sequence[Sender], jobs: Sequence[tuple[Any, ...]], size: int) -> Iterator[Count]:
    answers: Counter[str] = sum((sender.answers for sender in senders), Counter())
    for answer, count in sorted(answers.items()):
        yield Count(f"C-STORE answered {answer}", count)
    yield Count.equal("objects with an answer", sum(answers[each] for each in answers if "x" in each), size)
    slowest = max(sender.slowest_s for sender in senders)
    yield Count("slowest answer, s", round(slowest, 1), f"less than {SLOWEST_S:g}", slowest < SLOWEST_S)
    yield Count.none("answers 0xA700 (an error of the node)", answers["0xA700"])
    known = {job[2] for job in jobs}
    lost = sum(digest not in known for sender in senders for digest in sender.acknowledged)
    yield Count.none("acknowledged objects without a job", lost)


def _of_jobs(jobs: Sequence[tuple[Any, ...]], unfinished: int, database: Path) -> Iterator[Count]:
    states = Counter(job[1] for job in jobs)
    for state in State:
        if states[state]:
            yield Count(f"jobs {state}", states[state])
    yield Count.none("jobs without a visible end", unfinished)
    yield Count.none("jobs failed (an error that the node does not know)", states[State.FAILED])
    yield Count.none(
        "jobs refused or quarantined without a reason",
        sum(not job[3] for job in jobs if job[1] in {State.REFUSED, State.QUARANTINED}),
    )
    unmade = sum(str(job[3]).startswith(UNMADE) for job in jobs)
    yield Count.none("jobs whose image was read, but not its results made", unmade)
    query = """SELECT MAX((julianday(b.at) - julianday(a.at)) * 86400) FROM job_events a JOIN job_events b
        ON b.job_id = a.job_id AND b.id > a.id AND a.to_state = 'segmenting' AND b.from_state = 'segmenting'
        """
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        slowest = connection.execute(query).fetchone()[0] or 0.0
    wanted = f"at most {SLOWEST_S:g}"
    yield Count("slowest image, s", round(slowest, 1), wanted, slowest <= SLOWEST_S)


def _of_process(watch: Watch, alive: bool, status: int, log: Path) -> Iterator[Count]:
    yield Count.none("the node ended before it was asked to", int(not alive))
    yield Count.equal("its exit status, asked to stop", status, 0)
    events = Counter(str(line.get("event")) for line in _log(log))
    yield Count.none("steps that failed", events["a step failed"])
    tenth = watch.node_mb[len(watch.node_mb) // 10] if watch.node_mb else 0.0
    last, most = (watch.node_mb[-1], max(watch.node_mb)) if watch.node_mb else (0.0, 0.0)
    yield Count("node's memory at a tenth, MB", round(tenth))
    yield Count("at most, MB", round(most), f"at most {MAX_NODE_MB}", most <= MAX_NODE_MB)
    yield Count("at the end, MB", round(last), f"at most {MAX_GROWTH_MB} more", last <= tenth + MAX_GROWTH_MB)
    largest = max(watch.decoder_mb, default=0.0)
    yield Count("largest decoder, MB", round(largest), f"at most {MAX_DECODER_MB}", largest <= MAX_DECODER_MB)
    yield Count("threads at most", watch.threads, f"at most {MAX_THREADS}", watch.threads <= MAX_THREADS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the proof; 1 when something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args(arguments)
    console = Console()
    counts = prove(chosen.size, chosen.seed, console, chosen.folder)
    return 0 if told(f"{chosen.size} broken objects, seed {chosen.seed}", counts, console) else 1


if __name__ == "__main__":
    sys.exit(main())
