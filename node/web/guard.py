"""What holds for every request and every answer, whatever the route: sizes, origins, headers."""

from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.limits import MAX_OBJECT_BYTES
from node.web.access import SAFE_METHODS

MOST_BYTES = 2_000_000
"""Of a request: a settings file, and the fields beside it."""

UPLOADS = frozenset({"/rules/try", "/api/v1/rules/try"})
MOST_UPLOADED_BYTES = MAX_OBJECT_BYTES + 65_536
"""Of a request to one of `UPLOADS`: one DICOM object, and the fields beside it."""

UPLOADS_AT_ONCE = 4
"""Each lies in a temporary file while it is read."""

OPEN_TO_ALL = frozenset({"/livez", "/readyz", "/metrics"})
"""They hold nothing about patients, and are read without TLS by whoever watches the node."""

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
        allow_http: Whether others than this machine may use the console without TLS.
    """

    def __init__(self, app: ASGIApp, allow_http: Callable[[], bool]) -> None:
        self._app = app
        self._allow_http = allow_http
        self._uploads = 0

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

        is_upload = scope["path"] in UPLOADS
        answer = self._refusal(scope, is_upload=is_upload) or self._app
        self._uploads += is_upload
        try:
            await answer(scope, receive, send_with_headers)
        finally:
            self._uploads -= is_upload

    def _refusal(self, scope: Scope, *, is_upload: bool) -> JSONResponse | None:
        headers = Headers(scope=scope)
        if "transfer-encoding" in headers:
            return _told(411, "the length of the request must be told")
        most, length = MOST_UPLOADED_BYTES if is_upload else MOST_BYTES, headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > most:
            return _told(413, f"a request has at most {most} bytes here")
        if is_upload and self._uploads >= UPLOADS_AT_ONCE:
            return _told(429, "other files are tried just now; try again in a minute")
        if _charset(headers.get("content-type", "")) not in {"", "utf-8"}:
            return _told(415, "forms are in UTF-8")
        if scope["method"] not in SAFE_METHODS and not _is_from_here(headers):
            return _told(403, "the request comes from a page of another site")
        if scope["path"] not in OPEN_TO_ALL and not self._is_private(scope):
            return _told(403, "the console is used on its own machine or over TLS; docs/console.md says how")
        return None

    def _is_private(self, scope: Scope) -> bool:
        """Return whether nobody on the way can read along: passwords and patients' data travel."""
        if scope["scheme"] == "https" or self._allow_http():
            return True
        try:
            return ip_address((scope.get("client") or ("",))[0]).is_loopback
        except ValueError:
            return False


def _is_from_here(headers: Headers) -> bool:
    origin = headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == headers.get("host", "")
    except ValueError:
        return False


def _charset(content_type: str) -> str:
    _, options = parse_options_header(content_type)  # as it is read when the form is
    return options.get(b"charset", b"").decode("latin-1").lower()


def _told(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status, {"Connection": "close"})
