"""Writing small files whole and durable: after a power cut the old one is there, or the new one."""

import os
import tempfile
from pathlib import Path

from config.errors import SettingsError


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
