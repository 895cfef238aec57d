"""Who may do what: dependencies that a route names, such as `visitor: Operator`.

A browser shows a cookie, and with everything that changes something a token that only our pages know
(`csrf`, in a form or in the header X-CSRF-Token). A program shows a token of its own as a Bearer (RFC 6750).
"""

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool

from node.web.desk import Desk, desk_of
from node.web.errors import NotAllowedError, NotLoggedInError
from node.web.roles import Role
from node.web.sessions import Visitor

COOKIE = "paxnode_session"
CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"
REFRESH_HEADER = "x-refresh"
"""Sent by pages that ask again by themselves: nobody need be there."""

MOST_FIELDS = 16
"""Of a form of ours."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""RFC 9110 9.2.1."""

_cookie = APIKeyCookie(name=COOKIE, auto_error=False, description="Of a browser that has logged in.")
_bearer = HTTPBearer(auto_error=False, description="From `paxnode users token`.")

TheDesk = Annotated[Desk, Depends(desk_of)]


async def visitor_of(
    request: Request,
    desk: TheDesk,
    cookie: Annotated[str | None, Security(_cookie)],
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Visitor:
    """Return who asks; NotLoggedInError for nobody, NotAllowedError for a form that is not ours."""
    if bearer is not None:
        found = await run_in_threadpool(desk.sessions.owner_of_token, bearer.credentials)
    else:
        is_seen = REFRESH_HEADER not in request.headers
        found = await run_in_threadpool(desk.sessions.visitor, cookie or "", is_seen=is_seen)
    if found is None:
        raise NotLoggedInError("log in first")
    if request.method not in SAFE_METHODS and not found.is_program:
        await _check_csrf(request, found)
    return found


def _at_least(least: Role) -> Callable[[Visitor], Awaitable[Visitor]]:
    async def check(visitor: Annotated[Visitor, Depends(visitor_of)]) -> Visitor:
        if not visitor.role.may(least):
            raise NotAllowedError(f"this needs the role {least}, and {visitor.name} is {visitor.role}")
        return visitor

    return check


Viewer = Annotated[Visitor, Depends(_at_least(Role.VIEWER))]
Operator = Annotated[Visitor, Depends(_at_least(Role.OPERATOR))]
Admin = Annotated[Visitor, Depends(_at_least(Role.ADMIN))]


async def _check_csrf(request: Request, visitor: Visitor) -> None:
    shown: object = request.headers.get(CSRF_HEADER)
    if shown is None and "form" in request.headers.get("content-type", ""):
        shown = (await request.form(max_files=1, max_fields=MOST_FIELDS)).get(CSRF_FIELD)
    if not isinstance(shown, str) or not hmac.compare_digest(shown.encode(), visitor.csrf.encode()):
        raise NotAllowedError("this form is not from this session; load the page again")
