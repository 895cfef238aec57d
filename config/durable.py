"""Writing small files whole and durable: after a power cut the old one is there, or the new one."""

import os
import re
import tempfile
from pathlib import Path

from config.errors import SettingsError

MOUNTS = Path("/proc/self/mountinfo")
"""What this process sees mounted; the fifth field of a line is where (proc_pid_mountinfo(5))."""

_ESCAPED = re.compile(rb"\\([0-7]{3})")


def write_file(path: Path, content: bytes, like: Path | None = None) -> None:
    """Write a file in one step, fsync and rename; readable by its owner alone.

    Args:
        path: Which.
        content: Of the file.
        like: A file whose group and permissions the new one gets, or the folder that it is for; root gives
            it to their owner.

    Raises:
        SettingsError: It cannot be written; what was there before is there still.
    """
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from error
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            _resemble(descriptor, like)
            file.flush()
            os.fsync(file.fileno())
        os.rename(fresh, path)
        sync_folder(path.parent)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be written: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)


def why_not_written(path: Path, like: Path | None = None) -> str:
    """Return why `write_file` would not go through, in words; empty: it would.

    All that it does is done with a file beside, but for taking the place of the file itself. What is a mount
    of its own, such as a single file that a container is given, cannot be replaced (rename(2), EBUSY).

    Args:
        path: Which.
        like: As in `write_file`.
    """
    if is_mount_point(path):
        return "it is mounted as a single file, which cannot be replaced: mount its folder"
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        return error.strerror or "no file can be made beside it"
    fresh, renamed = Path(name), Path(f"{name}.renamed")
    try:
        with os.fdopen(descriptor, "wb"):
            _resemble(descriptor, like)
        os.rename(fresh, renamed)
    except OSError as error:
        return error.strerror or "no file can be renamed beside it"
    finally:
        fresh.unlink(missing_ok=True)
        renamed.unlink(missing_ok=True)
    return ""


def is_mount_point(path: Path) -> bool:
    """Return whether something is mounted at a path, be it a file: `os.path.ismount` knows folders only."""
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return False
    places = (line.split(b" ")[4] for line in lines if line.count(b" ") > 4)
    return os.fsencode(path) in {
        _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), each) for each in places
    }


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable; OSError where it cannot be."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _resemble(descriptor: int, like: Path | None) -> None:
    if like is None or not like.exists():
        return
    status = like.stat()
    if os.geteuid() == 0:
        os.fchown(descriptor, status.st_uid, status.st_gid)
    elif like.is_file():
        os.fchown(descriptor, -1, status.st_gid)  # else those who read it by their group could not any more
    if like.is_file():
        os.fchmod(descriptor, status.st_mode & 0o7777)
