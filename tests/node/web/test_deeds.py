"""A deed is written before it is done, and its end when it has ended."""

import io

import pytest
from sqlalchemy import Engine, event

from node.errors import StorageError
from node.job_rows import utc_now
from node.web.deeds import Act, DeedStore


@pytest.fixture
def store(engine: Engine) -> DeedStore:
    return DeedStore(engine, utc_now)


def test_end_is_added_to_what_was_written_before(store: DeedStore) -> None:
    with store.around("ada", "192.0.2.1", Act.RETRY, "job 1") as ending:
        assert [deed.detail for deed in store.latest(1)] == [""]
        ending.words = "done: in time"
    with store.around("ada", "192.0.2.1", Act.RESEND, "job 1", "to pacs"):
        pass
    with pytest.raises(KeyError), store.around("ada", "192.0.2.1", Act.RERUN, "job 1"):
        raise KeyError("what somebody typed")

    assert [deed.detail for deed in store.latest(9)] == ["failed: KeyError", "to pacs; done", "done: in time"]


def test_what_was_done_stays_done_where_its_end_cannot_be_written(
    store: DeedStore, engine: Engine, lines: io.StringIO
) -> None:
    def cannot(*_told: object) -> None:
        raise StorageError("the database is away")

    with store.around("ada", "192.0.2.1", Act.CANCEL, "job 1"):
        event.listen(engine, "before_cursor_execute", cannot)
    event.remove(engine, "before_cursor_execute", cannot)

    assert [deed.detail for deed in store.latest(9)] == [""]
    assert "how a deed ended was not written" in lines.getvalue()
