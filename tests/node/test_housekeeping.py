"""What is due is removed, never before, and a kill between two steps leaves nothing inconsistent."""

import io
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import ArgumentError

from config.network import RetentionSettings
from node.commitment_store import CommitmentStore
from node.database import deliveries, identities, job_events, jobs, proofs, reading, results, writing
from node.errors import StorageError, TransitionError
from node.housekeeping import Housekeeper
from node.proofs import ProofKind
from node.spool import MEGABYTE, OWNER_FILE
from tests.node.conftest import Clock
from tests.node.keeping import RULES, House


class Killed(BaseException):
    """A kill -9, as far as the code after it is concerned."""


@pytest.fixture
def house(tmp_path: Path, engine: Engine, clock: Clock) -> House:
    return House(tmp_path, engine, clock)


def rows(house: House) -> dict[str, int]:
    with reading(house.engine) as connection:
        tables = (jobs, job_events, results, deliveries, proofs, identities)
        return {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in tables}


# ---- files


def test_files_of_a_delivered_job_go_after_their_days_and_not_before(house: House) -> None:
    job = house.delivered()
    house.pass_days(29.9)
    assert house.keeper().tidy().files == 0
    assert house.has_files(job)

    house.pass_days(0.2)
    done = house.keeper().tidy()

    assert (done.jobs, done.files, house.files()) == (1, 2, [])
    assert done.size == len(b"image 1") + len(b"result 1")
    assert not house.has_files(job)


def test_nothing_goes_that_a_destination_does_not_have(house: House) -> None:
    job = house.finished("pacs", "dead")
    house.deliver("pacs")
    house.pass_days(3650)

    assert house.keeper().tidy().files == 0
    assert house.has_files(job)


def test_parked_results_of_a_job_that_failed_later_stay(house: House) -> None:
    job = house.finished("pacs")
    [delivery] = house.store.claim_deliveries("pacs", "sender", 60.0, 1)
    house.store.delivery_failed(delivery.id, "refused there", None)
    house.store.rerun(job.id)
    house.claimed()
    house.store.refuse(job.id, "worker", "no longer served")
    house.pass_days(3650)

    assert house.keeper().tidy().files == 0


def test_results_for_nobody_are_the_only_copy_and_stay(house: House) -> None:
    house.finished()
    house.pass_days(3650)

    assert house.keeper().tidy().files == 0


def test_files_are_kept_for_ever_by_default(house: House) -> None:
    house.delivered()
    house.pass_days(3650)

    assert house.keeper(RetentionSettings()).tidy().files == 0


def test_refused_quarantined_and_failed_images_have_days_of_their_own(house: House) -> None:
    job = house.received()
    house.claimed()
    house.store.refuse(job.id, "worker", "a lateral view")
    house.pass_days(59.9)
    assert house.keeper().tidy().files == 0

    house.pass_days(0.2)

    assert house.keeper().tidy().files == 1
    assert house.files() == []


@pytest.mark.parametrize("held", [True, False])
def test_nothing_goes_while_a_lease_is_held(house: House, held: bool) -> None:
    house.delivered()
    house.pass_days(31)
    with writing(house.engine) as connection:
        until = house.store.lease_end(60.0 if held else 0.0)
        connection.execute(deliveries.update().values(lease_owner="sender", lease_until=until))

    assert house.keeper().tidy().files == (0 if held else 2)


def test_job_that_was_queued_again_keeps_its_files(house: House) -> None:
    job = house.delivered()
    house.pass_days(31)
    house.store.rerun(job.id)

    assert house.keeper().tidy().files == 0


def test_result_that_two_jobs_share_goes_with_the_last(house: House) -> None:
    house.delivered(result=b"the same")
    house.pass_days(20)
    house.delivered(result=b"the same")
    house.pass_days(11)

    assert house.keeper().tidy().files == 1
    assert [path.split("/")[0] for path in house.files()] == ["objects", "results"]

    house.pass_days(20)
    assert house.keeper().tidy().files == 2
    assert house.files() == []


