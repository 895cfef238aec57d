"""`paxnode-health`: asks the node of this machine how it is; for the health checks of containers.

It is a program of its own because it runs every half minute, and `paxnode` takes seconds of a processor to
start.
"""

import json
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Annotated

import typer

from config.network import WebSettings
from config.settings import SettingsError, load_settings

ANSWER_S = 5.0
"""How long the node may take to answer."""

LIVE, READY = "/livez", "/readyz"

EXIT_ILL = 1
EXIT_USAGE = 2


def main() -> None:
    """Run the command line."""
    typer.run(health)


def health(
    ready: Annotated[bool, typer.Option("--ready", help="Ask whether images are taken, too.")] = False,
    config: Annotated[Path | None, typer.Option("--config", "-c", help="Settings file of the node.")] = None,
) -> None:
    """Ask the node that runs here with these settings whether it lives, over HTTP.

    Exit status: 0 it does, 1 it does not or cannot be asked, 2 wrong usage or settings.
    """
    try:
        web = load_settings(config).web
    except SettingsError as error:
        typer.echo(f"paxnode-health: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    words = _what_is_wrong(web, READY if ready else LIVE)
    typer.echo(words or f"the node {'is ready' if ready else 'lives'}")
    raise typer.Exit(EXIT_ILL if words else 0)


def _what_is_wrong(web: WebSettings, path: str) -> str:
    if not web.enabled or web.port == 0:
        return "the node cannot be asked: [web] must be enabled and have a port"
    problems = told_by_node(web, path)
    if problems is None:
        return f"no node answers at {web.host}:{web.port}"
    return "; ".join(problems)


def told_by_node(web: WebSettings, path: str = READY, timeout_s: float = ANSWER_S) -> tuple[str, ...] | None:
    """Return what a running node says is wrong; None where whatever has the port is none.

    Args:
        web: Where it serves.
        path: LIVE or READY.
        timeout_s: How long it may take.
    """
    connection = HTTPConnection(reached_at(web.host), web.port, timeout=timeout_s)
    try:
        connection.request("GET", path)
        told = json.loads(connection.getresponse().read())
        return tuple(f"{each['part']}: {each['reason']}" for each in told["problems"])
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return None
    finally:
        connection.close()


def reached_at(host: str) -> str:
    """Return where this machine reaches a socket that listens there."""
    return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)


if __name__ == "__main__":
    main()
