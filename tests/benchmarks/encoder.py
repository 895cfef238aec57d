"""Our Segmentation writer beside highdicom's: seconds, memory, and whether the bytes are the same.

Each runs in a process of its own, which begins with the same masks in their bounding boxes. Memory is what
the process needs at most above what it had then. highdicom is given what it asks for, one array of rows x
columns x structures; the time to fill it is not counted, its memory is, for without it there is no
highdicom Segmentation. Our time comprises the conformance gate.
"""

import hashlib
import multiprocessing
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from ai.labels import LABELS
from ai.segmentation import Mask, ModelIdentity, Segmentation
from node.conformance import check_conformance
from node.options import OutputOptions
from node.reader import Source, read_radiograph
from node.seg_writer import write_segmentations
from tests.benchmarks.figure import Figure, Spread
from tests.benchmarks.memory import forget_peak, peak_mb
from tests.benchmarks.run_bench import Bench

MEGABYTE = 1e6
SEED = 5
STRUCTURES, ROWS, COLUMNS = 159, 2500, 2048
REPEATS = 3


@dataclass(frozen=True)
class Run:
    """What one writer needed.

    Attributes:
        seconds: Until the data set with its Pixel Data was there.
        peak_mb: Resident memory at most, above what the process had with the masks.
        pixel_mb: Length of Pixel Data.
        digest: SHA-256 of Pixel Data.
    """

    seconds: float
    peak_mb: float
    pixel_mb: float
    digest: str


def film(rows: int, columns: int) -> Source:
    """Return a synthetic digital radiograph, read as the node reads one."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.Modality = DigitalXRayImageStorageForPresentation, "DX"
    dataset.SOPInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        setattr(dataset, keyword, "")
    dataset.PatientID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "BENCHMARK", "", ""
    dataset.ViewPosition, dataset.BodyPartExamined, dataset.PatientOrientation = "PA", "CHEST", ["L", "F"]
    dataset.ImagerPixelSpacing, dataset.PresentationIntentType = [0.14, 0.14], "FOR PRESENTATION"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    across = np.linspace(0, 4095, columns, dtype=np.uint16)
    dataset.PixelData = np.broadcast_to(across, (rows, columns)).tobytes()
    dataset["PixelData"].VR = "OW"
    dataset.InstanceNumber, dataset.SeriesNumber = 1, 1
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    content = BytesIO()
    dataset.save_as(content, enforce_file_format=True)
    content.seek(0)
    return read_radiograph(content)


def overlapping_masks(count: int, rows: int, columns: int) -> dict[str, Mask]:
    """Return ellipses from rib to lung size by label name, many of which overlap."""
    draw = np.random.default_rng(SEED)
    masks = {}
    for item in LABELS[:count]:
        height, width = (max(1, int(size * draw.uniform(0.02, 0.3))) for size in (rows, columns))
        y, x = np.ogrid[-height : height + 1, -width : width + 1]
        inside = (y / height) ** 2 + (x / width) ** 2 <= 1
        top = int(draw.integers(0, rows - inside.shape[0]))
        left = int(draw.integers(0, columns - inside.shape[1]))
        masks[item.name] = Mask(np.asarray(inside), top, left)
    return masks


def ours(source: Source, masks: dict[str, Mask]) -> tuple[float, Dataset]:
    """Write the Segmentation as the node does, the conformance gate included."""
    found = Segmentation(source.shape, masks, ModelIdentity("benchmark", "1", "0" * 64))
    start = time.perf_counter()
    ((_, seg),) = write_segmentations(source, found, OutputOptions())
    check_conformance(seg)
    return time.perf_counter() - start, seg


def highdicoms(source: Source, masks: dict[str, Mask]) -> tuple[float, Dataset]:
    """Let highdicom write the same."""
    dense = np.zeros((1, *source.shape, len(masks)), np.uint8)
    for index, mask in enumerate(masks.values()):
        dense[0, mask.top : mask.bottom, mask.left : mask.right, index] = mask.pixels
    algorithm = hd.AlgorithmIdentificationSequence("benchmark", codes.DCM.ArtificialIntelligence, "1")
    described = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.AnatomicalStructure,
            segmented_property_type=codes.SCT.Lung,
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(masks, start=1)
    ]
    start = time.perf_counter()
    seg = hd.seg.Segmentation(
        source_images=[source.dataset],
        pixel_array=dense,
        segmentation_type="BINARY",
        segment_descriptions=described,
        series_instance_uid=generate_uid(),
        series_number=1,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="benchmark",
        manufacturer_model_name="benchmark",
        software_versions="1",
        device_serial_number="1",
    )
    return time.perf_counter() - start, seg


def measured(write: Callable[[Source, dict[str, Mask]], tuple[float, Dataset]], size: tuple[int, ...]) -> Run:
    """Run one writer in this process.

    Args:
        write: The writer.
        size: Structures, rows, columns.
    """
    warnings.simplefilter("ignore")
    count, rows, columns = size
    source, masks = film(rows, columns), overlapping_masks(count, rows, columns)
    before = forget_peak()
    seconds, seg = write(source, masks)
    peak = peak_mb() - before
    return Run(seconds, peak, len(seg.PixelData) / MEGABYTE, hashlib.sha256(seg.PixelData).hexdigest())


def measure(bench: Bench) -> list[Figure]:
    """Measure both writers, in turns."""
    size = (bench.of(STRUCTURES, 10), bench.of(ROWS, 250), COLUMNS)
    runs: dict[str, list[Run]] = {"highdicom": [], "paxnode": []}
    for _ in range(bench.of(REPEATS)):
        for name, write in (("highdicom", highdicoms), ("paxnode", ours)):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                runs[name].append(pool.apply(measured, (write, size)))
    return figures(runs, size)


def figures(runs: Mapping[str, Sequence[Run]], size: tuple[int, ...]) -> list[Figure]:
    """Return the lines of both writers, "paxnode" and "highdicom".

    Raises:
        RuntimeError: They do not write the same Pixel Data.
    """
    if len({run.digest for each in runs.values() for run in each}) != 1:
        raise RuntimeError("Pixel Data differs")
    told = f"{size[0]} structures, {size[1]} x {size[2]}"

    def beside(what: str, unit: str, value: Callable[[Run], float]) -> Figure:
        own, theirs = (Spread.of([value(run) for run in runs[name]]) for name in ("paxnode", "highdicom"))
        return Figure("encoder", what, told, unit, own, "highdicom", theirs, "the same bytes")

    return [
        beside("write a Segmentation", "s", lambda run: run.seconds),
        beside("memory for it", "MB", lambda run: run.peak_mb),
    ]
