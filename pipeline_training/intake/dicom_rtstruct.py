"""RT structure sets, PS3.3 A.19: closed planar contours drawn on the CT's slices."""

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom

from pipeline_training.errors import VolumeError
from pipeline_training.intake.dicom_folder import Header, parsed, sequence
from pipeline_training.intake.geometry import Grid, Placed, Real
from pipeline_training.intake.labelling import Labelling, Painter, onto
from pipeline_training.intake.scan import Scan
from pipeline_training.intake.structures import by_name

ON_SLICE = 0.2
"""Share of the distance of slices by which a contour's points may lie beside a slice."""

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
"""PS3.3 C.8.8.6.3: contours that enclose an area; those of one slice are combined by the even-odd rule."""

Mask = npt.NDArray[np.bool_]


def read_structure_set(header: Header, scan: Scan, grid: Grid) -> Labelling:
    """Return the regions of interest on the working grid; where two overlap, the smaller one stays.

    Each is drawn on the CT's own slices first: a pixel belongs to it if its centre lies within an odd
    number of contours. A region is taken for a structure by its ROI Name. Others are named in the remarks.

    Raises:
        VolumeError: If it belongs to another frame of reference, or a contour lies on no slice.
    """
    return parsed(scan.case, header.path, partial(_read, scan, grid))


def _read(scan: Scan, grid: Grid, path: Path) -> Labelling:
    dataset = pydicom.dcmread(path)
    regions, remarks = _matched(scan, dataset, path.name)
    shape = scan.placed.voxels.shape
    painter = Painter(scan.case, shape)
    contours = {int(item.ReferencedROINumber): item for item in sequence(dataset, "ROIContourSequence")}
    for number, name in regions.items():
        item = contours.get(number, pydicom.Dataset())
        mask, others = _drawn(scan, name, sequence(item, "ContourSequence"))
        painter.paint(name, mask)
        remarks += [f"{path.name}: {name}: {others} contours that enclose no area"] if others else []
    labelling = painter.labelling(tuple(remarks))
    placed = Placed(labelling.labels, scan.placed.to_patient)
    labels = onto(scan.case, path.name, placed, grid).astype(np.uint8)
    present = set(np.unique(labels).tolist())
    names = {number: name for number, name in labelling.names.items() if number in present}
    return Labelling(labels, names, labelling.vocabulary, labelling.remarks)


def _matched(scan: Scan, dataset: pydicom.Dataset, file: str) -> tuple[dict[int, str], list[str]]:
    """Return the structure of each ROI Number, and words about the regions that are none of ours."""
    known, remarks = {}, []
    for region in dataset.StructureSetROISequence:
        number, label = int(region.ROINumber), str(region.get("ROIName", ""))
        frame = str(region.get("ReferencedFrameOfReferenceUID", ""))
        if (structure := by_name(label)) is None:
            remarks.append(f"{file}: region {number} {label!r} is no structure that is known")
        elif frame != scan.frame_of_reference:
            raise VolumeError(
                f"{scan.case}: {file}: {label!r} was drawn in the frame of reference {frame or 'unknown'}, "
                f"the CT's is {scan.frame_of_reference or 'unknown'}"
            )
        else:
            known[number] = structure
    return known, remarks


def _drawn(scan: Scan, name: str, contours: list[pydicom.Dataset]) -> tuple[Mask, int]:
    """Return the mask of the closed contours, and how many others there are."""
    crossings = np.zeros(scan.placed.voxels.shape, np.uint8)
    to_index = np.linalg.inv(scan.placed.to_patient)
    others = 0
    for contour in contours:
        if contour.ContourGeometricType not in CLOSED:
            others += 1
            continue
        points = np.reshape(np.asarray(contour.ContourData, np.float64), (-1, 3))
        indices = points @ to_index[:3, :3].T + to_index[:3, 3]
        count_crossings(crossings[_slice_of(scan, name, indices, points)], indices[:, 1:])
    inside: Mask = np.cumsum(crossings, axis=2, dtype=np.uint8) % 2 == 1
    return inside, others


def _slice_of(scan: Scan, name: str, indices: Real, points: Real) -> int:
    number = int(np.rint(np.median(indices[:, 0])))
    beside = float(np.abs(indices[:, 0] - number).max())
    if beside > ON_SLICE or not 0 <= number < scan.placed.voxels.shape[0]:
        where = ", ".join(f"{value:.2f}" for value in points[0])
        raise VolumeError(
            f"{scan.case}: a contour of {name} at ({where}) mm lies on no slice of the CT: "
            f"{beside:.2f} slices beside number {number} of {scan.placed.voxels.shape[0]}"
        )
    return number


def count_crossings(counts: npt.NDArray[np.uint8], corners: Real) -> None:
    """Add a polygon's edges to the counts of a picture.

    Summed along a row, odd counts are the pixels whose centre lies within the polygon (even-odd rule).

    Args:
        counts: uint8 (rows, columns); raised by 1 in the first pixel at or behind each crossing of an
            edge with the line through a row's pixel centres.
        corners: (points, 2): row and column, pixel centres at whole numbers; the last joins the first.
    """
    (row0, column0), (row1, column1) = corners.T, np.roll(corners, -1, axis=0).T
    low = np.clip(np.ceil(np.minimum(row0, row1)), 0, counts.shape[0]).astype(int)
    high = np.clip(np.ceil(np.maximum(row0, row1)), 0, counts.shape[0]).astype(int)
    edge = np.repeat(np.arange(len(corners)), high - low)
    begins = np.cumsum(high - low) - (high - low)
    rows = low[edge] + np.arange(len(edge)) - begins[edge]
    slope = (column1 - column0)[edge] / (row1 - row0)[edge]
    columns = np.maximum(np.ceil(column0[edge] + (rows - row0[edge]) * slope), 0).astype(int)
    within = columns < counts.shape[1]
    np.add.at(counts, (rows[within], columns[within]), 1)
