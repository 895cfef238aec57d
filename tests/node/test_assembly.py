"""A node is built only on a data folder and a database that belong together."""

import io
import shutil
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from ai.stand_in import StandInSegmenter
from config.settings import Settings
from node import assembly
from node.assembly import build_node
from node.database import engine_for, upgrade
from node.errors import StorageError
from node.job_store import JobStore
from node.part import ALL_PARTS, Part
from node.spool import OWNER_FILE, Spool


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """A node without destinations, its database once of each kind and outside the data folder."""
    node = {"data_dir": tmp_path / "data", "host": "127.0.0.1", "port": 0, "disk_reserve_mb": 0}
    return Settings.model_validate({"node": node, "database": {"url": database_url}})


def _built(settings: Settings) -> None:
    build_node(settings, StandInSegmenter()).engine.dispose()


def _receive(settings: Settings, make_received: Callable[..., Any]) -> None:
    engine = engine_for(settings.database.url.get_secret_value(), settings.node.data_dir)
    upgrade(engine)
    JobStore(engine).add_received(make_received())
    engine.dispose()


def test_first_start_tells_the_data_folder_whose_it_is(settings: Settings) -> None:
    _built(settings)

    first = (settings.node.data_dir / OWNER_FILE).read_text()
    _built(settings)

    assert (settings.node.data_dir / OWNER_FILE).read_text() == first


def test_node_does_not_start_on_a_data_folder_that_is_not_mounted(
    settings: Settings, make_received: Callable[..., Any]
) -> None:
    _built(settings)
    _receive(settings, make_received)
    shutil.rmtree(settings.node.data_dir)

    with pytest.raises(StorageError, match="is it mounted"):
        _built(settings)
    assert list(settings.node.data_dir.iterdir()) == []

    (settings.node.data_dir / OWNER_FILE).touch()  # the admin means it
    _built(settings)
    assert len((settings.node.data_dir / OWNER_FILE).read_text().split()) == 2


def test_folder_with_files_and_without_an_owner_is_left_to_the_housekeeper(
    settings: Settings, make_received: Callable[..., Any]
) -> None:
    _receive(settings, make_received)
    Spool(settings.node.data_dir).prepare().store_result(b"of an older version")

    _built(settings)

    assert not (settings.node.data_dir / OWNER_FILE).exists()


def test_start_looks_neither_at_every_job_nor_at_every_file(
    settings: Settings, make_received: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _receive(settings, make_received)
    spool = Spool(settings.node.data_dir).prepare()
    kept = [spool.store_result(b"%d" % number).path for number in range(5)]
    seen, told, every = list[str](), list[str](), Path.glob

    def glob(folder: Path, pattern: str) -> Iterator[Path]:
        for path in every(folder, pattern):
            seen.append(path.name)
            yield path

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        told.append(statement)

    monkeypatch.setattr(Path, "glob", glob)
    event.listen(Engine, "before_cursor_execute", note)
    try:
        _built(settings)
    finally:
        event.remove(Engine, "before_cursor_execute", note)

    assert len([name for name in seen if name.endswith(".dcm")]) <= 1 < len(kept)
    assert told
    assert not [statement for statement in told if statement.split("FROM")[-1].strip() == "jobs"]


@pytest.mark.parametrize(("parts", "is_told"), [(ALL_PARTS, True), ((Part.LISTEN,), False)])
def test_workers_that_could_need_more_memory_than_there_is_are_told_at_the_start(
    tmp_path: Path,
    lines: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    parts: Collection[Part],
    is_told: bool,
) -> None:
    monkeypatch.setattr(assembly, "memory_bytes", lambda: 7_900_000_000)
    node = {"data_dir": tmp_path / "data", "host": "127.0.0.1", "port": 0, "disk_reserve_mb": 0}
    settings = Settings.model_validate({"node": node, "worker": {"count": 2}})

    build_node(settings, StandInSegmenter(), parts=parts).engine.dispose()

    told = "large images in all workers need more memory than there is" in lines.getvalue()
    assert told == is_told
