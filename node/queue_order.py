"""Reading rows that share a value in the order of an index, whatever a database believes of the table.

PostgreSQL chooses by statistics. Where it knows that many rows wait, `state = 'queued' ORDER BY id LIMIT 1`
tempts it to read the table by number until it meets one; but what waits is what came last, and behind a long
queue it would read everything that is done before, for each claim. So the order is asked of both columns, and
the value as a range that holds it alone: then only the index (..., value, id) gives the first row at once.
"""

from typing import Any

from sqlalchemy import Column, ColumnElement, UnaryExpression, and_, literal, tuple_


def oldest_first(column: Column[Any]) -> tuple[ColumnElement[Any], ...]:
    """Return the order of rows that share the value of a column, by their numbers."""
    return column, column.table.c.id


def newest_first(column: Column[Any]) -> tuple[UnaryExpression[Any], ...]:
    """Return the order the other way round."""
    return column.desc(), column.table.c.id.desc()


def sharing(column: Column[Any], value: object, *, after: int = 0, before: int = 0) -> ColumnElement[bool]:
    """Return the condition on rows with a value, for one of the orders above.

    Args:
        column: Of a table whose rows have an `id`; an index has both, one behind the other.
        value: Its value in these rows.
        after: Only rows with higher numbers; 0: all.
        before: Only rows with lower numbers; 0: all.
    """
    place = tuple_(column, column.table.c.id)
    wanted = [column >= value, column <= value]
    wanted += [place > tuple_(literal(value), literal(after))] if after else []
    wanted += [place < tuple_(literal(value), literal(before))] if before else []
    return and_(*wanted)
