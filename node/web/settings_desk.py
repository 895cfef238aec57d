"""The settings file as admins edit it: shown without secrets, examined, compared, activated, rolled back."""

import re
import threading
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from fastapi import Request

from config.activation import Activation, ActiveFile
from config.differences import Change, changes, masked
from config.errors import SettingsChangedError, SettingsError
from config.settings import Settings, environment
from config.source import Source
from config.unmasking import unmasked
from config.versions import Version, digest_of
from node.bound import waiting
from node.dry_run import Candidates, Comparison, dry_run, in_words
from node.errors import NotThereError
from node.unmatched import unmatched_warning
from node.usable import usable
from node.web.deeds import Act
from node.web.desk import Desk
from node.web.errors import ConflictError
from node.web.roles import Role
from node.web.sessions import Visitor

LONGEST_TEXT = 100_000
"""Characters of a text that is examined."""

MOST_LINES = 2_000
"""Of a text that is examined: where one value takes many lines, to name its line takes the square of them."""

MOST_IN_A_DRY_RUN = 200
"""Images: their headers are read from the data folder."""

_LINE = re.compile(r"(?:, |at )line (\d+)")
_ONE_AT_A_TIME = threading.Lock()
_ONE_CHECK = threading.Lock()
_ONE_DRY_RUN = threading.Lock()


@dataclass(frozen=True)
class StandingShown:
    """How the node stands to its settings file.

    Attributes:
        version: That the file holds; 0: it is none, since somebody changed it by hand.
        running: That the node goes by; 0: versions are not kept.
        refused: Why the file cannot be used; empty: it can.
        waiting: What of it takes effect after a restart, such as "node.port".
        is_writable: Whether the node can write the file, so that another text can be activated here.
        unwritable: Why it cannot; empty: it can.
        warning: What it leaves undone, such as images that no rule matches; empty: nothing.
    """

    version: int
    running: int
    refused: str
    waiting: tuple[str, ...]
    is_writable: bool
    unwritable: str
    warning: str = ""


@dataclass(frozen=True)
class SettingsShown:
    """The settings file.

    Attributes:
        text: Its secrets as stars; of the last good version where the file itself is no TOML, or where it
            cannot be used and is shown to others than admins.
        sha256: Of the file as it is now, hexadecimal: who activates another text tells which one they began
            with. Empty for others than admins: from it one could find out what the stars stand for.
        standing: How the node stands to it.
    """

    text: str
    sha256: str
    standing: StandingShown


@dataclass(frozen=True)
class Checked:
    """What would follow from a text.

    Attributes:
        problem: Why a node cannot go by it; empty: it can.
        line: Where, from 1; 0: nowhere in particular.
        changes: What differs from the file as it is now.
        waiting: What of it would take effect after a restart.
        warning: What it would leave undone, such as images that no rule matches; empty: nothing.
    """

    problem: str = ""
    line: int = 0
    changes: tuple[Change, ...] = ()
    waiting: tuple[str, ...] = ()
    warning: str = ""


@dataclass(frozen=True)
class ImageShown:
    """One image in a dry run.

    Attributes:
        job: Its number.
        calling: Who sent it.
        was: What was done with it, in words.
        would: What would be done.
        differences: In words.
    """

    job: int
    calling: str
    was: str
    would: str
    differences: tuple[str, ...]


@dataclass(frozen=True)
class DryRunShown:
    """What a text would do with the images that came last.

    Attributes:
        summary: How often each difference came.
        images: The newest first.
    """

    summary: tuple[str, ...]
    images: tuple[ImageShown, ...]


@dataclass(frozen=True)
class VersionShown:
    """One version.

    Attributes:
        number: From 1.
        at: When it was kept, UTC.
        who: By whom.
        why: In their words.
        sha256: Of its text, hexadecimal; empty for others than admins.
        origin: The version that it is a copy of; 0: of none.
        is_active: Whether the settings file holds it.
    """

    number: int
    at: datetime
    who: str
    why: str
    sha256: str
    origin: int
    is_active: bool


