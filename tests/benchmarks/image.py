"""The way of one image through the node, stage by stage, each beside what limits it.

The radiograph is the sample, enlarged to 2500 x 2048 pixels of 12 bits; the network is the one that ships.
What it finds is put aside for made logits of 159 structures, so that everything after it has them all.
Limits are measured in the same turns: a copy of the same bytes, the decoder alone, the network alone, the
same bytes on the disk.
"""

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

from ai.labels import LABELS
from ai.measure import measure as measure_film
from ai.mirroring import can_be_told_twice, mirrored_inputs
from ai.onnx_segmenter import NetworkOutput, OnnxSegmenter
from ai.preprocess import Letterbox, separable_bilinear
from ai.uncertainty import second_look
from config.network import Destination
from config.settings import AppearanceSettings, ModelSettings
from node.appearance import examiner_of
from node.archive import Archive
from node.conformance import encoded, violations
from node.model import load_segmenter
from node.options import OutputOptions
from node.reader import read_radiograph
from node.report_frame import ReportFrame
from node.seg_writer import write_segmentations
from node.spool import Kept, Spool
from node.sr_writer import write_report
from node.transport import DimseTransport, Outgoing
from tests.benchmarks.figure import Figure, Spread
from tests.benchmarks.run_bench import Bench
from tests.benchmarks.send import throwing_away
from tests.viewers.many_structures import many_structures
from tests.viewers.orthanc import NotInstalledError

T = TypeVar("T")

SAMPLE = Path(__file__).parents[2] / "node" / "sample" / "radiograph.dcm"
SHAPE = (2500, 2048)
STRUCTURES = 159
REPEATS = 15
FOUND, ABSENT = 6.0, -6.0
"""Logits inside a structure and around it."""

HIGHEST = 4095


