"""PNG, JPEG and TIFF pictures, and plain arrays, as radiographs.

A picture tells less than a DICOM object. Its pixel spacing has to be given: what such files call resolution
(dots per inch) is that of a screen, a printer or a scanner's default, and is never read. Its grey scale has
no meaning of its own: the lowest value becomes 0 and the highest 1.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from ai.errors import ConstantImageError, NotAChestError, RadiographError
from ai.film import Film
from ai.gray import GRAY_SHARE, coloured_share
from ai.orientation import USUAL, Orientation
from ai.radiograph import PixelSpacing, Radiograph, View

Values = npt.NDArray[np.generic]

FORMATS = ("PNG", "JPEG", "TIFF")
"""Pillow's names of what is read."""

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})

SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
"""First bytes of these formats (ISO/IEC 15948 5.2, ISO/IEC 10918-1 B.2, TIFF 6.0 section 2)."""

NO_SPACING = "the picture states no pixel spacing"
GIVEN = "pixel spacing as given with the picture"

ORIENTATION_TAG = 0x0112
EXIF_ORIENTATIONS = {
    1: USUAL,
    2: Orientation(flip_columns=True),
    3: Orientation(flip_rows=True, flip_columns=True),
    4: Orientation(flip_rows=True),
    5: Orientation(transpose=True),
    6: Orientation(transpose=True, flip_columns=True),
    7: Orientation(transpose=True, flip_rows=True, flip_columns=True),
    8: Orientation(transpose=True, flip_rows=True),
}
"""What the tag Orientation says (TIFF 6.0 section 8, Exif 2.32 section 4.6.4)."""

GRAY_MODES = frozenset({"L", "I;16", "I;16B", "I;16L", "I", "F"})
COLOUR_MODES = frozenset({"RGB", "RGBX", "P", "PA", "LA", "RGBA"})
"""Pillow's modes: of one channel, and of those that become red, green, blue and opacity."""

OPAQUE = 255

_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    MemoryError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises on broken files."""


@dataclass(frozen=True, eq=False)
class _Decoded:
    """Stored values (rows, columns), how they lie, and what was odd about them."""

    stored: Values
    orientation: Orientation
    notes: tuple[str, ...]


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its suffix or by its first bytes.

    Raises:
        OSError: If it cannot be read.
    """
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        return file.read(max(map(len, SIGNATURES))).startswith(SIGNATURES)


def read_picture(
    path: Path | str, spacing_mm: float | tuple[float, float] | None = None, view: View = View.UNKNOWN
) -> Film:
    """Return the radiograph in a PNG, JPEG or TIFF file of 8 or 16 bits, gray or of equal channels.

    What EXIF says about how the picture lies is respected; results lie on the pixels as they are stored.

    Args:
        path: The file.
        spacing_mm: Distance between stored pixels in mm, or those between (rows, columns), at the detector.
        view: The projection, where it is known.

    Raises:
        NotAChestError: If it is coloured, or black and white only.
        ConstantImageError: If every pixel has the same value.
        RadiographError: If it cannot be decoded, or has fewer than 64 rows or columns.
        OSError: If the file cannot be read.
    """
    decoded = _decode(Path(path).read_bytes())
    return _film(decoded, spacing_mm, view)


def film_from_array(
    array: Values, spacing_mm: float | tuple[float, float] | None = None, view: View = View.UNKNOWN
) -> Film:
    """Return the radiograph in an array: (rows, columns), or (rows, columns, 3) of equal channels.

    Args:
        array: Any numeric type; bone is bright, or a judge turns the grey scale over.
        spacing_mm: Distance between pixels in mm, or those between (rows, columns), at the detector.
        view: The projection, where it is known.

    Raises:
        NotAChestError: If it is coloured.
        RadiographError: If it has another shape, fewer than 64 rows or columns, or a value that is no number.
    """
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] != 3):
        raise RadiographError(
            f"an array of a radiograph is (rows, columns) or (rows, columns, 3), found {array.shape}"
        )
    gray = array if array.ndim == 2 else _one_channel(array)
    return _film(_Decoded(gray, USUAL, ()), spacing_mm, view)


