"""Asking an archive by QIDO-RS whether it has objects (PS3.18 10.6)."""

import json
import ssl
import time
from collections.abc import Callable, Sequence

import httpx

from config.settings import AnyDestination, WebDestination
from node.errors import NodeError, ProofError
from node.proofs import Sought
from node.web_client import web_client

JSON = "application/dicom+json"
"""The media type of answers (PS3.18 8.7.3.2)."""

SOP_INSTANCE_UID = "00080018"
"""SOP Instance UID in the DICOM JSON Model (PS3.18 F.2.1)."""

MAX_ANSWER_BYTES = 1_048_576
"""One instance's attributes; a longer answer is not read."""

NOT_THERE = frozenset({httpx.codes.NO_CONTENT, httpx.codes.NOT_FOUND})
"""Nothing matches, or the study or series is unknown (PS3.18 10.6.3.1)."""

WebTlsFor = Callable[[WebDestination], ssl.SSLContext]
"""Gives the TLS context for a web destination."""


def system_tls(destination: WebDestination) -> ssl.SSLContext:
    """Return a context that checks certificates against the settings' authorities, else the system's."""
    return ssl.create_default_context(cafile=destination.authorities or None)


class WebFinder:
    """Asks for each object, all over one connection.

    Args:
        tls: Gives the TLS context.
    """

    def __init__(self, tls: WebTlsFor = system_tls) -> None:
        self._tls = tls

    def find(self, destination: AnyDestination, sought: Sequence[Sought]) -> frozenset[str]:
        """Ask one after the other; see `node.query.Finder.find`."""
        if not isinstance(destination, WebDestination):
            raise TypeError(f"a web destination is needed, found {type(destination).__name__}")
        try:
            with self._client(destination) as client:
                return frozenset(e.sop_instance_uid for e in sought if _has(client, destination.name, e))
        except httpx.HTTPError as error:
            told = f"no answer to the query from {destination.name} ({type(error).__name__})"
            raise ProofError(told, unanswered=True) from error

    def _context(self, destination: WebDestination) -> ssl.SSLContext | None:
        """Return the TLS context; ProofError where its certificate or authorities cannot be used."""
        if not destination.url.startswith("https:"):
            return None
        try:
            return self._tls(destination)
        except (NodeError, OSError) as error:
            raise ProofError(f"{destination.name} cannot be asked over TLS ({error})") from error

    def _client(self, destination: WebDestination) -> httpx.Client:
        client = web_client(destination, self._context(destination))
        client.base_url = httpx.URL(destination.url.rstrip("/"))
        client.headers["Accept"] = JSON
        return client


def _has(client: httpx.Client, name: str, sought: Sought) -> bool:
    path = f"/studies/{sought.study_instance_uid}/series/{sought.series_instance_uid}/instances"
    status, content = _answer(client, name, path, {"SOPInstanceUID": sought.sop_instance_uid})
    if status == httpx.codes.NOT_FOUND and _answer(client, name, "/studies", {"limit": "1"})[0] == status:
        raise ProofError(f"{name} answers no queries at all (HTTP 404): is the url right?")
    if status in NOT_THERE:
        return False
    if status != httpx.codes.OK:
        unanswered = status >= httpx.codes.INTERNAL_SERVER_ERROR
        raise ProofError(f"{name} answered the query with HTTP {status}", unanswered=unanswered)
    try:
        return any(
            sought.sop_instance_uid in match[SOP_INSTANCE_UID]["Value"] for match in json.loads(content)
        )
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ProofError(f"{name} answered the query with what is not DICOM JSON") from error


def _answer(client: httpx.Client, name: str, path: str, query: dict[str, str]) -> tuple[int, bytes]:
    """Return the status and the content of an answer; ProofError for one that is absurdly long or slow."""
    content, patience_s = bytearray(), client.timeout.read or 0.0
    deadline = time.monotonic() + patience_s
    with client.stream("GET", path, params=query) as answer:
        for piece in answer.iter_bytes():
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise ProofError(f"{name} answered the query with more than {MAX_ANSWER_BYTES} bytes")
            if time.monotonic() > deadline:
                told = f"{name} did not end its answer to the query within {patience_s:g} s"
                raise ProofError(told, unanswered=True)
    return answer.status_code, bytes(content)
