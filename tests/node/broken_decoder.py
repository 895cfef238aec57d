"""A decoder program that misbehaves as the image asks it to; run as `node/decoder_program.py` is."""

import ctypes
import importlib.util
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parents[2] / "node" / "decoder_program.py"


def _program() -> Any:
    spec = importlib.util.spec_from_file_location("decoder_program", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def decode(header: Mapping[str, Any], content: bytes) -> Any:
    """Do what the header or the first argument says, and give back the content as one row."""
    import numpy as np

    found = DEEDS[header.get("do", ALWAYS)](header)
    return np.frombuffer(content, np.uint8).reshape(1, -1) if found is None else found


def _hang(_header: Mapping[str, Any]) -> None:
    while True:
        time.sleep(60)


def _devour(_header: Mapping[str, Any]) -> Any:
    import numpy as np

    return np.ones((60_000, 60_000), np.uint32)


def _raise(_header: Mapping[str, Any]) -> None:
    raise ValueError("not such a\ncodestream")


def _lie(_header: Mapping[str, Any]) -> Any:
    import numpy as np

    return np.ones((2, 2, 2, 2), np.uint8)


def _be_killed_once(header: Mapping[str, Any]) -> None:
    mark = Path(header["mark"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _tell(_header: Mapping[str, Any]) -> Any:
    import numpy as np

    return np.frombuffer(str(_seen()).encode(), np.uint8).reshape(1, -1)


ALWAYS = "".join(sys.argv[1:-3]) or "nothing"
DEEDS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "nothing": lambda _header: None,
    "abort": lambda _header: os.abort(),
    "read null": lambda _header: ctypes.string_at(0),
    "exit": lambda _header: os._exit(3),
    "hang": _hang,
    "devour": _devour,
    "raise": _raise,
    "lie": _lie,
    "be killed once": _be_killed_once,
    "tell": _tell,
}


def _seen() -> list[str]:
    """Return what else this process has open."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # of the listing itself
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [name for name in found if not name.startswith(("pipe:", "/dev/null", "/proc/"))]


if __name__ == "__main__":
    program = _program()
    memory, size, seconds = map(float, sys.argv[-3:])
    program.confine(int(memory), int(size))
    import numpy

    assert numpy
    program.serve(decode, seconds)
