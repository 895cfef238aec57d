"""Files that nobody needs are found; with the wrong database, nothing is."""

import io
import json
import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, update

from node.database import engine_for, identities, job_events, jobs, queue_identity, upgrade, writing
from node.errors import StorageError
from node.housekeeping_report import tidied_words
from node.keeping_store import KeepingStore
from node.spool import OWNER_FILE, Spool, is_image
from node.states import State
from node.sweep import remove_files, unneeded_files
from tests.node.conftest import Clock
from tests.node.keeping import RULES, House


@pytest.fixture
def house(tmp_path: Path, engine: Engine, clock: Clock) -> House:
    return House(tmp_path, engine, clock)


def test_orphan_goes_when_it_is_a_day_old(house: House) -> None:
    house.keeper().tidy()
    house.received()
    kept = house.spool.store_result(b"nobody's")
    assert unneeded_files(house.spool, house.keeping).orphans == ()

    os.utime(house.spool.path(kept.path), (1, 1))

    assert unneeded_files(house.spool, house.keeping).orphans == (kept.path,)
    assert house.keeper().tidy().orphans == 1
    assert len(house.files()) == 1


def test_wrong_database_makes_no_orphans(house: House, tmp_path: Path) -> None:
    for _ in range(3):
        house.received()
    house.keeper().tidy()
    wrong = engine_for(f"sqlite:///{tmp_path / 'wrong.sqlite'}", tmp_path)
    upgrade(wrong)

    found = unneeded_files(house.spool, KeepingStore(wrong))
    wrong.dispose()

    assert "belongs to another database" in found.kept_because


def test_empty_database_does_not_adopt_a_folder_full_of_files(house: House) -> None:
    house.keep(b"acknowledged by another database, a moment ago")

    done = house.keeper().tidy()

    assert "all 1 files are unknown to the database" in done.kept_because
    assert house.spool.owner() is None


def test_database_from_a_backup_makes_no_orphans(house: House, engine: Engine) -> None:
    for _ in range(3):
        house.keeper().tidy()
    with writing(engine) as connection:
        connection.execute(update(queue_identity).values(passes=1))
    house.keep(b"came after the backup")
    house.age()

    done = house.keeper().tidy()

    assert "put back from a backup" in done.kept_because
    assert len(house.files()) == 1
    (house.spool.root / OWNER_FILE).unlink()  # the admin means it: but the share speaks against it still
    assert "unknown to the database" in house.keeper().tidy().kept_because


def put_back(house: House, passes: int, highest: int) -> None:
    """Leave of the database what a backup held."""
    with writing(house.engine) as connection:
        for table in (job_events, identities):
            connection.execute(delete(table).where(table.c.job_id > highest))
        connection.execute(delete(jobs).where(jobs.c.id > highest))
        connection.execute(update(queue_identity).values(passes=passes))


def test_images_that_were_acknowledged_after_the_backup_stay_and_are_told(house: House) -> None:
    house.received()
    house.keeper().tidy()
    backup = house.keeping.identity().passes, house.keeping.highest_job()
    late = [house.received().path for _ in range(8)]
    put_back(house, *backup)

    done = house.keeper().tidy()

    assert (done.kept_because, done.files, sorted(done.unknown_images)) == ("", 0, sorted(late))
    assert set(late) < set(house.files())
    assert "images that the database does not know, kept: 8" in tidied_words(done, "removed")
    assert house.keeper().would_tidy().unknown_images == done.unknown_images
    assert house.received(b"image 2").state is State.QUEUED  # sent again: the file is used
    assert len(house.keeper().tidy().unknown_images) == 7


def test_unknown_images_are_told_in_the_log(house: House, lines: io.StringIO) -> None:
    house.keeper().tidy()
    house.keep(b"nobody's")
    house.age()
    house.keeper(RULES.model_copy(update={"disk_warning_mb": 0})).step()

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [each["count"] for each in told if each["event"].startswith("images that the database")] == [1]


def test_data_folder_remembers_what_was_received_since_house_was_kept(house: House) -> None:
    keeper = house.keeper()
    house.received()
    keeper.step()
    backup = house.keeping.identity().passes, house.keeping.highest_job()
    house.received()
    keeper.step()  # it is not time to keep house yet
    put_back(house, *backup)
    for _ in range(3):  # more than the data folder has seen
        house.received()

    keeper.step()

    assert "put back from a backup" in house.keeper().tidy().kept_because


def test_looking_without_anything_received_counts_nothing(house: House) -> None:
    keeper = house.keeper()
    house.received()
    for _ in range(2):
        keeper.step()
    passes = house.keeping.identity().passes
    keeper.step()

    assert house.keeping.identity().passes == passes