def test_job_without_files_says_so_when_it_is_asked_for_again(house: House) -> None:
    job = house.delivered()
    house.pass_days(31)
    house.keeper().tidy()

    for again in (house.store.rerun, house.store.retry):
        with pytest.raises(TransitionError, match=r"its files were removed on 2025-02-02"):
            again(job.id)


# ---- kills


def test_kill_after_the_mark_leaves_leftovers_that_the_next_sweep_removes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = house.delivered()
    house.keeper().tidy()
    house.pass_days(31)
    with monkeypatch.context() as patch:
        patch.setattr(house.spool, "remove", _die)
        with pytest.raises(Killed):
            house.keeper().tidy()
    assert not house.has_files(job)
    assert len(house.files()) == 2

    done = house.keeper().tidy()

    assert (done.files, done.orphans, house.files()) == (2, 0, [])


def test_kill_between_two_files_leaves_one_that_the_next_sweep_removes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.delivered()
    house.pass_days(31)
    remove = house.spool.remove
    with monkeypatch.context() as patch:
        patch.setattr(house.spool, "remove", lambda path: remove(path) if "objects" in path else _die(path))
        with pytest.raises(Killed):
            house.keeper().tidy()
    assert len(house.files()) == 1

    assert house.keeper().tidy().files == 1


def test_files_that_went_before_an_error_are_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.delivered()
    house.pass_days(31)
    image, result = house.files()
    remove, told = house.spool.remove, list[str]()

    def broken(path: str) -> int | None:
        if path != image:
            raise StorageError("the spool cannot be written: Input/output error")
        return remove(path)

    def deleted(_paths: Sequence[str]) -> Callable[[Collection[str]], None]:
        return told.extend

    monkeypatch.setattr(house.spool, "remove", broken)
    with pytest.raises(StorageError):
        Housekeeper(RULES, house.spool, house.keeping, deleted).tidy()

    assert told == [image]
    assert house.files() == [result]


