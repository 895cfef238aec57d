"""Radiographs with masks drawn by readers, as folders: what is compared with which of our structures.

A set is a folder with `images/` and `masks/<structure>/`, where the mask of `images/a.png` is
`masks/<structure>/a.png`. An image without a file in a structure's folder was not annotated for that
structure; a black mask says that the structure is not there. Two tables are optional: `ctr.csv` (columns
file, cardiothoracic_ratio), and `patients.csv` (columns file, patient), which says which images are of one
patient. Without that every image counts as a patient of its own, which is right only where nobody was imaged
twice. `landmarks.csv` may hold corners of vertebrae, as `spine_landmarks` describes them.

Which of our labels a mask folder is compared with is its protocol, found in this order:

1. `protocol.json` in the set's folder: `{"lungs": ["visible lung right", "visible lung left"], "tube": []}`,
   the union of the labels named; an empty list leaves the folder out;
2. `PROTOCOLS`, the sets that we know, by the name of their folder;
3. the label whose name or slug the folder bears, such as `clavicle_left`. `left_lung` and `right_lung` are
   refused: most readers end the lung at heart and diaphragm ("visible lung left"), our "left lung" goes on.
"""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image

from ai.errors import LabelError
from ai.labels import LABELS, label
from ai.radiograph import Radiograph
from pipeline_training.errors import RadiographSetError
from pipeline_training.readings import AS_LABELLED, READINGS, Reading
from pipeline_training.spine_landmarks import LANDMARKS_FILE, SpineTable, read_spine_table

PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg"})
PATIENTS_FILE = "patients.csv"
MAX_8_BIT = 255
MAX_16_BIT = 65535

_AERATED = MappingProxyType(
    {
        "right_lung": ("visible lung right",),
        "left_lung": ("visible lung left",),
        "lungs": ("visible lung right", "visible lung left"),
        "heart": ("heart",),
        "right_clavicle": ("clavicle right",),
        "left_clavicle": ("clavicle left",),
    }
)
"""Readers who stop the lung at the heart, the mediastinum and the diaphragm."""
_WHOLE = MappingProxyType(
    {
        "right_lung": ("right lung",),
        "left_lung": ("left lung",),
        "lungs": ("right lung", "left lung"),
        "cardiomediastinum": ("cardiomediastinum",),
        "airways": ("trachea", "tracheal bifurcation"),
    }
)
"""Readers who draw the lung behind the heart as well."""

PROTOCOLS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "jsrt": _AERATED,
        "wingspan": _AERATED,
        "montgomery": _AERATED,
        "shenzhen": _AERATED,
        "generalblockchain": _WHOLE,
        "v7-portable": _WHOLE,
    }
)
"""By set, then by mask folder: the labels whose union is compared."""

TWO_MEANINGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {f"{side}_lung": (f"{side} lung", f"visible lung {side}") for side in ("right", "left")}
)
"""Mask folders that a set's protocol must explain: the whole lung, or what of it a reader sees."""


@dataclass(frozen=True)
class Structure:
    """One folder of masks and what it is compared with.

    Attributes:
        folder: Name of the folder under `masks/`.
        labels: Our label names whose union is compared; one or more.
        reading: How readers drew it, where that differs from our labels by intention.
    """

    folder: str
    labels: tuple[str, ...]
    reading: Reading = AS_LABELLED

    def __post_init__(self) -> None:
        if not self.labels:
            raise RadiographSetError(f"mask folder {self.folder!r} is compared with no label")

    @property
    def note(self) -> str:
        """Where the readers' drawing differs, in words, or ""."""
        return self.reading.note


