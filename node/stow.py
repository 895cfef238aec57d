"""Carrying result objects to a destination by STOW-RS; the body of the answer decides for each one.

PS3.18 10.5 (Store Transaction).
"""

import email.utils
import ssl
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import zip_longest

import httpx
from pydicom.errors import InvalidDicomError
from pydicom.uid import ExplicitVRLittleEndian

from config.network import TlsSettings, WebDestination
from config.settings import AnyDestination
from node.errors import TlsError
from node.handshake import connection_problem
from node.outcome import Outcome, Verdict, judge
from node.stow_answer import (
    JSON_TYPE,
    SYNTAX_NOT_SUPPORTED,
    XML_TYPE,
    StoreAnswer,
    failure_rule,
    http_rule,
    read_answer,
)
from node.stow_body import MultipartBody, Part
from node.transport import CONFIGURATION, DIAGNOSIS_S, Encoded, Outgoing, read_encoded, unsent
from node.web_client import web_client, web_context, web_peer, web_place

MAX_OBJECTS = 16
"""Objects in one request."""

MAX_REQUEST_BYTES = 64 * 1024 * 1024
"""A request is not longer, unless it holds a single object that is."""

MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""A longer answer is none: what is said of an object takes some hundred bytes."""

HEADERS = {"Accept": f"{JSON_TYPE}, {XML_TYPE};q=0.5"}

UNSUPPORTED_MEDIA_TYPE = 415


@dataclass(frozen=True)
class _Reply:
    """What became of a request.

    Attributes:
        verdict: For its objects; STORED: `answer` decides for each.
        reason: In words.
        answer: What the body says; None if it says nothing.
        apart: Whether one of several objects may be the cause.
        heard: Whether the peer answered at all.
        wait_s: It asks to be left alone for so long.
        http: The HTTP status, 0 without an answer.
        ours: Whether the node's own files went wrong.
    """

    verdict: Verdict
    reason: str
    answer: StoreAnswer | None = None
    apart: bool = False
    heard: bool = False
    wait_s: float = 0.0
    http: int = 0
    ours: bool = False


class StowTransport:
    """A STOW-RS user agent.

    An object goes in the first transfer syntax of its profile, since nothing is negotiated, and in Explicit
    VR Little Endian if the peer does not take that one.

    Each part states its transfer syntax (PS3.18 8.7.3.5.2). Orthanc's DICOMweb plugin 1.7 skips such parts
    and answers success without naming any object (measured); a peer that does so gets them without.

    Args:
        tls: The certificate to show to a peer that asks for one.
    """

    def __init__(self, tls: TlsSettings | None = None) -> None:
        self._tls = tls or TlsSettings()
        self._bare: set[str] = set()  # destinations that skip parts which state their transfer syntax

    def send(self, destination: AnyDestination, objects: Sequence[Outgoing]) -> Generator[Outcome]:
        """Send objects in as few requests as their size allows; see `Transport.send`."""
        if not isinstance(destination, WebDestination):
            raise TypeError(f"a DICOMweb destination is needed, found {type(destination).__name__}")
        read = [read_encoded(outgoing) for outgoing in objects]
        try:
            context = web_context(destination, self._tls)
        except TlsError as error:
            yield from (unsent(item, str(error), Verdict.BARRED) for item in read)
            return
        with web_client(destination, context) as client:
            call = _Call(destination, client, context, self._bare)
            for group in _groups(read):
                if isinstance(group, Outcome):
                    yield group
                else:
                    yield from call.store(group)


def _groups(read: Sequence[Encoded | Outcome]) -> Iterator[list[Encoded] | Outcome]:
    """Yield what goes in one request, in order; outcomes that are known already in between."""
    group: list[Encoded] = []
    total = 0
    for item in read:
        size = _size(item) if isinstance(item, Encoded) else 0
        full = len(group) >= MAX_OBJECTS or total + size > MAX_REQUEST_BYTES
        if group and (full or isinstance(item, Outcome)):
            yield group
            group, total = [], 0
        if isinstance(item, Outcome):
            yield item
        else:
            group, total = [*group, item], total + size
    if group:
        yield group


def _size(item: Encoded) -> int:
    with suppress(OSError):  # it is told when it is opened
        return item.outgoing.path.stat().st_size
    return 0


class _Call:
    """The requests to one destination, until one shows that it takes none."""

    def __init__(
        self,
        destination: WebDestination,
        client: httpx.Client,
        context: ssl.SSLContext | None,
        bare: set[str],
    ) -> None:
        self._destination = destination
        self._peer = web_peer(destination)
        self._client = client
        self._context = context
        self._bare = bare
        self._ended: _Reply | None = None

    def store(self, items: Sequence[Encoded]) -> Generator[Outcome]:
        """Send objects in one request; where one may have spoiled it for the others, each by itself."""
        if self._ended is not None:
            for item in items:
                yield self._unsent(item, self._ended)
            return
        reply = self._asked(items)
        if reply.apart and len(items) > 1:
            for item in items:
                yield from self.store([item])
            return
        if not (reply.heard or reply.ours) or reply.verdict in {Verdict.UNSENT, Verdict.BARRED}:
            self._ended = reply
        for item, following in zip_longest(items, items[1:]):
            if _wants_plain(item, reply):
                yield from self.store([replace(item, offers=(ExplicitVRLittleEndian,))])
            else:
                is_known = following is not None and not _wants_plain(following, reply)
                yield replace(self._outcome(item, reply), next_is_known=is_known)

    def _asked(self, items: Sequence[Encoded]) -> _Reply:
        reply = self._post(items)
        if reply.answer == StoreAnswer() and self._destination.name not in self._bare:
            self._bare.add(self._destination.name)
            return self._post(items)
        return reply

    def _unsent(self, item: Encoded, reply: _Reply) -> Outcome:
        verdict = Verdict.BARRED if reply.verdict is Verdict.BARRED else Verdict.UNSENT
        return replace(unsent(item, reply.reason, verdict), wait_s=reply.wait_s)

    def _outcome(self, item: Encoded, reply: _Reply) -> Outcome:
        uid = item.outgoing.sop_instance_uid
        if reply.answer is None:
            said = (reply.verdict, None, reply.reason, reply.heard, reply.wait_s)
            return Outcome(uid, *said, ours=reply.ours)
        if uid in reply.answer.failed:
            return _failed(uid, reply.answer.failed[uid], self._peer)
        if uid in reply.answer.stored:
            return judge_warning(uid, reply.answer.stored[uid])
        others = ", ".join(f"0x{reason:04X}" for reason in reply.answer.others)
        told = f"; it tells of failures without saying of what ({others})" if others else ""
        words = f"the answer of {self._peer} does not name this object (HTTP {reply.http}){told}"
        return Outcome(uid, Verdict.TRANSIENT, None, words, heard=True)

    def _post(self, items: Sequence[Encoded]) -> _Reply:
        bare = self._destination.name in self._bare
        parts = [Part(i.outgoing.path, i.transfer_syntax, i.offers[0], bare) for i in items]
        try:
            with MultipartBody(parts) as body:
                return self._answered(body)
        except httpx.RequestError as error:  # of the transport, or an answer that cannot be decoded
            return self._broken(error)
        except FileNotFoundError:
            return _Reply(Verdict.PERMANENT, "the result's file is gone", apart=True, ours=True)
        except OSError as error:
            words = f"the result's file cannot be read or encoded ({error.strerror})"
            return _Reply(Verdict.TRANSIENT, words, apart=True, ours=True)
        except (RuntimeError, ValueError, AttributeError, InvalidDicomError) as error:
            words = f"it cannot be encoded for the peer ({type(error).__name__})"
            return _Reply(Verdict.PERMANENT, words, apart=True, ours=True)

    def _answered(self, body: MultipartBody) -> _Reply:
        url = f"{self._destination.url}/studies"
        headers = HEADERS | body.headers
        with self._client.stream("POST", url, content=body.pieces(), headers=headers) as response:
            content = self._content(response)
            return self._judged(response, content)

    def _content(self, response: httpx.Response) -> bytes:
        content = b""
        deadline = time.monotonic() + self._destination.timeout_s
        for piece in response.iter_bytes():
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                return b""
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer comes too slowly")
        return content

    def _judged(self, response: httpx.Response, content: bytes) -> _Reply:
        status = response.status_code
        rule = http_rule(status)
        answer = None
        if rule.verdict is Verdict.STORED or status in BODY_DECIDES:
            answer = read_answer(content, response.headers.get("Content-Type", ""))
        reason = f"{self._peer}: {rule.reason} (HTTP {status})"
        if answer is not None:
            return _Reply(Verdict.STORED, reason, answer, heard=True, http=status)
        if rule.verdict is Verdict.STORED:
            words = f"the answer of {self._peer} is no Store Instances Response (HTTP {status})"
            return _Reply(Verdict.TRANSIENT, words, heard=True, http=status)
        reason += CONFIGURATION if rule.verdict is Verdict.BARRED else ""
        wait_s = retry_after_s(response.headers.get("Retry-After", ""), datetime.now(UTC))
        return _Reply(rule.verdict, reason, None, rule.apart, True, wait_s, status)

    def _broken(self, error: httpx.RequestError) -> _Reply:
        never_there = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)
        if never_there or self._context is not None:
            patience_s = min(self._destination.timeout_s, DIAGNOSIS_S)
            place = web_place(self._destination)
            why = connection_problem(*place, self._peer, patience_s, self._context)
            if why or never_there:
                return _Reply(
                    Verdict.UNSENT, why or f"no connection to {self._peer} (a second attempt went well)"
                )
        limit = f"within {self._destination.timeout_s:g} s"
        words = f"{self._peer} gave no answer {limit}, or the connection broke ({type(error).__name__})"
        return _Reply(Verdict.TRANSIENT, words, apart=True)


BODY_DECIDES = {400, 409}
"""Statuses of refusal whose body may name the objects (PS3.18 Table 10.5.3-1; some peers answer 400)."""


def _wants_plain(item: Encoded, reply: _Reply) -> bool:
    """Whether the peer does not take the transfer syntax, and there is a plainer one."""
    reason = reply.answer.failed.get(item.outgoing.sop_instance_uid) if reply.answer else None
    refused = reply.http == UNSUPPORTED_MEDIA_TYPE or reason == SYNTAX_NOT_SUPPORTED
    return refused and ExplicitVRLittleEndian in item.offers[1:]


def _failed(uid: str, reason: int | None, peer: str) -> Outcome:
    if reason is None:
        return Outcome(uid, Verdict.TRANSIENT, None, f"{peer} did not store it, and gives no reason", True)
    rule = failure_rule(reason)
    return Outcome(uid, rule.verdict, reason, f"{rule.reason} (0x{reason:04X})")


def judge_warning(uid: str, warning: int | None) -> Outcome:
    """Return the outcome of an object that was stored, perhaps with a Warning Reason (0008,1196)."""
    outcome = judge(uid, warning or 0x0000)
    if outcome.verdict is Verdict.STORED:
        return outcome
    return Outcome(uid, Verdict.STORED, 0xB000, f"stored, with a warning (0x{warning or 0:04X})")


def retry_after_s(value: str, now: datetime) -> float:
    """Return for how many seconds a peer asks to be left alone (RFC 9110 10.2.3); 0 if it does not say.

    >>> retry_after_s("120", datetime.now(UTC))
    120.0
    """
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, (email.utils.parsedate_to_datetime(value) - now).total_seconds())
    return 0.0
