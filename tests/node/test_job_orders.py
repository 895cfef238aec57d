"""What a person says of a job: let it go, and send its results again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from config.network import RetentionSettings
from node.database import jobs, results, writing
from node.errors import TransitionError
from node.job_store import JobStore
from node.jobs import NO_FILE, Admission, DeliveryState
from node.keeping_store import KeepingStore
from node.proofs import CommitmentAnswer, ProofKind, Transaction, asked_of
from node.states import State
from tests.node.proving import BACKOFF, DELIVERED, SENT, UIDS, Bench, at

LEASE_S = 60.0
WAITING = [DeliveryState.WAITING] * 2
KNOWN = ("pacs", "archive")


def send(store: JobStore, destination: str) -> list[int]:
    """Do what a sender does with what is due, and return which deliveries that were."""
    due = store.claim_deliveries(destination, "sender", LEASE_S, 10)
    for delivery in due:
        store.delivered(delivery.id, 0x0000)
    return [delivery.id for delivery in due]


# ---- letting go


def test_job_that_waits_is_let_go_and_brought_back(store: JobStore, make_received: Any) -> None:
    store.add_received(make_received())
    cancelled = store.cancel(1, "sent twice")

    assert (cancelled.state, cancelled.reason) == (State.CANCELLED, "sent twice")
    assert store.claim("worker", LEASE_S) is None
    assert store.history(1)[-1].event == "cancel"

    assert store.retry(1).state is State.QUEUED
    job = store.claim("worker", LEASE_S)
    assert job is not None
    assert (job.id, job.reason) == (1, "")


def test_job_that_a_worker_has_cannot_be_let_go(store: JobStore, make_received: Any) -> None:
    store.add_received(make_received())
    store.claim("worker", LEASE_S)

    with pytest.raises(TransitionError, match="job 1 is being worked on and cannot be cancelled"):
        store.cancel(1, "")
    assert store.heartbeat(1, "worker", LEASE_S)


def test_only_a_job_that_waits_is_let_go(store: JobStore, finished: Any) -> None:
    finished(store)

    with pytest.raises(TransitionError, match="job 1 is done; only one that waits"):
        store.cancel(1, "")
    with pytest.raises(TransitionError, match="there is no job 7"):
        store.cancel(7, "")


def test_job_to_be_run_once_more_is_let_go_with_what_it_had_delivered(store: JobStore, finished: Any) -> None:
    finished(store, "pacs")
    store.rerun(1)
    store.cancel(1, "not needed")

    assert len(send(store, "pacs")) == 2
    assert store.jobs()[0].state is State.CANCELLED
    assert len(store.results(1)) == 2


def test_image_that_was_let_go_is_kept_as_long_as_refused_ones(
    store: JobStore, make_received: Any, clock: Any
) -> None:
    received, rules = make_received(), RetentionSettings(refused_days=3)
    store.add_received(received)
    store.cancel(1, "")
    keeping = KeepingStore(store.engine, clock)

    clock.advance(timedelta(days=2).total_seconds())
    assert keeping.due_files(rules) == []
    clock.advance(timedelta(days=1).total_seconds())
    assert [[due.job_id for due in page] for page in keeping.mark_files_removed(rules)] == [[1]]
    with pytest.raises(TransitionError, match="its files were removed on"):
        store.retry(1)
    assert store.add_received(replace(received)) is Admission.NEW  # who sends it after so long wants it


# ---- sending again


def test_results_that_were_delivered_are_sent_again_to_all(store: JobStore, finished: Any) -> None:
    finished(store, "pacs", "archive")
    first = {name: send(store, name) for name in ("pacs", "archive")}
    assert store.jobs()[0].state is State.DONE

    assert store.resend(1, "", KNOWN).state is State.DELIVERING
    assert {name: send(store, name) for name in ("pacs", "archive")} == first
    assert store.jobs()[0].state is State.DONE


def test_results_are_sent_again_to_one_destination(store: JobStore, finished: Any) -> None:
    finished(store, "pacs", "archive")
    send(store, "pacs"), send(store, "archive")
    store.resend(1, "archive", KNOWN)

    assert send(store, "pacs") == []
    assert len(send(store, "archive")) == 2
    assert store.jobs()[0].state is State.DONE


def test_what_was_for_a_destination_that_is_gone_is_left_as_it_is(store: JobStore, finished: Any) -> None:
    finished(store, "pacs", "archive")
    send(store, "pacs"), send(store, "archive")
    store.resend(1, "", ("pacs",))

    assert len(send(store, "pacs")) == 2
    assert store.jobs()[0].state is State.DONE  # it does not wait for the other for ever
    with pytest.raises(TransitionError, match="not in the settings any more: archive"):
        store.resend(1, "archive", ("pacs",))
    with pytest.raises(TransitionError, match="not in the settings any more: archive, pacs"):
        store.resend(1, "", ("web",))
    assert store.jobs()[0].state is State.DONE


def test_what_is_parked_or_put_off_is_due_now_and_begins_anew(store: JobStore, finished: Any) -> None:
    finished(store, "pacs")
    first, second = store.claim_deliveries("pacs", "sender", LEASE_S, 10)
    store.delivery_failed(first.id, "refused", None, 0xA900)
    store.delivery_failed(second.id, "busy", store.clock() + timedelta(hours=1), 0xA700)
    assert store.resend(1, "", KNOWN).state is State.DELIVERING

    found = store.deliveries(1)
    assert [(d.state, d.attempts, d.status, d.reason) for d in found] == [
        (DeliveryState.WAITING, 0, None, "")
    ] * 2
    assert len(send(store, "pacs")) == 2


def test_what_a_sender_has_in_its_hands_is_left_to_it(store: JobStore, finished: Any) -> None:
    finished(store, "pacs")
    [held] = store.claim_deliveries("pacs", "sender", LEASE_S, 1)
    store.resend(1, "", KNOWN)

    assert [d.id for d in store.claim_deliveries("pacs", "other", LEASE_S, 10)] == [held.id + 1]
    assert store.renew([held.id], "sender", LEASE_S)


def test_before_anything_was_sent_the_job_stays_stored(store: JobStore, finished: Any) -> None:
    finished(store, "pacs")

    assert store.resend(1, "", KNOWN).state is State.STORED


def test_refusals_say_why(store: JobStore, finished: Any, make_received: Any, clock: Any) -> None:
    finished(store, "pacs")
    send(store, "pacs")
    store.add_received(make_received())

    with pytest.raises(TransitionError, match="nothing of job 1 was for archive"):
        store.resend(1, "archive", KNOWN)
    with pytest.raises(TransitionError, match="nothing of job 1 was for pacs"):
        store.resend(1, "pa\0cs", KNOWN)
    with pytest.raises(TransitionError, match="job 2 is queued; only what has results"):
        store.resend(2, "", KNOWN)
    with pytest.raises(TransitionError, match="there is no job 7"):
        store.resend(7, "", KNOWN)
    with writing(store.engine) as connection:
        connection.execute(update(jobs).where(jobs.c.id == 1).values(files_removed_at=clock()))
    with pytest.raises(TransitionError, match="its files were removed on 2025-01-02"):
        store.resend(1, "", KNOWN)
    assert store.jobs(State.DONE)[0].id == 1


def test_result_whose_file_is_gone_is_left_out_and_without_any_it_is_refused(
    store: JobStore, finished: Any
) -> None:
    finished(store, "pacs")
    first, second = send(store, "pacs")
    with writing(store.engine) as connection:
        connection.execute(update(results).where(results.c.kind == "SEG").values(path=NO_FILE))
    store.resend(1, "", KNOWN)
    assert send(store, "pacs") == [second]
    assert first != second

    with writing(store.engine) as connection:
        connection.execute(update(results).values(path=NO_FILE))
    with pytest.raises(TransitionError, match="`paxnode jobs rerun 1` makes them once more"):
        store.resend(1, "", KNOWN)


# ---- proofs of the earlier sending


def test_late_proof_of_the_earlier_sending_is_none_of_the_new_one(bench: Bench) -> None:
    destination = at(1, query=True)
    asked = asked_of(destination)
    bench.send(destination)
    ids, before = [d.id for d in bench.store.deliveries()], bench.store.newest_proof()
    bench.store.begin_transaction("2.25.77", "pacs", ids)
    transaction = bench.store.transaction("2.25.77")
    assert transaction is not None
    bench.store.resend(1, "", KNOWN)

    late = CommitmentAnswer(frozenset(UIDS))
    bench.store.found(ids, asked, before)
    bench.store.record_answer(transaction, late, asked, BACKOFF)
    assert bench.states == WAITING

    assert [d.id for d in bench.resend(destination)] == ids
    bench.store.commitment_asked("2.25.77")  # says who was slow
    assert bench.states == SENT
    assert [d.asked_at for d in bench.store.deliveries()] == [None, None]
    bench.store.record_answer(
        transaction, CommitmentAnswer(failed=dict.fromkeys(UIDS, "lost")), asked, BACKOFF
    )
    assert bench.states == SENT

    bench.store.found(ids, asked, bench.store.newest_proof())
    bench.store.settle("pacs", asked)
    assert bench.states == SENT  # found since, but not committed to since

    bench.store.begin_transaction("2.25.78", "pacs", ids)
    again = bench.store.transaction("2.25.78")
    assert again is not None
    bench.store.record_answer(again, late, asked, BACKOFF)
    assert bench.states == DELIVERED
    assert bench.store.jobs()[0].state is State.DONE


def test_late_commitment_to_the_earlier_sending_is_none_to_the_new_one(bench: Bench) -> None:
    destination = at(1)
    bench.send(destination)
    ids = [d.id for d in bench.store.deliveries()]
    earlier = begun(bench, "2.25.77", ids)
    bench.store.resend(1, "", KNOWN)
    bench.resend(destination)

    answer(bench, earlier)
    assert bench.states == SENT
    assert (ProofKind.COMMITMENT, True) not in bench.kinds()

    answer(bench, begun(bench, "2.25.78", ids))
    assert bench.states == DELIVERED


def test_late_commitment_counts_after_another_try_that_sent_nothing_again(bench: Bench) -> None:
    bench.send(at(1))
    ids = [d.id for d in bench.store.deliveries()]
    earlier = begun(bench, "2.25.77", ids)
    bench.store.retry(1)
    begun(bench, "2.25.78", ids)

    answer(bench, earlier)
    assert bench.states == DELIVERED


def begun(bench: Bench, uid: str, ids: list[int]) -> Transaction:
    """Return a storage commitment that was asked for now."""
    bench.store.begin_transaction(uid, "pacs", ids)
    transaction = bench.store.transaction(uid)
    assert transaction is not None
    return transaction


def answer(bench: Bench, transaction: Transaction) -> None:
    """Let the archive commit itself to all."""
    committed = CommitmentAnswer(frozenset(UIDS))
    bench.store.record_answer(transaction, committed, asked_of(at(1)), BACKOFF)


def test_what_waits_for_proofs_is_taken_from_its_prover(bench: Bench) -> None:
    destination = at(1)
    bench.send(destination)
    held = bench.store.claim_unproven("pacs", "prover", 600.0, 10)
    bench.store.resend(1, "pacs", KNOWN)

    assert [d.id for d in bench.resend(destination)] == [each.delivery.id for each in held]
    bench.store.await_proof([each.delivery.id for each in held], bench.clock(), "awaited")
    assert bench.states == SENT