@dataclass
class Clock:
    """Seconds on the clock of each stage, image after image."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, stage: str, action: Callable[[], T]) -> T:
        """Do something and keep how long it took."""
        begun = time.perf_counter()
        result = action()
        self.seconds.setdefault(stage, []).append(time.perf_counter() - begun)
        return result

    def spread(self, *stages: str) -> Spread:
        """Return the spread of stages together; the first image warmed up and does not count."""
        return Spread.of([sum(each) for each in zip(*(self.seconds[s] for s in stages), strict=True)][1:])


def enlarged(shape: tuple[int, int]) -> Dataset:
    """Return the sample with so many rows and columns, 12 bits, not compressed."""
    dataset = dcmread(SAMPLE)
    pixels = dataset.pixel_array.astype(np.float32)
    at = [np.linspace(0, n - 1, wanted) for n, wanted in zip(pixels.shape, shape, strict=True)]
    larger = separable_bilinear(pixels, *at)
    scale = HIGHEST / float(larger.max())
    dataset.Rows, dataset.Columns = shape
    dataset.ImagerPixelSpacing = [0.14, 0.14]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    for keyword in ("WindowCenter", "WindowWidth", "VOILUTSequence", "SmallestImagePixelValue"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.PixelData = np.rint(larger * scale).astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def file_of(dataset: Dataset) -> bytes:
    """Return a data set as a DICOM file."""
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    return content.getvalue()


def of_all_structures(segmenter: OnnxSegmenter, shape: tuple[int, int], count: int) -> NetworkOutput:
    """Let a segmenter know so many structures; return what a network says that has found them all."""
    names = tuple(label.name for label in LABELS)[:count]
    known = segmenter.manifest
    curve = next(iter(known.reliability.values()))
    segmenter.manifest = replace(
        known,
        labels=names,
        thresholds=dict.fromkeys(names, 0.5),
        reliability=dict.fromkeys(names, curve),
        labels_digest=known.labels_digest,
        mirrored=can_be_told_twice(known.mirrored, names),
    )
    segmenter._channels = {name: channel for channel, name in enumerate(names)}
    masks = many_structures(shape).masks
    box = Letterbox(*shape, known.input_size)
    grid = known.input_size // 2
    small = Letterbox(*shape, grid)
    logits = np.full((len(names), grid, grid), ABSENT, np.float32)
    for name, channel in segmenter._channels.items():
        if name in masks:
            inside = small.to_network(masks[name].dense(shape).astype(np.float32), fill=0)
            logits[channel] += (FOUND - ABSENT) * inside
    assert box.size == known.input_size
    return NetworkOutput(logits, np.array([9, -9], np.float32), np.ones(len(names), np.float32))


def measure(bench: Bench) -> list[Figure]:
    """Measure the stages of one image, and what limits each."""
    shape = (bench.of(SHAPE[0], 400), bench.of(SHAPE[1], 320))
    plain, clock = enlarged(shape), Clock()
    content = file_of(plain)
    packed = dcmread(BytesIO(content))
    packed.compress(JPEG2000Lossless)
    squeezed = file_of(packed)
    segmenter = load_segmenter(ModelSettings())
    assert isinstance(segmenter, OnnxSegmenter)
    found = of_all_structures(segmenter, shape, STRUCTURES)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        spool = Spool(Path(name) / "spool").prepare()
        archive, port = _archive(stack, Path(name) / "archive")
        for _ in range(bench.of(REPEATS) + 1):
            one_image(clock, content, squeezed, segmenter, found, spool, port)
            limits(clock, plain, content, packed, segmenter)
    return figures(clock, f"{shape[0]} x {shape[1]}, {STRUCTURES} structures", archive)


def _archive(stack: ExitStack, folder: Path) -> tuple[str, int]:
    """Open an archive for as long as the stack is; return what it is, and its port."""
    try:
        return "to DCMTK's storescp, which keeps nothing", stack.enter_context(throwing_away())
    except NotInstalledError:
        return "to an archive of this program", stack.enter_context(Archive(folder)).port


def one_image(
    clock: Clock,
    content: bytes,
    squeezed: bytes,
    segmenter: OnnxSegmenter,
    found: NetworkOutput,
    spool: Spool,
    port: int,
) -> None:
    """Let one image go the whole way."""
    options = OutputOptions()
    examiner = examiner_of(segmenter, AppearanceSettings())
    assert examiner is not None
    clock("read a compressed one", lambda: read_radiograph(BytesIO(squeezed), guess_polarity=False))
    source = clock("read", lambda: read_radiograph(BytesIO(content), guess_polarity=False))
    source = clock("judge", lambda: examiner.examine(source))
    film = source.radiograph
    inputs, boxes = clock("preprocess", lambda: segmenter.prepare([film]))
    clock("network", lambda: segmenter.infer(inputs, [boxes[0].film()]))
    segmentation = clock("masks", lambda: segmenter.finish(film, boxes[0], found))
    measured = clock("measure", lambda: measure_film(film, segmentation))
    segs = clock("SEG", lambda: [seg for _, seg in write_segmentations(source, segmentation, options)])
    report = clock("SR", lambda: write_report(ReportFrame(source, segmentation, segs, options, ()), measured))
    results = [*segs, report]
    broken = clock("conformance gate", lambda: [each for result in results for each in violations(result)])
    if broken:
        raise RuntimeError(f"a result does not conform: {broken[0]}")
    files = clock("encode", lambda: [encoded(result) for result in results])
    kept = _write(clock, files, spool)
    outgoing = [
        Outgoing(str(result.SOPInstanceUID), spool.path(file.path))
        for result, file in zip(results, kept, strict=True)
    ]
    place = Destination(name="archive", ae_title="ARCHIVE", host="127.0.0.1", port=port)
    clock("send", lambda: list(DimseTransport("PAXNODE").send(place, outgoing)))


def _write(clock: Clock, files: Sequence[Sequence[bytes]], spool: Spool) -> list[Kept]:
    """Let the spool keep files, and write the same bytes barely; who goes first alternates."""
    bare = [spool.root / f"bare-{number}" for number in range(len(files))]
    kept: list[Kept] = []
    ways: list[tuple[str, Callable[[], None]]] = [
        ("write", lambda: kept.extend(spool.store_result(*file) for file in files)),
        ("the bytes on the disk", lambda: _write_bare(bare, files)),
    ]
    turn = len(clock.seconds.get("write", ()))
    for stage, action in ways if turn % 2 else reversed(ways):
        os.sync()  # neither waits for what the other, or the file system, has left to do
        clock(stage, action)
    for path in bare:
        path.unlink()
    return kept


def _write_bare(paths: Sequence[Path], files: Sequence[Sequence[bytes]]) -> None:
    for path, pieces in zip(paths, files, strict=True):
        with path.open("xb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())


def limits(clock: Clock, plain: Dataset, content: bytes, packed: Dataset, segmenter: OnnxSegmenter) -> None:
    """Do only what a stage cannot do without."""
    stored = np.frombuffer(plain.PixelData, "<u2")
    clock("numbers of the pixels", lambda: stored.astype(np.float32))
    clock("decoder alone", lambda: pixel_array(packed))
    film = stored.reshape(plain.Rows, plain.Columns).astype(np.float32)
    clock("highest and lowest of the pixels", lambda: (film.max(), film.min()))
    inputs, (box,) = segmenter.prepare([read_radiograph(BytesIO(content), guess_polarity=False).radiograph])
    looks = [inputs, second_look(inputs, [box.film()])]
    looks += [mirrored_inputs(inputs)] if segmenter.manifest.mirrored else []
    clock("network alone", lambda: [segmenter._session.run(["logits"], {"image": look}) for look in looks])
    boxes = [mask.pixels for mask in many_structures((plain.Rows, plain.Columns)).masks.values()]
    clock("copy of the boxes", lambda: [pixels.copy() for pixels in boxes])
    bits = plain.Rows * plain.Columns * len(boxes) // 8
    as_bits = np.full(bits, 0xFF, np.uint8).tobytes()
    b"".join([b"", as_bits])  # memory that is touched for the first time costs more than the copy
    clock("copy of as many bytes", lambda: b"".join([b"", as_bits]))
    written = memoryview(as_bits)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as us,
    ):
        them, _ = server.accept()
        with them:
            reader = threading.Thread(target=_read_all, args=(them, bits))
            clock("the bytes over the loopback", lambda: _send_all(us, written, reader))


def _send_all(connection: socket.socket, content: memoryview, reader: threading.Thread) -> None:
    reader.start()
    connection.sendall(content)
    reader.join()


def _read_all(connection: socket.socket, length: int) -> None:
    room = memoryview(bytearray(1 << 20))
    while length > 0:
        length -= connection.recv_into(room)


BESIDE = {
    "read": ("numbers of the pixels", "one pass over the pixels"),
    "read a compressed one": ("decoder alone", "JPEG 2000, OpenJPEG by pydicom"),
    "judge": ("", "a network of its own"),
    "preprocess": ("highest and lowest of the pixels", "two passes over the pixels"),
    "network": ("network alone", "every look, ONNX Runtime"),
    "masks": ("copy of the boxes", "the masks' own bytes"),
    "measure": ("", ""),
    "SEG": ("copy of as many bytes", "Pixel Data, one bit a pixel and structure"),
    "SR": ("", "highdicom builds it"),
    "conformance gate": ("", ""),
    "encode": ("copy of as many bytes", "a copy of Pixel Data"),
    "write": ("the bytes on the disk", "written and synced"),
    "send": ("the bytes over the loopback", ""),
}
"""What stands beside each stage, and why."""

MAKING = (
    *("read", "judge", "preprocess", "network", "masks", "measure", "SEG", "SR", "conformance gate"),
    "encode",
)
"""The stages until there are finished results."""


def figures(clock: Clock, size: str, archive: str) -> list[Figure]:
    """Return a line for each stage, and for all of them beside the network alone."""
    remarks = {"send": archive}
    found = []
    for stage, (peer, why) in BESIDE.items():
        theirs = _ms(clock.spread(peer)) if peer else None
        told = remarks.get(stage, why)
        found.append(Figure("image", stage, size, "ms", _ms(clock.spread(stage)), peer, theirs, told))
    alone = _ms(clock.spread("network alone"))
    made, kept = _ms(clock.spread(*MAKING)), _ms(clock.spread(*MAKING, "write"))
    all_of_it = _ms(clock.spread(*MAKING, "write", "send"))
    for what, spread in (("made", made), ("made and kept", kept), ("from file to archive", all_of_it)):
        found.append(Figure("image", what, size, "ms", spread, "network alone", alone, "target 1.5"))
    return found


def _ms(spread: Spread) -> Spread:
    return Spread(1000 * spread.median, 1000 * spread.low, 1000 * spread.high, spread.count)
