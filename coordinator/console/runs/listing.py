"""Listing: the page of runs: one search box, filters, facets, and when they were accepted. Its address is the saved view."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import quoted
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.runs.histogram import histogram
from handoffs.coordinator.console.runs.models import WaitShown
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.console.when import Moment
from handoffs.coordinator.observe.facets import RunFacets
from handoffs.coordinator.observe.finding import Find, FoundBy
from handoffs.coordinator.observe.run_query import RunChoice
from handoffs.coordinator.observe.run_summary import RunSummary
from handoffs.coordinator.observe.standing import Status

router = APIRouter(tags=["runs"])

LARGEST_PAGE = 200
_MOST_FINDS = 12
_Status = Literal[
    "",
    "waiting",
    "scheduled",
    "running",
    "paused",
    "parked",
    "completed",
    "compensating",
    "cancelled",
    "unknown",
]


class ParkedStepShown(BaseModel):
    """A step of a run that is parked, and of what it failed."""

    step: str
    agent: str
    kind: str
    error: str


class RunRow(BaseModel):
    """A run in a list: `status` as people call it, `waiting` where it waits for a signal."""

    run: str
    flow: str
    key: str
    status: str
    started: datetime
    due: datetime | None
    waiting: list[WaitShown]
    parked: list[ParkedStepShown]


class FindShown(BaseModel):
    """What the text was found in: `by` says in what, `value` is the whole of it."""

    by: str
    field: str
    value: str
    exact: bool
    run: str
    flow: str
    letter: str
    status: str
    at: datetime | None


class StartedShown(BaseModel):
    """So many runs were accepted from `at` on, for as long as a part is."""

    at: datetime
    runs: int


class FacetsShown(BaseModel):
    """How many runs are how, and of which flow, of the newest ten thousand that pass; and when they were accepted."""

    total: int
    more: bool
    statuses: dict[str, int]
    flows: dict[str, int]
    started: list[StartedShown]
    part_seconds: int
    counted_since: datetime | None


class RunsShown(BaseModel):
    """A page of runs, newest first; `older` is what to give as `before` for the next, null where this is the last. `finds` is what the text
    was found in, also where that is no run; `facets` are null where they were not asked for."""

    runs: list[RunRow]
    older: str | None
    finds: list[FindShown]
    facets: FacetsShown | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the address chooses."""

    text: str
    flow: str
    status: str
    key: str
    since: datetime | None
    until: datetime | None
    failed_at: str
    error: str
    where: tuple[str, ...]

    def choice(self) -> RunChoice:
        """As the Python API takes it. Raises :class:`~handoffs.contracts.errors.InvalidData` for a ``where`` that is none."""
        fields: dict[str, object] = {}
        for one in self.where:
            name, sign, value = one.partition("=")
            if not sign or not name:
                raise InvalidData(
                    f"where={quoted(one, 60)} names no field and value",
                    "nothing was looked up",
                    "write where=order=o-17",
                )
            fields[name] = value
        waiting = self.status == "waiting"
        return RunChoice(
            flow=self.flow, status="" if waiting else self.status, key=self.key, since=self.since, until=self.until,
            waiting=waiting, failed_at=self.failed_at, error=self.error, where=fields, text=self.text,
        )  # fmt: skip

    def query(self) -> dict[str, Any]:
        """As the address has it, without what is empty."""
        values = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in asdict(self).items()
        }
        return {name: value for name, value in values.items() if value}


_Text = Annotated[str, Query(max_length=300)]


