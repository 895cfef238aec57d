"""The active settings file: putting another text in its place, and going back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.durable import why_not_written, write_file
from config.errors import SettingsChangedError, SettingsError
from config.home import versions_of
from config.settings import environment
from config.source import Source, text_of
from config.versions import Version, Versions, digest_of

FOUND = "found as the active file"
"""Why a version was kept that somebody had made by hand."""

REPLACED = "replaced.toml"
"""The last text that was replaced and could not be used; it is no version."""

Examine = Callable[[Source], object]
"""Raises SettingsError for a text that a node cannot go by."""


@dataclass(frozen=True)
class Activation:
    """What became of asking for another text.

    Attributes:
        version: What the active file holds now.
        before: What it held, where that could be used.
        set_aside: Where the text went that was replaced and could not be used; None: it could.
    """

    version: Version
    before: Version | None = None
    set_aside: Path | None = None


@dataclass(frozen=True)
class _Wish:
    """Who wants another text, why, the version that it is a copy of, and what it was made from."""

    who: str
    why: str
    origin: int = 0
    began: str = ""


@dataclass(frozen=True)
class ActiveFile:
    """A settings file and its versions.

    Attributes:
        path: The file that a node is started with.
        examine: Says whether a text can be used.
    """

    path: Path
    examine: Examine

    @property
    def versions(self) -> Versions:
        """Every text that it has had and that could be used."""
        return versions_of(self.path)

    def text(self) -> str | None:
        """Return its text; None where there is no such file. SettingsError when it cannot be read."""
        return text_of(self.path) if self.path.exists() else None

    @property
    def unwritable(self) -> str:
        """Why no other text can be put in its place, in words; empty: one can."""
        return why_not_written(self.path.resolve(), like=self.path)

    def activate(self, candidate: Path, who: str, why: str = "") -> Activation:
        """Let the text of another file be the active one, if it can be used.

        What the file held is a version before it is replaced, or set aside if it cannot be used.

        Args:
            candidate: The other file.
            who: Who wants it.
            why: In words.

        Raises:
            SettingsError: It cannot be used, or something cannot be written; the active file is as it was.
        """
        return self.activate_source(Source.read(candidate, environment()), who, why)

    def activate_source(self, source: Source, who: str, why: str = "", began: str = "") -> Activation:
        """Let a text that was read already be the active one; arguments and errors as in `activate`.

        Args:
            source: The text.
            who: Who wants it.
            why: In words.
            began: The sha256 of the text that it was made from, hexadecimal; empty: whatever is there.

        Raises:
            SettingsChangedError: The active file is another than `began` by now.
        """
        self.examine(source)
        return self._put(source.text, _Wish(who, why, began=began))

    def roll_back(self, who: str, number: int | None = None, why: str = "") -> Activation:
        """Let the text of a version be the active one again; it is kept as a new version.

        Args:
            who: Who wants it.
            number: Of the version. None: the one before that of the active file, one further back each time;
                where the file is no version, the last good one.
            why: In words.

        Raises:
            SettingsError: There is none, it cannot be used any more, or something cannot be written.
        """
        versions = self.versions
        version = self._step_back(versions) if number is None else versions.numbered(number)
        text = versions.text(version)
        self.examine(Source.parsed(str(versions.path(version)), text, environment()))
        return self._put(text, _Wish(who, why or f"back to version {version.number}", version.number))

    def current(self) -> Version | None:
        """Return the version that the active file holds; None where it holds none."""
        text = self.text()
        digest = "" if text is None else digest_of(text)
        return next((each for each in reversed(self.versions.all()) if each.sha256 == digest), None)

    def _step_back(self, versions: Versions) -> Version:
        """Return the version before the active one, or before the one that it is a copy of."""
        known, current = {each.number: each for each in versions.all()}, self.current()
        if not known:
            raise SettingsError(f"{self.path}: has no version yet to go back to")
        if current is None:
            return known[max(known)]
        number = current.origin or current.number
        while known[number].origin:
            number = known[number].origin
        if number - 1 not in known:
            raise SettingsError(f"{self.path}: version {number} is the first one; name the version to go to")
        return known[number - 1]

    def _put(self, text: str, wish: _Wish) -> Activation:
        """Write the file, and then keep it as a version: what was never the active text is none.

        Where a crash comes between, the node that takes the file up keeps it. No other writer comes between.
        """
        versions = self.versions
        with versions.alone():
            present = self.text()
            if wish.began and wish.began != digest_of(present or ""):
                raise SettingsChangedError(f"{self.path}: was changed meanwhile; nothing was written")
            before, set_aside = self._save_present(present, versions, wish.who)
            self._write(text)
            try:
                version = versions.keep_alone(text, wish.who, wish.why, wish.origin)
            except SettingsError:
                self._take_back(present)
                raise
        return Activation(version, before, set_aside)

    def _write(self, text: str) -> None:
        write_file(self.path.resolve(), text.encode("utf-8"), like=self.path)

    def _take_back(self, present: str | None) -> None:
        if present is None:
            self.path.unlink(missing_ok=True)
        else:
            self._write(present)

    def _save_present(
        self, text: str | None, versions: Versions, who: str
    ) -> tuple[Version | None, Path | None]:
        """Keep what the active file holds: as a version if it can be used, else beside the versions."""
        if text is None:
            return None, None
        try:
            self.examine(Source.parsed(str(self.path), text, environment()))
        except SettingsError:
            place = versions.folder / REPLACED
            write_file(place, text.encode("utf-8"), like=versions.folder)
            return None, place
        return self.current() or versions.keep_alone(text, who, FOUND), None
