"""The HTTP client for archives that are reached over DICOMweb: TLS, credentials, time limits (PS3.18 8)."""

import ssl
from collections.abc import Generator
from urllib.parse import urlsplit

import httpx

from config.network import TlsSettings, WebDestination
from node.implementation import IMPLEMENTATION_VERSION_NAME
from node.tls import client_context


class _Bearer(httpx.Auth):
    """A bearer token (RFC 6750 2.1)."""

    def __init__(self, token: str) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request


def web_context(destination: WebDestination, tls: TlsSettings) -> ssl.SSLContext | None:
    """Return what TLS with the destination is made with; None where it is reached without.

    Raises:
        node.errors.TlsError: A file cannot be used.
    """
    return client_context(tls, destination.authorities) if destination.url.startswith("https") else None


def web_client(destination: WebDestination, context: ssl.SSLContext | None) -> httpx.Client:
    """Return a client that names itself to the destination.

    It follows no redirection, so that credentials stay where they belong, and takes no proxy, password or
    certificate from the environment.

    Args:
        destination: Whose time limit holds for each step: connecting, each piece that is sent or read.
        context: From `web_context`.
    """
    auth: httpx.Auth | None = None
    if destination.token.get_secret_value():
        auth = _Bearer(destination.token.get_secret_value())
    elif destination.user:
        auth = httpx.BasicAuth(destination.user, destination.password.get_secret_value())
    return httpx.Client(
        auth=auth,
        verify=False if context is None else context,
        timeout=destination.timeout_s,
        follow_redirects=False,
        trust_env=False,
        headers={"User-Agent": IMPLEMENTATION_VERSION_NAME, "Accept-Encoding": "identity"},
    )


def web_place(destination: WebDestination) -> tuple[str, int]:
    """Return the host and the port in a destination's url."""
    url = httpx.URL(destination.url)
    return url.host, url.port or (443 if url.scheme == "https" else 80)


def web_host(destination: WebDestination) -> str:
    """Return scheme, host and port of a destination's url: its path may be a secret."""
    parts = urlsplit(destination.url)
    return f"{parts.scheme}://{parts.netloc}"


def web_peer(destination: WebDestination) -> str:
    """Return what a destination is called in sentences, which are also logged and shown to viewers."""
    return f"{destination.name} at {web_host(destination)}"
