"""From a file to a radiograph: parse, admit, decode, display values, spacing, view."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import UID

from ai.appearance import Appearance
from ai.errors import ConstantImageError, RadiographError
from ai.gray import GRAY_SHARE, coloured_share
from ai.orientation import Orientation, Point
from ai.radiograph import Radiograph, View
from ai.segmentation import Mask
from node.admission import check_admission
from node.age import stated_age
from node.attributes import number
from node.decode import decode, parse, transfer_syntax
from node.display_values import DisplayValues, Grayscale, display_values
from node.errors import RefusedImageError, UndecodableError
from node.identity import identity_of
from node.limits import MAX_OBJECT_BYTES
from node.polarity import looks_turned_over
from node.spacing import pixel_spacing, why_none
from node.view import StatedView, stated_view

MIN_SIDE = 64
"""Fewer rows or columns are no radiograph (`ai.radiograph.Radiograph`)."""

CHILD_BELOW_YEARS = 16
"""Younger patients count as children: the report says so, and a small field is believed."""

BULK = ("PixelData", "FloatPixelData", "DoubleFloatPixelData", "IconImageSequence")


@dataclass(frozen=True, eq=False)
class Source:
    """A radiograph with what its results need to know of the object that it came in.

    Attributes:
        radiograph: Display values, patient's right on the left, head up, whatever way they are stored.
        dataset: The object's attributes without pixels; none of it may be changed.
        identity: Patient and study attributes to be copied, byte for byte.
        shape: (rows, columns) of the stored grid, on which results lie.
        orientation: How the stored grid lies.
        transfer_syntax: In which the pixels were decoded.
        compression_ratio: Bytes of the pixels over bytes of Pixel Data.
        appearance: What a judge saw in the pixels; None where none looked.
        grayscale: How the source itself wants its values shown; turning over what contradicts the pixels is
            no part of it.
    """

    radiograph: Radiograph
    dataset: Dataset
    identity: Dataset
    shape: tuple[int, int]
    orientation: Orientation
    transfer_syntax: UID
    compression_ratio: float = 1.0
    appearance: Appearance | None = None
    grayscale: Grayscale = field(default_factory=Grayscale)

    def stored_mask(self, mask: Mask) -> Mask:
        """Return a mask of the radiograph on the stored grid."""
        return self.orientation.mask_to_stored(mask, (self.radiograph.rows, self.radiograph.columns))

    def stored_point(self, point: Point) -> Point:
        """Return a (column, row) of the radiograph on the stored grid."""
        return self.orientation.point_to_stored(point, (self.radiograph.rows, self.radiograph.columns))


def read_radiograph(file: Path | BinaryIO, guess_polarity: bool = True) -> Source:
    """Return the radiograph in a DICOM file.

    Args:
        file: The file.
        guess_polarity: Whether a frontal chest whose bone is dark is turned over (`node.polarity`); False
            where a judge looks at the picture afterwards.

    Raises:
        RefusedImageError: If the node does not serve such an image; the message names attribute and value.
        UndecodableError: If its bytes cannot be parsed or decoded, or every pixel has the same value.
        OSError: If the file cannot be read.
    """
    dataset = parse(_content(file))
    identity = identity_of(dataset)
    check_admission(dataset)
    view = stated_view(dataset)
    stored = _gray(decode(dataset))
    _check_size(stored.shape)
    if stored.min() == stored.max():
        raise UndecodableError(f"every pixel has the value {stored.min()}: nothing was exposed or decoded")
    syntax = transfer_syntax(dataset)
    shown = display_values(stored, dataset)
    radiograph = _radiograph(shown, dataset, view, guess_polarity)
    ratio = stored.size * number(dataset, "BitsAllocated", 0) / 8 / len(dataset.PixelData)
    for keyword in BULK:
        if keyword in dataset:
            delattr(dataset, keyword)
    shape = (int(stored.shape[0]), int(stored.shape[1]))
    return Source(
        radiograph, dataset, identity, shape, view.orientation, syntax, ratio, grayscale=shown.grayscale
    )


def _content(file: Path | BinaryIO) -> bytes:
    """Return what is in a file, and one byte more than may be at most."""
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return opened.read(MAX_OBJECT_BYTES + 1)
    return file.read(MAX_OBJECT_BYTES + 1)


def _radiograph(shown: DisplayValues, dataset: Dataset, view: StatedView, guess_polarity: bool) -> Radiograph:
    is_child = _is_child(dataset)
    shape = (int(shown.pixels.shape[0]), int(shown.pixels.shape[1]))
    spacing, spacing_notes = pixel_spacing(dataset, shape, is_child)
    lies = view.orientation.to_usual(shown.pixels)
    pixels, polarity_notes = _right_way_up(lies, view.view) if guess_polarity else (lies, ())
    child = "the patient is stated to be a child; the model has learnt from adults" if is_child else ""
    notes = (*view.notes, *shown.notes, *polarity_notes, *spacing_notes, *([child] if child else []))
    try:
        usual = view.orientation.spacing_to_usual(spacing) if spacing else None
        return Radiograph(pixels, usual, view.view, notes, why_none(spacing_notes) if usual is None else "")
    except ConstantImageError as exc:
        raise UndecodableError(f"through its lookup tables {exc}") from exc
    except RadiographError as exc:
        raise UndecodableError(str(exc)) from exc


def _gray(stored: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """Return (rows, columns) of what may be (rows, columns, 3) with equal channels."""
    if stored.ndim == 2:
        return stored
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise RefusedImageError(f"pixels of shape {stored.shape}: not one grayscale frame")
    share = coloured_share(stored)
    if share > GRAY_SHARE:
        raise RefusedImageError(
            f"Samples per Pixel 3, and {100 * share:.1f} % of the pixels are coloured: not a radiograph"
        )
    return stored[:, :, 1].astype(np.int32)


def _check_size(shape: tuple[int, ...]) -> None:
    if min(shape) < MIN_SIDE:
        raise RefusedImageError(
            f"Rows {shape[0]}, Columns {shape[1]}: a radiograph has at least {MIN_SIDE} of each"
        )


def _right_way_up(
    pixels: npt.NDArray[np.float32], view: View
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Return the pixels with bone bright: turned over where a frontal chest clearly contradicts its tags."""
    if view.is_lateral or not looks_turned_over(pixels):
        return pixels, ()
    note = "Photometric Interpretation contradicts the pixels (bone is dark): the grey scale was turned over"
    return 1 - pixels, (note,)


def _is_child(dataset: Dataset) -> bool:
    age = stated_age(dataset)
    return age is not None and age < CHILD_BELOW_YEARS
