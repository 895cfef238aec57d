"""A build on Dask: a verdict for every volume, the bytes of a build without cluster, resumable, a page."""

import base64
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster
from PIL import Image

from pipeline_training.anatomy import Anatomy
from pipeline_training.building.build import CASES_FOLDER, BuildOptions, build, knowledge
from pipeline_training.building.cluster import processes
from pipeline_training.building.outcome import CaseOutcome, Knowledge, Verdict, read_outcome
from pipeline_training.building.report import write_report
from pipeline_training.errors import BuildError
from pipeline_training.projections import ProjectOptions, build_projections

MakeCase = Callable[..., Path]
SIZE, PER_CASE = 64, 2


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers in this process: a cluster that exists already."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=":0") as running:
        yield str(running.scheduler_address)


@pytest.fixture
def options(make_case: MakeCase, tmp_path: Path, scheduler: str) -> BuildOptions:
    cases = [make_case("a", with_ct=True), make_case("flipped", flip=2), make_case("b")]
    return BuildOptions(ProjectOptions(cases, tmp_path / "out", PER_CASE, SIZE, seed=3), scheduler)


def _build(options: BuildOptions) -> tuple[CaseOutcome, ...]:
    told: list[CaseOutcome] = []
    outcomes = build(options, told.append)
    assert sorted(told, key=lambda each: each.case) == sorted(outcomes, key=lambda each: each.case)
    return outcomes


def test_every_volume_has_a_verdict_and_a_bad_one_does_not_stop_the_others(options: BuildOptions) -> None:
    first, flipped, second = _build(options)
    assert [first.verdict, second.verdict] == [Verdict.BUILT] * 2
    assert (first.case, first.patient, first.made) == ("a", "a", PER_CASE)
    assert first.files == ("a/0000_0.npz", "a/0000_1.npz")
    assert flipped.verdict is Verdict.REJECTED
    assert "the volume is flipped" in flipped.reason
    assert read_outcome(options.project.out / CASES_FOLDER / "flipped.json") == flipped


def test_cluster_makes_the_bytes_that_one_process_makes(options: BuildOptions, tmp_path: Path) -> None:
    one, *_ = _build(options)
    alone = replace(options.project, cases=options.project.cases[:1], out=tmp_path / "alone")
    for file in build_projections(alone):
        assert file.read_bytes() == (options.project.out / "a" / file.name).read_bytes()
        assert f"a/{file.name}" in one.files


def test_second_build_makes_only_what_is_missing(options: BuildOptions) -> None:
    _build(options)
    (options.project.out / "b" / "0000_1.npz").unlink()
    shutil.rmtree(options.project.cases[1])
    mended = options.project.cases[1]
    shutil.copytree(options.project.cases[0], mended)
    first, flipped, second = _build(options)
    assert [first.made, flipped.made, second.made] == [0, PER_CASE, 1]
    assert flipped.verdict is Verdict.BUILT


def test_volume_that_kills_its_task_has_failed_and_the_others_are_built(
    options: BuildOptions, tmp_path: Path
) -> None:
    unreadable = options.project.cases[0] / "labels.json"
    unreadable.unlink()
    unreadable.mkdir()
    first, _, second = _build(options)
    assert first.verdict is not Verdict.BUILT
    assert first.reason
    assert second.verdict is Verdict.BUILT


def test_processes_of_this_machine_are_the_default(make_case: MakeCase, tmp_path: Path) -> None:
    here = BuildOptions(ProjectOptions([make_case("a")], tmp_path / "out", 1, SIZE), workers=1)
    (outcome,) = _build(here)
    assert outcome.verdict is Verdict.BUILT


def test_scheduler_that_does_not_answer_is_named(make_case: MakeCase, tmp_path: Path) -> None:
    nowhere = BuildOptions(ProjectOptions([make_case("a")], tmp_path / "out", 1, SIZE), "tcp://127.0.0.1:1")
    with pytest.raises(BuildError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        build(nowhere, lambda _: None)


def test_file_of_something_else_is_no_outcome(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"case": "a"}))
    with pytest.raises(BuildError, match=r"a\.json is not a case of a build"):
        read_outcome(tmp_path / "a.json")


def test_page_shows_verdicts_reasons_frequencies_and_pictures(options: BuildOptions) -> None:
    outcomes = _build(options)
    page = write_report(options.project, outcomes, 1.0).read_text()
    assert "2 of 3</b>volumes built" in page
    assert "the volume is flipped" in page
    pictures = re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    assert len(pictures) == 2
    assert Image.open(io.BytesIO(base64.b64decode(pictures[0]))).size == (400, 400)
    heart = re.search(r"<tr><td class=\"n\">121</td><td>heart</td>(.*)</tr>", page)
    assert heart is not None
    assert re.findall(r'<td class="n">(\d+)</td>', heart[1]) == ["2", "0", "0"]
    assert "http" not in page.replace("http-equiv", ""), "one file, no reference to another"


def test_present_absent_and_unknown_are_told_apart(anatomy: Anatomy) -> None:
    told = knowledge(replace(anatomy, absent=frozenset({"pancreas"})))
    assert told["heart"] is Knowledge.PRESENT
    assert told["pancreas"] is Knowledge.ABSENT
    assert told["small bowel"] is Knowledge.UNKNOWN


def test_client_is_closed_after_the_build(options: BuildOptions) -> None:
    _build(options)
    with Client(options.scheduler) as client:
        assert not client.has_what() or not any(client.has_what().values())


def test_many_volumes_do_not_start_more_processes_than_there_are_cores() -> None:
    assert processes(0, 1000) == CPU_COUNT
    assert processes(0, 1) == 1
