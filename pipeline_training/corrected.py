"""Corrected radiographs: an image, the patient it belongs to, and the masks that somebody answers for.

They are listed first and read one at a time, because masks at a detector's resolution are large.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.preprocess import Letterbox, normalise
from ai.radiograph import Radiograph
from ai.segmentation import Mask
from pipeline_training.dataset import (
    BOTH_SIDES,
    FRONTAL,
    STORED_SIZE,
    Source,
    part_sides,
    quarters,
)
from pipeline_training.errors import RadiographSetError
from pipeline_training.projections import NAMES
from pipeline_training.radiograph_folders import RadiographSet, Structure, read_radiograph, read_set


@dataclass(frozen=True, eq=False)
class Drawn:
    """What one corrected image holds.

    Attributes:
        radiograph: Display values.
        masks: By label name; None where the structure is known not to be there.
    """

    radiograph: Radiograph
    masks: Mapping[str, Mask | None]

    def dense(self, name: str) -> npt.NDArray[np.bool_]:
        """Return a mask as bool (rows, columns)."""
        shape, mask = (self.radiograph.rows, self.radiograph.columns), self.masks[name]
        return np.zeros(shape, np.bool_) if mask is None else mask.dense(shape)


@dataclass(frozen=True, eq=False)
class Corrected:
    """One corrected image, not read yet.

    Attributes:
        key: Tells it from every other image of the folder, and is written into comparison.json: of a picture
            the name of its file, of a DICOM object a hash, as file names repeat and may tell who it is.
        name: Of its file; only ever told to who runs the command.
        patient: The unit that images are held back by; never written anywhere.
        structures: Label names that it was corrected for.
        read: Reads it; raises RadiographSetError, naming the file, if it cannot be used.
    """

    key: str
    name: str
    patient: str
    structures: frozenset[str]
    read: Callable[[], Drawn]


def source_of(corrected: Corrected, structures: Sequence[str]) -> Source:
    """Return a corrected image as the network learns from it: 320 x 320, the masks of some structures.

    Raises:
        RadiographSetError: If it cannot be used.
    """
    drawn = corrected.read()
    pixels = drawn.radiograph.pixels
    box = Letterbox(drawn.radiograph.rows, drawn.radiograph.columns, STORED_SIZE)
    names = [name for name in structures if name in drawn.masks]
    masks = [box.to_network(drawn.dense(name).astype(np.float32)) >= 0.5 for name in names]
    stack = np.stack(masks) if masks else np.zeros((0, STORED_SIZE, STORED_SIZE), np.bool_)
    image = box.to_network(normalise(pixels))[None].astype(np.float16)
    known = np.array([NAMES.index(name) for name in names], np.intp)
    return Source(corrected.patient, image, quarters(stack), known, FRONTAL, film=box.film())


def read_pictures(folder: Path) -> tuple[Corrected, ...]:
    """Return the corrected images of a folder with images/ and masks/<label>/ (`radiograph_folders`).

    Structures whose readers are known to draw something else than our label means (`Structure.note`) are left
    out.

    Raises:
        RadiographSetError: If it cannot be read, a mask is of a union of labels other than both lungs, or
            patients.csv lacks an image.
    """
    found = read_set(folder)
    for structure in found.structures:
        if len(structure.labels) > 1 and structure.labels not in BOTH_SIDES:
            raise RadiographSetError(
                f"{folder}: masks/{structure.folder} is a union of labels: draw each one apart"
            )
    return tuple(_listed(found, image) for image in found.images)


def _listed(found: RadiographSet, image: Path) -> Corrected:
    drawn = [each for each in found.structures if not each.note and found.mask_path(each, image)]
    return Corrected(
        image.name,
        image.name,
        found.patient_of(image),
        frozenset(name for each in drawn for name in each.labels),
        lambda: _read_picture(found, image, drawn),
    )


def _read_picture(found: RadiographSet, image: Path, structures: Sequence[Structure]) -> Drawn:
    radiograph = read_radiograph(image)
    masks: dict[str, Mask | None] = {}
    for structure in structures:
        truth = found.truth(structure, image, (radiograph.rows, radiograph.columns))
        if truth is None:
            continue
        parts: tuple[npt.NDArray[np.bool_], ...] | None = (truth,)
        if len(structure.labels) > 1:
            parts = part_sides(truth)
        if parts is None:
            raise RadiographSetError(f"{image.name}: masks/{structure.folder} does not part into two lungs")
        masks |= {name: Mask.from_dense(part) for name, part in zip(structure.labels, parts, strict=True)}
    return Drawn(radiograph, masks)
