"""What people type into a search field finds jobs; further pages go further back."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from node.database import engine_for, upgrade
from node.identities import JobSearch
from node.job_store import JobStore
from node.jobs import Identifiers
from node.states import State


@pytest.fixture
def known(store: JobStore, make_received: Any) -> JobStore:
    """Four images: of two patients, in two studies, from two senders."""
    rows = [
        ("1.2.1", "1.2.100", "ER", Identifiers("P1", "HOSPITAL", "A1", "DX", "20250101")),
        ("1.2.2", "1.2.100", "CT-1", Identifiers("P1", "HOSPITAL", "A2", "DX", "20250102")),
        ("1.2.3", "1.2.200", "ER", Identifiers("P2", "", "P1", "CR", "20250103")),
        ("1.2.4", "", "ER", None),
    ]
    for uid, study, sender, identifiers in rows:
        values = {"sop_instance_uid": uid, "study_instance_uid": study, "calling_ae_title": sender}
        store.add_received(make_received(**values, identifiers=identifiers))
    return store


FOUND = {
    "P1": [3, 2, 1],  # two images of the patient, and another's accession number
    "A2": [2],
    "1.2.100": [2, 1],
    "1.2.4": [4],
    "ER": [4, 3, 1],
    " A1 ": [1],
    "A1\0": [1],
    "P": [],
    "er": [],
    "%": [],
    "P1 A1": [],
    "": [4, 3, 2, 1],
    " \0 ": [4, 3, 2, 1],
}


def test_one_text_finds_whole_words_wherever_they_stand(known: JobStore) -> None:
    assert {words: [job.id for job in known.look_up(words)] for words in FOUND} == FOUND


@pytest.mark.parametrize("few", [0, 1000])
def test_text_is_narrowed_to_a_state(known: JobStore, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the jobs in it are few, or too many for a list of their numbers."""
    monkeypatch.setattr("node.job_lookup.FEW", few)
    known.cancel(3, "")

    assert [job.id for job in known.look_up("P1", State.CANCELLED)] == [3]
    assert [job.id for job in known.look_up("P1", State.QUEUED)] == [2, 1]
    assert [job.id for job in known.look_up("", State.CANCELLED)] == [3]
    found = {state: [job.id for job in known.look_up("ER", state)] for state in State}
    assert {state: ids for state, ids in found.items() if ids} == {State.CANCELLED: [3], State.QUEUED: [4, 1]}


def test_pages_follow_each_other_without_gap_or_repetition(known: JobStore) -> None:
    for words in ("", "ER", "P1"):
        pages, before = [], 0
        while page := known.look_up(words, limit=2, before=before):
            pages += [job.id for job in page]
            before = page[-1].id
        assert pages == FOUND[words]


def test_find_takes_a_page_and_a_sop_instance_uid(known: JobStore) -> None:
    assert [job.id for job in known.find(JobSearch(sop_instance_uid="1.2.2"))] == [2]
    assert [job.id for job in known.find(JobSearch(calling_ae_title="ER"), before=4)] == [3, 1]


def test_study_has_all_its_jobs_the_oldest_first_and_no_uid_is_no_study(known: JobStore) -> None:
    assert [job.id for job in known.study("1.2.100")] == [1, 2]
    assert known.study("") == []


def test_identifiers_of_the_jobs_of_a_page_come_at_once(known: JobStore) -> None:
    found = known.identifiers_of([1, 3, 4, 99])

    assert found == {
        1: Identifiers("P1", "HOSPITAL", "A1", "DX", "20250101"),
        3: Identifiers("P2", "", "P1", "CR", "20250103"),
    }
    assert "P1" not in repr(found)
    assert known.identifiers_of([]) == {}


def test_a_text_is_looked_for_with_indexes_alone(tmp_path: Path) -> None:
    engine = engine_for("", tmp_path)
    upgrade(engine)
    asked: list[tuple[str, Any]] = []

    def look(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", look)
    JobStore(engine).look_up("P1", limit=50)
    event.remove(engine, "before_cursor_execute", look)
    [(statement, parameters)] = [each for each in asked if each[0].startswith("SELECT")]
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        steps = [step[3] for step in plan]

    assert not [step for step in steps if step.startswith(("SCAN jobs", "SCAN identities"))]
    for index in ("calling_ae_title_id", "study_instance_uid", "accession_number", "patient_id"):
        assert any(index in step for step in steps), index
