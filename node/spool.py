"""Files on their way through the node: written whole and durable, or not there at all.

    incoming/    being written; whatever a crash leaves here was never acknowledged
    objects/     received objects, named by the digest of their transfer syntax and data set
    results/     result objects, named by the digest of the file

A file in objects/ or results/ never changes, so that whoever reads one needs no lock. Quarantined objects
stay where they are; the database says what they are.
"""

import copy
import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from config.durable import sync_folder
from node.errors import OutOfSpaceError, StorageError

MEGABYTE = 1_000_000

CHECK_EVERY_BYTES = 16 * MEGABYTE
"""The free space is looked at again after so many bytes of one object."""

FOLDER_MODE = 0o700
"""What the node makes holds images of patients: for its own user only."""

DAY_S = 86_400.0

IMAGES = "objects"
"""The folder of what was received; results have one of their own."""

OWNER_FILE = "queue-id"
"""Says whose files these are: the identity of the database, and how often it had kept house."""

_KEPT_FILE = re.compile(r"(objects|results)/[0-9a-f]{2}/[0-9a-f]{64}\.dcm")
"""What `Spool.adopt` names files; nothing else is ever removed."""

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = OutOfSpaceError if error.errno in _NO_ROOM else StorageError
        raise kind(f"the spool cannot be written: {error.strerror}") from error


def others_may(folder: Path) -> str:
    """Return what users who are neither its owner nor in its group may do with a folder; empty: nothing."""
    try:
        mode = folder.stat().st_mode
    except OSError:
        return ""
    rights = {stat.S_IROTH: "read", stat.S_IWOTH: "changed", stat.S_IXOTH: "entered"}
    found = [word for bit, word in rights.items() if mode & bit]
    return f"can be {' and '.join(found)} by other users of this machine" if found else ""


def is_image(relative: str) -> bool:
    """Return whether a kept file was received; otherwise the node has made it."""
    return relative.startswith(f"{IMAGES}/")


@dataclass(frozen=True)
class Kept:
    """A file that is safe: its place relative to the spool's folder, and the digest in its name."""

    path: str
    digest: str


class Incoming:
    """An object that is being written; made by `Spool.begin`, ended by `keep` or `discard`.

    Attributes:
        path: The file while it is being written.
        size: Bytes written so far, without the header.
        header_size: Bytes of the header.
    """

    def __init__(self, spool: "Spool", path: Path, header: bytes, encoding: str) -> None:
        self.path = path
        self.size = 0
        self.header_size = len(header)
        self._spool = spool
        self._digest = hashlib.sha256(f"{encoding}\n".encode() if encoding else b"")
        self._unchecked = 0
        self._is_kept = False
        with _translated():
            self._file = path.open("xb")
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # while it lives, no start sweeps it away
            self._file.write(header)

    def write(self, content: bytes | memoryview) -> None:
        """Append to the object.

        Raises:
            OutOfSpaceError: The disk, or its reserve, is used up.
            StorageError: It cannot be written for another reason.
        """
        self._unchecked += len(content)
        if self._unchecked > CHECK_EVERY_BYTES:
            self._unchecked = 0
            self._spool.check_space()
        with _translated():
            self._file.write(content)
        self._digest.update(content)
        self.size += len(content)

    def flush(self) -> None:
        """Let other readers of `path` see what was written; errors as in `write`."""
        with _translated():
            self._file.flush()

    def keep(self) -> Kept:
        """Make the object durable in objects/; on an error, as in `write`, it is still incoming."""
        digest = self._digest.hexdigest()
        with _translated():
            self._file.flush()
            os.fsync(self._file.fileno())
            kept = self._spool.adopt(self.path, IMAGES, digest)
            self._file.close()
        self._is_kept = True
        return kept

    def discard(self) -> None:
        """Leave nothing of an object that was not kept; harmless otherwise."""
        if self._is_kept:
            return
        with suppress(OSError):  # a full disk may refuse the flush in close
            self._file.close()
        self.path.unlink(missing_ok=True)


