"""Deploying: whether a build may be deployed, asked for an agent that is loaded, or with a manifest."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from handoffs.contracts import strictjson
from handoffs.contracts.manifest import Manifest
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import FORM_KEY
from handoffs.coordinator.console.asked import Asked, By, console_of, requires
from handoffs.coordinator.console.limits import MOST
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.templating import rendered
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.observe.decided import decided

router = APIRouter(tags=["contracts"])

_LIMITS = strictjson.Limits(octets=MOST, depth=120, nodes=500_000, text_length=1_048_576)
_TEMPLATE = "can_i_deploy.html.j2"
_TITLE = "Can I deploy?"


class Build(BaseModel):
    """A build of an agent."""

    agent: str
    build: str


class WorkingEdge(BaseModel):
    """A handover that works: ``version`` is what would be written, ``how`` is as it is, by a downcast of the writer or an upcast of the reader."""

    rule: str
    contract: str
    writer: Build
    reader: Build
    writes: list[int]
    reads: list[int]
    version: int
    how: str


class Difference(BaseModel):
    """A place at which a reader may refuse what is written; ``certain`` where the witness proves it."""

    kind: str
    path: str
    certain: bool
    text: str


class DeploymentProblem(BaseModel):
    """A handover that would break, with what to do. ``witness`` is an instance that may be written and cannot be read, where ``verdict`` is
    incompatible."""

    rule: str
    contract: str
    agent: str
    build: str
    state: str
    writes: list[int]
    reads: list[int]
    text: str
    remedy: str
    verdict: str | None
    witness: Any
    differences: list[Difference]


class OutstandingMessages(BaseModel):
    """Messages of a contract version that the agent has still to handle."""

    contract: str
    version: int
    dead_lettered: int
    other: int


class DeploymentDecision(BaseModel):
    """Whether the build may be deployed: what works, what would break, what is outstanding, and in which order to deploy."""

    agent: str
    build: str
    ok: bool
    edges: list[WorkingEdge]
    problems: list[DeploymentProblem]
    outstanding: list[OutstandingMessages]
    notes: list[str]
    order: list[str]


class DeploymentQuestion(BaseModel):
    """For which agents it can be asked by name, because they are loaded here; and the answer, null where nothing was asked."""

    agents: list[str]
    decision: DeploymentDecision | None


def can_i_deploy(
    coordinator: Asked,
    *,
    agent: Annotated[str, Query(max_length=200, description="An agent that is loaded in the console.")] = "",
) -> View[DeploymentQuestion]:
    """Whether the code of an agent, as it is loaded in the console, may be deployed: with each build that is alive or deployed, what is queued and
    dead-lettered, and after a rollback. For another build, send its manifest."""
    decision = _decision(coordinator, coordinator.contracts.manifest(agent)) if agent else None
    data = DeploymentQuestion(agents=_agents(coordinator), decision=decision)
    return View(data, _TITLE, twin("contracts can-i-deploy", agent or "AGENT"), {"agent": agent})


async def judge(request: Request, coordinator: Asked, caller: By) -> DeploymentDecision:
    """Whether the build may be deployed whose manifest is sent, as `coordinator contracts manifest AGENT` prints it."""
    console_of(request).access.check_origin(request, caller)
    return await run_in_threadpool(_of_text, coordinator, await request.body())


async def judge_form(request: Request, coordinator: Asked) -> HTMLResponse:
    """The same for a form with a manifest, as a text or as a file."""
    async with request.form(max_files=1, max_fields=10, max_part_size=MOST) as form:
        console_of(request).access.check_form(request, form.get(FORM_KEY))
        file, text = form.get("file"), form.get("manifest")
        if isinstance(file, UploadFile) and file.size:
            given = await file.read()
        else:
            given = str(text or "").encode("utf-8", "replace")
    decision = await run_in_threadpool(_of_text, coordinator, given)
    agents = await run_in_threadpool(_agents, coordinator)  # it may load modules
    data = DeploymentQuestion(agents=agents, decision=decision)
    command = twin("contracts can-i-deploy", decision.agent, manifest="FILE")
    return rendered(request, _TEMPLATE, title=_TITLE, twin=command, data=data, agent="")


def _of_text(coordinator: Coordinator, given: bytes) -> DeploymentDecision:
    """Raises :class:`~handoffs.contracts.errors.InvalidJson` and :class:`~handoffs.contracts.errors.InvalidManifest`."""
    return _decision(coordinator, Manifest.from_json(strictjson.loads(given, _LIMITS)))


def _decision(coordinator: Coordinator, manifest: Manifest) -> DeploymentDecision:
    return DeploymentDecision.model_validate(decided(*coordinator.contracts.can_deploy(manifest)))


def _agents(coordinator: Coordinator) -> list[str]:
    return coordinator.contracts.agents()


add_page(router, "/contracts/can-i-deploy", can_i_deploy, template=_TEMPLATE, model=DeploymentQuestion)
_options: dict[str, Any] = {"methods": ["POST"], "dependencies": [Depends(requires(Permission.READ))]}
_BODY = {
    "required": True,
    "content": {"application/json": {"schema": {"type": "object", "description": "A manifest."}}},
}
router.add_api_route(
    "/api/contracts/can-i-deploy", judge, response_model=DeploymentDecision, openapi_extra={"requestBody": _BODY}, **_options
)  # fmt: skip
router.add_api_route(
    "/contracts/can-i-deploy", judge_form, name="judge.form", include_in_schema=False, response_model=None, **_options
)  # fmt: skip