@dataclass(frozen=True)
class RadiographSet:
    """One set: never pooled with another, because readers of different sets draw different things.

    Attributes:
        name: Of its folder.
        folder: Where it lies.
        images: Paths of its pictures, sorted by name.
        structures: What it has masks of, sorted by folder; none in a set without masks.
        ratios: Cardiothoracic ratio by picture file name, of pictures that have one; None without a table.
        patients: Patient by picture file name, of every picture; None where nothing says who is who.
        spine: Vertebrae that a reader marked; None where there are none.
    """

    name: str
    folder: Path
    images: tuple[Path, ...]
    structures: tuple[Structure, ...]
    ratios: Mapping[str, float] | None
    patients: Mapping[str, str] | None = None
    spine: SpineTable | None = None

    def patient_of(self, image: Path) -> str:
        """Return the unit that images are held back by; without a table it is the picture's name."""
        return image.stem if self.patients is None else self.patients[image.name]

    def mask_path(self, structure: Structure, image: Path) -> Path | None:
        """Return the reader's mask, same name or same stem as PNG; None if there is none."""
        folder = self.folder / "masks" / structure.folder
        candidates = (folder / image.name, folder / f"{image.stem}.png")
        return next((path for path in candidates if path.is_file()), None)

    def truth(
        self, structure: Structure, image: Path, shape: tuple[int, int] | None
    ) -> npt.NDArray[np.bool_] | None:
        """Return the reader's mask as bool (rows, columns), or None if the image was not annotated.

        `shape` is the picture's rows and columns; None, of a picture that could not be read, takes any.

        Raises:
            RadiographSetError: If it cannot be read or is not of the image's shape.
        """
        path = self.mask_path(structure, image)
        if path is None:
            return None
        mask = read_mask(path)
        if shape is not None and mask.shape != shape:
            raise RadiographSetError(f"{path} has {mask.shape} rows and columns, its image {shape}")
        return mask


def read_sets(data: Path) -> tuple[RadiographSet, ...]:
    """Return the set in a folder, or every set in the folders directly below it, sorted by name.

    Raises:
        RadiographSetError: If there is none, or one has a mask folder that cannot be compared.
    """
    if (data / "images").is_dir():
        return (read_set(data),)
    found = sorted(folder for folder in data.glob("*") if (folder / "images").is_dir())
    if not found:
        raise RadiographSetError(f"{data} holds no images/ folder, nor does a folder directly below it")
    return tuple(read_set(folder) for folder in found)


def read_set(folder: Path) -> RadiographSet:
    """Return the set in one folder; pictures and masks are read later, one at a time.

    Raises:
        RadiographSetError: If it holds no pictures, a mask folder or file that cannot be compared, a table
            that cannot be read, or patients.csv lacks a picture.
    """
    folder = folder.resolve()
    images = sorted(p for p in (folder / "images").glob("*") if p.suffix.lower() in PICTURE_SUFFIXES)
    if not images:
        raise RadiographSetError(f"{folder / 'images'} holds no PNG or JPEG picture")
    return RadiographSet(
        name=folder.name,
        folder=folder,
        images=tuple(images),
        structures=_structures(folder),
        ratios=_read_ratios(folder / "ctr.csv"),
        patients=_read_patients(folder / PATIENTS_FILE, images),
        spine=read_spine_table(folder / LANDMARKS_FILE, images),
    )


def unsaid_patients(folder: Path) -> str:
    """Return what to tell of a set that does not say whose its pictures are; "" of any other folder."""
    if not (folder / "images").is_dir() or (folder / PATIENTS_FILE).is_file():
        return ""
    return f"{folder} has no {PATIENTS_FILE}: each picture counts as a patient of its own"


def read_radiograph(path: Path) -> Radiograph:
    """Return an 8- or 16-bit picture, bone bright, as display values; colour becomes grey.

    Raises:
        RadiographSetError: If the file cannot be read as a picture.
        ai.errors.RadiographError: If the picture cannot be a radiograph: too small or constant.
    """
    pixels = _read_picture(path)
    largest = MAX_8_BIT if pixels.dtype == np.uint8 else MAX_16_BIT
    return Radiograph((pixels.astype(np.float32) / largest).clip(0, 1))