def _film(decoded: _Decoded, spacing_mm: float | tuple[float, float] | None, view: View) -> Film:
    lies = decoded.orientation
    pixels = _stretched(decoded.stored)
    if spacing_mm is None:
        return Film(Radiograph(lies.to_usual(pixels), None, view, (*decoded.notes, NO_SPACING)), lies)
    spacing = lies.spacing_to_usual(given_spacing(spacing_mm))
    return Film(Radiograph(lies.to_usual(pixels), spacing, view, decoded.notes), lies)


def given_spacing(spacing_mm: float | tuple[float, float]) -> PixelSpacing:
    """Return a spacing that a person gave: one number, or those between (rows, columns).

    Raises:
        RadiographError: If one is not in (0, 100) mm.
    """
    row_mm, column_mm = spacing_mm if isinstance(spacing_mm, tuple) else (spacing_mm, spacing_mm)
    return PixelSpacing(row_mm, column_mm, GIVEN, calibrated=False)


def _stretched(stored: Values) -> npt.NDArray[np.float32]:
    """Return the values with the lowest at 0 and the highest at 1."""
    if min(stored.shape) < 64:
        rows, columns = stored.shape
        raise RadiographError(f"a radiograph has at least 64 rows and columns, found {rows} x {columns}")
    low, high = float(stored.min()), float(stored.max())
    if not np.isfinite([low, high]).all():
        raise RadiographError(f"pixels must be numbers, found values between {low} and {high}")
    if low == high:
        raise ConstantImageError(f"every pixel has the value {low:g}: nothing was exposed or decoded")
    values = stored.astype(np.float32)
    return np.asarray(np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1), np.float32)


MOST_PIXELS = 40_000_000
"""Twice those of the largest detectors: 43 x 43 cm at 0.1 mm. A small file may hold many times more."""


def _decode(content: bytes) -> _Decoded:
    with _decoding(), Image.open(BytesIO(content), formats=FORMATS) as picture:
        frames, tag = getattr(picture, "n_frames", 1), picture.getexif().get(ORIENTATION_TAG, 1)
        if picture.width * picture.height > MOST_PIXELS:
            raise RadiographError(
                f"a radiograph has at most {MOST_PIXELS:,} pixels, found {picture.height} x {picture.width}"
            )
        picture.load()
        is_laid = picture.format == "TIFF"  # of which Pillow respects the tag when it loads
        mode = picture.mode
        channels = _channels(picture)
    if channels is None:
        raise NotAChestError(f"a picture of mode {mode!r} (gray or gray as RGB is read): not a radiograph")
    if frames > 1 and is_laid:
        raise RadiographError(f"a file of {frames} pictures: a radiograph is one")
    lies, notes = EXIF_ORIENTATIONS.get(tag, USUAL), []
    gray = channels
    if channels.ndim == 3:
        gray, covers = _one_channel(channels[:, :, :3]), channels[:, :, 3]
        if covers.min() < OPAQUE:
            gray = gray.astype(np.uint32) * covers.astype(np.uint32) // OPAQUE
            notes.append("the picture is transparent in part: it was laid over black")
    if not lies.is_usual:
        notes.append(f"EXIF says that the picture is stored turned (Orientation {tag}); this was respected")
    return _Decoded(lies.to_stored(gray) if is_laid else gray, lies, tuple(notes))


def _channels(picture: Image.Image) -> Values | None:
    """Return gray values (rows, columns), or (rows, columns, 4); None for a mode that is not read."""
    if picture.mode in GRAY_MODES:
        return np.asarray(picture)
    return np.asarray(picture.convert("RGBA")) if picture.mode in COLOUR_MODES else None


def _one_channel(channels: Values) -> Values:
    share = coloured_share(channels)
    if share > GRAY_SHARE:
        raise NotAChestError(f"{100 * share:.1f} % of the pixels are coloured: not a radiograph")
    return channels[:, :, 1]


@contextmanager
def _decoding() -> Iterator[None]:
    """Translate what Pillow raises; a picture of more pixels than any radiograph has counts as broken."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except _DECODING_ERRORS as exc:
        raise RadiographError(f"cannot be decoded as PNG, JPEG or TIFF: {_why(exc)}") from exc


def _why(error: Exception) -> str:
    if "truncated" in str(error).lower():
        return "it is cut off"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"it has more than {Image.MAX_IMAGE_PIXELS:,} pixels"
    is_none = isinstance(error, UnidentifiedImageError)
    return (
        "it is none of them, or its beginning is damaged"
        if is_none
        else f"it is damaged ({type(error).__name__})"
    )
