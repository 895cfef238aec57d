"""The HTTP server of the node, in a thread of its own: where it cannot serve, the node goes on without it."""

import socket
import threading
from contextlib import suppress

import uvicorn
from fastapi import FastAPI
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from config.network import WebSettings
from node.doors import listening_socket
from node.logs import get_logger
from node.refusals import EVERY_S, Refusals
from node.web.guard import OPEN_TO_ALL
from node.web.patience import HEAD_WITHIN_S, Waiting

STOP_GRACE_S = 2
"""How long answers that are on their way may take when the node stops."""

STOPPED_WITHIN_S = 5.0
"""The thread is not waited for any longer."""

MOST_AT_ONCE = 100
"""Requests in hand at a time; more are answered 503. A browser has up to six."""

MOST_WATCHING = 50
"""Requests for health and metrics besides."""

RETRY = {"Connection": "close", "Retry-After": "1"}

log = get_logger()


class AtMost:
    """An ASGI middleware that answers 503 where too many requests are in hand.

    Who watches the node has room of his own: health is told also while people crowd.

    Args:
        app: What answers the others.
        refusals: Is told of who is turned away.
    """

    def __init__(self, app: ASGIApp, refusals: Refusals) -> None:
        self._app = app
        self._refusals = refusals
        self._in_hand = {True: 0, False: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        is_watching = scope["path"] in OPEN_TO_ALL
        if self._in_hand[is_watching] >= (MOST_WATCHING if is_watching else MOST_AT_ONCE):
            address = (scope.get("client") or ("",))[0]
            self._refusals.note("web request turned away", "too many are in hand", address)
            answer = JSONResponse({"error": "too many requests are in hand: try again"}, 503, RETRY)
            await answer(scope, receive, send)
            return
        self._in_hand[is_watching] += 1
        try:
            with suppress(ClientDisconnect):  # nobody is there who could be told
                await self._app(scope, receive, send)
        finally:
            self._in_hand[is_watching] -= 1


class WebServer:
    """Serves an application.

    Args:
        settings: `[web]`.
        app: What answers.
    """

    def __init__(self, settings: WebSettings, app: FastAPI) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        self._refusals = Refusals()
        self._server = uvicorn.Server(
            uvicorn.Config(
                AtMost(app, self._refusals),
                loop="asyncio",
                http=Waiting(self._refusals).protocol(),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                callback_notify=self._tell_due,
                timeout_notify=int(EVERY_S),
                timeout_keep_alive=int(HEAD_WITHIN_S),
                timeout_graceful_shutdown=STOP_GRACE_S,
            )
        )
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    @property
    def port(self) -> int:
        """The TCP port; for 0 in the settings, the one that was free; 0 while it does not listen."""
        return 0 if self._socket is None else int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Listen, and return. A port that cannot be had is told in the log, and the node goes on."""
        try:
            self._socket = listening_socket(self._settings.host, self._settings.port)
        except OSError as error:
            why = (error.strerror or str(error)).partition(" (while")[0]
            log.error("health and metrics are not served", port=self._settings.port, reason=why)
            return
        self._thread.start()
        log.info("health, metrics and console are served", address=self._settings.host, port=self.port)

    def stop(self) -> None:
        """End the answers on their way, and close the port."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(STOPPED_WITHIN_S)
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._refusals.tell_all()

    async def _tell_due(self) -> None:
        self._refusals.tell_due()

    def _serve(self) -> None:
        assert self._socket is not None, "start opened it"
        self._server.run(sockets=[self._socket])
