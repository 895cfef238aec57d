"""Taking up changed settings while the node runs, and starting with the last good ones where need be.

The file is looked at every few seconds, and at once when somebody asks (SIGHUP). A text is examined when the
file has been the same for two looks, since an editor may be in the middle of writing it. One that can be used
goes into effect and is kept as a version; one that cannot be is told in the log, and what is in effect stays.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ai.errors import AiError
from config.errors import SettingsError
from config.home import user, versions_of
from config.settings import Settings, environment, settings_of
from config.source import Source
from config.versions import Version, digest_of
from node.bell import Bell
from node.bound import waiting
from node.errors import TlsError
from node.logs import get_logger
from node.loop import Loop

LOOK_EVERY_S = 2.0
"""How often the file is looked at, in seconds: its stamp, and its text when that has changed."""

STOP_S = 20.0
"""How long a change that has begun may take when the node stops, in seconds."""

BY_HAND = "the file was changed"
AT_START = "the node was started with it"

_FOUND = re.compile(r",? found .*$")
_NOT_ADMITTED = re.compile(r"[^\w .,:;()\[\]/\\%+=-]")

log = get_logger()

Stamp = tuple[int, int, int, int]

UNSEEN: Stamp = (0, 0, 0, 0)
"""The stamp of no file."""


@dataclass(frozen=True)
class Standing:
    """How the settings of a running node stand to its file.

    Attributes:
        settings: What its file, or the last good version, says; what is bound may differ until a restart.
        source: Its text.
        version: Kept as; None before the start is over, or where it could not be kept.
        refused: Why the text that the file holds now is not in effect; empty: it is.
        refused_sha256: Of that text, hexadecimal; empty where it could not be read.
        waiting: What of the settings takes effect after a restart, such as "node.port".
    """

    settings: Settings
    source: Source
    version: Version | None = None
    refused: str = ""
    refused_sha256: str = ""
    waiting: tuple[str, ...] = ()


class Runs(Protocol):
    """What takes settings up: `node.service.Node`."""

    version: int

    @property
    def settings(self) -> Settings:
        """What it goes by."""

    def take_up(self, wanted: Settings) -> None:
        """Go by others from now on."""


Examine = Callable[[Source], Settings]
"""Returns the settings in a text; SettingsError when a node cannot go by it."""


def beginning(path: Path, examine: Examine) -> Standing:
    """Return what a node starts with: its file, or the last good version where that cannot be used.

    Without a last good one the file must do, if it is right in itself: the start fails by what is missing, or
    a part that does not need it starts.

    Raises:
        SettingsError: Neither can be used; the message is about the file.
    """
    try:
        source = Source.read(path, environment())
        return Standing(examine(source), source)
    except SettingsError as error:
        found = last_good(path, examine)
        if found is None:
            source = Source.read(path, environment())
            found = Standing(settings_of(source), source)
        return replace(found, refused=str(error), refused_sha256=_digest_of(path))


def last_good(path: Path, examine: Examine) -> Standing | None:
    """Return the last good version of a file, if there is one and it can still be used."""
    versions = versions_of(path)
    try:
        version = versions.latest()
        if version is None:
            return None
        source = Source.parsed(str(versions.path(version)), versions.text(version), environment())
        return Standing(examine(source), source, version)
    except SettingsError:
        return None


class Uptake:
    """Watches a settings file and lets a node take up what it says.

    Args:
        path: The file.
        node: Who takes it up; started by somebody else.
        begun: What the node was started with.
        examine: Says whether a text can be used.
    """

    def __init__(self, path: Path, node: Runs, begun: Standing, examine: Examine) -> None:
        self._path = path
        self._node = node
        self._examine = examine
        self._standing = begun
        self._asked = False
        self._seen: Stamp | None = UNSEEN
        self._examined: Stamp | None = UNSEEN  # not what it was begun with, either: the start took a while
        self._bell = Bell()
        self.loop = Loop("settings", self.step, self._bell)

    @property
    def standing(self) -> Standing:
        """What is in effect, and what is not: one value, replaced as a whole."""
        return self._standing

    def start(self) -> None:
        """Keep what the node was started with as a version, and begin to look."""
        begun = self._standing
        if begun.refused:
            event = "the settings file cannot be used: the last good version is in effect"
            if begun.version is None:
                event = "something that the settings file names cannot be used"
            self._node.version = begun.version.number if begun.version else 0
            log.error(event, reason=for_log(begun.refused), **self._version())
        else:
            self._standing = replace(begun, version=self._keep(begun.source.text, AT_START))
            self._tell("settings are in effect")
        self.loop.start()

    def ask(self) -> None:
        """Look now; safe in a handler of a signal."""
        self._asked = True
        self._bell.ring()

    def stop(self) -> None:
        """Change nothing any more when this returns."""
        self.loop.ask_to_stop()
        self.loop.join(STOP_S)

    def step(self) -> float:
        """Look once; return when to look again.

        Raises:
            StorageError: The database is away; the file is examined again.
        """
        asked, self._asked = self._asked, False
        stamp = _stamp(self._path)
        is_settled, self._seen = stamp == self._seen, stamp
        if asked or (is_settled and stamp != self._examined):
            self._look(asked=asked)
            self._examined = stamp
        return LOOK_EVERY_S

    def _look(self, *, asked: bool) -> None:
        digest = ""
        try:
            source = Source.read(self._path, environment())
            digest = digest_of(source.text)
            if source.text == self._standing.source.text:
                self._as_it_was(asked=asked)
            elif asked or digest != self._standing.refused_sha256:
                self._take_up(source)
        except (SettingsError, AiError, TlsError) as error:
            self._standing = replace(self._standing, refused=str(error), refused_sha256=digest)
            event = "the settings file cannot be used: what was in effect stays"
            log.error(event, reason=for_log(str(error)), **self._version())

    def _take_up(self, source: Source) -> None:
        wanted = self._examine(source)
        self._node.take_up(wanted)
        version = self._keep(source.text, BY_HAND)
        left = waiting(self._node.settings, wanted)
        self._standing = Standing(wanted, source, version, waiting=left)
        self._tell("settings were taken up")

    def _as_it_was(self, *, asked: bool) -> None:
        if self._standing.refused or asked:
            self._standing = replace(self._standing, refused="", refused_sha256="")
            self._tell("the settings file holds what is in effect")

    def _tell(self, event: str) -> None:
        self._node.version = self._standing.version.number if self._standing.version else 0
        log.info(event, **self._version())
        if self._standing.waiting:
            reason = ", ".join(self._standing.waiting)
            log.warning("some settings take effect after a restart", reason=reason, **self._version())

    def _version(self) -> dict[str, str]:
        version = self._standing.version
        return {"version": str(version.number)} if version else {}

    def _keep(self, text: str, why: str) -> Version | None:
        try:
            return versions_of(self._path).keep(text, user(), why)
        except SettingsError as error:
            log.warning("the settings are not kept as a version", reason=for_log(str(error)))
            return None


def for_log(reason: str) -> str:
    """Return what is wrong with a file as the log admits it: line and key, without the value that was found.

    >>> for_log("node.toml, line 2: 'port' in [node] must be at most 65535, found 99999")
    'node.toml, line 2: port in [node] must be at most 65535'
    """
    return _NOT_ADMITTED.sub("", _FOUND.sub("", reason.splitlines()[0] if reason else ""))[:300]


def _stamp(path: Path) -> Stamp | None:
    """Return what changes when a file is replaced or written; None where it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size


def _digest_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