def test_unknown_images_stop_neither_the_sweep_nor_learning_whose_the_folder_is(house: House) -> None:
    house.received()
    for number in range(11):
        house.keep(b"nobody's %d" % number)
    house.age()

    learnt = house.keeper().tidy()
    house.spool.store_result(b"nobody's")
    house.age()
    swept = house.keeper().tidy()

    assert (learnt.kept_because, len(learnt.unknown_images)) == ("", 11)
    assert house.spool.owner() is not None
    assert (swept.kept_because, swept.orphans, len(swept.unknown_images)) == ("", 1, 11)


@pytest.mark.parametrize("owner", ["ours", "another's 1\n"])
def test_missing_files_are_counted_whatever_the_doubt(house: House, owner: str) -> None:
    house.spool.path(house.received().path).unlink()
    house.keep(b"nobody's")
    (house.spool.root / OWNER_FILE).write_text(owner)

    done = house.keeper().tidy()

    assert done.kept_because
    assert done.missing == house.keeper().would_tidy().missing == 1


def test_too_many_unknown_results_stay_and_are_told(house: House) -> None:
    house.keeper().tidy()
    for number in range(11):
        house.spool.store_result(b"nobody's %d" % number)
    house.age()

    done = house.keeper().tidy()

    assert done.kept_because == "11 of 11 results are unknown to the database: is it the right one?"
    assert len(house.files()) == 11


def test_needed_file_is_not_removed_whoever_asks(house: House) -> None:
    house.received()

    assert list(remove_files(house.spool, house.keeping, house.files())) == []


def test_file_that_was_kept_again_meanwhile_stays(house: House) -> None:
    kept = house.keep(b"nobody's")
    house.age()
    house.keep(b"nobody's")  # a receiver has it, and is about to write its row

    assert list(remove_files(house.spool, house.keeping, [kept.path])) == []


def test_nothing_but_kept_files_is_removed(house: House, tmp_path: Path) -> None:
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(b"")
    os.utime(outside, (1, 1))

    for path in ("../outside.dcm", "paxnode.sqlite", "objects/../../outside.dcm", str(outside)):
        assert house.spool.remove(path) is None

    assert outside.exists()


def test_words_that_are_no_owner_are_another_owner(house: House) -> None:
    (house.spool.root / OWNER_FILE).write_bytes(b"\xff\xff\n")

    assert "belongs to another database" in unneeded_files(house.spool, house.keeping).kept_because


def test_torn_owner_file_is_written_anew_by_the_database_that_knows_the_files(house: House) -> None:
    house.received()
    house.keeper().tidy()
    owner = house.spool.root / OWNER_FILE
    owner.write_bytes(owner.read_bytes()[:5])

    assert house.keeper().tidy().kept_because == ""
    assert house.spool.owner() == (house.keeping.identity().value, house.keeping.identity().passes)


def test_file_in_other_hands_stays(house: House) -> None:
    import fcntl

    kept = house.keep(b"nobody's")
    house.age()
    with house.spool.path(kept.path).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)

        assert Spool(house.spool.root).remove(kept.path) is None
    assert house.spool.remove(kept.path) == len(b"nobody's")


def test_empty_folder_without_an_owner_is_no_folder_of_a_used_database(house: House) -> None:
    house.received()
    house.keeper().tidy()
    house.folder.joinpath("data").rename(house.folder / "away")
    house.spool.prepare()

    done, would = house.keeper().tidy(), house.keeper().would_tidy()

    assert done == would
    assert (done.files, done.rows, done.missing) == (0, 0, 1)
    assert "is it mounted" in done.kept_because
    assert house.spool.owner() is None


def test_housekeeper_of_a_folder_that_is_away_removes_nothing(house: House) -> None:
    house.delivered()
    house.keeper().tidy()
    house.spool.expect(house.keeping.identity().value)
    (house.spool.root / OWNER_FILE).unlink()
    house.pass_days(3650)

    for keep_house in (house.keeper().tidy, house.keeper().step):
        with pytest.raises(StorageError, match="the data folder is away"):
            keep_house()

    assert len(house.files()) == 2
    assert len(house.store.jobs()) == 1
    assert house.spool.owner() is None


def test_files_that_outlive_the_mark_go_before_the_rows_that_know_them(house: House) -> None:
    house.delivered()
    house.pass_days(91)
    [image] = [path for path in house.files() if is_image(path)]
    os.utime(house.spool.path(image))  # it was sent again a moment ago
    assert house.keeper().tidy().rows == 0
    house.age()
    house.pass_days(2)

    done = house.keeper().tidy()

    assert (done.files, done.rows, done.unknown_images) == (1, 1, ())
    assert house.files() == []