class Spool:
    """The folders below the data folder; `prepare` makes them.

    Args:
        data_dir: The data folder.
        disk_reserve_mb: With less free space (MB of 1000 x 1000 bytes) no object is taken in.
    """

    def __init__(self, data_dir: Path, disk_reserve_mb: int = 0) -> None:
        self.root = data_dir
        self._owner_file = data_dir / OWNER_FILE
        self._expected = ""
        self._durable: dict[Path, tuple[int, int]] = {}  # folders whose names are: device and inode
        self._reserve = disk_reserve_mb * MEGABYTE

    def prepare(self) -> "Spool":
        """Make the folders that are missing, the data folder too, and return the spool.

        Called only after it is settled whose the data folder is: in one that is not mounted nothing is made.

        Raises:
            StorageError: The folders cannot be made.
        """
        with _translated():
            for name in ("incoming", "objects", "results"):
                if not self.root.exists():
                    self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
                (self.root / name).mkdir(mode=FOLDER_MODE, exist_ok=True)
            sync_folder(self.root)
        return self

    def path(self, relative: str) -> Path:
        """Return where a kept file lies on this machine."""
        return self.root / relative

    def content(self, relative: str, limit: int) -> bytes:
        """Return the bytes of a kept file, so many at most.

        Raises:
            FileNotFoundError: It is not there, though the data folder is.
            OSError: This file cannot be read.
            StorageError: The data folder is away, or does not work; the file is not to blame.
        """
        try:
            with self.path(relative).open("rb") as file:
                return file.read(limit)
        except OSError:
            self.check_there()
            raise

    def with_reserve(self, disk_reserve_mb: int) -> "Spool":
        """Return the same folder with another reserve."""
        other = copy.copy(self)
        other._reserve = disk_reserve_mb * MEGABYTE
        return other

    def expect(self, identity: str) -> None:
        """Take the data folder to be there only while it belongs to this database."""
        self._expected = identity

    def check_there(self) -> None:
        """Raise StorageError when the data folder is away: no file of it says that it is the one expected."""
        if not self._expected:
            return
        try:
            with self._owner_file.open("rb", buffering=0) as file:
                words = file.read().split()
        except OSError as error:
            raise StorageError(f"the data folder is away ({OWNER_FILE}: {error.strerror})") from error
        if words[:1] != [self._expected.encode()]:
            raise StorageError(f"another data folder lies in the place of ours ({OWNER_FILE})")

    def free_bytes(self) -> int:
        """Return how much space is free."""
        with _translated():
            return shutil.disk_usage(self.root).free

    def check_space(self) -> None:
        """Raise OutOfSpaceError when less space is free than the reserve."""
        free = self.free_bytes()
        if free < self._reserve:
            megabytes = f"{free // MEGABYTE} MB are free, {self._reserve // MEGABYTE} MB are reserved"
            raise OutOfSpaceError(f"the spool's disk is full: {megabytes}")

    def begin(self, header: bytes = b"", encoding: str = "") -> Incoming:
        """Begin an object.

        Args:
            header: Stands in its file, but not in its digest and size.
            encoding: The transfer syntax UID. It stands in the digest, before a line feed and the bytes: the
                same bytes are another object in another encoding.

        Raises:
            OutOfSpaceError: The disk, or its reserve, is used up.
            StorageError: It cannot be written for another reason; the data folder is away.
        """
        self.check_there()
        self.check_space()
        return Incoming(self, self._fresh(), header, encoding)

    def store_result(self, *pieces: bytes) -> Kept:
        """Make a result's file durable in results/; the reserve is there for results to be written.

        Args:
            pieces: What stands in the file, one after the other.

        Raises:
            OutOfSpaceError: The disk is full.
            StorageError: It cannot be written for another reason.
        """
        path = self._fresh()
        try:
            with _translated(), path.open("xb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another process may start and sweep
                file.writelines(pieces)
                file.flush()
                os.fsync(file.fileno())
                return self.adopt(path, "results", _digest(pieces))
        finally:
            path.unlink(missing_ok=True)

    def adopt(self, path: Path, folder: str, digest: str) -> Kept:
        """Give a file that is durable in incoming/ its place, durably; used by what writes files here."""
        self.check_there()
        relative = f"{folder}/{digest[:2]}/{digest}.dcm"
        target = self.path(relative)
        self._make_folder(target.parent)
        with self._removals(fcntl.LOCK_SH):  # none between a look and what follows from it
            path.rename(target)  # also over the same content, for that may be damaged
        sync_folder(target.parent)
        return Kept(relative, digest)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder durably, if need be: who made it before may not have come so far as to sync it."""
        try:
            status, is_new = folder.stat(), False
        except FileNotFoundError:
            folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            status, is_new = folder.stat(), True
        identity = status.st_dev, status.st_ino
        if is_new or self._durable.get(folder) != identity:
            sync_folder(folder.parent)
            self._durable[folder] = identity

    def recover(self) -> int:
        """Clear away what a crash left in incoming/, of which no sender was told of success; return how much.

        Called at start, also while other processes use the folder. What lies in objects/ without a row is
        the housekeeper's (`node.sweep`): a start does not look at every file.
        """
        return sum(_remove_unless_alive(path) for path in (self.root / "incoming").iterdir())

    def kept_files(self) -> Iterator[str]:
        """Yield every file in objects/ and results/, relative to the spool's folder."""
        for folder in ("objects", "results"):
            for path in (self.root / folder).glob("*/*.dcm"):
                yield path.relative_to(self.root).as_posix()

    def size_of(self, relative: str) -> int | None:
        """Return the bytes of a file, or None where it is not there."""
        try:
            return self.path(relative).stat().st_size
        except OSError:
            return None

    def is_old(self, relative: str) -> bool:
        """Return whether a file is there and nobody has kept anything in it for a day."""
        try:
            return time.time() - self.path(relative).stat().st_mtime >= DAY_S
        except OSError:
            return False

    def remove(self, relative: str) -> int | None:
        """Remove a file that nobody needs; return its bytes, or None where it was left or was gone.

        A file that was kept, or kept again, within a day is left: whoever did so may be about to write its
        row. That, and the lock that `adopt` shares, is why a caller may look into the database first.
        """
        if not _KEPT_FILE.fullmatch(relative):
            return None
        path = self.path(relative)
        with _translated(), self._removals(fcntl.LOCK_EX):
            if not self.is_old(relative):
                return None
            size = path.stat().st_size
            return size if _remove_unless_alive(path) else None

    def owner(self) -> tuple[str, int] | None:
        """Return which database these files belong to, and how often it had kept house; None: never said.

        A file that is empty, or torn before its line feed, says nothing: a power cut may have left it so.
        """
        with _translated(), suppress(FileNotFoundError):
            line = (self.root / OWNER_FILE).read_text(encoding="ascii", errors="replace")
            words = line.split()
            if not words or not line.endswith("\n"):
                return None
            passes = words[1] if len(words) == 2 else ""
            return (words[0], int(passes)) if passes.isdecimal() else ("", 0)
        return None

    def set_owner(self, identity: str, passes: int) -> None:
        """Write down, durably, which database these files belong to."""
        path = self._fresh()
        try:
            with _translated(), path.open("x", encoding="ascii") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another process may start and sweep
                file.write(f"{identity} {passes}\n")
                file.flush()
                os.fsync(file.fileno())
                path.rename(self.root / OWNER_FILE)
                sync_folder(self.root)
        finally:
            path.unlink(missing_ok=True)

    def has_owner_file(self) -> bool:
        """Return whether there is a file for the owner, if an empty one, as an admin makes it."""
        return (self.root / OWNER_FILE).exists()

    @contextmanager
    def _removals(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self.root / "objects", os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    def _fresh(self) -> Path:
        return self.root / "incoming" / f"{uuid.uuid4().hex}.dcm"


def _digest(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _remove_unless_alive(path: Path) -> bool:
    """Remove a file that nobody is writing; tell whether it was."""
    with suppress(OSError), path.open("r+b") as file:  # NFS locks only what may be written
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False
