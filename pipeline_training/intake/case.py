"""A volume from whatever a file or folder holds; docs/volumes.md describes the layouts."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline_training.errors import VolumeError
from pipeline_training.intake.ct import CtVolume
from pipeline_training.intake.dicom_folder import DicomFolder, Header, holds_dicom, read_folder, sequence
from pipeline_training.intake.dicom_rtstruct import read_structure_set
from pipeline_training.intake.dicom_seg import read_segmentation
from pipeline_training.intake.dicom_series import read_series
from pipeline_training.intake.files import SUFFIXES, named, read_ct, read_volume, stem
from pipeline_training.intake.geometry import WORKING_SPACING_MM, Grid, working_grid
from pipeline_training.intake.label_map import class_files, read_class_folder
from pipeline_training.intake.labelling import Labelling
from pipeline_training.intake.scan import Scan
from pipeline_training.intake.unlabelled import check_unlabelled
from pipeline_training.volumes import LabelMap, label_map_of, load_label_map

CLASS_FOLDERS = ("segmentations", "total", ".")
"""Where a case keeps one file for each class: TotalSegmentator's data set, its task, the case itself."""


@dataclass(frozen=True, eq=False)
class Case:
    """A volume, and what of its files was not used.

    Attributes:
        volume: A label map, with HU where there is a CT, or a CT that nobody has labelled.
        remarks: One sentence for each thing that was passed over.
    """

    volume: LabelMap | CtVolume
    remarks: tuple[str, ...] = ()


def load_case(path: Path, series: str = "", spacing_mm: float = WORKING_SPACING_MM) -> LabelMap | CtVolume:
    """Return the volume of a file or folder on the working grid, its orientation checked.

    Args:
        path: A volume, or a folder laid out as docs/volumes.md says.
        series: Series Instance UID, where a folder holds several CT series.
        spacing_mm: Edge length of the voxels that are returned.

    Raises:
        VolumeError: If it cannot be used; it names what is missing, wrong or in doubt.
    """
    return read_case(path, series, spacing_mm).volume


def load_cases(path: Path) -> Iterator[Case]:
    """Yield every volume of a path: each CT series of a DICOM folder is a case of its own.

    Raises:
        VolumeError: As `load_case`.
    """
    if path.is_dir() and not _has_volume(path) and holds_dicom(path):
        for uid in read_folder(path).series:
            yield read_case(path, uid)
    else:
        yield read_case(path)


def read_case(path: Path, series: str = "", spacing_mm: float = WORKING_SPACING_MM) -> Case:
    """Return what `load_case` does, and what was passed over.

    Raises:
        VolumeError: As `load_case`.
    """
    if path.is_file() and path.name.endswith(SUFFIXES):
        name = case_name(path)
        return _unlabelled(read_ct(path, name), name, spacing_mm)
    if not path.exists():
        raise VolumeError(f"{path.name}: there is no such file or folder")
    if not path.is_dir():
        raise VolumeError(f"{path.name}: a case is a folder, or a volume that ends in {', '.join(SUFFIXES)}")
    if not _has_volume(path) and holds_dicom(path):
        return _dicom_case(path, series, spacing_mm)
    if series:
        raise VolumeError(f"{path.name}: only DICOM has series, and there is none here")
    return _labelled_files(path, spacing_mm)


def case_name(file: Path) -> str:
    """Return what the case of a single file is called: the file's name, or its folder's where that is "ct".

    >>> case_name(Path("scans/anna.nrrd")), case_name(Path("scans/berta/ct.nii.gz"))
    ('anna', 'berta')
    """
    name = stem(file)
    return file.resolve().parent.name if name.lower() == "ct" else name


def _has_volume(folder: Path) -> bool:
    return any(named(folder, name) is not None for name in ("ct", "labels")) or bool(_class_folder(folder))


def _class_folder(folder: Path) -> Path | None:
    return next((folder / name for name in CLASS_FOLDERS if class_files(folder / name)), None)


