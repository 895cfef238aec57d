import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from config.settings import load_settings
from node.backoff import Backoff
from node.cli import application
from node.database import engine_for, upgrade
from node.errors import TransitionError
from node.job_store import JobStore
from node.jobs import AddressedResult, ReceivedObject, StoredResult
from node.proofs import CommitmentAnswer, ProofKind

BOTH = frozenset({ProofKind.COMMITMENT, ProofKind.QUERY})
STUDY, UID = "1.2.1", "1.2.3.9"


@pytest.fixture
def store(settings_file: Path) -> JobStore:
    engine = engine_for("", load_settings(settings_file).node.data_dir)
    upgrade(engine)
    made = JobStore(engine)
    syntax, dx = "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.1.1"
    made.add_received(ReceivedObject(dx, "1.2.3.1", STUDY, "1.2.2", syntax, "d", "objects/x", 10, "MODALITY"))
    return made


def send(store: JobStore) -> int:
    store.claim("w", 60)
    result = StoredResult("SEG", "1.2.840.10008.5.1.4.1.1.66.4", UID, "results/9", "00")
    store.finish(1, "w", [AddressedResult(result, ("pacs",))])
    [delivery] = store.claim_deliveries("pacs", "s", 60, 1)
    store.delivered(delivery.id, 0x0000, BOTH)
    return delivery.id


def run(settings_file: Path, *words: str) -> Result:
    return CliRunner().invoke(application(), ["proof", *words, "--config", str(settings_file)])


def test_what_is_awaited_is_told_and_ends_with_1(settings_file: Path, store: JobStore) -> None:
    delivery = send(store)
    store.begin_transaction("1.2.77", "pacs", [delivery])
    asked = store.transaction("1.2.77")
    assert asked is not None
    store.record_answer(asked, CommitmentAnswer(frozenset({UID})), BOTH, Backoff(1, 2))
    store.await_proof([delivery], store.clock(), "stored there; it is not found there yet")
    ended = run(settings_file, STUDY)

    assert ended.exit_code == 1
    [cells] = [line.split("\t") for line in ended.stdout.splitlines()]
    assert cells[1:5] == ["SEG", UID, "pacs", "sent"]
    assert cells[5].endswith("0x0000")
    assert cells[6] != "-"
    assert cells[7:] == ["-", "stored there; it is not found there yet"]
    assert "0 of 1 have every proof that is asked for" in ended.stderr


def test_what_is_proven_ends_with_0(settings_file: Path, store: JobStore) -> None:
    delivery = send(store)
    store.found([delivery], {ProofKind.QUERY}, store.newest_proof())
    ended = run(settings_file, "--job", "1", "--json")

    assert ended.exit_code == 0
    [line] = json.loads(ended.stdout)
    assert (line["state"], line["proven"], line["committed_at"]) == ("delivered", True, "")
    assert line["found_at"].endswith("+00:00")


def test_proof_that_came_after_the_clock_was_put_back_is_shown(settings_file: Path, store: JobStore) -> None:
    delivery = send(store)
    right = store.clock
    store.clock = lambda: right() - timedelta(hours=1)
    store.found([delivery], {ProofKind.QUERY}, store.newest_proof())
    [line] = json.loads(run(settings_file, "--job", "1", "--json").stdout)
    assert line["found_at"].endswith("+00:00")


def test_job_without_results_yet_is_not_proven(settings_file: Path, store: JobStore) -> None:
    ended = run(settings_file, STUDY)
    assert ended.exit_code == 1
    assert "1.2.3.1" in ended.stdout

    store.claim("w", 60)
    store.refuse(1, "w", "the view is lateral")
    assert run(settings_file, STUDY).exit_code == 0


def test_unknown_study_says_so(settings_file: Path, store: JobStore) -> None:
    error = run(settings_file, "1.2.99").exception
    assert isinstance(error, TransitionError)
    assert "nothing of study 1.2.99 has come to this node" in str(error)


def test_study_or_job_must_be_given(settings_file: Path, store: JobStore) -> None:
    assert run(settings_file).exit_code == 2
    assert run(settings_file, STUDY, "--job", "1").exit_code == 2


def test_show_tells_that_a_proof_is_awaited(settings_file: Path, store: JobStore) -> None:
    send(store)
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(
        application(), ["jobs", "show", "1", "-c", str(settings_file)]
    )
    assert "sent" in shown.output.split("deliveries")[1]
