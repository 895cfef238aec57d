"""`/api/v1/settings`: the settings file and its versions. Secrets show as stars, and stars keep them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from pydantic import AfterValidator, Field

from config.differences import Change
from node.web.access import Admin, TheDesk, Viewer
from node.web.settings_desk import (
    LONGEST_TEXT,
    MOST_IN_A_DRY_RUN,
    Checked,
    DryRunShown,
    SettingsShown,
    StandingShown,
    VersionShown,
    Wish,
    activate,
    checked,
    differences,
    roll_back,
    settings_of,
    standing_of,
    tried_out,
    version_text,
    versions_of,
)

router = APIRouter(tags=["settings"])

MOST = 2**31 - 1


def _encodable(text: str) -> str:
    """Return a text; ValueError where it holds half of a surrogate pair, which UTF-8 has no bytes for."""
    text.encode("utf-8")
    return text


Text = Annotated[str, Field(max_length=LONGEST_TEXT), AfterValidator(_encodable)]
Why = Annotated[str, Field(max_length=500), AfterValidator(_encodable)]
Number = Annotated[int, Path(ge=1, le=MOST)]
Side = Annotated[int, Query(ge=1, le=MOST)]


@dataclass(frozen=True)
class CheckWish:
    """A text to be examined."""

    text: Text


@dataclass(frozen=True)
class DryRunWish:
    """A text to be tried on the images that came last."""

    text: Text
    last: Annotated[int, Field(ge=1, le=MOST_IN_A_DRY_RUN)] = 20


@dataclass(frozen=True)
class ActivateWish:
    """A text to be activated; `sha256` is that of the file that it was made from."""

    text: Text
    sha256: Annotated[str, Field(max_length=64)]
    why: Why = ""


@dataclass(frozen=True)
class RollBackWish:
    """A version to go back to."""

    version: Annotated[int, Field(ge=1, le=MOST)]
    why: Why = ""


@dataclass(frozen=True)
class Done:
    """What became of it.

    Attributes:
        version: The number that the text is kept as.
    """

    version: int


@dataclass(frozen=True)
class VersionText:
    """A version with its text, secrets as stars."""

    version: VersionShown
    text: str


@router.get("/settings")
def settings(desk: TheDesk, visitor: Viewer) -> SettingsShown:
    """Return the settings file, and whether the node goes by it; 404 where it has none."""
    return settings_of(desk, visitor)


@router.get("/settings/standing")
def standing(desk: TheDesk, visitor: Viewer) -> StandingShown:
    """Return whether the node goes by the file, and what waits for a restart."""
    return standing_of(desk)


@router.post("/settings/check")
def check(desk: TheDesk, visitor: Admin, wish: CheckWish) -> Checked:
    """Return whether a node could go by a text, and what would change; nothing is written."""
    return checked(desk, wish.text)


@router.post("/settings/dry-run")
def dry_run(desk: TheDesk, visitor: Admin, wish: DryRunWish) -> DryRunShown:
    """Return what a text would do with the images that came last; nothing is written."""
    return tried_out(desk, wish.text, wish.last)


@router.post("/settings/activate")
def activate_text(request: Request, desk: TheDesk, visitor: Admin, wish: ActivateWish) -> Done:
    """Let a text be the settings; 409 where the file is not the one that it was made from."""
    done = activate(desk, request, visitor, Wish(wish.text, wish.sha256, wish.why))
    return Done(done.version.number)


@router.post("/settings/rollback")
def back(request: Request, desk: TheDesk, visitor: Admin, wish: RollBackWish) -> Done:
    """Let a version be the settings again."""
    return Done(roll_back(desk, request, visitor, wish.version, wish.why).version.number)


@router.get("/settings/versions")
def versions(desk: TheDesk, visitor: Viewer) -> tuple[VersionShown, ...]:
    """Return every version, the newest first."""
    return versions_of(desk, visitor)


@router.get("/settings/versions/{number}")
def version(desk: TheDesk, visitor: Viewer, number: Number) -> VersionText:
    """Return one version."""
    text = version_text(desk, number)
    return VersionText(next(each for each in versions_of(desk, visitor) if each.number == number), text)


@router.get("/settings/diff")
def diff(desk: TheDesk, visitor: Viewer, before: Side, after: Side) -> tuple[Change, ...]:
    """Return what differs between two versions."""
    return differences(desk, before, after)