def _labelled_files(folder: Path, spacing_mm: float) -> Case:
    """Return a case whose CT and labels lie in files, or one of the two."""
    label_map, classes = named(folder, "labels"), _class_folder(folder)
    if label_map is not None and classes is not None:
        raise VolumeError(f"{folder.name}: {label_map.name} and a folder of classes: which labels are meant?")
    if label_map is not None:
        return Case(load_label_map(folder, spacing_mm))
    ct_file = named(folder, "ct")
    scan = None if ct_file is None else read_ct(ct_file, folder.name)
    if classes is None:
        return _unlabelled(scan, folder.name, spacing_mm)
    placed = scan.placed if scan is not None else read_volume(class_files(classes)[0])
    grid = working_grid(placed, spacing_mm)
    labels = read_class_folder(folder.name, classes, grid)
    return _labelled(folder.name, scan, labels, grid)


def _dicom_case(path: Path, uid: str, spacing_mm: float) -> Case:
    folder = read_folder(path)
    scan = read_series(folder, uid)
    sources = _of_series((*folder.segmentations, *folder.structure_sets), scan, folder)
    if len(sources) > 1:
        found = ", ".join(each.path.name for each in sources)
        raise VolumeError(f"{scan.case}: several objects label this CT: {found}: which one is meant?")
    passed_over = [f"{folder.localisers} localisers"] if folder.localisers else []
    passed_over += [f"{count} objects of modality {kind}" for kind, count in folder.others.items()]
    passed_over += [f"{folder.no_dicom} files that are not DICOM"] if folder.no_dicom else []
    if not sources:
        return _unlabelled(scan, scan.case, spacing_mm, tuple(passed_over))
    grid = working_grid(scan.placed, spacing_mm)
    return _labelled(scan.case, scan, _dicom_labels(sources[0], scan, grid), grid, tuple(passed_over))


def _of_series(headers: tuple[Header, ...], scan: Scan, folder: DicomFolder) -> list[Header]:
    """Return the objects that are not made for another CT series of the folder."""
    others = set(folder.series) - {scan.series}
    return [header for header in headers if not others & _referenced(header)]


def _referenced(header: Header) -> set[str]:
    """Return the Series Instance UIDs that a SEG or RTSTRUCT object was made from."""
    items = sequence(header.dataset, "ReferencedSeriesSequence")
    for frame in sequence(header.dataset, "ReferencedFrameOfReferenceSequence"):
        for study in sequence(frame, "RTReferencedStudySequence"):
            items += sequence(study, "RTReferencedSeriesSequence")
    return {str(item.get("SeriesInstanceUID", "")) for item in items}


def _dicom_labels(header: Header, scan: Scan, grid: Grid) -> Labelling:
    if header.dataset.get("Modality") == "RTSTRUCT":
        return read_structure_set(header, scan, grid)
    frame = str(header.dataset.get("FrameOfReferenceUID", ""))
    if frame != scan.frame_of_reference:
        raise VolumeError(
            f"{scan.case}: {header.path.name} has the frame of reference {frame or 'unknown'}, the CT's is "
            f"{scan.frame_of_reference or 'unknown'}"
        )
    return read_segmentation(scan.case, header, grid)


def _unlabelled(scan: Scan | None, name: str, spacing_mm: float, remarks: tuple[str, ...] = ()) -> Case:
    if scan is None:
        raise VolumeError(f"{name}: no volume is here: neither labels.nii.gz with labels.json nor a CT")
    volume = scan.volume(working_grid(scan.placed, spacing_mm))
    check_unlabelled(volume)
    return Case(volume, remarks)


def _labelled(
    name: str, scan: Scan | None, labels: Labelling, grid: Grid, remarks: tuple[str, ...] = ()
) -> Case:
    """Return the case of a label map, cropped and checked."""
    volume = None if scan is None else scan.volume(grid)
    return Case(label_map_of(name, labels, volume, grid.spacing_mm), (*remarks, *labels.remarks))