def chosen(
    *,
    text: Annotated[
        str,
        Query(
            max_length=300,
            description="An id, a key, a searchable value, a flow, an agent, an error; or how it begins.",
        ),
    ] = "",
    flow: _Text = "",
    status: _Status = "",
    key: Annotated[str, Query(max_length=300, description="The idempotency key, as it is shown.")] = "",
    since: Annotated[
        Moment, Query(description="Accepted then or later: ISO 8601, or how long ago (`2h`).")
    ] = None,
    until: Annotated[Moment, Query(description="Accepted before.")] = None,
    failed_at: Annotated[str, Query(max_length=300, description="Parked at this step, or agent.")] = "",
    error: Annotated[
        str,
        Query(
            max_length=300,
            description="The type of the error, or the kind of the failure, of a letter that waits.",
        ),
    ] = "",
    where: Annotated[
        list[str] | None, Query(max_length=10, description="A searchable field and its value: `order=o-17`.")
    ] = None,
) -> Chosen:
    """What the address chooses.

    Many parameters because each is a filter of its own.
    """
    fields = tuple(one[:400] for one in where or () if one)
    return Chosen(
        text.strip(),
        flow.strip(),
        status,
        key.strip(),
        since,
        until,
        failed_at.strip(),
        error.strip(),
        fields,
    )


def runs(
    coordinator: Asked,
    caller: By,
    picked: Annotated[Chosen, Depends(chosen)],
    *,
    before: Annotated[str, Query(max_length=300, description="Go on where another page ended.")] = "",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    bare: Annotated[
        bool, Query(description="Without facets, and without what else the text is found in.")
    ] = False,
) -> View[RunsShown]:
    """Runs, the newest first: what they do now, for what they wait, where they are parked. Who does not see what messages say finds no run
    by a searchable field.

    Many parameters because each is a part of the address.
    """
    if picked.where:
        caller.must(Permission.PAYLOADS)
    choice, sees_values = picked.choice(), caller.may(Permission.PAYLOADS)
    in_values = bool(picked.text) and not sees_values  # the runs of a text are found by values, too
    found = [] if in_values else coordinator.runs(limit=limit + 1, before=before, **choice)
    page, more = found[:limit], len(found) > limit
    facets = None if bare or before or in_values else coordinator.run_facets(**choice)
    finds = coordinator.search(picked.text, limit=_MOST_FINDS) if picked.text and not (bare or before) else []
    if not sees_values:
        finds = [one for one in finds if one.by != FoundBy.FIELD]
    data = RunsShown(
        runs=[_row(one) for one in page],
        older=page[-1].cursor if more else None,
        finds=[_find(one) for one in finds],
        facets=_facets(facets) if facets else None,
    )
    query = picked.query()
    said = (
        twin("runs find", picked.text)
        if picked.text
        else twin("runs list", **query, limit=limit if limit != 50 else None)
    )
    return View(
        data,
        "Runs",
        said,
        {
            "chosen": picked, "statuses": ["waiting", *get_args(Status)], "link": _linking({**query, **({"limit": limit} if limit != 50 else {})}), "before": before,
            "columns": histogram(facets.started, facets.part) if facets else [], "narrowed": bool(query),
        },
    )  # fmt: skip


def _linking(query: Mapping[str, Any]) -> Callable[..., str]:
    """What gives the address of the list with something of it chosen otherwise."""

    def link(**other: Any) -> str:
        told = {
            name: value.isoformat() if isinstance(value, datetime) else value for name, value in other.items()
        }
        return (
            f"?{urlencode({name: value for name, value in {**query, **told}.items() if value}, doseq=True)}"
        )

    return link


def _row(one: RunSummary) -> RunRow:
    return RunRow(
        run=one.id,
        flow=one.flow,
        key=one.key,
        status=one.shown,
        started=one.started,
        due=one.due,
        waiting=[WaitShown(**asdict(wait)) for wait in one.waiting],
        parked=[ParkedStepShown(**asdict(step)) for step in one.parked[:20]],
    )


def _find(one: Find) -> FindShown:
    return FindShown(**{**asdict(one), "by": str(one.by)})


def _facets(found: RunFacets) -> FacetsShown:
    return FacetsShown(
        total=found.total, more=found.more, statuses=dict(found.statuses), flows=dict(list(found.flows.items())[:30]),
        started=[StartedShown(at=one.at, runs=one.runs) for one in found.started],
        part_seconds=round(found.part.total_seconds()), counted_since=found.counted_since,
    )  # fmt: skip


add_page(router, "/runs", runs, template="runs.html.j2", model=RunsShown)
