import socket
from pathlib import Path

import pytest
from pydicom.uid import SegmentationStorage
from pynetdicom import build_context

from config.settings import Destination, ModelSettings, load_settings
from node.archive import Archive
from node.check import check_data_folder, check_destination, check_model, check_port, run_checks
from node.model import STAND_IN


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_free_port_passes_and_used_port_names_the_likely_cause(free_port: int) -> None:
    assert check_port("127.0.0.1", free_port).passed
    with socket.create_server(("127.0.0.1", free_port)):
        result = check_port("127.0.0.1", free_port)

    assert not result.passed
    assert "is the node running already?" in result.words


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
        "settings", "model", "data folder", "database", "port", "destinations",
    ]  # fmt: skip
    assert all(result.passed for result in results), results
