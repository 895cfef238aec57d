"""The console: its pages, its API, its files, and what it answers when something is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from ai.errors import AiError
from config.errors import SettingsError
from node.errors import NodeError, NotThereError, StorageError, TransitionError
from node.web import (
    api_deeds,
    api_jobs,
    api_peers,
    api_rules,
    api_settings,
    api_status,
    pages_deeds,
    pages_jobs,
    pages_login,
    pages_peers,
    pages_rules,
    pages_settings,
    pages_status,
    pages_versions,
)
from node.web.desk import Desk
from node.web.errors import AccountError, ConflictError, NotAllowedError, NotLoggedInError
from node.web.guard import Guard
from node.web.image_shown import ShownImages
from node.web.rendering import STATIC, page

API = "/api/"
PAGES = (
    pages_login,
    pages_status,
    pages_jobs,
    pages_rules,
    pages_settings,
    pages_versions,
    pages_peers,
    pages_deeds,
)
APIS = (api_status, api_jobs, api_rules, api_settings, api_peers, api_deeds)

STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (NotAllowedError, 403),
    (NotThereError, 404),
    (TransitionError, 409),
    (ConflictError, 409),
    (AccountError, 422),
    (SettingsError, 422),
    (StorageError, 503),
    (NodeError, 422),
    (AiError, 422),
)
"""Which error is answered by which status (RFC 9110 15); the first that fits."""


@dataclass(frozen=True)
class Problem:
    """What the API answers when something is wrong.

    Attributes:
        error: In words.
    """

    error: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The request cannot be read."},
    401: {"model": Problem, "description": "Nobody is logged in."},
    403: {"model": Problem, "description": "The role is not enough, or the request is not from our page."},
    404: {"model": Problem, "description": "There is no such thing."},
    409: {
        "model": Problem,
        "description": "Its state does not allow it, or somebody else has changed it since.",
    },
    411: {"model": Problem, "description": "The length of the request is not told."},
    413: {"model": Problem, "description": "The request is too long."},
    415: {"model": Problem, "description": "The request is in another character set than UTF-8."},
    422: {"model": Problem, "description": "The request is not understood, or cannot be done."},
    429: {"model": Problem, "description": "Others try files just now."},
    503: {"model": Problem, "description": "The database or the data folder is away."},
}
"""What every route of the API may answer besides."""


def add_console(app: FastAPI, desk: Desk) -> None:
    """Let an application serve the console."""
    app.state.desk = desk
    app.state.shown = ShownImages(desk.store, desk.spool)
    app.add_middleware(Guard, allow_http=lambda: desk.settings.console.allow_http)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    for module in PAGES:
        app.include_router(module.router, include_in_schema=False)
    for module in APIS:
        app.include_router(module.router, prefix="/api/v1", responses=PROBLEMS)
    app.add_exception_handler(NotLoggedInError, _of_nobody)
    for kind, status in STATUSES:
        app.add_exception_handler(kind, _answering(status))
    app.add_exception_handler(HTTPException, _of_the_server)
    app.add_exception_handler(RequestValidationError, _of_the_form)


def _answering(status: int) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return _told(request, status, str(error))

    return answer


async def _of_nobody(request: Request, error: Exception) -> Response:
    if request.url.path.startswith(API):
        return JSONResponse({"error": str(error)}, 401)
    return await pages_login.led_to_login(request)


def _of_the_server(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _told(request, error.status_code, str(error.detail), dict(error.headers or {}))


def _of_the_form(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    words = (f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors())
    return _told(request, 422, "; ".join(words))


def _told(request: Request, status: int, words: str, headers: dict[str, str] | None = None) -> Response:
    if request.url.path.startswith(API):
        return JSONResponse({"error": words}, status, headers)
    answer = page(request, "error.html", status=status, words=words, code=status)
    answer.headers.update(headers or {})
    return answer
