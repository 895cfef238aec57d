"""Decoders of compressed pixels that may crash, hang or eat memory without harm: `node.decoder_program`.

They are processes, kept for the next image, as many as threads decode at once. One that ends or takes too
long costs the image that it had, and another is started for the next. What comes back from one is believed
no more than what went in: its size and type are looked at before anything is taken.
"""

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from node.decoder_program import FRAME, MEMORY
from node.errors import NodeError
from node.limits import (
    DECODER_IMAGES,
    DECODER_MEMORY_BYTES,
    DECODER_SAMPLE_BYTES,
    DECODER_START_S,
    DECODER_TIME_S,
    MAX_OBJECT_BYTES,
    MAX_PIXEL_BYTES,
)

Stored = npt.NDArray[np.integer]

PROGRAM = (sys.executable, "-I", str(Path(__file__).with_name("decoder_program.py")))
"""Isolated: neither our names nor PYTHONPATH hide anything."""

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""All that it sees: no password, and no threads that would take address space."""

MAX_HEADER_BYTES = 65_536
MAX_READ_BYTES = 1_048_576
DTYPES = frozenset({"|u1", "|i1", "<u2", "<i2", "<u4", "<i4"})
STRANGERS = (-signal.SIGKILL, -signal.SIGTERM)
"""How a decoder ends that somebody else ended, such as a machine short of memory."""


class DecoderFailedError(RuntimeError):
    """No stored values came; the message says why."""


class _KilledByOthersError(Exception):
    """The decoder was killed, and not by us."""


class _TimeUpError(Exception):
    """The decoder did not answer in time."""


class Decoders:
    """Decodes compressed pixels; for any number of threads.

    Args:
        program: The command that decodes, without the arguments of `node.decoder_program.main`.
        time_s: What one image may take, in seconds.
        memory_bytes: Address space of each process, without its picture.
        images: After so many images a process is replaced.
    """

    def __init__(
        self,
        program: Sequence[str] = PROGRAM,
        time_s: float = DECODER_TIME_S,
        memory_bytes: int = DECODER_MEMORY_BYTES,
        images: int = DECODER_IMAGES,
    ) -> None:
        self._command = [*program, str(memory_bytes), str(MAX_OBJECT_BYTES), str(time_s)]
        self._time_s = time_s
        self._memory_bytes = memory_bytes
        self._images = images
        self._idle: list[_Process] = []
        self._lock = threading.Lock()

    def decode(self, description: Mapping[str, int | str], pixel_data: bytes) -> Stored:
        """Return the stored values of an image, read-only.

        Args:
            description: Keywords of the Image Pixel module with their values, and `TransferSyntaxUID`.
            pixel_data: Encapsulated Pixel Data (PS3.5 A.4).

        Raises:
            DecoderFailedError: If no decoder can, or the one that tried ended or took too long.
            NodeError: If no decoder can be started.
        """
        try:
            return self._decode(description, pixel_data)
        except _KilledByOthersError:  # no image does that: once more
            pass
        try:
            return self._decode(description, pixel_data)
        except _KilledByOthersError as exc:
            raise DecoderFailedError("the decoder was killed twice, such as for want of memory") from exc

    def processes(self) -> tuple[int, ...]:
        """Return the process ids of those that wait for an image."""
        with self._lock:
            return tuple(process.pid for process in self._idle)

    def close(self) -> None:
        """End those that wait for an image."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _decode(self, description: Mapping[str, int | str], pixel_data: bytes) -> Stored:
        process = self._take()
        try:
            memory_bytes = self._memory_bytes + DECODER_SAMPLE_BYTES * _samples(description)
            return process.ask(description, pixel_data, self._time_s, memory_bytes)
        finally:
            self._give_back(process)

    def _take(self) -> "_Process":
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return _Process(self._command)
            if process.is_ready():
                return process
            process.end()

    def _give_back(self, process: "_Process") -> None:
        if process.images >= self._images or not process.is_ready():
            process.end()
            return
        with self._lock:
            self._idle.append(process)


