"""Nothing counts as delivered before the destination has said all that it is asked for."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from node import heartbeat
from node.jobs import DeliveryState
from node.proofs import CommitmentAnswer, ProofKind, asked_of, awaited
from node.states import State
from tests.node.proving import (
    BACKOFF,
    DELIVERED,
    SENT,
    SERIES,
    STUDY,
    TIMEOUT_S,
    UIDS,
    Bench,
    Pacs,
    PlainAsker,
    Qido,
    at,
    complete,
)

UNCONNECTED = "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
pytestmark = pytest.mark.filterwarnings(UNCONNECTED)

# ---- killed between two steps


def test_killed_before_the_request_went_out_it_is_asked_again(bench: Bench) -> None:
    destination, asker = at(1), PlainAsker()
    bench.send(destination)
    asker.dies_before = "taken on"
    with pytest.raises(KeyboardInterrupt):
        bench.prover(destination, asker).step()
    assert bench.store.transaction(asker.asked[0]) is not None  # committed before: an answer would be known

    asker.dies_before = ""
    bench.clock.advance(31)  # the lease of the dead one
    bench.prover(destination, asker).step()
    assert len(set(asker.asked)) == 2
    assert all(delivery.asked_at is not None for delivery in bench.store.deliveries())


def test_killed_after_the_request_was_taken_on_it_is_not_asked_twice(bench: Bench) -> None:
    destination, asker = at(1), PlainAsker()
    bench.send(destination)
    bench.prover(destination, asker).step()
    bench.clock.advance(120)
    bench.prover(destination, asker).step()
    assert len(asker.asked) == 1


# ---- queries


def test_object_counts_as_delivered_when_it_is_found(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs()
    destination = at(archive.port, commitment=False, query=True)
    bench.send(destination)
    bench.prover(destination).step()
    assert (bench.states, bench.reasons) == (SENT, [awaited([ProofKind.QUERY])] * 2)
    assert [(q.StudyInstanceUID, q.SeriesInstanceUID) for q in archive.queries] == [(STUDY, SERIES)]

    archive.there = {UIDS[0], "2.25.4"}
    bench.clock.advance(10)
    bench.prover(destination).step()
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]

    bench.clock.advance(TIMEOUT_S)
    bench.prover(destination).step()
    assert archive.queries[-1].SOPInstanceUID == UIDS[1]
    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.WAITING]
    assert "not found there 3600 s after it was stored" in bench.reasons[1]


def test_commitment_and_query_must_both_be_there(bench: Bench, pacs: Callable[..., Pacs]) -> None:
    archive = pacs(here=complete)
    destination = at(archive.port, query=True)
    bench.send(destination)
    bench.prover(destination).step()
    assert bench.states == SENT

    archive.there = set(UIDS)
    bench.clock.advance(10)
    bench.prover(destination).step()
    assert bench.states == DELIVERED
    assert len(archive.asked) == 1


def test_reason_names_every_proof_that_is_awaited_and_no_other(
    bench: Bench, pacs: Callable[..., Pacs]
) -> None:
    archive, asker = pacs(), PlainAsker()
    destination = at(archive.port, query=True)
    bench.send(destination)
    bench.prover(destination, asker).step()
    assert bench.reasons == [awaited([ProofKind.COMMITMENT, ProofKind.QUERY])] * 2

    archive.there = {UIDS[0]}
    bench.clock.advance(10)
    bench.prover(destination, asker).step()
    assert bench.reasons == [awaited([ProofKind.COMMITMENT]), awaited(list(ProofKind))]

    transaction = bench.store.transaction(asker.asked[0])
    assert transaction is not None
    answer = CommitmentAnswer(committed=frozenset(UIDS))
    bench.store.record_answer(transaction, answer, asked_of(destination), BACKOFF)
    assert (bench.states, bench.reasons) == ([DELIVERED[0], SENT[0]], ["", awaited([ProofKind.QUERY])])


def test_reason_names_what_could_not_be_asked_and_what_is_awaited_beside(bench: Bench) -> None:
    destination = at(1, query=True)
    bench.send(destination)
    bench.prover(destination).step()

    said = bench.reasons[0]
    assert said.startswith("stored there; no connection to ARCHIVE")
    assert said.endswith("; it is not found there yet")


def test_leases_are_kept_however_long_the_destination_takes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination, asker = at(1), PlainAsker()
    bench.send(destination)
    renewed = threading.Event()
    renew = bench.store.renew

    def note(*of: Any) -> bool:
        held = renew(*of)
        renewed.set()
        return held

    def take_long(*of: Any) -> None:
        assert renewed.wait(20)
        PlainAsker.ask(asker, *of)

    monkeypatch.setattr(bench.store, "renew", note)
    monkeypatch.setattr(asker, "ask", take_long)
    monkeypatch.setattr(heartbeat, "BEATS_PER_LEASE", 3000)  # of 30 s
    bench.prover(destination, asker).step()
    assert len(asker.asked) == 1


@pytest.fixture
def qido() -> Iterator[Qido]:
    made = Qido()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


def test_web_archive_is_asked_by_qido(bench: Bench, qido: Qido) -> None:
    bench.send(qido.destination)
    qido.there = {UIDS[0]}
    bench.prover(qido.destination).step()

    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]
    wanted = f"/dicom-web/studies/{STUDY}/series/{SERIES}/instances?SOPInstanceUID={UIDS[0]}"
    assert qido.paths[0] == wanted


@pytest.mark.parametrize(("status", "words"), [(401, "HTTP 401"), (503, "HTTP 503")])
def test_web_archive_that_refuses_is_told_with_its_status(
    bench: Bench, qido: Qido, status: int, words: str
) -> None:
    bench.send(qido.destination)
    qido.status, qido.there = status, set(UIDS)
    bench.clock.advance(2 * TIMEOUT_S)
    bench.prover(qido.destination).step()

    assert bench.states == SENT  # no answer is no "not found"
    assert words in bench.reasons[0]


@pytest.mark.parametrize(("root", "words"), [(200, "not found there"), (404, "answers no queries at all")])
def test_404_is_not_there_only_from_an_archive_that_answers_queries(
    bench: Bench, qido: Qido, root: int, words: str
) -> None:
    bench.send(qido.destination)
    qido.status, qido.root_status = 404, root
    bench.clock.advance(2 * TIMEOUT_S)
    bench.prover(qido.destination).step()

    assert words in bench.reasons[0]
    assert (bench.states == SENT) == (root == 404)  # what is not there is sent again


def test_queries_take_no_proxy_from_the_environment(
    bench: Bench, qido: Qido, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    bench.send(qido.destination)
    qido.there = set(UIDS)
    bench.prover(qido.destination).step()

    assert bench.states == DELIVERED


def test_authorities_that_cannot_be_read_are_told(bench: Bench, qido: Qido, tmp_path: Path) -> None:
    changes = {"url": "https://127.0.0.1:1", "authorities": str(tmp_path / "none.pem")}
    destination = qido.destination.model_copy(update=changes)
    bench.send(destination)
    bench.prover(destination).step()

    assert bench.states == SENT
    assert "web cannot be asked over TLS" in bench.reasons[0]


# ---- settings that change


def test_without_proofs_an_object_is_delivered_with_a_row_of_what_was_said(bench: Bench) -> None:
    destination = at(1, commitment=False)
    bench.send(destination)
    assert bench.states == DELIVERED
    assert [(p.kind, p.reason) for p in bench.store.proofs(1)] == [(ProofKind.STORE, "0x0000")] * 2


def test_what_is_no_longer_asked_for_is_settled(bench: Bench) -> None:
    bench.send(at(1))
    bench.store.settle("pacs", ())
    assert bench.states == DELIVERED
    assert [job.state for job in bench.store.jobs()] == [State.DONE]


def test_person_who_asks_again_has_the_question_put_now(bench: Bench) -> None:
    destination, asker = at(1), PlainAsker()
    bench.send(destination)
    bench.prover(destination, asker).step()
    bench.store.retry(1)
    bench.prover(destination, asker).step()
    assert len(asker.asked) == 2
    assert bench.clock.now + timedelta(0) == bench.store.deliveries()[0].asked_at
