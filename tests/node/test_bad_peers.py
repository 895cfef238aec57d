"""Sender and transports against peers that misbehave in every way we know."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from pydicom.uid import SegmentationStorage

from config.settings import Destination, WebDestination
from node.check_peers import check_destination, check_web_destination, classes_of
from node.options import OutputOptions
from node.outcome import Verdict
from node.transport import DimseTransport, Outgoing
from tests.faults.peers import BadPeer, Manner, Order, written_object
from tests.faults.web_peers import BadWeb, WebManner, WebOrder

pytestmark = [
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

PATIENCE_S = (1.0, 4.0, 16.0)
"""Timeouts to try one after the other: on a busy machine even a willing peer takes longer than the first."""


@pytest.fixture(autouse=True)
def _halves_are_thrown_away() -> Iterator[None]:
    """What pynetdicom leaves open of an object that broke off is closed here, and warns in no other test."""
    yield
    gc.collect()


MEANINGS = {
    Manner.GOOD: (Verdict.STORED, "stored"),
    Manner.STATUS: (Verdict.PERMANENT, "does not match its SOP Class (0xA900)"),
    Manner.FORGET: (Verdict.STORED, "stored"),  # only a proof of delivery shows it
    Manner.ABORT: (Verdict.TRANSIENT, "the connection broke"),
    Manner.STALL: (Verdict.TRANSIENT, "gave no answer within"),
    Manner.REFUSE: (Verdict.PERMANENT, "accepts no presentation context for Segmentation Storage"),
    Manner.REJECT_TRANSIENT: (Verdict.UNSENT, "Rejected Transient: Local limit exceeded"),
    Manner.REJECT_PERMANENT: (Verdict.BARRED, "Calling AE title not recognised"),
    Manner.CLOSE: (Verdict.UNSENT, "aborted the association, or did not answer"),
    Manner.SILENT: (Verdict.UNSENT, "did not answer within"),
    Manner.NONSENSE: (Verdict.UNSENT, "aborted the association"),
}


def _written(folder: Path, size: int = 4096) -> Outgoing:
    return written_object(folder, bytes(size))


def _at(port: int, timeout_s: float = 5) -> Destination:
    return Destination(name="bad", ae_title="BAD", host="127.0.0.1", port=port, timeout_s=timeout_s)


@pytest.mark.parametrize("manner", list(Manner))
def test_manner_of_a_peer_has_its_meaning_and_is_said_in_words(tmp_path: Path, manner: Manner) -> None:
    outgoing = _written(tmp_path)
    with BadPeer(tmp_path / "archive", Order(manner, 0xA900)) as peer:
        for patience_s in PATIENCE_S if manner in {Manner.SILENT, Manner.STALL} else PATIENCE_S[-1:]:
            [outcome] = DimseTransport("PAXNODE").send(_at(peer.port, patience_s), [outgoing])
            if outcome.verdict is MEANINGS[manner][0]:
                break
        kept = set(peer.archive.counts)
    verdict, words = MEANINGS[manner]
    assert outcome.verdict is verdict, outcome.reason
    assert words in outcome.reason
    assert kept == ({outgoing.sop_instance_uid} if manner is Manner.GOOD else set())


def test_peer_that_stops_reading_a_large_object_is_given_up_in_time(tmp_path: Path) -> None:
    objects = [_written(tmp_path, size=20_000_000), _written(tmp_path)]
    with BadPeer(tmp_path / "archive", Order(Manner.STALL)) as peer:
        for patience_s in PATIENCE_S:
            outcomes = list(DimseTransport("PAXNODE").send(_at(peer.port, patience_s), objects))
            if outcomes[0].verdict is Verdict.TRANSIENT:
                break
    assert [o.verdict for o in outcomes] == [Verdict.TRANSIENT, Verdict.UNSENT]


@pytest.mark.parametrize("manner", [Manner.REFUSE, Manner.REJECT_PERMANENT, Manner.CLOSE])
def test_check_tells_what_is_wrong(tmp_path: Path, manner: Manner) -> None:
    with BadPeer(tmp_path / "archive", Order(manner)) as peer:
        result = check_destination("PAXNODE", _at(peer.port), sop_classes=[SegmentationStorage])
    words = {
        Manner.REFUSE: "takes no Segmentation Storage, which its profile makes",
        Manner.REJECT_PERMANENT: "Calling AE title not recognised",
        Manner.CLOSE: "aborted the association",
    }
    assert not result.passed
    assert words[manner] in result.words


@pytest.mark.parametrize(
    ("code", "passed", "words"),
    [(200, True, "takes our credentials"), (401, False, "the credentials are missing or wrong (HTTP 401)"),
     (404, False, "there is no STOW-RS at this url (HTTP 404)"), (501, False, "no STOW-RS at this url"),
     (503, False, "it is out of service (HTTP 503)")],
)  # fmt: skip
def test_check_asks_a_web_destination_with_its_credentials(code: int, passed: bool, words: str) -> None:
    with BadWeb(WebOrder(WebManner.HTTP, code)) as peer:
        place = WebDestination(name="web", url=peer.url, user="node", password=SecretStr("s3cret"))
        result = check_web_destination(place)
    assert result.passed is passed
    assert words in result.words
    assert "s3cret" not in result.words
    assert ("its credentials travel without encryption" in result.words) is passed


def test_classes_of_a_profile_are_those_that_it_makes() -> None:
    names = {sop_class.keyword for sop_class in classes_of(OutputOptions())}
    assert names == {"SegmentationStorage", "Comprehensive3DSRStorage"}
    assert len(classes_of(OutputOptions(presentation_state=True, secondary_capture=True))) == 4
