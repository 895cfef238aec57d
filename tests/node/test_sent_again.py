"""An image that is sent again after retention removed its files, or its rows."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from node.database import reading, tombstones
from node.errors import TransitionError
from node.jobs import AddressedResult, Admission, Job, ReceivedObject, StoredResult
from node.states import State
from tests.node.conftest import Clock
from tests.node.keeping import SEG, House


@pytest.fixture
def house(tmp_path: Path, engine: Engine, clock: Clock) -> House:
    return House(tmp_path, engine, clock)


def send_again(house: House, job: Job, content: bytes, **changes: str) -> Admission:
    kept = house.keep(content)
    names = ReceivedObject.__dataclass_fields__
    values = {name: getattr(job, name) for name in names if hasattr(job, name)}
    values |= {"digest": kept.digest, "path": kept.path} | changes
    admission = house.store.add_received(ReceivedObject(**values))
    house.age()
    return admission


def refused(house: House) -> Job:
    """Receive an image that is refused, and remove its file."""
    job = house.received()
    house.claimed()
    house.store.refuse(job.id, "worker", "a lateral view")
    house.pass_days(61)
    house.keeper().tidy()
    assert (house.has_files(job), house.files()) == (False, [])
    return job


def test_image_of_a_job_that_is_done_has_its_file_again(house: House) -> None:
    job = house.delivered()
    house.pass_days(31)
    house.keeper().tidy()

    assert send_again(house, job, b"image 1") is Admission.DUPLICATE

    done = house.keeper().tidy()
    assert (done.files, done.missing, house.files()) == (0, 0, [job.path])
    assert house.has_files(job)
    assert house.store.rerun(job.id).state is State.QUEUED


def test_results_that_are_made_again_have_files_again(house: House) -> None:
    job = house.delivered()
    house.pass_days(31)
    house.keeper().tidy()
    send_again(house, job, b"image 1")
    house.store.rerun(job.id)
    house.claimed()
    kept = house.spool.store_result(b"made again")
    stored = StoredResult("SEG", SEG, f"2.25.7{job.id}", kept.path, kept.digest)

    house.store.finish(job.id, "worker", [AddressedResult(stored, ("pacs", "second"))])

    assert house.store.results(job.id) == [stored]
    [delivery] = house.store.claim_deliveries("second", "sender", 60.0, 100)
    assert delivery.result.path == kept.path
    assert house.store.claim_deliveries("pacs", "sender", 60.0, 100) == []


def test_files_that_came_again_are_kept_for_their_days(house: House) -> None:
    job = house.delivered()
    house.pass_days(31)
    house.keeper().tidy()
    send_again(house, job, b"image 1")
    house.pass_days(29)
    assert house.keeper().tidy().files == 0

    house.pass_days(2)

    assert house.keeper().tidy().files == 1
    assert house.files() == []


def test_image_that_was_put_aside_is_worked_on_again(house: House) -> None:
    job = refused(house)

    assert send_again(house, job, b"image 1") is Admission.NEW

    assert house.keeper().tidy().files == 0
    claimed = house.claimed()
    assert (claimed.id, claimed.attempts, claimed.path) == (job.id, 1, job.path)


def test_image_that_is_odd_still_is_not_worked_on_again(house: House) -> None:
    job = refused(house)

    assert send_again(house, job, b"image 1", quarantine_reason="no UID") is Admission.DUPLICATE

    assert house.has_files(job)
    assert house.store.counts()[State.QUEUED] == 0


def test_image_that_was_put_aside_and_has_its_file_is_a_duplicate(house: House) -> None:
    job = house.received()
    house.claimed()
    house.store.refuse(job.id, "worker", "a lateral view")

    assert send_again(house, job, b"image 1") is Admission.DUPLICATE
    assert house.store.counts()[State.QUEUED] == 0


def rows_gone(house: House) -> None:
    """Let the days pass after which files go, and those after which rows go."""
    house.pass_days(91)
    assert house.keeper().tidy().rows == 0
    house.pass_days(2)
    assert house.keeper().tidy().rows == 1


def test_other_content_is_a_conflict_also_when_the_rows_of_the_first_are_gone(house: House) -> None:
    job = house.delivered()
    rows_gone(house)

    assert send_again(house, job, b"other content") is Admission.CONFLICT

    [conflicting] = house.store.jobs()
    assert conflicting.state is State.QUARANTINED
    with pytest.raises(TransitionError, match="other content came before"):
        house.store.retry(conflicting.id)
    assert send_again(house, job, b"image 1") is Admission.NEW  # the first content is its own still


def test_same_content_is_worked_on_again_when_its_rows_are_gone(house: House) -> None:
    job = house.delivered()
    for _ in range(2):
        rows_gone(house)
        assert send_again(house, job, b"image 1") is Admission.NEW
        again = house.claimed()
        house.store.refuse(again.id, "worker", "a lateral view")
    with reading(house.engine) as connection:
        assert connection.execute(select(tombstones)).all() == [(job.sop_instance_uid, job.digest)]
