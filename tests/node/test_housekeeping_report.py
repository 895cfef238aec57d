import json
from pathlib import Path

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner, Result

from node.cli import application
from node.database import engine_for, is_current, upgrade, writing
from node.housekeeping_report import report
from tests.node.conftest import Clock
from tests.node.keeping import RULES, House


@pytest.fixture
def house(tmp_path: Path, engine: Engine, clock: Clock) -> House:
    return House(tmp_path, engine, clock)


def test_report_tells_what_is_kept_and_why(house: House) -> None:
    house.delivered()
    house.pass_days(20)
    house.delivered()
    house.finished("dead")
    house.finished()
    house.received()
    house.keeper().tidy()

    found = report(house.engine, house.spool, house.keeper(), RULES, house.clock)

    assert [(each.state, each.younger_than_days, each.jobs, each.size) for each in found.kept] == [
        ("queued", 1, 1, 10),
        ("stored", 1, 1, 10),
        ("done", 1, 2, 20),
        ("done", 30, 1, 10),
    ]
    assert [(late.destination, late.state, late.count) for late in found.undelivered] == [
        ("dead", "waiting", 1)
    ]
    assert (found.only_copies, found.without_files, found.now.files) == (1, 0, 0)
    assert found.next_due == "2025-02-01T03:04:05+00:00"
    words = "\n".join(found.words())
    assert "queued, younger than 1 days: 1 jobs, 0.0 MB of images; not done: never removed" in words
    assert "done, younger than 30 days: 1 jobs, 0.0 MB of images; kept for 30 days (files_days)" in words
    assert "destination dead: 1 deliveries waiting, the oldest from 2025-01-22T03:04:05+00:00" in words
    assert json.loads(found.as_json())["kept"][0]["state"] == "queued"


def test_report_counts_what_was_removed(house: House) -> None:
    house.delivered()
    house.pass_days(31)
    house.keeper().tidy()

    found = report(house.engine, house.spool, house.keeper(), RULES, house.clock)

    assert (found.kept, found.without_files, found.next_due) == ((), 1, "")


# ---- at the command line


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n[retention]\nfiles_days = 1\n')
    return path


@pytest.fixture
def old_house(tmp_path: Path, settings_file: Path, clock: Clock) -> House:
    """A house whose database is where the settings say, with a job that was done long ago."""
    engine = engine_for("", tmp_path / "data")
    upgrade(engine)
    found = House(tmp_path, engine, clock)
    found.delivered()
    return found


def run(settings_file: Path, *words: str) -> Result:
    return CliRunner().invoke(application(), ["housekeeping", *words, "--config", str(settings_file)])


def test_dry_run_tells_and_leaves_everything(settings_file: Path, old_house: House) -> None:
    output = run(settings_file, "--dry-run").output

    assert output == "would be removed: 2 files of 1 jobs, 0.0 MB; rows of 0 jobs\n"
    assert len(old_house.files()) == 2


def test_command_removes_what_is_due(settings_file: Path, old_house: House) -> None:
    assert json.loads(run(settings_file, "--json").output)["files"] == 2
    assert old_house.files() == []
    assert run(settings_file).output == "removed: 0 files of 0 jobs, 0.0 MB; rows of 0 jobs\n"


def test_report_is_for_people_or_for_programs(settings_file: Path, old_house: House) -> None:
    assert "would be removed now: 2 files of 1 jobs" in run(settings_file, "--report").output
    assert json.loads(run(settings_file, "--report", "--json").output)["now"]["files"] == 2
    assert len(old_house.files()) == 2


def test_command_without_a_queue_makes_none(settings_file: Path, tmp_path: Path) -> None:
    assert "there is no queue in sqlite:///" in str(run(settings_file).exception)
    assert not (tmp_path / "data").exists()


def test_command_refuses_a_data_folder_that_is_not_mounted(
    settings_file: Path, old_house: House, tmp_path: Path
) -> None:
    data, away = tmp_path / "data", tmp_path / "away"
    data.rename(away)
    data.mkdir()
    for part in away.glob("paxnode.sqlite*"):
        part.rename(data / part.name)

    told = [run(settings_file, *options) for options in ((), ("--dry-run",))]

    assert "is it mounted" in str(told[0].exception)
    assert "is it mounted" in told[1].output
    assert all(path.name.startswith("paxnode.sqlite") for path in data.iterdir())


@pytest.mark.parametrize("option", ["--dry-run", "--report"])
def test_who_only_looks_does_not_change_old_tables(
    settings_file: Path, old_house: House, option: str
) -> None:
    with writing(old_house.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")

    result = run(settings_file, option)

    assert "the tables are those of an older version" in str(result.exception)
    assert not is_current(old_house.engine)
    assert len(old_house.files()) == 2


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--report",)])
def test_command_goes_by_the_clock_of_the_database(
    settings_file: Path, old_house: House, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("node.cli_housekeeping.clock_for", lambda _engine: old_house.clock)

    output = run(settings_file, *options).output  # by that clock the job was done a moment ago

    assert "removed: 0 files of 0 jobs" in output.replace("would be removed now", "removed").replace(
        "would be removed", "removed"
    )
    assert len(old_house.files()) == 2
    if "--report" in options:
        assert "next files become due: 2025-01-03" in output
        assert "done, younger than 1 days: 1 jobs" in output
