"""Logging in and out."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from node.web.access import COOKIE, TheDesk, Viewer
from node.web.accounts import LONGEST_PASSWORD
from node.web.deeds import Act
from node.web.desk import Desk, address_of
from node.web.rendering import page

router = APIRouter()

WRONG = "name or password is wrong, or too many were: wait some minutes"
NOBODY = "(no account)"
"""Written down in the place of a name that no account has: people type passwords there."""


def login_url(request: Request) -> str:
    """Return where to log in, and come back from."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    is_page = request.method == "GET" and asked != "/"
    return f"/login?{urlencode({'next': asked})}" if is_page else "/login"


@router.get("/login")
def login_form(request: Request, desk: TheDesk, next: str = "/") -> Response:  # noqa: A002 - its name in the URL
    """Show where to log in."""
    return _form(request, desk, next)


@router.post("/login")
def log_in(
    request: Request,
    desk: TheDesk,
    name: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",  # noqa: A002 - its name in the form
) -> Response:
    """Begin a session, and lead to the page that was asked for."""
    address = address_of(request)
    if not desk.attempts.begin(name, address):
        return _form(request, desk, next, name)
    account = desk.accounts.verified(name, password[: LONGEST_PASSWORD + 1])
    if account is None:
        who = name if name in {each.name for each in desk.accounts.all()} else NOBODY
        desk.deeds.write(who, address, Act.FAIL_TO_LOG_IN)
        return _form(request, desk, next, name)
    desk.attempts.succeeded(name, address)
    desk.sessions.end(request.cookies.get(COOKIE, ""))
    desk.deeds.write(account.name, address, Act.LOG_IN)
    answer = RedirectResponse(_inside(next), 303)
    secret, secure = desk.sessions.begin(account.name), request.url.scheme == "https"
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


def _form(request: Request, desk: Desk, after: str, refused: str | None = None) -> Response:
    """Return the form; after a login that failed, `refused` is the name that was typed, and stays there."""
    name, has_accounts = (refused or "")[:64], bool(desk.accounts.all())
    problem, status = ("", 200) if refused is None else (WRONG, 401)
    words = {"after": after, "name": name, "problem": problem}
    return page(request, "login.html", None, status, has_accounts=has_accounts, **words)


def _inside(after: str) -> str:
    """Return a path of ours; the first page for anything that would lead elsewhere."""
    is_ours = after.startswith("/") and not after.startswith(("//", "/\\")) and after.isprintable()
    return after if is_ours else "/"
