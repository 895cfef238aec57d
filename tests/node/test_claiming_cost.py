"""What asking for deliveries costs where none is due."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, event, update

from node.database import deliveries, writing
from node.job_store import JobStore
from node.jobs import DeliveryState
from tests.node.test_proof_store import add_sent

ROWS = 3000


def wait_for_long(engine: Engine, clock: Any) -> None:
    """Add deliveries that wait for an hour still."""
    add_sent(engine, clock, ROWS)
    waits = {"state": DeliveryState.WAITING, "due_at": clock() + timedelta(hours=1)}
    with writing(engine) as connection:
        connection.execute(update(deliveries).values(waits))
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE deliveries")


def test_nothing_due_is_found_by_an_index_without_what_waits(
    engine: Engine, store: JobStore, clock: Any
) -> None:
    wait_for_long(engine, clock)
    asked: list[tuple[str, Any]] = []

    def look(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        if statement.lstrip().startswith("SELECT deliveries.id"):
            asked.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", look)
    assert store.claim_deliveries("pacs", "sender", 60.0, 10) == []
    event.remove(engine, "before_cursor_execute", look)

    assert not [statement for statement, _ in asked if "ORDER BY deliveries.priority" in statement]
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        plans = [
            "\n".join(map(str, connection.exec_driver_sql(explain + statement, parameters)))
            for statement, parameters in asked
        ]
    assert len(plans) == 2
    assert "ix_deliveries_destination_state_due_at" in plans[0]
    assert "ix_deliveries_destination_state_updated_at" in plans[1]
