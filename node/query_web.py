"""Asking an archive by QIDO-RS whether it has objects (PS3.18 10.6)."""

import ssl
from collections.abc import Callable, Sequence

import httpx

from config.settings import AnyDestination, WebDestination
from node.errors import NodeError, ProofError
from node.proofs import Sought

JSON = "application/dicom+json"
"""The media type of answers (PS3.18 8.7.3.2)."""

SOP_INSTANCE_UID = "00080018"
"""SOP Instance UID in the DICOM JSON Model (PS3.18 F.2.1)."""

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

    def _context(self, destination: WebDestination) -> ssl.SSLContext | bool:
        """Return the TLS context; ProofError where its certificate or authorities cannot be used."""
        if not destination.url.startswith("https:"):
            return False
        try:
            return self._tls(destination)
        except (NodeError, OSError) as error:
            raise ProofError(f"{destination.name} cannot be asked over TLS ({error})") from error

    def _client(self, destination: WebDestination) -> httpx.Client:
        token, password = destination.token.get_secret_value(), destination.password.get_secret_value()
        return httpx.Client(
            headers={"Accept": JSON} | ({"Authorization": f"Bearer {token}"} if token else {}),
            auth=(destination.user, password) if destination.user and not token else None,
            timeout=destination.timeout_s,
            verify=self._context(destination),
            base_url=destination.url.rstrip("/"),
        )


def _has(client: httpx.Client, name: str, sought: Sought) -> bool:
    path = f"/studies/{sought.study_instance_uid}/series/{sought.series_instance_uid}/instances"
    answer = client.get(path, params={"SOPInstanceUID": sought.sop_instance_uid})
    if answer.status_code in NOT_THERE:
        return False
    if answer.status_code != httpx.codes.OK:
        unanswered = answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
        raise ProofError(f"{name} answered the query with HTTP {answer.status_code}", unanswered=unanswered)
    try:
        return any(sought.sop_instance_uid in match[SOP_INSTANCE_UID]["Value"] for match in answer.json())
    except (ValueError, LookupError, TypeError) as error:
        raise ProofError(f"{name} answered the query with what is not DICOM JSON") from error
