"""The versions of the settings: who, when, why; their texts, what differs, and going back."""

from typing import Annotated

from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from node.web.access import Admin, TheDesk, Viewer
from node.web.rendering import page
from node.web.settings_desk import differences, roll_back, standing_of, version_text, versions_of

router = APIRouter()

MOST = 2**31 - 1
Number = Annotated[int, Path(ge=1, le=MOST)]
Side = Annotated[int, Query(ge=0, le=MOST)]


@router.get("/settings/versions")
def versions(request: Request, desk: TheDesk, visitor: Viewer, before: Side = 0, after: Side = 0) -> Response:
    """List the versions, and what differs between two of them where two are asked for."""
    known = versions_of(desk, visitor)
    return page(
        request,
        "versions.html",
        visitor,
        versions=known,
        before=before or (known[1].number if len(known) > 1 else 0),
        after=after or (known[0].number if known else 0),
        changes=differences(desk, before, after) if before and after else None,
        standing=standing_of(desk),
    )


@router.get("/settings/versions/{number}")
def version(request: Request, desk: TheDesk, visitor: Viewer, number: Number) -> Response:
    """Show one version."""
    text = version_text(desk, number)
    shown = next(each for each in versions_of(desk, visitor) if each.number == number)
    return page(request, "version.html", visitor, shown=shown, text=text)


@router.post("/settings/versions/{number}/roll-back")
def back(
    request: Request, desk: TheDesk, visitor: Admin, number: Number, why: Annotated[str, Form()] = ""
) -> Response:
    """Let a version be the settings again."""
    roll_back(desk, request, visitor, number, why)
    return RedirectResponse("/settings?done=1", 303)
