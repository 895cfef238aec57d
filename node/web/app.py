"""The routes: `/livez`, `/readyz`, `/metrics`."""

from importlib.metadata import version

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from node.health import Health, alive, ready
from node.metrics import Exposition
from node.watched import Watched

OK, SERVICE_UNAVAILABLE = 200, 503
"""RFC 9110 15.3.1 and 15.6.4."""

WATCHERS_AT_ONCE = 8
"""Threads for health and metrics."""

NOT_KEPT = {"Cache-Control": "no-store"}


def web_app(watched: Watched) -> FastAPI:
    """Return the application for a node. Its functions run in threads, and may take their time.

    Who watches the node has threads of his own: health is told also while every other one is busy.
    """
    app = FastAPI(
        title="paxnode",
        version=version("paxnode"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    exposition = Exposition(watched)

    own_threads = CapacityLimiter(WATCHERS_AT_ONCE)

    async def livez() -> Response:
        return _told(await to_thread.run_sync(alive, watched, limiter=own_threads))

    async def readyz() -> Response:
        return _told(await to_thread.run_sync(ready, watched, limiter=own_threads))

    async def metrics() -> Response:
        text = await to_thread.run_sync(exposition.text, limiter=own_threads)
        return Response(text, media_type=CONTENT_TYPE_LATEST, headers=NOT_KEPT)

    for path, answer in (("/livez", livez), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_api_route(
            path, answer, methods=["GET", "HEAD"], response_class=Response, include_in_schema=False
        )
    return app


def _told(health: Health) -> Response:
    status = OK if health.is_good else SERVICE_UNAVAILABLE
    return Response(health.as_json(), status, media_type="application/json", headers=NOT_KEPT)
