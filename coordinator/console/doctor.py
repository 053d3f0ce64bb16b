"""Doctor: whether the installation is in order, and what to do where it is not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from handoffs.coordinator.console.asked import console_of
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.observe.doctor.check import AREAS, STATES, worst

router = APIRouter(tags=["doctor"])


class CheckResult(BaseModel):
    """One thing that was looked at: ``ok``, ``warning`` (it works, and may not be meant so), ``failed`` or ``unknown``, what was found, and what to do."""

    area: str
    name: str
    state: str
    told: str
    remedy: str | None


class Examination(BaseModel):
    """All checks by area, and the worst state among them."""

    state: str
    checks: list[CheckResult]


def doctor(
    request: Request, *, faults: Annotated[bool, Query(description="Only what is not in order.")] = False
) -> View[Examination]:
    """Look at settings, servers, permissions, queues, tables and workers, now. It is there within 8 s, whatever the servers do; what was found in the last
    two seconds is told again."""
    found = console_of(request).checks.get()
    shown = [one for one in found if not faults or one.state != "ok"]
    data = Examination(
        state=worst(found), checks=[CheckResult.model_validate(one.to_json()) for one in shown]
    )
    counts = {state: sum(one.state == state for one in found) for state in STATES}
    more = {"areas": AREAS, "counts": counts, "faults": faults}
    return View(data, "Doctor", twin("doctor", faults=faults), more)


add_page(router, "/doctor", doctor, template="doctor.html.j2", model=Examination)
