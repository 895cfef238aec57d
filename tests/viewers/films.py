"""The films that are sent to a viewer, what was found in them, and the results that a profile makes of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import ComputedRadiographyImageStorage, SecondaryCaptureImageStorage

from ai.measure import measure
from ai.measurement import Measurements
from ai.segmentation import Segmentation
from ai.segmenter import Segmenter
from ai.stand_in import StandInSegmenter
from config.profiles import Profile, shipped_profiles
from config.settings import ResultSettings
from node.options import options_of
from node.pipeline import Understood, understand, write
from node.reader import Source, read_radiograph
from tests.conftest import _dx as make_dx
from tests.viewers.many_structures import many_structures

ONE = Profile(name="one", orientation_shim=True)
LABEL_MAPS = Profile(name="labelmap", seg="labelmap", orientation_shim=True)
"""Forms that no shipped profile has: everything in one Segmentation that OHIF shows, and in label maps."""

PROFILES = {profile.name: profile for profile in (*shipped_profiles().values(), ONE, LABEL_MAPS)}


def is_for_ohif(profile: Profile) -> bool:
    """Whether OHIF must show a profile's Segmentations; without the shim it shows none."""
    return profile.orientation_shim or profile.seg == "none"


CHECKED = (
    *("right lung", "left lung", "visible lung right", "visible lung left", "heart", "liver", "trachea"),
    *("clavicle right", "clavicle left"),
)
"""Structures that are shown alone: large and small, paired and single. All together are looked at as well."""

MANY_SHAPE = (2500, 2048)
"""(rows, columns) of the film with 159 structures: a detector of 43 x 35 cm at 0.17 mm."""


@dataclass(frozen=True, eq=False)
class Film:
    """A radiograph in a file, and what was found in it.

    Attributes:
        name: For pictures and tables.
        file: What is sent to the archive.
        source: The radiograph as the node reads it.
        segmentation: What was found in it.
        measurements: What was measured there.
        checked: Structures that are shown alone, where they were found.
    """

    name: str
    file: Path
    source: Source
    segmentation: Segmentation
    measurements: Measurements
    checked: tuple[str, ...] = CHECKED

    @property
    def study_uid(self) -> str:
        """Of the study that the film belongs to."""
        return str(self.source.dataset.StudyInstanceUID)

    @property
    def stored_masks(self) -> Mapping[str, npt.NDArray[np.bool_]]:
        """Every mask, dense, on the pixels as they are stored: what a viewer should draw."""
        source, masks = self.source, self.segmentation.masks
        return {name: source.stored_mask(mask).dense(source.shape) for name, mask in masks.items()}


def results_of(profile: str, film: Film) -> list[Dataset]:
    """Return the results that a destination of this profile is sent for a film."""
    found = Understood(film.source, film.segmentation, film.measurements)
    results = write(found, options_of(PROFILES[profile], ResultSettings()))
    return [result.dataset for result in results]


def segmented(file: Path, segmenter: Segmenter) -> Film:
    """Return a film with what a segmenter finds in it.

    Raises:
        node.errors.NodeError: The node does not serve such a file.
    """
    done = understand(file, segmenter, lambda _stage, _seconds: None)
    return Film(file.stem, file, done.source, done.segmentation, done.measurements)


def film_of_many(folder: Path) -> Film:
    """Return a made film with 159 structures."""
    file = _saved(folder / "many.dcm", make_dx(*MANY_SHAPE))
    source = read_radiograph(file)
    segmentation = many_structures(MANY_SHAPE)
    measurements = measure(source.radiograph, segmentation)
    return Film("many", file, source, segmentation, measurements, checked=())


def small_film(folder: Path) -> Film:
    """Return a made film of few pixels, in which the stand-in found its shapes."""
    return segmented(_saved(folder / "small.dcm", make_dx()), StandInSegmenter())


def made_films(folder: Path) -> Iterator[Film]:
    """Yield films of several kinds, in which the stand-in found its shapes."""
    mirrored = make_dx(640, 512, PatientOrientation=["R", "F"])
    mirrored.PixelData = np.ascontiguousarray(mirrored.pixel_array[:, ::-1]).tobytes()
    made = {
        "monochrome1": _negative(make_dx(640, 512)),
        "cr": make_dx(640, 512, SOPClassUID=ComputedRadiographyImageStorage, Modality="CR"),
        "sc": make_dx(640, 512, SOPClassUID=SecondaryCaptureImageStorage, Modality="DX"),
        "odd-size": make_dx(1023, 777),
        "mirrored": mirrored,
    }
    for name, dataset in made.items():
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        yield segmented(_saved(folder / f"{name}.dcm", dataset), StandInSegmenter())


def _negative(dataset: Dataset) -> Dataset:
    """Return the same picture stored as MONOCHROME1."""
    dataset.PhotometricInterpretation, dataset.PresentationLUTShape = "MONOCHROME1", "INVERSE"
    dataset.PixelData = (2**dataset.BitsStored - 1 - dataset.pixel_array).astype("<u2").tobytes()
    return dataset


def _saved(file: Path, dataset: Dataset) -> Path:
    dataset.save_as(file, enforce_file_format=True)
    return file