def settings_of(desk: Desk, visitor: Visitor) -> SettingsShown:
    """Return the settings file; NotThereError where the node has none, SettingsError where it is away."""
    active, standing = _active(desk), standing_of(desk)
    text = _text(active)
    if visitor.role.may(Role.ADMIN):
        return SettingsShown(masked(_basis(active, text)), digest_of(text), standing)
    return SettingsShown(masked(_last_good(active) if standing.refused else text), "", standing)


def standing_of(desk: Desk) -> StandingShown:
    """Return how the node stands to its settings file; errors as in `settings_of`."""
    active, running = _active(desk), desk.watched.version()
    unwritable = active.unwritable
    try:
        wanted = _usable(desk, Source.read(active.path, environment()), explains=True)
    except SettingsError as error:
        return StandingShown(0, running, str(error), (), not unwritable, unwritable)
    version = active.current()
    number = 0 if version is None else version.number
    later, warning = waiting(desk.settings, wanted), unmatched_warning(wanted)
    return StandingShown(number, running, "", later, not unwritable, unwritable, warning)


def checked(desk: Desk, text: str) -> Checked:
    """Return what would follow from a text in which stars stand for the file's secrets."""
    active = _active(desk)
    present = _basis(active, _text(active))
    try:
        with _ONE_CHECK:
            source = _source(active, text, present)
            wanted = _usable(desk, source)
    except SettingsError as error:
        found = _LINE.search(str(error))
        return Checked(str(error), int(found[1]) if found else 0)
    before = Source.parsed(active.path.name, present, {})
    later, warning = waiting(desk.settings, wanted), unmatched_warning(wanted)
    return Checked("", 0, changes(before, source), later, warning)


def tried_out(desk: Desk, text: str, last: int) -> DryRunShown:
    """Return what a text would do with the images that came last.

    Raises:
        SettingsError: It cannot be used.
        ConflictError: Another dry run is under way.
    """
    active = _active(desk)
    wanted = _usable(desk, _source(active, text, _basis(active, _text(active))))
    if not _ONE_DRY_RUN.acquire(blocking=False):
        raise ConflictError("another dry run is under way: try again when it is done")
    try:
        found = dry_run(
            Candidates(desk.settings, wanted), desk.store, desk.spool, min(last, MOST_IN_A_DRY_RUN)
        )
    finally:
        _ONE_DRY_RUN.release()
    return DryRunShown(found.summary, tuple(_image(each) for each in found.images))


@dataclass(frozen=True)
class Wish:
    """Another text for the settings file.

    Attributes:
        text: Stars stand for the file's secrets.
        began: The sha256 of the file that it was made from, hexadecimal.
        why: In words.
    """

    text: str
    began: str
    why: str = ""


def activate(desk: Desk, request: Request, visitor: Visitor, wish: Wish) -> Activation:
    """Let another text be the settings; a running node takes it up within seconds.

    Raises:
        ConflictError: The file is not what the text was made from; nothing was written.
        SettingsError: The text cannot be used, or something cannot be written.
    """
    active = _active(desk)
    with _ONE_AT_A_TIME:
        present = _text(active)
        if digest_of(present) != wish.began:
            raise _changed_since(active)
        source = _source(active, wish.text, _basis(active, present))
        active.examine(source)
        with desk.noting(request, visitor, Act.ACTIVATE, "settings", wish.why) as ending:
            try:
                done = active.activate_source(source, visitor.name, wish.why, wish.began)
            except SettingsChangedError as error:  # by another process, since we looked
                ending.words = "refused: the file was changed meanwhile"
                raise _changed_since(active) from error
            ending.words = f"done: version {done.version.number}"
        return done


def roll_back(desk: Desk, request: Request, visitor: Visitor, number: int, why: str) -> Activation:
    """Let a version be the settings again.

    Raises:
        NotThereError: There is no such version.
        SettingsError: It cannot be used any more, or something cannot be written.
    """
    active = _active(desk)
    _numbered(active, number)
    with _ONE_AT_A_TIME:
        with desk.noting(request, visitor, Act.ROLL_BACK, f"version {number}", why) as ending:
            done = active.roll_back(visitor.name, number, why)
            ending.words = f"done: version {done.version.number}"
        return done


