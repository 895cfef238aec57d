"""What holds for every request and every answer, whatever the route: sizes, origins, headers."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.limits import MAX_OBJECT_BYTES
from node.web.access import SAFE_METHODS

MOST_BYTES = 1_000_000
"""Of a request: a settings file, and the fields beside it."""

UPLOADS = frozenset({"/rules/try", "/api/v1/rules/try"})
MOST_UPLOADED_BYTES = MAX_OBJECT_BYTES + 65_536
"""Of a request to one of `UPLOADS`: one DICOM object, and the fields beside it."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
"""Nothing from elsewhere is loaded, nothing in the page runs that is not a file of ours, nobody frames it."""

KEPT = "/static/"
"""Only what is here may be kept by browsers: patients' data must not stay on their disks."""


class Guard:
    """An ASGI middleware.

    Args:
        app: What answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that must not come in; let the others in, and put our headers on the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if not scope["path"].startswith(KEPT):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = _refusal(scope)
        await (refusal or self._app)(scope, receive, send_with_headers)


def _refusal(scope: Scope) -> JSONResponse | None:
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers:
        return _told(411, "the length of the request must be told")
    length = headers.get("content-length", "0")
    most = MOST_UPLOADED_BYTES if scope["path"] in UPLOADS else MOST_BYTES
    if not length.isdecimal() or int(length) > most:
        return _told(413, f"a request has at most {most} bytes here")
    origin = headers.get("origin")
    is_elsewhere = origin is not None and urlsplit(origin).netloc != headers.get("host", "")
    if scope["method"] not in SAFE_METHODS and is_elsewhere:
        return _told(403, "the request comes from a page of another site")
    return None


def _told(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status, {"Connection": "close"})
