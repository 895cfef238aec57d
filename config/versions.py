"""Every text that a settings file has had and that could be used: numbered, and never changed again.

    <name>.versions/        beside the settings file, or `configuration` in the data folder
        index.jsonl         a line for each version
        0001.toml           the text of version 1, as it was
        lock

A version is written before its line in the index, and each of them whole, with fsync and rename: a version
that the index names is there. The highest number is the last good one.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from config.durable import sync_folder, write_file
from config.errors import SettingsError

INDEX = "index.jsonl"
LOCK = "lock"
FOLDER_MODE = 0o700
"""Settings may hold passwords."""

MAX_WORDS = 500
"""Characters of a name or a reason that are kept."""


@dataclass(frozen=True)
class Version:
    """One version.

    Attributes:
        number: From 1.
        at: When it was kept, UTC.
        who: By whom: a user of the operating system, or a name that the caller gave.
        sha256: Of its text, hexadecimal.
        why: In the words of whoever made it; may be empty.
        origin: The version that it is a copy of; 0: of none.
    """

    number: int
    at: datetime
    who: str
    sha256: str
    why: str = ""
    origin: int = 0


class Versions:
    """The versions in one folder. Safe for many processes.

    Args:
        folder: It is made when the first version is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> tuple[Version, ...]:
        """Return every version, the first first.

        Raises:
            SettingsError: The index is there and cannot be read.
        """
        path = self.folder / INDEX
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            return tuple(_version(line) for line in lines)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise SettingsError(f"{path}: cannot be read ({type(error).__name__})") from error

    def latest(self) -> Version | None:
        """Return the last good one; errors as in `all`."""
        return next(reversed(self.all()), None)

    def numbered(self, number: int) -> Version:
        """Return one version; SettingsError where there is none, and as in `all`."""
        known = self.all()
        found = next((each for each in known if each.number == number), None)
        if found is None:
            range_ = f"there are 1 to {known[-1].number}" if known else "there is none yet"
            raise SettingsError(f"there is no version {number} in {self.folder}: {range_}")
        return found

    def path(self, version: Version) -> Path:
        """Return where the text of a version lies."""
        return self.folder / f"{version.number:04d}.toml"

    def text(self, version: Version) -> str:
        """Return the text of a version.

        Raises:
            SettingsError: It cannot be read, or is not what was kept.
        """
        path = self.path(version)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(content).hexdigest() != version.sha256:
            raise SettingsError(f"{path}: is not what was kept as version {version.number}: it was changed")
        return content.decode("utf-8")

    def keep(self, text: str, who: str, why: str = "", origin: int = 0) -> Version:
        """Keep a text that can be used, and return its version: the latest one if that has the same text.

        Args:
            text: Of the whole file.
            who: Whose it is.
            why: In words.
            origin: The version that it was taken from; 0: from none.

        Raises:
            SettingsError: It cannot be written.
        """
        with self.alone():
            return self.keep_alone(text, who, why, origin)

    def keep_alone(self, text: str, who: str, why: str = "", origin: int = 0) -> Version:
        """Do what `keep` does, for a caller who is `alone` already."""
        known, digest = self.all(), digest_of(text)
        if known and known[-1].sha256 == digest:
            return known[-1]
        number = known[-1].number + 1 if known else 1
        at = datetime.now(UTC).replace(microsecond=0)
        made = Version(number, at, _words(who), digest, _words(why), origin)
        write_file(self.path(made), text.encode("utf-8"), like=self.folder)
        lines = "".join(f"{_line(version)}\n" for version in (*known, made))
        write_file(self.folder / INDEX, lines.encode("utf-8"), like=self.folder)
        return made

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the folder, which is made if need be, for one writer at a time, of all processes.

        Raises:
            SettingsError: It cannot be written.
        """
        try:
            _make(self.folder)
            descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SettingsError(f"{self.folder}: cannot be written: {error.strerror}") from error
        try:
            if os.geteuid() == 0:
                status = self.folder.stat()
                os.fchown(descriptor, status.st_uid, status.st_gid)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def digest_of(text: str) -> str:
    """Return the sha256 of a text in UTF-8, hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _make(folder: Path) -> None:
    """Make a folder for its owner alone, who is that of the folder around it where root makes it."""
    if folder.is_dir():
        return
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
    around = folder.parent.stat()
    if os.geteuid() == 0:
        os.chown(folder, around.st_uid, around.st_gid)
    sync_folder(folder.parent)


def _words(text: str) -> str:
    return " ".join(text.split())[:MAX_WORDS]


def _line(version: Version) -> str:
    return json.dumps({**asdict(version), "at": version.at.isoformat()}, ensure_ascii=False)


def _version(line: str) -> Version:
    content = json.loads(line)
    version = Version(**{**content, "at": datetime.fromisoformat(content["at"])})
    if not isinstance(version.number, int) or version.number < 1:
        raise ValueError("a version is numbered from 1")
    return version
