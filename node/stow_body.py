"""The body of a STOW-RS request: files one after the other, read from disk while they are sent.

PS3.18 10.5.1 and 8.6.1.2 (multipart/related, RFC 2387).
"""

import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from pydicom.uid import UID

from node.transcode import transcoded

PIECE_BYTES = 256 * 1024
"""So much of a file is held in memory at a time."""

LINE_END = b"\r\n"


@dataclass(frozen=True)
class Part:
    """One object of a request.

    Attributes:
        path: Its DICOM file.
        own: The transfer syntax of that file.
        syntax: The one in which it goes.
        bare: Whether its Content-Type leaves the transfer syntax to the file.
    """

    path: Path
    own: UID
    syntax: UID
    bare: bool = False


class MultipartBody:
    """The body of one request, while the `with` block lasts; it can be read again and again.

    An object that goes in another transfer syntax than its file's is written to a temporary file first.

    Raises:
        OSError: A file cannot be read, or no temporary one can be written; on entering.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts
        self._boundary = f"paxnode-{secrets.token_hex(16)}"
        self._open = ExitStack()
        self._files: list[tuple[bytes, IO[bytes], int]] = []

    def __enter__(self) -> "MultipartBody":
        with ExitStack() as opened:
            for part in self._parts:
                file = opened.enter_context(_opened(part))
                self._files.append((self._head(part), file, file.seek(0, 2)))
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    @property
    def headers(self) -> dict[str, str]:
        """What the request says about it."""
        kind = f'multipart/related; type="application/dicom"; boundary={self._boundary}'
        return {"Content-Type": kind, "Content-Length": str(self.size)}

    @property
    def size(self) -> int:
        """How long it is in bytes; told in advance, since not every archive takes a chunked request."""
        parts = sum(len(head) + size + len(LINE_END) for head, _file, size in self._files)
        return parts + len(self._end)

    def pieces(self) -> Iterator[bytes]:
        """Yield it in pieces."""
        for head, file, _size in self._files:
            yield head
            file.seek(0)
            while piece := file.read(PIECE_BYTES):
                yield piece
            yield LINE_END
        yield self._end

    @property
    def _end(self) -> bytes:
        return f"--{self._boundary}--\r\n".encode()

    def _head(self, part: Part) -> bytes:
        kind = "Content-Type: application/dicom"
        kind += "" if part.bare else f"; transfer-syntax={part.syntax}"
        return f"--{self._boundary}\r\n{kind}\r\n\r\n".encode()


def _opened(part: Part) -> IO[bytes]:
    if part.syntax == part.own:
        return part.path.open("rb")
    file = tempfile.TemporaryFile(dir=part.path.parent)  # noqa: SIM115 - it has no name: gone once closed
    transcoded(part.path, part.syntax).save_as(file, enforce_file_format=True)
    return file