def read_mask(path: Path) -> npt.NDArray[np.bool_]:
    """Return a mask picture as bool (rows, columns): True above half of its brightest pixel.

    Both 0/1 and 0/255 masks occur in the wild, and JPEG masks have grey edges.

    Raises:
        RadiographSetError: If the file cannot be read as a picture.
    """
    pixels = _read_picture(path)
    mask: npt.NDArray[np.bool_] = pixels > pixels.max() / 2
    return mask


def _read_picture(path: Path) -> npt.NDArray[np.generic]:
    try:
        with Image.open(path) as picture:
            is_deep = picture.mode.startswith("I")
            return np.asarray(picture if is_deep else picture.convert("L"))
    except (OSError, ValueError, Image.DecompressionBombError) as exc:
        raise RadiographSetError(f"{path} cannot be read as a picture: {exc}") from exc


def _structures(folder: Path) -> tuple[Structure, ...]:
    masks = sorted(path.name for path in (folder / "masks").glob("*") if path.is_dir())
    stated = _read_protocol(folder / "protocol.json")
    absent = sorted(set(stated) - set(masks))
    if absent:
        raise RadiographSetError(
            f"{folder / 'protocol.json'} names {absent}, which {folder / 'masks'} does not hold"
        )
    protocol = {**_named_like_labels(), **PROTOCOLS.get(folder.name, {}), **stated}
    unknown = [name for name in masks if name not in protocol]
    if both := [name for name in unknown if name in TWO_MEANINGS]:
        whole, aerated = TWO_MEANINGS[both[0]]
        raise RadiographSetError(
            f"masks/{both[0]} of {folder} may mean {whole!r} or {aerated!r} (ends at heart and "
            f'diaphragm): say which in {folder / "protocol.json"}: {{"{both[0]}": ["{aerated}"]}}'
        )
    if unknown:
        raise RadiographSetError(
            f"mask folders {unknown} of {folder} are no structure of ours; say what they are compared with "
            f'in {folder / "protocol.json"}: {{"{unknown[0]}": ["label name", ...]}}, or [] to leave one out'
        )
    return tuple(
        Structure(name, protocol[name], READINGS.get((folder.name, name), AS_LABELLED))
        for name in masks
        if protocol[name]
    )


def _named_like_labels() -> dict[str, tuple[str, ...]]:
    named = {key: (known.name,) for known in LABELS for key in (known.name, known.slug)}
    return {key: value for key, value in named.items() if key not in TWO_MEANINGS}


def _read_protocol(path: Path) -> dict[str, tuple[str, ...]]:
    if not path.is_file():
        return {}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise RadiographSetError(f"{path} cannot be read: {exc}") from exc
    if not isinstance(table, dict):
        raise RadiographSetError(f"{path} must map mask folders to lists of labels, found {table!r}")
    return {str(folder): _read_labels(path, folder, names) for folder, names in table.items()}


def _read_labels(path: Path, folder: str, names: object) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RadiographSetError(f"{path}: {folder!r} must be a list of label names, found {names!r}")
    try:
        return tuple(label(name).name for name in names)
    except LabelError as exc:
        raise RadiographSetError(f"{path}: {folder!r}: {exc}") from exc


def _read_ratios(path: Path) -> dict[str, float] | None:
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            return {row["file"]: float(row["cardiothoracic_ratio"]) for row in csv.DictReader(lines)}
    except (OSError, KeyError, ValueError, TypeError) as exc:
        raise RadiographSetError(f"{path} must have columns file, cardiothoracic_ratio: {exc!r}") from exc


def _read_patients(path: Path, images: Iterable[Path]) -> dict[str, str] | None:
    if not path.is_file():
        return None
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            patients = {row["file"]: row["patient"] for row in csv.DictReader(lines)}
    except (OSError, KeyError, ValueError, TypeError) as exc:
        raise RadiographSetError(f"{path} must have columns file, patient: {exc!r}") from exc
    if lost := [image.name for image in images if not patients.get(image.name)]:
        raise RadiographSetError(f"{path} does not name the patient of {lost[0]}")
    return patients
