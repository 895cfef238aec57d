"""The routes: `/livez`, `/readyz`, `/metrics`."""

from importlib.metadata import version

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from node.health import Health, alive, ready
from node.metrics import Exposition
from node.watched import Watched

OK, SERVICE_UNAVAILABLE = 200, 503
"""RFC 9110 15.3.1 and 15.6.4."""

NOT_KEPT = {"Cache-Control": "no-store"}


def web_app(watched: Watched) -> FastAPI:
    """Return the application for a node. Its functions run in threads, and may take their time."""
    app = FastAPI(
        title="paxnode",
        version=version("paxnode"),
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    exposition = Exposition(watched)

    def livez() -> Response:
        return _told(alive(watched))

    def readyz() -> Response:
        return _told(ready(watched))

    def metrics() -> Response:
        return Response(exposition.text(), media_type=CONTENT_TYPE_LATEST, headers=NOT_KEPT)

    for path, answer in (("/livez", livez), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_api_route(
            path, answer, methods=["GET", "HEAD"], response_class=Response, include_in_schema=False
        )
    return app


def _told(health: Health) -> Response:
    status = OK if health.is_good else SERVICE_UNAVAILABLE
    return Response(health.as_json(), status, media_type="application/json", headers=NOT_KEPT)
