"""The HTTP server of the node, in a thread of its own: where it cannot serve, the node goes on without it."""

import socket
import threading

import uvicorn
from fastapi import FastAPI

from config.network import WebSettings
from node.doors import listening_socket
from node.logs import get_logger

STOP_GRACE_S = 2
"""How long answers that are on their way may take when the node stops."""

STOPPED_WITHIN_S = 5.0
"""The thread is not waited for any longer."""

MOST_AT_ONCE = 100
"""Connections at a time; more are answered 503. Who watches needs one, a browser up to six."""

log = get_logger()


class WebServer:
    """Serves an application.

    Args:
        settings: `[web]`.
        app: What answers.
    """

    def __init__(self, settings: WebSettings, app: FastAPI) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                limit_concurrency=MOST_AT_ONCE,
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

    def _serve(self) -> None:
        assert self._socket is not None, "start opened it"
        self._server.run(sockets=[self._socket])
