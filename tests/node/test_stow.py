"""Objects travel by STOW-RS; the answer's body decides for each, and what went wrong is said in words."""

import hashlib
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    SegmentationStorage,
    generate_uid,
)

from config.settings import WebDestination
from node import stow
from node.outcome import Outcome, Verdict
from node.stow import StowTransport, retry_after_s
from node.transport import Outgoing
from tests.faults.web_peers import BadWeb, WebManner, WebOrder

DEFLATED, EXPLICIT = DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian


def _at(peer: BadWeb, **settings: Any) -> WebDestination:
    return WebDestination.model_validate({"name": "web", "url": peer.url, "timeout_s": 5} | settings)


def _send(peer: BadWeb, objects: list[Outgoing], **settings: Any) -> list[Outcome]:
    return list(StowTransport().send(_at(peer, **settings), objects))


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., list[Outgoing]]:
    def make(count: int = 1, preferred: tuple[UID, ...] = (), size: int = 0) -> list[Outgoing]:
        return [_written(tmp_path, preferred, size) for _ in range(count)]

    return make


def _written(folder: Path, preferred: tuple[UID, ...], size: int) -> Outgoing:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SegmentationStorage, generate_uid()
    dataset.PatientID = "SYNTHETIC-1"
    dataset.add_new(0x7FE00010, "OB", bytes(range(256)) * (size // 256))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return Outgoing(dataset.SOPInstanceUID, path, preferred)


Made = Callable[..., list[Outgoing]]


@pytest.mark.parametrize("manner", [WebManner.GOOD, WebManner.XML])
def test_objects_travel_in_one_request_byte_for_byte(made: Made, manner: WebManner) -> None:
    objects = made(3, size=4096)
    with BadWeb(WebOrder(manner)) as peer:
        outcomes = _send(peer, objects)
    assert [(o.verdict, o.status) for o in outcomes] == [(Verdict.STORED, 0x0000)] * 3
    assert peer.requests == [[o.sop_instance_uid for o in objects]]
    sent = [hashlib.sha256(o.path.read_bytes()).hexdigest() for o in objects]
    assert [arrival.digest for arrival in peer.kept] == sent
    stated = {arrival.stated.replace('"', "") for arrival in peer.kept}
    assert stated == {f"application/dicom; transfer-syntax={EXPLICIT}"}


def test_requests_are_bounded_by_count_and_by_bytes(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = made(5, size=4096)
    with BadWeb() as peer:
        monkeypatch.setattr(stow, "MAX_OBJECTS", 2)
        _send(peer, objects)
        monkeypatch.setattr(stow, "MAX_REQUEST_BYTES", 5000)
        _send(peer, objects[:2])
    assert [len(uids) for uids in peer.requests] == [2, 2, 1, 1, 1]


def test_the_first_syntax_of_the_profile_is_taken_and_stated(made: Made) -> None:
    objects = made(1, preferred=(DEFLATED, EXPLICIT))
    with BadWeb() as peer:
        [outcome] = _send(peer, objects)
    assert outcome.verdict is Verdict.STORED
    assert peer.kept[0].syntax == DEFLATED
    assert str(DEFLATED) in peer.kept[0].stated


@pytest.mark.parametrize("order", [WebOrder(WebManner.HTTP, 415), WebOrder(WebManner.FAILS, 0xC122)])
def test_plain_syntax_is_tried_where_another_is_not_taken(made: Made, order: WebOrder) -> None:
    objects = made(2, preferred=(DEFLATED,))
    with BadWeb(order) as peer:
        outcomes = _send(peer, objects)
    assert [o.verdict for o in outcomes] == [Verdict.PERMANENT] * 2
    assert [len(uids) for uids in peer.requests].count(1) >= 2
    assert "transfer syntax" in outcomes[0].reason


@pytest.mark.parametrize(
    ("reason", "verdict"),
    [
        (0xA700, Verdict.TRANSIENT),
        (0x0110, Verdict.TRANSIENT),
        (0x0111, Verdict.STORED),
        (0x0122, Verdict.PERMANENT),
        (0x0124, Verdict.PERMANENT),
        (0xA900, Verdict.PERMANENT),
        (0xC000, Verdict.PERMANENT),
        (0x0BAD, Verdict.PERMANENT),
        (0, Verdict.TRANSIENT),  # none is given
    ],
)
def test_each_object_has_the_reason_that_the_body_gives_it(made: Made, reason: int, verdict: Verdict) -> None:
    objects = made(3)
    bad = objects[1].sop_instance_uid
    with BadWeb(WebOrder(WebManner.FAILS, reason, frozenset({bad}))) as peer:
        outcomes = _send(peer, objects)
    assert [o.verdict for o in outcomes] == [Verdict.STORED, verdict, Verdict.STORED]
    assert outcomes[1].status == (reason or None)
    assert not outcomes[1].unanswered


def test_warning_counts_as_stored(made: Made) -> None:
    with BadWeb(WebOrder(code=0xB007)) as peer:
        [outcome] = _send(peer, made())
    assert (outcome.verdict, outcome.status) == (Verdict.STORED, 0xB007)


@pytest.mark.parametrize("manner", [WebManner.UNNAMED, WebManner.HTML])
def test_success_without_a_word_about_the_object_is_no_success(made: Made, manner: WebManner) -> None:
    with BadWeb(WebOrder(manner)) as peer:
        [outcome] = _send(peer, made())
    assert outcome.verdict is Verdict.TRANSIENT
    assert not outcome.unanswered
    assert "is no Store Instances Response (HTTP 200)" in outcome.reason


def test_peer_that_skips_parts_with_a_stated_syntax_gets_them_without(made: Made) -> None:
    with BadWeb(WebOrder(WebManner.PICKY)) as peer:
        transport = StowTransport()
        for _ in range(2):
            outcomes = list(transport.send(_at(peer), made(2)))
            assert [o.verdict for o in outcomes] == [Verdict.STORED] * 2
    assert [len(uids) for uids in peer.requests] == [2, 2, 2]  # it is remembered


STATUSES = {
    400: Verdict.PERMANENT, 401: Verdict.BARRED, 403: Verdict.BARRED, 404: Verdict.BARRED,
    409: Verdict.PERMANENT, 413: Verdict.PERMANENT, 415: Verdict.PERMANENT, 429: Verdict.UNSENT,
    500: Verdict.TRANSIENT, 503: Verdict.UNSENT, 302: Verdict.BARRED, 507: Verdict.TRANSIENT,
}  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
def test_http_status_without_a_body_has_its_meaning(made: Made, status: int) -> None:
    with BadWeb(WebOrder(WebManner.HTTP, status)) as peer:
        outcomes = _send(peer, made(2))
    assert [o.verdict for o in outcomes] == [STATUSES[status]] * 2
    assert f"(HTTP {status})" in outcomes[0].reason
    assert outcomes[0].unanswered == (STATUSES[status] in {Verdict.BARRED, Verdict.UNSENT})


def test_peer_says_how_long_it_wants_to_be_left_alone(made: Made) -> None:
    with BadWeb(WebOrder(WebManner.HTTP, 429, headers={"Retry-After": "90"})) as peer:
        [outcome] = _send(peer, made())
    assert outcome.wait_s == 90
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert retry_after_s("Thu, 01 Jan 2026 12:01:00 GMT", now) == 60
    assert retry_after_s("soon", now) == 0


@pytest.mark.parametrize("order", [WebOrder(WebManner.HTTP, 400), WebOrder(WebManner.HTTP, 500)])
def test_object_that_spoils_a_request_does_not_hold_up_the_others(made: Made, order: WebOrder) -> None:
    objects = made(3)
    bad = frozenset({objects[1].sop_instance_uid})
    with BadWeb(WebOrder(order.manner, order.code, bad)) as peer:
        outcomes = _send(peer, objects)
    assert [o.verdict for o in outcomes] == [Verdict.STORED, STATUSES[order.code], Verdict.STORED]
    assert max(peer.counts.values()) == 1


@pytest.mark.parametrize("manner", [WebManner.CLOSE, WebManner.NONSENSE, WebManner.STALL])
def test_broken_connection_leaves_one_object_transient_and_the_rest_unsent(
    made: Made, manner: WebManner
) -> None:
    with BadWeb(WebOrder(manner)) as peer:
        outcomes = _send(peer, made(3), timeout_s=0.5)
    assert [o.verdict for o in outcomes] == [Verdict.TRANSIENT, Verdict.UNSENT, Verdict.UNSENT]
    assert outcomes[0].unanswered


def test_an_answer_that_cannot_be_unpacked_counts_as_a_broken_connection(made: Made) -> None:
    """A proxy may compress what was asked for as it is, and do it badly."""
    with BadWeb(WebOrder(WebManner.GOOD, headers={"Content-Encoding": "gzip"})) as peer:
        outcomes = _send(peer, made(2))
    assert [o.verdict for o in outcomes] == [Verdict.TRANSIENT, Verdict.UNSENT]
    assert outcomes[0].unanswered


def test_redirection_is_not_followed_and_takes_no_credentials_along(made: Made) -> None:
    with BadWeb() as other:
        order = WebOrder(WebManner.HTTP, 307, headers={"Location": f"{other.url}/studies"})
        with BadWeb(order) as peer:
            [outcome] = _send(peer, made(), token="s3cret")
    assert outcome.verdict is Verdict.BARRED
    assert other.authorizations == []


def test_credentials_go_to_the_peer_and_into_no_word(made: Made) -> None:
    with BadWeb(WebOrder(WebManner.HTTP, 401)) as peer:
        [basic] = _send(peer, made(), user="node", password="s3cret")
        [bearer] = _send(peer, made(), token="s3cret")
        shown = repr(_at(peer, token="s3cret"))
    assert peer.authorizations == ["Basic bm9kZTpzM2NyZXQ=", "Bearer s3cret"]
    assert "the credentials are missing or wrong" in basic.reason
    assert "s3cret" not in basic.reason + bearer.reason + shown


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_peer_that_is_down_leaves_every_object_unsent(made: Made) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{unused.getsockname()[1]}"
        outcomes = list(StowTransport().send(WebDestination(name="web", url=f"{place}/key"), made(2)))
    assert [o.verdict for o in outcomes] == [Verdict.UNSENT] * 2
    assert outcomes[0].reason == f"no connection to web at {place} (Connection refused)"


def test_missing_file_is_permanent_and_does_not_stop_the_others(made: Made, tmp_path: Path) -> None:
    first, last = made(2)
    with BadWeb() as peer:
        outcomes = _send(peer, [first, Outgoing("1.2.3", tmp_path / "gone.dcm"), last])
    assert [o.verdict for o in outcomes] == [Verdict.STORED, Verdict.PERMANENT, Verdict.STORED]


def test_authorities_that_cannot_be_read_are_told(made: Made, tmp_path: Path) -> None:
    place = WebDestination(name="web", url="https://127.0.0.1:1", authorities=str(tmp_path / "none.pem"))
    [outcome] = StowTransport().send(place, made())
    assert outcome.verdict is Verdict.BARRED
    assert "none.pem cannot be read" in outcome.reason


def test_file_is_sent_as_it_is_and_stays_so(made: Made) -> None:
    [outgoing] = made(1, preferred=(DEFLATED,))
    before = outgoing.path.read_bytes()
    with BadWeb() as peer:
        _send(peer, [outgoing])
    assert outgoing.path.read_bytes() == before
    assert dcmread(outgoing.path).file_meta.TransferSyntaxUID == EXPLICIT


def test_outcomes_of_one_request_are_known_together(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stow, "MAX_OBJECTS", 2)
    with BadWeb() as peer:
        outcomes = _send(peer, made(3))
    assert [outcome.next_is_known for outcome in outcomes] == [True, False, False]