def versions_of(desk: Desk, visitor: Visitor) -> tuple[VersionShown, ...]:
    """Return every version, the newest first."""
    active = _active(desk)
    current, is_admin = active.current(), visitor.role.may(Role.ADMIN)
    found = tuple(_shown(each, current) for each in reversed(active.versions.all()))
    return found if is_admin else tuple(replace(each, sha256="") for each in found)


def version_text(desk: Desk, number: int) -> str:
    """Return the text of a version, its secrets as stars; NotThereError where there is none."""
    active = _active(desk)
    return masked(active.versions.text(_numbered(active, number)))


def differences(desk: Desk, before: int, after: int) -> tuple[Change, ...]:
    """Return what differs between two versions; NotThereError where there is none."""
    active = _active(desk)
    texts = [active.versions.text(_numbered(active, number)) for number in (before, after)]
    return changes(*(Source.parsed(active.path.name, text, {}) for text in texts))


def _usable(desk: Desk, source: Source, *, explains: bool = False) -> Settings:
    """Return settings that this process can go by; one that does not segment needs no model bundle.

    Other bundles than those that it was started with are looked at all the same: others go by this file, too.
    What is wrong with a file that a text names is explained only where the text lies on the machine already.
    """
    is_working = desk.watched.parts().model is not None
    wanted = usable(source, with_model=is_working, explains=explains)
    if not is_working and _bundles(wanted) - _bundles(desk.settings):
        return usable(source, explains=explains)
    return wanted


def _bundles(settings: Settings) -> set[str]:
    return {settings.model.bundle, *(rule.model for rule in settings.rule if rule.model)}


def _active(desk: Desk) -> ActiveFile:
    if desk.settings_file is None:
        raise NotThereError("the node was started without a settings file (--config): there is none to edit")
    return ActiveFile(desk.settings_file, partial(_usable, desk))


def _text(active: ActiveFile) -> str:
    text = active.text()
    if text is None:
        raise SettingsError(f"{active.path}: there is no such file any more")
    return text


def _basis(active: ActiveFile, text: str) -> str:
    """Return what is shown and what stars stand for: the file; of a broken one, the last good version."""
    try:
        Source.parsed(active.path.name, text, {})
        masked(text)
    except SettingsError:
        if active.versions.latest() is None:
            raise
        return _last_good(active)
    return text


def _last_good(active: ActiveFile) -> str:
    version = active.versions.latest()
    if version is None:
        raise SettingsError(f"{active.path.name}: cannot be used, and has no version that could be shown")
    return active.versions.text(version)


def _source(active: ActiveFile, text: str, basis: str) -> Source:
    name = active.path.name
    if len(text) > LONGEST_TEXT:
        raise SettingsError(f"{name}: has more than {LONGEST_TEXT} characters")
    if text.count("\n") > MOST_LINES:
        raise SettingsError(f"{name}: has more than {MOST_LINES} lines")
    return Source.parsed(name, unmasked(text, basis, name), environment())


def _changed_since(active: ActiveFile) -> ConflictError:
    version = active.current()
    who = "" if version is None else f" (version {version.number}, by {version.who})"
    return ConflictError(
        f"the settings were changed since this text was begun{who}: nothing was written; look at what is "
        "there now, and put your change into that"
    )


def _numbered(active: ActiveFile, number: int) -> Version:
    found = next((each for each in active.versions.all() if each.number == number), None)
    if found is None:
        raise NotThereError(f"there is no version {number}")
    return found


def _shown(version: Version, current: Version | None) -> VersionShown:
    return VersionShown(
        number=version.number,
        at=version.at,
        who=version.who,
        why=version.why,
        sha256=version.sha256,
        origin=version.origin,
        is_active=version == current,
    )


def _image(each: Comparison) -> ImageShown:
    was = each.job.state.value if each.done is None else in_words(each.done)
    would = "its file is gone" if each.would is None else in_words(each.would)
    return ImageShown(each.job.id, each.job.calling_ae_title, was, would, each.differences)
