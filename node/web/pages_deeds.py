"""Who did what, for admins."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from node.web.access import Admin, TheDesk
from node.web.audit import AT_ONCE, MOST, audited
from node.web.rendering import page

router = APIRouter()


@router.get("/deeds")
def deeds(
    request: Request,
    desk: TheDesk,
    visitor: Admin,
    who: str = "",
    before: Annotated[int, Query(ge=0, le=MOST)] = 0,
) -> Response:
    """Show the latest deeds, the newest first, or those before one."""
    shown = audited(desk, AT_ONCE, before, who)
    accounts = [each.name for each in desk.accounts.all()]
    return page(request, "deeds.html", visitor, shown=shown, who=who, before=before, accounts=accounts)
