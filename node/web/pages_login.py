"""Logging in and out. What was typed in the editor of the settings while a session ended outlives that."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from node.web.access import COOKIE, MOST_FIELDS, TheDesk, Viewer
from node.web.accounts import LONGEST_PASSWORD
from node.web.deeds import Act
from node.web.desk import Desk, address_of, desk_of
from node.web.pages_settings import EDITOR, editor
from node.web.rendering import page
from node.web.roles import Role
from node.web.settings_desk import Wish

router = APIRouter()

WRONG = "name or password is wrong, or too many were: wait some minutes"
NOBODY = "(no account)"
"""Written down in the place of a name that no account has: people type passwords there."""

IS_BACK = "your session was over, and nothing was activated: what you typed is here again"


def typed_of(
    text: Annotated[str, Form()] = "", began: Annotated[str, Form()] = "", why: Annotated[str, Form()] = ""
) -> Wish | None:
    """Return what was typed in the editor; None: nothing. A dependency."""
    return Wish(text, began, why) if began else None


Typed = Annotated[Wish | None, Depends(typed_of)]


def login_url(request: Request) -> str:
    """Return where to log in, and come back from."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    is_page = request.method == "GET" and asked != "/"
    return f"/login?{urlencode({'next': asked})}" if is_page else "/login"


async def led_to_login(request: Request) -> Response:
    """Lead whoever is not logged in to where that is done; what they typed in the editor goes with them."""
    if request.url.path not in EDITOR:
        return RedirectResponse(login_url(request), 303)
    form = await request.form(max_files=1, max_fields=MOST_FIELDS)
    typed = typed_of(*(str(form.get(name, "")) for name in ("text", "began", "why")))
    return await run_in_threadpool(_form, request, desk_of(request), "/settings", typed=typed, status=401)


@router.get("/login")
def login_form(request: Request, desk: TheDesk, next: str = "/") -> Response:  # noqa: A002 - its name in the URL
    """Show where to log in."""
    return _form(request, desk, next)


@router.post("/login")
def log_in(
    request: Request,
    desk: TheDesk,
    typed: Typed,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - its name in the form
) -> Response:
    """Begin a session, and lead to the page that was asked for, or back to what was typed."""
    address = address_of(request)
    if not desk.attempts.begin(name, address):
        return _form(request, desk, next, typed, 401, name)
    account = desk.accounts.verified(name, password[: LONGEST_PASSWORD + 1])
    if account is None:
        who = name if name in {each.name for each in desk.accounts.all()} else NOBODY
        desk.deeds.write(who, address, Act.FAIL_TO_LOG_IN)
        return _form(request, desk, next, typed, 401, name)
    desk.attempts.succeeded(name, address)
    desk.sessions.end(request.cookies.get(COOKIE, ""))
    desk.deeds.write(account.name, address, Act.LOG_IN)
    secret, secure = desk.sessions.begin(account.name), request.url.scheme == "https"
    visitor = desk.sessions.visitor(secret)
    if typed is None or visitor is None or not visitor.role.may(Role.ADMIN):
        answer: Response = RedirectResponse(_inside(next), 303)
    else:
        answer = editor(request, desk, visitor, typed, IS_BACK)
    answer.set_cookie(COOKIE, secret, path="/", httponly=True, samesite="strict", secure=secure)
    return answer


@router.post("/logout")
def log_out(request: Request, desk: TheDesk, visitor: Viewer) -> Response:
    """End the session."""
    desk.note(request, visitor, Act.LOG_OUT)
    desk.sessions.end(request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return answer


def _form(
    request: Request,
    desk: Desk,
    after: str,
    typed: Wish | None = None,
    status: int = 200,
    refused: str | None = None,
) -> Response:
    """Return the form; after a login that failed, `refused` is the name that was typed, and stays there."""
    name, problem = ("", "") if refused is None else (refused[:64], WRONG)
    words = {"after": after, "name": name, "problem": problem}
    known = bool(desk.accounts.all())
    return page(request, "login.html", None, status, typed=typed, has_accounts=known, **words)


def _inside(after: str) -> str:
    """Return a path of ours; the first page for anything that would lead elsewhere."""
    is_ours = after.startswith("/") and not after.startswith(("//", "/\\")) and after.isprintable()
    return after if is_ours else "/"
