"""The settings: reading them, editing them, activating others."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from config.errors import SettingsError
from node.errors import NodeError
from node.web.access import Admin, TheDesk, Viewer
from node.web.desk import Desk
from node.web.errors import ConflictError
from node.web.rendering import page
from node.web.sessions import Visitor
from node.web.settings_desk import (
    MOST_IN_A_DRY_RUN,
    Wish,
    activate,
    checked,
    settings_of,
    standing_of,
    tried_out,
)

router = APIRouter()

Text = Annotated[str, Form()]
EDITOR = frozenset({"/settings/check", "/settings/dry-run", "/settings/activate"})
"""Where the editor is sent, with what was typed in it."""


@router.get("/settings")
def settings(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """Show the settings file; to admins so that they can change it."""
    if desk.settings_file is None:
        return page(request, "settings_none.html", visitor)
    return _page(request, desk, visitor)


@router.get("/settings/standing")
def standing(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """Show whether the node goes by the file, for the page to put in its place."""
    return page(request, "settings_standing.html", visitor, standing=standing_of(desk))


@router.post("/settings/check")
def check(
    request: Request, desk: TheDesk, visitor: Admin, text: Text = "", began: Text = "", why: Text = ""
) -> Response:
    """Show whether a text can be used, and what would change."""
    return _page(request, desk, visitor, Wish(text, began, why), outcome=checked(desk, text))


@router.post("/settings/dry-run")
def dry_run(
    request: Request,
    desk: TheDesk,
    visitor: Admin,
    text: Text = "",
    began: Text = "",
    why: Text = "",
    last: Annotated[int, Form(ge=1, le=MOST_IN_A_DRY_RUN)] = 20,
) -> Response:
    """Show what a text would do with the images that came last."""
    wish, outcome = Wish(text, began, why), checked(desk, text)
    if outcome.problem:
        return _page(request, desk, visitor, wish, outcome=outcome)
    return _page(request, desk, visitor, wish, outcome=outcome, dry=tried_out(desk, text, last), last=last)


@router.post("/settings/activate")
def activate_text(
    request: Request, desk: TheDesk, visitor: Admin, text: Text = "", began: Text = "", why: Text = ""
) -> Response:
    """Let a text be the settings; where that cannot be, show it again with the reason."""
    wish = Wish(text, began, why)
    try:
        activate(desk, request, visitor, wish)
    except (SettingsError, ConflictError) as error:
        outcome = checked(desk, text)
        status = 409 if isinstance(error, ConflictError) else 422
        problem = "" if outcome.problem else f"{error}"
        return _page(request, desk, visitor, wish, status, outcome=outcome, problem=problem)
    return RedirectResponse("/settings?done=1", 303)


def editor(request: Request, desk: Desk, visitor: Visitor, wish: Wish, problem: str) -> Response:
    """Show a text to an admin in the editor again, with why that is."""
    if desk.settings_file is None:
        return page(request, "settings_none.html", visitor)
    return _page(request, desk, visitor, wish, outcome=checked(desk, wish.text), problem=problem)


def _page(
    request: Request,
    desk: Desk,
    visitor: Visitor,
    wish: Wish | None = None,
    status: int = 200,
    **more: object,
) -> Response:
    try:
        shown = settings_of(desk, visitor)
    except (SettingsError, NodeError) as error:
        return page(request, "settings_none.html", visitor, 422, problem=str(error))
    wish = wish or Wish(shown.text, shown.sha256)
    values = {"outcome": None, "dry": None, "problem": "", "last": 20, **more}
    is_done = "done" in request.query_params
    return page(
        request,
        "settings.html",
        visitor,
        status,
        wish=wish,
        standing=shown.standing,
        is_done=is_done,
        **values,
    )
