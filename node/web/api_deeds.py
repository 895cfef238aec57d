"""`/api/v1/deeds`: who did what."""

from typing import Annotated

from fastapi import APIRouter, Query

from node.web.access import Admin, TheDesk
from node.web.audit import AT_ONCE, MOST, audited
from node.web.deeds import Deed

router = APIRouter(tags=["audit"])


@router.get("/deeds")
def deeds(
    desk: TheDesk,
    visitor: Admin,
    who: str = "",
    before: Annotated[int, Query(ge=0, le=MOST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = AT_ONCE,
) -> tuple[Deed, ...]:
    """Return the latest deeds, the newest first; more with `before` and the number of the last one."""
    return tuple(line.deed for line in audited(desk, limit, before, who).lines)