class _Process:
    """A running decoder; `end` must be called.

    Attributes:
        images: How many it was given.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.images = 0
        self._ended = False
        self._in_exchange = False
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                bufsize=0,
            )
        except OSError as exc:
            raise NodeError(f"the pixel decoder cannot be started: {exc.strerror}") from exc
        assert self._process.stdin is not None, "it is a pipe"
        assert self._process.stdout is not None, "it is a pipe"
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._greet()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_ready(self) -> bool:
        """Whether it waits for an image: it runs, and no exchange with it was broken off."""
        return not self._ended and not self._in_exchange and self._process.poll() is None

    def end(self) -> None:
        """Kill it if it runs, and leave nothing of it."""
        if self._ended:
            return
        self._ended = True
        self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    def ask(
        self, description: Mapping[str, int | str], pixel_data: bytes, time_s: float, memory_bytes: int
    ) -> Stored:
        """Return the stored values; after DecoderFailedError it may have ended."""
        self.images += 1
        self._in_exchange = True
        deadline = time.monotonic() + time_s
        header = json.dumps({**description, MEMORY: memory_bytes}).encode()
        try:
            self._write(FRAME.pack(len(header), len(pixel_data)) + header, deadline)
            self._write(pixel_data, deadline)
            return self._answer(deadline)
        except _TimeUpError as exc:
            self.end()
            raise DecoderFailedError(f"the decoder did not end within {time_s:g} s") from exc
        except (EOFError, OSError) as exc:
            how = self._how_it_ended()
            if how in STRANGERS:
                raise _KilledByOthersError from exc
            raise DecoderFailedError(f"the decoder ended with {_told(how)}") from exc

    def _greet(self) -> None:
        """Wait until it is ready; what goes wrong before is no image's fault."""
        try:
            self._frame(time.monotonic() + DECODER_START_S)
        except (_TimeUpError, DecoderFailedError, EOFError, OSError) as exc:
            self.end()
            raise NodeError("the pixel decoder cannot be started") from exc

    def _answer(self, deadline: float) -> Stored:
        header, content_bytes = self._frame(deadline)
        if "error" in header:
            self._in_exchange = False
            raise DecoderFailedError(str(header["error"])[:1000])
        shape, dtype = header.get("shape"), header.get("dtype")
        if not _is_picture(shape, dtype, content_bytes):
            self.end()
            raise DecoderFailedError("the decoder answered with no picture")
        assert isinstance(shape, list), "it is a picture's"
        stored: Stored = np.empty(shape, np.dtype(str(dtype)))
        self._read_into(stored.data.cast("B"), deadline)
        stored.flags.writeable = False
        self._in_exchange = False
        return stored

    def _frame(self, deadline: float) -> tuple[dict[str, object], int]:
        start = bytearray(FRAME.size)
        self._read_into(memoryview(start), deadline)
        header_bytes, content_bytes = FRAME.unpack(start)
        try:
            if header_bytes > MAX_HEADER_BYTES:
                raise ValueError
            header = bytearray(header_bytes)
            self._read_into(memoryview(header), deadline)
            found = json.loads(header)
        except ValueError as exc:
            self.end()
            raise DecoderFailedError("the decoder answered with nonsense") from exc
        return (found if isinstance(found, dict) else {}), content_bytes

    def _write(self, content: bytes, deadline: float) -> None:
        left = memoryview(content)
        while left:
            _wait_for(self._to, select.POLLOUT, deadline)
            left = left[os.write(self._to, left[:MAX_READ_BYTES]) :]

    def _read_into(self, space: memoryview, deadline: float) -> None:
        while space:
            _wait_for(self._from, select.POLLIN, deadline)
            count = os.readv(self._from, [space[:MAX_READ_BYTES]])
            if count == 0:
                raise EOFError
            space = space[count:]

    def _how_it_ended(self) -> int | None:
        """Return its exit status, negative for a signal; None where it closed its pipes and goes on."""
        try:
            how = self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            how = None
        self.end()
        return how


def _samples(description: Mapping[str, int | str]) -> int:
    sides = (int(description.get(keyword, 1)) for keyword in ("Rows", "Columns", "SamplesPerPixel"))
    return prod(max(0, side) for side in sides)


def _wait_for(descriptor: int, event: int, deadline: float) -> None:
    left_ms = (deadline - time.monotonic()) * 1000
    poll = select.poll()
    poll.register(descriptor, event)
    if left_ms <= 0 or not poll.poll(left_ms):
        raise _TimeUpError


def _is_picture(shape: object, dtype: object, content_bytes: int) -> bool:
    """Whether an answer's header tells of something that may be taken."""
    if not isinstance(shape, list) or len(shape) not in {2, 3} or dtype not in DTYPES:
        return False
    if not all(isinstance(side, int) and 0 < side <= 0xFFFF for side in shape):
        return False
    size = int(np.prod(shape, dtype=object)) * np.dtype(str(dtype)).itemsize
    return size == content_bytes and size <= MAX_PIXEL_BYTES


def _told(status: int | None) -> str:
    """Return how a process ended, in words.

    >>> _told(-11), _told(1)
    ('signal 11 (SIGSEGV)', 'status 1')
    """
    if status is None:
        return "its pipes closed"
    if status >= 0:
        return f"status {status}"
    known = {each.value: f" ({each.name})" for each in signal.Signals}
    return f"signal {-status}{known.get(-status, '')}"


DECODERS = Decoders()
"""Those of this process: nothing runs until the first compressed image comes."""

atexit.register(DECODERS.close)
