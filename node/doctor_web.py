"""The doctor with a web destination: the answer over HTTP, its credentials, STOW-RS, QIDO-RS.

Nothing is stored there. PS3.18 8.5 (statuses), 10.5 (Store Transaction), 10.6 (Search Transaction).
"""

from collections.abc import Callable, Mapping

import httpx

from config.network import TlsSettings, WebDestination
from node.doctor_network import Line
from node.doctor_steps import Finding, Step, Task, carried_out, failed, not_asked, passed
from node.stow_answer import JSON_TYPE, http_rule
from node.web_client import web_client, web_context, web_peer, web_place

QUERY_WORKS = frozenset({200, 204, 206})
NO_SERVICE = frozenset({404, 405, 501})
"""Answers of a server that has no such service at this url (PS3.18 8.5)."""

CREDENTIALS = {401: "the credentials are missing or wrong", 403: "the credentials do not allow it"}

CLEAR_TEXT = "its credentials travel without encryption: use https"

BOUNDARY = "paxnode-doctor"
EMPTY_STORE = f"--{BOUNDARY}--\r\n".encode()
"""A Store request without any part: there is nothing in it that could be stored (RFC 2046 5.1.1)."""

STORE_HEADERS = {
    "Accept": JSON_TYPE,
    "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
}

URL_ADVICE = "is the url right? It ends where /studies would follow"


class WebExamination:
    """Looks at one web destination.

    Args:
        destination: Which.
        tls: Our certificate.
        timeout_s: How long each step may take.
    """

    def __init__(self, destination: WebDestination, tls: TlsSettings, timeout_s: float) -> None:
        self._destination = destination.model_copy(update={"timeout_s": timeout_s})
        self._tls = tls
        self._is_secure = destination.url.startswith("https")
        self._query_status = 0

    def steps(self) -> tuple[Step, ...]:
        """Try everything, in order."""
        place, peer = web_place(self._destination), web_peer(self._destination)
        context = (lambda: web_context(self._destination, self._tls)) if self._is_secure else None
        line = Line(*place, peer, self._destination.timeout_s, context)  # type: ignore[arg-type]
        return carried_out(
            (
                *line.tasks(),
                Task("HTTP", self._http, is_needed=True),
                Task("authentication", self._authentication, is_needed=True),
                Task("STOW-RS", self._store),
                Task("query", self._query),
            )
        )

    def _asked(self, ask: Callable[[httpx.Client], httpx.Response]) -> httpx.Response:
        """Return the answer to a request, without its body: that may be about patients."""
        with web_client(self._destination, web_context(self._destination, self._tls)) as client:
            answer = ask(client)
            answer.close()
            return answer

    def _request(
        self, method: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        url = f"{self._destination.url}/studies"
        params = {"limit": "1"} if method == "GET" else None

        def ask(client: httpx.Client) -> httpx.Response:
            request = client.build_request(method, url, params=params, content=content, headers=headers)
            return client.send(request, stream=True)

        return self._asked(ask)

    def _http(self) -> Finding:
        try:
            status = self._request("GET", headers={"Accept": JSON_TYPE}).status_code
        except httpx.HTTPError as error:
            return failed(
                f"breaks off a request ({type(error).__name__})", "is this the port of a web server?"
            )
        self._query_status = status
        rule = http_rule(status)
        if 300 <= status < 400:
            return failed(f"{rule.reason} (HTTP {status})", "give url the place where it is now")
        if status >= 500 and status not in NO_SERVICE:
            return failed(f"{rule.reason} (HTTP {status})", "the peer's log says more")
        return passed(f"answers (HTTP {status})")

    @property
    def _clear_text(self) -> str:
        secret = self._destination.user or self._destination.token.get_secret_value()
        return CLEAR_TEXT if secret and not self._is_secure else ""

    def _authentication(self) -> Finding:
        has_secret = bool(self._destination.user or self._destination.token.get_secret_value())
        if self._query_status in CREDENTIALS:
            words = f"{CREDENTIALS[self._query_status]} (HTTP {self._query_status})"
            advice = (
                "put user and password, or token, right"
                if has_secret
                else "it wants user and password, or token"
            )
            return failed(words, "; ".join(filter(None, (advice, self._clear_text))))
        if not has_secret:
            return passed("lets us in without credentials")
        if self._query_status in NO_SERVICE:
            return passed("does not refuse our credentials; STOW-RS, below, shows whether it takes them")
        return passed("takes our credentials", self._clear_text)

    def _store(self) -> Finding:
        """Ask by OPTIONS; where that tells nothing, by a Store request that holds no object."""
        try:
            told = self._request("OPTIONS")
            allowed = {word.strip().upper() for word in told.headers.get("Allow", "").split(",")}
            if told.is_success and "POST" in allowed:
                return passed("takes objects at this url (OPTIONS)")
            status = self._request("POST", content=EMPTY_STORE, headers=STORE_HEADERS).status_code
        except httpx.HTTPError as error:
            words = f"breaks off a Store request without objects ({type(error).__name__})"
            return failed(words, "the peer's log says more")
        if status in CREDENTIALS:
            return failed(
                f"{CREDENTIALS[status]} to store (HTTP {status})", "let its admin allow us to store"
            )
        if status in NO_SERVICE or 300 <= status < 400:
            return failed(f"there is no STOW-RS at this url (HTTP {status})", URL_ADVICE)
        if status in {502, 503, 504}:
            return failed(f"STOW-RS: {http_rule(status).reason} (HTTP {status})", "the peer's log says more")
        return passed(f"takes Store requests at this url (HTTP {status} to one without objects)")

    def _query(self) -> Finding:
        if not self._destination.query:
            return not_asked("it is not asked what it has")
        if self._query_status in QUERY_WORKS:
            return passed("answers queries (QIDO-RS)")
        words = (
            f"answers no query (HTTP {self._query_status}): nothing sent there would ever count as delivered"
        )
        return failed(words, f"set query = false for it; or {URL_ADVICE}")
