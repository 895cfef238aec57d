from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.settings import load_settings
from node.cli_jobs import jobs
from node.database import engine_for, is_current, shown_url, upgrade, writing
from node.errors import TransitionError
from node.job_store import JobStore
from node.jobs import AddressedResult, Identifiers, ReceivedObject, StoredResult
from node.states import State

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.1.1"


@pytest.fixture
def store(settings_file: Path) -> JobStore:
    engine = engine_for("", load_settings(settings_file).node.data_dir)
    upgrade(engine)
    return JobStore(engine)


def receive(store: JobStore, uid: str) -> int:
    store.add_received(
        ReceivedObject(
            SOP_CLASS, uid, "1.2.1", "1.2.2", "1.2.840.10008.1.2.1", uid, f"objects/{uid}", 10, "MODALITY"
        )
    )
    return store.jobs(limit=1)[0].id


def run(settings_file: Path, *words: str) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(jobs, [*words, "--config", str(settings_file)])


def test_list_shows_the_newest_first(settings_file: Path, store: JobStore) -> None:
    receive(store, "1.2.3.1")
    receive(store, "1.2.3.2")
    output = run(settings_file, "list").output

    assert output.index("1.2.3.2") < output.index("1.2.3.1")
    assert "queued" in output


def test_list_can_be_narrowed_to_a_state(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    receive(store, "1.2.3.2")
    store.claim("w", 60)
    store.refuse(job, "w", "the view is lateral")
    output = run(settings_file, "list", "--state", "refused").output

    assert "the view is lateral" in output
    assert "1.2.3.2" not in output


def test_show_tells_history_results_and_deliveries(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    store.claim("w", 60)
    result = StoredResult("SEG", "1.2.840.10008.5.1.4.1.1.66.4", "1.2.3.9", "results/9", "00")
    store.finish(job, "w", [AddressedResult(result, ("pacs",))])
    output = run(settings_file, "show", str(job)).output

    for words in ("Digital X-Ray Image Storage", "MODALITY", "claim", "1.2.3.9", "pacs", "waiting"):
        assert words in output


def test_show_of_an_unknown_job_says_so(settings_file: Path, store: JobStore) -> None:
    error = run(settings_file, "show", "7").exception

    assert isinstance(error, TransitionError)
    assert "there is no job 7" in str(error)


def test_retry_queues_a_refused_job_again(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    store.claim("w", 60)
    store.refuse(job, "w", "the view is lateral")
    output = run(settings_file, "retry", str(job)).output

    assert f"job {job} is queued now" in output
    assert [each.state for each in store.jobs()] == [State.QUEUED]


def test_reason_with_brackets_is_shown_as_it_is(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    store.claim("w", 60)
    store.refuse(job, "w", "found [bold]L\\F[/bold]")

    assert "[bold]L\\F[/bold]" in run(settings_file, "list").output


def test_list_without_a_queue_makes_none_and_names_where_it_looked(
    settings_file: Path, tmp_path: Path
) -> None:
    ended = run(settings_file, "list")

    assert ended.exit_code == 0
    assert f"no queue in sqlite:///{tmp_path / 'data' / 'paxnode.sqlite'}" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_empty_list_names_the_queue(settings_file: Path, store: JobStore) -> None:
    assert "no jobs in sqlite:///" in run(settings_file, "list").stderr
    assert "no failed jobs in sqlite:///" in run(settings_file, "list", "--state", "failed").stderr


def test_password_of_the_queue_is_not_shown() -> None:
    url = "postgresql://paxnode:secret@server/queue?password=secret"
    assert shown_url(url, Path("data")) == "postgresql://paxnode:***@server/queue"


def test_list_into_a_pipe_is_one_whole_line_a_job(settings_file: Path, store: JobStore) -> None:
    uid, reason = "1.2.3." + "4" * 58, "a reason " * 20
    job = receive(store, uid)
    store.claim("w", 60)
    store.refuse(job, "w", reason)
    [line] = (
        CliRunner(env={"COLUMNS": "40"}).invoke(jobs, ["list", "-c", str(settings_file)]).output.splitlines()
    )

    number, _, *rest = line.split("\t")
    assert (number, rest) == (str(job), ["refused", "MODALITY", uid, reason.strip()])


def test_show_into_a_pipe_cuts_nothing(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    store.claim("w", 60)
    reason = "the view is lateral, and this is a long reason " * 4
    store.refuse(job, "w", reason)
    shown = CliRunner(env={"COLUMNS": "40"}).invoke(jobs, ["show", str(job), "-c", str(settings_file)])

    assert shown.output.count(reason.strip()) == 2  # among the facts and in the history


def test_delivery_that_went_well_at_once_has_no_failed_tries(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    store.claim("w", 60)
    result = StoredResult("SEG", SOP_CLASS, "1.2.3.9", "results/9", "00")
    store.finish(job, "w", [AddressedResult(result, ("pacs",))])
    [delivery] = store.claim_deliveries("pacs", "s", 60, 1)
    store.delivered(delivery.id, 0)

    assert "failed tries" in run(settings_file, "show", str(job)).output


def test_show_prints_the_trace_and_the_priority_of_a_failed_job(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    store.claim("w", 60)
    store.give_back(job, "w", "KeyError in node/x.py:7", trace="node/a.py:1 outer\nnode/x.py:7 inner")
    output = run(settings_file, "show", str(job)).output

    assert output.index("node/a.py:1 outer") < output.index("node/x.py:7 inner")
    assert "routine" in output


@pytest.mark.parametrize(
    "words",
    [
        ("--accession", "A1"),
        ("--patient", "P1"),
        ("--study", "1.2.9"),
        ("--sender", "ER"),
        ("--patient", "P1", "--sender", "ER", "--state", "queued"),
    ],
)
def test_list_finds_a_job_by_what_people_know(
    settings_file: Path, store: JobStore, words: tuple[str, ...]
) -> None:
    receive(store, "1.2.3.1")
    known = Identifiers(patient_id="P1", accession_number="A1")
    found = ReceivedObject(SOP_CLASS, "1.2.3.2", "1.2.9", "1.2.2", "1.2.840.10008.1.2.1", "d", "p", 10, "ER")
    store.add_received(replace(found, identifiers=known))
    output = run(settings_file, "list", *words).output

    assert "1.2.3.2" in output
    assert "1.2.3.1" not in output


def test_list_says_that_nothing_was_found_without_saying_for_whom(
    settings_file: Path, store: JobStore
) -> None:
    told = run(settings_file, "list", "--patient", "P9", "--state", "failed").stderr

    assert "no failed jobs of those that were asked for in sqlite:///" in told
    assert "P9" not in told


def test_show_tells_the_rule_and_the_title_that_was_called(settings_file: Path, store: JobStore) -> None:
    found = ReceivedObject(SOP_CLASS, "1.2.3.2", "1.2.9", "1.2.2", "1.2.840.10008.1.2.1", "d", "p", 10, "ER")
    store.add_received(replace(found, called_ae_title="AI-NODE"))
    job = store.claim("w", 60)
    assert job is not None
    store.note_read(job, Identifiers(patient_id="P1"), ("children", "lateral"))
    store.ignore(job.id, "w", "rule children: none are wanted")
    output = run(settings_file, "show", str(job.id)).output

    for words in ("children, lateral", "AI-NODE", "ignored", "rule children: none are wanted"):
        assert words in output
    assert f"job {job.id} is queued now" in run(settings_file, "retry", str(job.id)).output


def test_job_that_waits_is_cancelled_with_a_reason(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    output = run(settings_file, "cancel", str(job), "--why", "sent twice").output

    assert f"job {job} is cancelled" in output
    assert [(each.state, each.reason) for each in store.jobs()] == [(State.CANCELLED, "sent twice")]
    assert isinstance(run(settings_file, "cancel", str(job)).exception, TransitionError)


def test_results_are_sent_again_to_whom_it_says(settings_file: Path, store: JobStore) -> None:
    job = receive(store, "1.2.3.1")
    store.claim("w", 60)
    result = StoredResult("SEG", SOP_CLASS, "1.2.3.9", "results/9", "00")
    store.finish(job, "w", [AddressedResult(result, ("pacs", "renamed"))])
    for name in ("pacs", "renamed"):
        [delivery] = store.claim_deliveries(name, "s", 60, 1)
        store.delivered(delivery.id, 0)
    with settings_file.open("a") as file:
        file.write('[[destination]]\nname = "pacs"\nae_title = "A"\nhost = "127.0.0.1"\nport = 104\n')
    gone = run(settings_file, "resend", str(job), "--to", "renamed").exception
    assert isinstance(gone, TransitionError)
    assert "not in the settings any more: renamed" in str(gone)
    output = run(settings_file, "resend", str(job), "--to", "pacs").output

    assert f"the results of job {job} are sent again; it is delivering now" in output
    assert len(store.claim_deliveries("pacs", "s", 60, 1)) == 1


@pytest.mark.parametrize("words", [("list",), ("show", "1"), ("retry", "1")])
def test_no_command_changes_old_tables_under_a_node_that_runs(
    settings_file: Path, store: JobStore, words: tuple[str, ...]
) -> None:
    receive(store, "1.2.3.1")
    with writing(store.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    result = run(settings_file, *words)
    assert "the tables are those of an older version" in str(result.exception)
    assert not is_current(store.engine)