def test_kill_among_the_rows_leaves_all_or_none(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.delivered()
    house.pass_days(91)
    assert house.keeper(RetentionSettings(files_days=30)).tidy().files == 2
    house.pass_days(2)
    before = rows(house)
    with monkeypatch.context() as patch:
        patch.setattr("node.keeping_store.job_events", None)
        with pytest.raises(ArgumentError):
            house.keeper().tidy()
    assert rows(house) == before

    assert house.keeper().tidy().rows == 1
    assert set(rows(house).values()) == {0}


def test_files_that_others_removed_are_told_and_marked_when_due(house: House, lines: io.StringIO) -> None:
    job = house.delivered()
    house.keeper().tidy()
    for path in house.files():
        house.spool.path(path).unlink()

    assert house.keeper().tidy().missing == 2
    assert house.has_files(job)  # a data folder that was not mounted comes back
    house.keeper(RULES.model_copy(update={"disk_warning_mb": 0})).step()
    assert [line["count"] for line in _logged(lines) if "missing" in str(line["event"])] == [2]

    house.pass_days(31)
    assert house.keeper().tidy().missing == 0
    assert not house.has_files(job)


def _die(_path: str) -> None:
    raise Killed


def _logged(lines: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.getvalue().splitlines()]


# ---- rows


def test_rows_go_after_their_days_with_everything_that_hangs_on_them(house: House) -> None:
    house.delivered()
    with writing(house.engine) as connection:
        values = {"delivery_id": 1, "at": house.clock(), "kind": "commitment", "holds": True, "reason": ""}
        connection.execute(proofs.insert().values(values))
    house.pass_days(89)
    assert house.keeper().tidy().rows == 0
    assert set(rows(house).values()) >= {1}

    house.pass_days(2)

    assert house.keeper().tidy().rows == 1  # its files went two days ago
    assert set(rows(house).values()) == {0}


def test_rows_outlive_files_that_are_kept_for_ever(house: House) -> None:
    house.delivered()
    house.pass_days(3650)

    assert house.keeper(RetentionSettings(rows_days=30)).tidy().rows == 0


def test_first_of_a_uid_outlives_what_conflicts_with_it(house: House) -> None:
    first = house.received(b"first", uid="2.25.4")
    house.claimed()
    house.store.refuse(first.id, "worker", "a lateral view")
    house.pass_days(50)
    house.received(b"second", uid="2.25.4")
    house.pass_days(41)

    assert house.keeper().tidy().rows == 0

    house.pass_days(50)
    assert house.keeper().tidy().rows == 0
    house.pass_days(2)
    assert [house.keeper().tidy().rows for _ in range(2)] == [1, 1]
    assert house.store.jobs() == []


def test_many_jobs_go_in_batches(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.keeping_store.BATCH", 2)
    monkeypatch.setattr("node.sweep.BATCH", 2)
    for _ in range(5):
        house.delivered()
    house.pass_days(91)

    done = house.keeper().tidy()

    assert (done.jobs, done.files, done.rows) == (5, 10, 0)
    house.pass_days(2)
    assert (house.keeper().tidy().rows, house.store.jobs()) == (5, [])


# ---- a dry run, and the loop


def test_dry_run_tells_what_would_go_and_changes_nothing(house: House) -> None:
    job = house.delivered()
    house.keeper().tidy()
    house.pass_days(91)
    house.spool.store_result(b"nobody's")
    house.age()

    would = house.keeper().would_tidy()

    assert (would.jobs, would.files, would.orphans, would.rows) == (1, 3, 1, 0)
    assert house.has_files(job)
    assert len(house.files()) == 3
    assert house.keeper().tidy().size == would.size


def test_data_folder_of_another_database_loses_nothing(house: House) -> None:
    house.delivered()
    house.keeper().tidy()
    (house.spool.root / OWNER_FILE).write_text("another 1\n")
    house.pass_days(3650)

    done = house.keeper().tidy()

    assert (done.files, done.rows) == (0, 0)
    assert "belongs to another database" in done.kept_because
    assert house.keeper().would_tidy() == done


def test_low_disk_is_told_once_and_house_is_kept_at_once(
    house: House, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 5000 * MEGABYTE
    monkeypatch.setattr(house.spool, "free_bytes", lambda: free)
    seconds = 0.0
    keeper = Housekeeper(RULES, house.spool, house.keeping, monotonic=lambda: seconds)
    house.delivered()
    house.pass_days(31)
    keeper.step()
    assert house.files() == []

    house.delivered()
    house.pass_days(31)
    keeper.step()
    assert len(house.files()) == 2  # it is not time yet
    free = 4000 * MEGABYTE
    keeper.step()
    assert house.files() == []
    for _ in range(3):
        keeper.step()
    free = 5000 * MEGABYTE
    keeper.step()

    said = [line["event"] for line in _logged(lines) if "disk space" in str(line["event"])]
    assert said == ["disk space is low", "disk space is sufficient again"]


def test_house_is_kept_again_when_it_is_time(house: House) -> None:
    seconds = 0.0
    keeper = Housekeeper(RULES, house.spool, house.keeping, monotonic=lambda: seconds)
    keeper.step()
    house.delivered()
    house.pass_days(31)

    seconds = RULES.every_s - 1
    keeper.step()
    assert len(house.files()) == 2
    seconds = RULES.every_s
    keeper.step()
    assert house.files() == []


def test_words_about_commitments_go_with_the_rows_and_not_while_they_are_awaited(house: House) -> None:
    house.finished("pacs")
    [delivery] = house.store.claim_deliveries("pacs", "sender", 60.0, 10)
    house.store.delivered(delivery.id, 0x0000, asked=[ProofKind.COMMITMENT])
    house.store.begin_transaction("2.25.71", "pacs", [delivery.id])
    asked = CommitmentStore(house.engine, house.clock)
    asked.take_on("2.25.72", "CR", [("1.2", "2.25.1")])
    house.pass_days(91)

    assert house.keeping.remove_conversations(RULES) == 0
    house.store.settle("pacs", ())
    assert house.keeping.remove_conversations(RULES) == 1
    assert house.store.transaction("2.25.71") is None
    assert house.keeping.remove_conversations(RetentionSettings()) == 0
