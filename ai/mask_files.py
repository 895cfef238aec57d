"""Masks as files for programs that read no DICOM: one NPZ of all, or one PNG of each.

docs/formats.md describes both. All masks are those of a segmentation on the grid that is to be written.
"""

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ai.labels import LABELS
from ai.segmentation import Mask, Segmentation

NAMES, BOXES, SHAPE, MODEL = "names", "boxes", "shape", "model"
"""Arrays in the NPZ beside those of the structures; no structure has such a name."""

COMPRESSION = 1
"""Of zlib: higher levels take several times as long and make such masks a sixth smaller."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BIT_DEPTH, _GRAY = 1, 0


def write_npz(path: Path, segmentation: Segmentation) -> None:
    """Write the masks packed, 8 pixels a byte, each inside its bounding box.

    Arrays: `names` (N,) text; `boxes` (N, 4) int32, top, left, bottom, right, the last two one past the end;
    `shape` (2,) int32, rows and columns; `model` (3,) text, id, version, SHA-256; and for each name an array
    (bottom - top, ceil((right - left) / 8)) uint8, its rows packed by `numpy.packbits`.
    """
    masks = segmentation.masks
    boxes = [(mask.top, mask.left, mask.bottom, mask.right) for mask in masks.values()]
    model = segmentation.model
    arrays: dict[str, npt.NDArray[np.generic]] = {
        NAMES: np.array(list(masks), np.str_),
        BOXES: np.array(boxes, np.int32).reshape(-1, 4),
        SHAPE: np.array(segmentation.shape, np.int32),
        MODEL: np.array([model.id, model.version, model.sha256], np.str_),
    }
    arrays |= {name: np.packbits(mask.pixels, axis=1) for name, mask in masks.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def read_npz(path: Path) -> dict[str, Mask]:
    """Return the masks by name of a file that `write_npz` wrote.

    Raises:
        OSError: If the file cannot be read.
    """
    with np.load(path, allow_pickle=False) as arrays:
        masks: dict[str, Mask] = {}
        for name, (top, left, _, right) in zip(arrays[NAMES].tolist(), arrays[BOXES].tolist(), strict=True):
            pixels = np.unpackbits(arrays[name], axis=1, count=right - left).astype(np.bool_)
            masks[name] = Mask(pixels, top, left)
        return masks


def write_pngs(folder: Path, segmentation: Segmentation) -> None:
    """Write one PNG of 1 bit a pixel for each structure, white inside, called by `ai.labels.Label.slug`."""
    folder.mkdir(parents=True, exist_ok=True)
    for item in LABELS:
        if item.name in segmentation.masks:
            content = png_of(segmentation.masks[item.name], segmentation.shape)
            (folder / f"{item.slug}.png").write_bytes(content)


def png_of(mask: Mask, shape: tuple[int, int]) -> bytes:
    """Return a mask as a PNG of shape (rows, columns), gray, 1 bit a pixel (ISO/IEC 15948).

    The rows above and below the mask are empty and cost next to nothing, which is why this is done here.
    """
    rows, columns = shape
    band = np.zeros((mask.bottom - mask.top, columns), np.bool_)
    band[:, mask.left : mask.right] = mask.pixels
    packed = np.packbits(band, axis=1)
    lines = np.zeros((len(packed), packed.shape[1] + 1), np.uint8)  # each behind its filter type, 0: None
    lines[:, 1:] = packed
    empty = bytes(lines.shape[1])
    squeezed = zlib.compressobj(COMPRESSION)
    data = squeezed.compress(empty * mask.top) + squeezed.compress(lines.tobytes())
    data += squeezed.compress(empty * (rows - mask.bottom)) + squeezed.flush()
    header = struct.pack(">IIBBBBB", columns, rows, _BIT_DEPTH, _GRAY, 0, 0, 0)
    chunks = (_chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b""))
    return PNG_SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
