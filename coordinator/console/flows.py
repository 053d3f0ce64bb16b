"""Flows: those that are loaded, how each is nested, what its runs use up, and starting one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done
from handoffs.coordinator.console.asked import Asked, By, console_of, requires
from handoffs.coordinator.console.forms.answers import AT_ONCE
from handoffs.coordinator.console.forms.filling import Filling, add_filling
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.runs.reading import step_of
from handoffs.coordinator.console.templating import base_of, segment
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.observe.outline import outline
from handoffs.coordinator.observe.run_outline import run_outline

router = APIRouter(tags=["flows"])

FlowName = Annotated[str, Path(max_length=300, description="The name of a flow that is loaded.")]

_LONGEST_KEY = 1_000


class FlowRow(BaseModel):
    """A flow: what it is started with (``name/version``), its agents in order, and the signals that it waits for."""

    flow: str
    accepts: str
    agents: list[str]
    signals: list[str]


class Flows(BaseModel):
    """The flows that are loaded."""

    flows: list[FlowRow]


class FlowShown(BaseModel):
    """A flow: its steps as they are nested, and what its runs have used up in so many days."""

    flow: str
    accepts: str
    steps: list[dict[str, Any]]
    days: int
    usage: dict[str, Any]
    spending: str


class Starting(BaseModel):
    """With what a run is started; `key` is its idempotency key, by default the payload's own: the same key gives the same run."""

    model_config = ConfigDict(extra="forbid")

    payload: dict[str, Any]
    key: Annotated[str | None, Field(max_length=_LONGEST_KEY)] = None


class StartedRun(BaseModel):
    """The run that was accepted; ``created`` is false where its key already had it. ``location`` is its page."""

    run: str
    flow: str
    status: str
    created: bool
    location: str


def flows(coordinator: Asked) -> View[Flows]:
    """The flows that are loaded here, with their agents."""
    rows = [
        FlowRow(
            flow=flow.name,
            accepts=str(flow.accepts.ref()),
            agents=[place.agent.name for place in flow.places()],
            signals=sorted(flow.signals),
        )
        for flow in coordinator.flows.flows.values()
    ]
    return View(Flows(flows=rows), "Flows", twin("flows list"))


def flow(
    coordinator: Asked,
    flow: FlowName,
    *,
    days: Annotated[int, Query(ge=1, le=366, description="On how many days, with today.")] = 30,
) -> View[FlowShown]:
    """A flow: its steps as they are nested, with their contracts; and what its runs have used up."""
    found = coordinator.flows.flow(flow)
    drawn = outline(found)
    used = coordinator.usage(found.name, days)
    data = FlowShown(
        flow=found.name,
        accepts=str(drawn.accepts),
        steps=drawn.to_json()["steps"],
        days=days,
        usage=used.to_json() if used else {},
        spending=str(found.spending) if found.spending else "",
    )
    return View(
        data,
        f"Flow {found.name}",
        twin("flows show", found.name),
        {"drawn": [step_of(one) for one in run_outline([], drawn).steps]},
    )


def start_flow(coordinator: Asked, request: Request, flow: FlowName) -> Filling:
    """Start a run of a flow."""
    found = coordinator.flows.flow(flow)

    def started(payload: Mapping[str, Any], by: str, why: str, more: Mapping[str, str]) -> Done:  # noqa: ARG001 - as every form
        run = start(coordinator, request, found.name, payload, more.get("key") or None)
        said = f"run {run.id[:12]} was accepted" if run.created else f"run {run.id[:12]} has that key already"
        return Done(said, f"/runs/{segment(run.id)}", {"run": run.id})

    asks = [
        {
            "name": "key",
            "label": "Idempotency key",
            "said": "Empty: the payload's own. The same key gives the same run.",
        }
    ]
    return Filling(
        found.accepts, f"Start {found.name}", f"With what a run of {found.name} begins.", "Start", started, reason="none",
        twin=twin("start", found.name, payload="@input.json"), more={"asks": asks},
    )  # fmt: skip


def start_run(coordinator: Asked, caller: By, request: Request, flow: FlowName, body: Starting) -> StartedRun:
    """Start a run of a flow; it is accepted when this answers. The same key gives the same run."""
    console_of(request).access.check_origin(request, caller)
    run = start(coordinator, request, coordinator.flows.flow(flow).name, body.payload, body.key)
    return StartedRun(
        run=run.id,
        flow=flow,
        status=run.status(),
        created=run.created,
        location=f"{base_of(request)}/runs/{segment(run.id)}",
    )


def start(
    coordinator: Coordinator, _request: Request, flow: str, payload: Mapping[str, Any], key: str | None
) -> Run:
    """Start a run that a request asks for: the one place where the console does."""
    return coordinator.start(flow, payload, idempotency_key=key)


add_page(router, "/flows", flows, template="flows.html.j2", model=Flows)
add_filling(router, "/flows/{flow}/start", start_flow, answers=AT_ONCE, takes_json=False)
add_page(router, "/flows/{flow}", flow, template="flow.html.j2", model=FlowShown)
router.add_api_route(
    "/api/flows/{flow}/runs",
    start_run,
    methods=["POST"],
    response_model=StartedRun,
    dependencies=[Depends(requires(Permission.OPERATE))],
    description=start_run.__doc__,
)
