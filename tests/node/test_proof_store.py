"""Proofs in the database: what counts after a sending, and changes of many deliveries at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, func, insert, select

from node.database import deliveries, jobs, reading, results, writing
from node.job_store import JobStore
from node.jobs import DeliveryState
from node.proof_store import SETTLED_AT_A_TIME
from node.proofs import CommitmentAnswer, ProofKind, asked_of
from node.states import State
from tests.node.proving import BACKOFF, SENT, UIDS, Bench, at

# ---- settings that change


def add_sent(engine: Engine, clock: Any, count: int) -> None:
    """Add so many jobs with one delivery each, that was sent and waits for its proof."""
    now, numbers = clock(), range(1, count + 1)
    text = dict.fromkeys(("sop_class_uid", "digest", "path"), "x")
    image: dict[str, Any] = text | dict.fromkeys(
        ("study_instance_uid", "series_instance_uid", "calling_ae_title"), "x"
    )
    image |= {"transfer_syntax_uid": "x", "state": State.DELIVERING, "reason": "", "attempts": 1, "size": 1}
    image |= dict.fromkeys(("not_before", "created_at", "updated_at"), now)
    made = text | {"kind": "SEG", "created_at": now}
    sent: dict[str, Any] = {"destination": "pacs", "state": DeliveryState.SENT, "reason": "", "attempts": 0}
    sent |= dict.fromkeys(("due_at", "updated_at", "sent_at"), now)
    with writing(engine) as connection:
        connection.execute(insert(jobs), [image | {"id": n, "sop_instance_uid": f"2.{n}"} for n in numbers])
        connection.execute(
            insert(results), [made | {"id": n, "job_id": n, "sop_instance_uid": "2.5"} for n in numbers]
        )
        connection.execute(insert(deliveries), [sent | {"job_id": n, "result_id": n} for n in numbers])


@contextmanager
def sizes_of_statements(engine: Engine) -> Iterator[list[int]]:
    """Collect the number of parameters of each statement."""
    sizes: list[int] = []

    def look(_connection: Any, _cursor: Any, _statement: str, parameters: Any, *_more: Any) -> None:
        sizes.append(len(parameters or ()))

    event.listen(engine, "before_cursor_execute", look)
    yield sizes
    event.remove(engine, "before_cursor_execute", look)


def test_many_deliveries_are_settled_in_statements_of_bounded_length(store: JobStore, clock: Any) -> None:
    count = 2 * SETTLED_AT_A_TIME + 1
    add_sent(store.engine, clock, count)
    with sizes_of_statements(store.engine) as sizes:
        first = store.settle("pacs", ())
        assert first is not None
        with reading(store.engine) as connection:
            done = select(func.count()).where(deliveries.c.state == DeliveryState.DELIVERED)
            assert connection.execute(done).scalar_one() == SETTLED_AT_A_TIME
        second = store.settle("pacs", (), first)
        assert second is not None
        last = store.settle("pacs", (), second)
        assert last is not None
        assert store.settle("pacs", (), last) is None

    assert max(sizes) < SETTLED_AT_A_TIME + 50
    assert len(sizes) < 4 * count  # a few for each job that ends, and not one more for each delivery
    assert store.counts()[State.DONE] == count


def test_settling_ends_what_has_every_proof_that_is_still_asked_for(bench: Bench) -> None:
    destination = at(1, query=True)
    bench.send(destination)
    first, _second = bench.store.deliveries()
    bench.store.found([first.id], asked_of(destination), bench.store.newest_proof())
    assert bench.states == SENT

    bench.store.settle("pacs", asked_of(at(1, commitment=False, query=True)))

    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.SENT]


def test_answer_to_a_question_from_before_it_was_sent_again_says_nothing(bench: Bench) -> None:
    destination = at(1, commitment=False, query=True)
    bench.send(destination)
    ids = [delivery.id for delivery in bench.store.deliveries()]
    asked, before = asked_of(destination), bench.store.newest_proof()
    bench.store.not_found(ids, "lost", BACKOFF, before)  # says somebody else meanwhile
    bench.clock.advance(HOUR_S)
    assert [delivery.id for delivery in bench.resend(destination)] == ids

    bench.store.found(ids[:1], asked, before)
    bench.store.not_found(ids[1:], "lost", BACKOFF, before)
    assert bench.states == SENT
    assert [delivery.resends for delivery in bench.store.deliveries()] == [1, 1]

    bench.store.found(ids, asked, bench.store.newest_proof())
    assert bench.states == [DeliveryState.DELIVERED] * 2


# ---- clocks that jump

HOUR_S = 3600.0


def test_what_was_sent_while_the_clock_was_ahead_is_proven_when_it_is_right_again(bench: Bench) -> None:
    destination = at(1, query=True)
    bench.clock.advance(5 * HOUR_S)
    bench.send(destination)
    bench.clock.advance(-5 * HOUR_S)
    ids = [delivery.id for delivery in bench.store.deliveries()]
    asked = asked_of(destination)

    bench.store.found(ids, asked, bench.store.newest_proof())
    bench.store.begin_transaction("2.25.77", "pacs", ids)
    transaction = bench.store.transaction("2.25.77")
    assert transaction is not None
    answer = CommitmentAnswer(frozenset(UIDS[:1]), {UIDS[1]: "lost"})
    bench.store.record_answer(transaction, answer, asked, BACKOFF)

    assert bench.states == [DeliveryState.DELIVERED, DeliveryState.WAITING]
    assert bench.reasons[1] == "lost"


def test_old_proof_does_not_count_for_a_later_sending_though_its_clock_was_ahead(bench: Bench) -> None:
    destination = at(1, commitment=False, query=True)
    bench.clock.advance(5 * HOUR_S)
    bench.send(destination)
    first, _second = bench.store.deliveries()
    bench.store.found([first.id], {ProofKind.QUERY, ProofKind.COMMITMENT}, bench.store.newest_proof())
    bench.store.not_found([first.id], "lost", BACKOFF, bench.store.newest_proof())
    bench.clock.advance(-5 * HOUR_S)
    assert [delivery.id for delivery in bench.resend(destination)] == [first.id]

    bench.store.settle("pacs", asked_of(destination))

    assert bench.states == SENT


def test_sending_in_the_future_counts_as_one_of_now(bench: Bench) -> None:
    destination = at(1)
    bench.clock.advance(5 * HOUR_S)
    bench.send(destination)
    ahead = bench.clock.now
    bench.clock.advance(-5 * HOUR_S)

    [claimed, _] = bench.store.claim_unproven("pacs", "prover", 30.0, 10)

    assert claimed.delivery.sent_at == bench.clock.now < ahead
    bench.clock.advance(60)
    [again, _] = bench.store.claim_unproven("pacs", "prover", 30.0, 10)
    assert again.delivery.sent_at == claimed.delivery.sent_at
