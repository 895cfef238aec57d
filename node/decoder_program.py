"""The pixel decoders, in a process of their own: a program that `node.decoders` starts and talks to.

The decoders are C code fed by strangers. Here they may crash, hang or eat memory, and cost one image. The
program stands alone, imports nothing of ours, is started isolated (`python -I`) with nothing of the node's
environment, files and sockets, and has limits on memory and files. It ends with its standard input, and by
an alarm within an image, so that it outlives no node.

Messages both ways are frames: 4 bytes length of a JSON header, 8 bytes length of the content, both little
endian, then header and content. Asked: the description of the pixels, `MEMORY`, and Pixel Data. Answered:
shape and type of the stored values and their bytes, or `error`. The first frame says that it is ready.
"""

import json
import os
import resource
import signal
import struct
import sys
import warnings
from collections.abc import Callable, Mapping
from tempfile import TemporaryFile
from typing import Any, BinaryIO

FRAME = struct.Struct("<IQ")
GDCM = "gdcm"
MEMORY = "memory"
"""In the header of an image: the address space that it may take."""

ALARM_SLACK_S = 5.0
"""The node ends a decoder that takes too long; the alarm rings a little later, for when there is no node."""

ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What decoders raise; anything else ends the program, which the node survives."""

Decode = Callable[[Mapping[str, Any], bytes], Any]
"""(description, Pixel Data) -> array of the stored values."""


def confine(memory_bytes: int, file_bytes: int) -> None:
    """Bound what this process may take; before anything big is imported."""
    _bound(resource.RLIMIT_AS, memory_bytes)
    _bound(resource.RLIMIT_FSIZE, file_bytes)
    _bound(resource.RLIMIT_CORE, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the node's to hear


def _bound(what: int, limit: int) -> None:
    """Set a limit, which may be raised again up to what this process was started with."""
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def serve(decode: Decode, time_s: float) -> None:
    """Answer frames until standard input ends; nothing that a library prints comes between the answers."""
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    _send(sink, {"ready": True})
    while request := _receive(source):
        signal.setitimer(signal.ITIMER_REAL, time_s + ALARM_SLACK_S)
        header, content = request
        _bound(resource.RLIMIT_AS, header.pop(MEMORY))
        _answer(sink, decode, header, content)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _answer(sink: BinaryIO, decode: Decode, header: Mapping[str, Any], content: bytes) -> None:
    import numpy as np

    try:
        stored = np.ascontiguousarray(decode(header, content))
    except MemoryError:
        _send(sink, {"error": "it needs more memory than a decoder may take"})
    except ERRORS as error:
        _send(sink, {"error": " ".join(str(error).split())[:1000] or type(error).__name__})
    else:
        _send(sink, {"shape": stored.shape, "dtype": stored.dtype.str}, stored.data.cast("B"))


def _send(sink: BinaryIO, header: Mapping[str, Any], content: bytes | memoryview = b"") -> None:
    encoded = json.dumps(header).encode()
    sink.write(FRAME.pack(len(encoded), len(content)) + encoded)
    sink.write(content)
    sink.flush()


def _receive(source: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    start = source.read(FRAME.size)
    if len(start) < FRAME.size:
        return None
    header_bytes, content_bytes = FRAME.unpack(start)
    header = json.loads(source.read(header_bytes))
    content = source.read(content_bytes)
    return (header, content) if len(content) == content_bytes else None


def decode_any(header: Mapping[str, Any], content: bytes) -> Any:
    """Return the stored values from the first decoder that reads them; GDCM comes last.

    Args:
        header: Keywords of the Image Pixel module with their values, and `TransferSyntaxUID`.
        content: Encapsulated Pixel Data (PS3.5 A.4).

    Raises:
        RuntimeError: If no decoder can.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.pixels.utils import pixel_array

    dataset = _dataset(header, content)
    available = get_decoder(dataset.file_meta.TransferSyntaxUID).available_plugins
    failures = []
    for plugin in (name for name in available if name != GDCM):
        try:
            return pixel_array(dataset, decoding_plugin=plugin)
        except ERRORS as error:
            failures.append(f"{plugin}: {error}")
    if GDCM in available:
        return _with_gdcm(dataset)
    raise RuntimeError("; ".join(failures) or "no decoder is installed")


def _dataset(header: Mapping[str, Any], content: bytes) -> Any:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import SecondaryCaptureImageStorage

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    for keyword, value in header.items():
        setattr(dataset.file_meta if keyword == "TransferSyntaxUID" else dataset, keyword, value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "2.25.1"  # GDCM wants some
    dataset.add_new("PixelData", "OB", content)
    dataset["PixelData"].is_undefined_length = True
    return dataset


def _with_gdcm(dataset: Any) -> Any:
    """Return the stored values of one grayscale or RGB frame; the only one to read JPEG with 12 bits."""
    import gdcm
    import numpy as np
    from pydicom import dcmwrite

    with TemporaryFile() as file:  # without a name: a crash leaves nothing
        dcmwrite(file, dataset, enforce_file_format=True)
        file.seek(0)
        reader = gdcm.ImageReader()
        reader.SetFileName(f"/dev/fd/{file.fileno()}")
        if not reader.Read():
            raise RuntimeError("GDCM cannot decode it either")
    image = reader.GetImage()
    pixel = image.GetPixelFormat()
    sign = "i" if pixel.GetPixelRepresentation() else "u"
    dtype = np.dtype(f"<{sign}{pixel.GetBitsAllocated() // 8}")
    buffer = image.GetBuffer()
    if buffer is None:
        raise RuntimeError("GDCM cannot decode it either")
    values = buffer.encode("utf-8", "surrogateescape")  # how GDCM's binding carries bytes
    samples = pixel.GetSamplesPerPixel()
    shape = (image.GetDimension(1), image.GetDimension(0), *([samples] if samples > 1 else []))
    return np.frombuffer(values, dtype).reshape(shape)


def main() -> None:
    """Run: arguments are memory in bytes, bytes of a file, and seconds for an image."""
    memory_bytes, file_bytes, time_s = (float(word) for word in sys.argv[1:4])
    confine(int(memory_bytes), int(file_bytes))
    import pydicom.config
    import pydicom.pixels.utils  # takes half a second: before the first image

    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    warnings.simplefilter("ignore")
    serve(decode_any, time_s)


if __name__ == "__main__":
    main()
