"""Decode one image with GDCM in a process of its own, for GDCM ends its process on some broken images.

It is asked last, and is the only one to read JPEG Extended with 12 bits. Run as a program, a DICOM file comes
on standard input and the stored values leave on standard output as .npy.
"""

import io
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmwrite

PLUGIN = "gdcm"
TIMEOUT_S = 120.0
"""The largest radiographs decode in a few seconds."""


def decode_apart(dataset: Dataset) -> npt.NDArray[np.integer]:
    """Return the stored values of an image that only GDCM may be able to decode.

    Raises:
        RuntimeError: If GDCM cannot decode it either.
    """
    content = io.BytesIO()
    dcmwrite(content, dataset, enforce_file_format=True)
    command = [sys.executable, "-I", str(Path(__file__).resolve())]  # isolated: our names hide nothing
    try:
        done = subprocess.run(command, input=content.getvalue(), capture_output=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired as exc:
        raise RuntimeError(f"GDCM did not end within {TIMEOUT_S:g} s") from exc
    if done.returncode:
        raise RuntimeError("GDCM cannot decode it either")
    stored: npt.NDArray[np.integer] = np.load(io.BytesIO(done.stdout), allow_pickle=False)
    return stored


def _decode(file: str) -> npt.NDArray[np.integer]:
    """Return the stored values of a file with one grayscale or RGB frame, read with GDCM in this process."""
    import gdcm  # only here: it must not be loaded into the node

    reader = gdcm.ImageReader()
    reader.SetFileName(file)
    if not reader.Read():
        raise RuntimeError("GDCM cannot read it")
    image = reader.GetImage()
    pixel = image.GetPixelFormat()
    sign = "i" if pixel.GetPixelRepresentation() else "u"
    dtype = np.dtype(f"<{sign}{pixel.GetBitsAllocated() // 8}")
    content = image.GetBuffer().encode("utf-8", "surrogateescape")  # how GDCM's binding carries bytes
    samples = pixel.GetSamplesPerPixel()
    shape = (image.GetDimension(1), image.GetDimension(0), *([samples] if samples > 1 else []))
    return np.frombuffer(content, dtype).reshape(shape)


if __name__ == "__main__":
    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        file.write(sys.stdin.buffer.read())
        file.flush()
        output = io.BytesIO()
        np.save(output, _decode(file.name))
        sys.stdout.buffer.write(output.getvalue())
