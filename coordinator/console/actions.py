"""Actions: what people did, the newest first."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel

from handoffs.coordinator.console.asked import Asked
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.journal.actions import LARGEST_PAGE

router = APIRouter(tags=["actions"])


class Action(BaseModel):
    """What one person did. ``run`` and ``letter`` are empty where it was done to none; ``note`` is the reason that was given."""

    id: int
    at: datetime
    who: str
    action: str
    run: str
    letter: str
    note: str


class Actions(BaseModel):
    """A page of actions; ``older`` is what to give as ``before`` for the next page, null where this is the last."""

    actions: list[Action]
    older: int | None


def actions(
    coordinator: Asked,
    *,
    run: Annotated[str, Query(description="Only what was done to this run.")] = "",
    by: Annotated[str, Query(description="Only what this person did.")] = "",
    since: Annotated[AwareDatetime | None, Query(description="Only what was done then or later.")] = None,
    before: Annotated[
        int | None, Query(ge=1, lt=2**63, description="Go on where another page ended.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
) -> View[Actions]:
    """What people did, the newest first: who, what, to which run and letter, why.

    Many parameters because each is a filter of its own.
    """
    page = coordinator.actions_page(run=run, by=by, since=since, before=before, limit=limit)
    data = Actions(actions=[Action.model_validate(asdict(one)) for one in page.actions], older=page.older)
    chosen = {"run": run, "by": by, "since": since, "before": before}
    return View(data, "Actions", twin("actions list", **chosen), {"chosen": chosen})


add_page(router, "/actions", actions, template="actions.html.j2", model=Actions)
