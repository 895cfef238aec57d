"""Storage commitment as SCU: nothing is delivered before the destination has committed itself to it."""

from collections.abc import Callable

import pytest
from pydicom import Dataset
from pydicom.uid import UID, SegmentationStorage

from node.jobs import DeliveryState
from node.proof_store import MAX_RESENDS
from node.proofs import ProofKind, awaited
from node.states import State
from tests.node.proving import (
    DELIVERED,
    SENT,
    TIMEOUT_S,
    UIDS,
    Bench,
    Pacs,
    asked_once,
    at,
    complete,
    second_failed,
    tell,
)

UNCONNECTED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = pytest.mark.filterwarnings(UNCONNECTED)

# ---- the answer


def test_commitment_on_the_same_association_ends_the_job(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs(here=complete)
    destination = at(archive.port)
    bench.send(destination)
    assert bench.states == SENT
    assert [job.state for job in bench.store.jobs()] == [State.DELIVERING]

    bench.prover(destination).step()

    assert bench.states == DELIVERED
    assert [job.state for job in bench.store.jobs()] == [State.DONE]
    assert [i.ReferencedSOPInstanceUID for i in archive.asked[0].ReferencedSOPSequence] == UIDS
    assert bench.kinds().count((ProofKind.COMMITMENT, True)) == 2
    archive.close()
    assert archive.answers == [0x0000]


def test_commitment_on_another_association_to_the_listener_ends_the_job(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive = pacs()
    destination = at(archive.port)
    asked = asked_once(bench, destination, archive)
    assert (bench.states, bench.reasons) == (SENT, [awaited([ProofKind.COMMITMENT])] * 2)

    with bench.listener(destination) as listener:  # as in another process: the database is all they share
        assert tell(listener, *complete(asked)) == 0x0000
        assert bench.states == DELIVERED
        assert tell(listener, *complete(asked)) == 0x0000  # told twice, it is no news

    assert bench.kinds().count((ProofKind.COMMITMENT, True)) == 2
    assert [job.state for job in bench.store.jobs()] == [State.DONE]


def test_what_is_not_committed_is_sent_again_and_parked_in_the_end(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive = pacs(here=second_failed)
    destination = at(archive.port)
    bench.send(destination)
    bench.prover(destination).step()
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.WAITING]
    assert "no such object instance there (0x0112)" in bench.reasons[1]

    archive._here = lambda asked: second_failed(_behind(asked))  # now it is the only one that is asked for
    for _ in range(MAX_RESENDS):
        bench.clock.advance(60)
        assert len(bench.resend(destination)) == 1
        bench.prover(destination).step()

    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.PARKED]
    assert f"it was sent {MAX_RESENDS + 1} times" in bench.reasons[1]
    assert bench.store.retry(1).state is State.DELIVERING
    assert bench.states[1] is DeliveryState.WAITING


def _behind(asked: Dataset) -> Dataset:
    other = Dataset()
    other.ReferencedSOPClassUID, other.ReferencedSOPInstanceUID = SegmentationStorage, UID("2.25.3")
    asked.ReferencedSOPSequence = [other, *asked.ReferencedSOPSequence]
    return asked


def test_peer_without_commitment_is_told_in_words_and_objects_stay_sent(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    destination = at(pacs(offers=False).port)
    bench.send(destination)
    bench.prover(destination).step()

    assert bench.states == SENT
    assert "accepts no presentation context for Storage Commitment Push Model" in bench.reasons[0]
    assert bench.transactions() == 0


def test_request_that_is_refused_is_told_with_its_status(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    destination = at(pacs(status=0x0213).port)
    bench.send(destination)
    bench.prover(destination, keep_open_s=0.0).step()

    assert bench.states == SENT
    assert "refused the request for commitment (0x0213)" in bench.reasons[0]
    assert bench.transactions() == 0


def test_dead_peer_opens_the_breaker_and_nothing_is_lost(bench: Bench) -> None:
    destination = at(1)
    bench.send(destination)
    prover = bench.prover(destination)

    assert prover.step() > 0
    assert bench.states == SENT
    assert "no connection to ARCHIVE" in bench.reasons[0]


# ---- time-outs, old transactions, strangers


def test_lost_answer_is_asked_for_again_and_the_old_transaction_stays_good(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive = pacs()
    destination = at(archive.port)
    first = asked_once(bench, destination, archive)
    bench.clock.advance(TIMEOUT_S - 1)
    bench.prover(destination, keep_open_s=0.0).step()
    assert len(archive.asked) == 1

    bench.clock.advance(TIMEOUT_S)
    bench.prover(destination, keep_open_s=0.0).step()
    assert len({asked.TransactionUID for asked in archive.asked}) == 2

    with bench.listener(destination) as listener:
        assert tell(listener, *complete(first)) == 0x0000
    assert bench.states == DELIVERED


def test_old_failure_does_not_fail_what_was_sent_since(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs()
    destination = at(archive.port)
    first = asked_once(bench, destination, archive)
    with bench.listener(destination) as listener:
        assert tell(listener, *second_failed(first)) == 0x0000
        bench.clock.advance(60)
        assert len(bench.resend(destination)) == 1
        assert tell(listener, *second_failed(first)) == 0x0000  # of the sending before
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]


@pytest.mark.parametrize("answers", [True, False])
def test_stranger_cannot_confirm_deliveries(bench: Bench, pacs: Callable[..., Pacs], answers: bool) -> None:
    archive = pacs()
    destination = at(archive.port)
    asked = asked_once(bench, destination, archive)
    with bench.listener(destination, answers=answers) as listener:
        status = tell(listener, *complete(asked), ae_title="STRANGER")
    assert status == (0x0110 if answers else None)
    assert bench.states == SENT
    assert (ProofKind.COMMITMENT, True) not in bench.kinds()


def test_unknown_transaction_and_event_change_nothing(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs()
    destination = at(archive.port)
    asked = asked_once(bench, destination, archive)
    with bench.listener(destination) as listener:
        assert tell(listener, 3, complete(asked)[1]) == 0x0113
        asked.TransactionUID = "2.25.4711"
        assert tell(listener, *complete(asked)) == 0x0115
    assert bench.states == SENT


def test_objects_of_another_transaction_are_not_committed_by_this_one(bench: Bench) -> None:
    destination = at(1)
    bench.send(destination)
    first, second = bench.store.deliveries()
    bench.store.begin_transaction("2.25.77", "pacs", [first.id])
    told = Dataset()
    items = []
    for uid in UIDS:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = SegmentationStorage, UID(uid)
        items.append(item)
    told.TransactionUID, told.ReferencedSOPSequence = UID("2.25.77"), items
    with bench.listener(destination) as listener:
        assert tell(listener, 1, told, role=False) == 0x0000
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]
    assert second.state is DeliveryState.SENT


def test_peer_that_is_called_over_tls_is_never_called_without(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive = pacs(here=complete)
    destination = at(archive.port).model_copy(update={"tls": True})
    bench.send(destination)
    bench.prover(destination).step()

    assert archive.asked == []
    assert bench.states == SENT
    assert "is to be called over TLS, and no certificate is set" in bench.reasons[0]
