import os
import socket
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import SegmentationStorage
from pynetdicom import build_context

from config.settings import Destination, ModelSettings, NodeSettings, Settings, load_settings
from node.archive import Archive
from node.check import (
    check_data_folder,
    check_database,
    check_memory,
    check_model,
    check_port,
    check_profile,
    check_tls,
    check_tls_port,
    run_checks,
)
from node.check_peers import check_destination, unheard
from node.database import engine_for, upgrade, writing
from node.model import STAND_IN
from tests.authority import Authority
from tests.faults.proving_archive import ProvingArchive


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_port_that_another_program_has_fails_and_is_named_once(
    free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.check.SHOWN_WITHIN_S", 0.2)
    settings = NodeSettings(host="127.0.0.1", port=free_port)
    assert check_port(settings).passed
    with socket.create_server(("127.0.0.1", free_port)):
        result = check_port(settings)

    assert not result.passed
    assert "Address already in use" in result.words
    assert result.words.count(f"{free_port}") == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_port_that_the_node_has_passes(tmp_path: Path, host: str) -> None:
    with Archive(tmp_path) as archive:
        result = check_port(NodeSettings(host=host, port=archive.port))

    assert result.passed, result.words
    assert "the node seems to run already" in result.words


def test_checking_makes_neither_folder_nor_queue(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    settings = Settings(node=NodeSettings(data_dir=data, disk_reserve_mb=0))

    folder, database = check_data_folder(data, reserve_mb=0), check_database(settings)
    assert folder.passed
    assert "is made when the node starts" in folder.words
    assert database.passed
    assert "no queue yet" in database.words
    assert list(tmp_path.iterdir()) == []


def test_queue_that_is_there_is_looked_at(tmp_path: Path) -> None:
    engine = engine_for("", tmp_path)
    upgrade(engine)
    settings = Settings(node=NodeSettings(data_dir=tmp_path))
    assert "tables are up to date" in check_database(settings).words
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "made by a newer version" in check_database(settings).words
    with writing(engine) as connection:
        connection.exec_driver_sql("DELETE FROM alembic_version")
    engine.dispose()
    assert "the node will change its tables" in check_database(settings).words


def test_folder_of_a_queue_without_the_queue_is_told(tmp_path: Path) -> None:
    """Somebody checks without the URL that the service has."""
    (tmp_path / "queue-id").write_text("of another database")
    database = check_database(Settings(node=NodeSettings(data_dir=tmp_path)))
    assert not database.passed
    assert "holds the files of one: is this the node's database (database.url, " in database.words


def test_queue_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_for("", tmp_path)
    upgrade(engine)
    engine.dispose()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everything
    database = check_database(Settings(node=NodeSettings(data_dir=tmp_path)))
    assert not database.passed
    assert "tables are up to date, but this user cannot write to it" in database.words


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = check_data_folder(tmp_path / "file" / "data", reserve_mb=0)

    assert not result.passed
    assert str(tmp_path / "file" / "data") in result.words


def test_folder_below_its_reserve_fails(tmp_path: Path) -> None:
    assert check_data_folder(tmp_path, reserve_mb=0).passed
    result = check_data_folder(tmp_path, reserve_mb=10**12)

    assert not result.passed
    assert "images will be refused" in result.words


def test_missing_bundle_fails_with_its_path(tmp_path: Path) -> None:
    result = check_model(ModelSettings(bundle=str(tmp_path / "nowhere")))

    assert not result.passed
    assert "nowhere" in result.words


def test_stand_in_is_told_to_be_no_model() -> None:
    result = check_model(ModelSettings(bundle=STAND_IN))

    assert result.passed
    assert "never for patients" in result.words


def test_reachable_destination_answers_the_echo(tmp_path: Path) -> None:
    with Archive(tmp_path) as archive:
        destination = Destination(name="pacs", ae_title="ARCHIVE", host="127.0.0.1", port=archive.port)
        result = check_destination("PAXNODE", destination)

    assert result.passed, result.words


def test_destination_without_a_listener_is_told_as_no_connection(free_port: int) -> None:
    destination = Destination(name="pacs", ae_title="ARCHIVE", host="127.0.0.1", port=free_port)
    result = check_destination("PAXNODE", destination)

    assert not result.passed
    assert result.words.startswith("no connection to ARCHIVE at 127.0.0.1")


def test_destination_without_verification_is_told_so(tmp_path: Path) -> None:
    with Archive(tmp_path, contexts=[build_context(SegmentationStorage)]) as archive:
        destination = Destination(name="pacs", ae_title="ARCHIVE", host="127.0.0.1", port=archive.port)
        result = check_destination("PAXNODE", destination)

    assert not result.passed
    assert "C-ECHO" in result.words


def test_all_checks_run_on_a_good_configuration(tmp_path: Path, free_port: int) -> None:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[node]\nhost = "127.0.0.1"\nport = {free_port}\ndata_dir = "{tmp_path / "data"}"\n'
        f'disk_reserve_mb = 0\n[model]\nbundle = "{STAND_IN}"\n'
    )
    results = list(run_checks(load_settings(file)))

    assert [result.name for result in results] == [
        "settings", "model", "memory", "data folder", "database", "port", "destinations",
    ]  # fmt: skip
    assert all(result.passed for result in results), results


@pytest.mark.parametrize(
    ("workers", "there_is", "passed"),
    [
        (1, 2_000_000_000, True),
        (2, 12_800_000_000, True),
        (2, 12_700_000_000, False),
        (3, 12_800_000_000, False),
    ],
)
def test_workers_that_could_need_more_memory_than_there_is_are_told(
    workers: int, there_is: int, passed: bool
) -> None:
    result = check_memory(workers, there_is)

    assert result.passed == passed
    assert f"{6.4 * workers:.0f} GB for the largest images in {workers} at a time" in result.words
    assert ("lower worker.count" in result.words) != passed


def test_queue_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(node=NodeSettings(data_dir=Path("./data")))
    assert f"sqlite:///{tmp_path}/data/paxnode.sqlite" in check_database(settings).words


def _with_profile(tmp_path: Path, structures: str) -> Settings:
    file = tmp_path / "node.toml"
    file.write_text(
        f'[[profile]]\nname = "mine"\nlike = "legacy"\nstructures = ["{structures}"]\n'
        '[[destination]]\nname = "pacs"\nae_title = "PACS"\nhost = "h"\nport = 104\nprofile = "mine"\n'
    )
    return load_settings(file)


@pytest.mark.parametrize(("senders", "is_heard"), [([], True), (["CR1", "ARCHIVE"], True), (["CR1"], False)])
def test_destination_whose_commitment_is_not_let_in_is_told(senders: list[str], is_heard: bool) -> None:
    node = NodeSettings(calling_ae_titles=tuple(senders))
    place = Destination(name="a", ae_title="ARCHIVE", host="127.0.0.1", port=104, commitment=True)

    assert (unheard(node, place) == "") is is_heard
    assert unheard(node, place.model_copy(update={"commitment": False})) == ""


def test_what_a_destination_gets_is_told(tmp_path: Path) -> None:
    settings = _with_profile(tmp_path, "heart")
    result = check_profile(settings, settings.destinations[0])
    assert result.passed
    pictures = "presentation state (PR), picture with what was found drawn in (SC)"
    assert result.words == f"mine: report (SR), {pictures}"


def test_a_profile_with_an_unknown_structure_fails_and_names_the_nearest(tmp_path: Path) -> None:
    settings = _with_profile(tmp_path, "hearts")
    result = check_profile(settings, settings.destinations[0])
    assert not result.passed
    assert (
        result.words
        == "profile 'mine': unknown structure or group 'hearts'; the nearest known one is 'heart'"
    )


def test_tls_files_are_looked_at_and_their_days_counted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    good, old = authority.identity("good", 90), authority.identity("old", -2)

    assert "good.crt is good for 90 days; peers must show" in check_tls(good.settings(authority)).words
    assert "have a new one signed" in check_tls(authority.identity("few", 9).settings(authority)).words
    expired = check_tls(old.settings(authority))
    assert not expired.passed
    assert "has expired" in expired.words
    good.key.unlink()
    missing = check_tls(good.settings(authority))
    assert (missing.passed, "good.key cannot be read" in missing.words) == (False, True)


def test_tls_port_that_the_node_has_passes_and_that_of_another_fails(tmp_path: Path, run: Any) -> None:
    authority = Authority(tmp_path / "authority")
    tls = authority.identity("node").settings(authority)
    taken = tls.model_copy(update={"port": run(tls=tls).listener.tls_port})
    other = authority.identity("other").settings(authority, port=taken.port)

    assert check_tls_port("127.0.0.1", tls).passed
    assert "shows its certificate" in check_tls_port("127.0.0.1", taken).words
    assert not check_tls_port("127.0.0.1", other).passed


@pytest.mark.parametrize(
    ("mode", "words"), [(0o750, ""), (0o755, "can be read and entered by other users"), (0o703, "changed")]
)
def test_folder_that_is_open_to_others_is_told(tmp_path: Path, mode: int, words: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(mode)

    result = check_data_folder(tmp_path / "data", reserve_mb=0)

    assert result.passed == (not words)
    assert words in result.words


def test_archive_that_cannot_prove_what_it_is_asked_to_fails(tmp_path: Path) -> None:
    def at(port: int, *, query: bool) -> Destination:
        return Destination(
            name="pacs", ae_title="ARCHIVE", host="127.0.0.1", port=port, commitment=True, query=query
        )

    with Archive(tmp_path) as plain, ProvingArchive(tmp_path / "proving") as proving:
        one, both, none = (
            check_destination("PAXNODE", place)
            for place in (
                at(plain.port, query=False),
                at(plain.port, query=True),
                at(proving.port, query=True),
            )
        )

    assert (one.passed, both.passed, none.passed) == (False, False, True)
    assert "cannot do what is asked of it by commitment = true:" in one.words
    assert "by commitment = true: nothing sent there" in both.words
    assert "by query = true: nothing sent there" in both.words
