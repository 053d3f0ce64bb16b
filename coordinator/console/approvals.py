"""Approvals: what runs wait for from people, or from systems outside, and answering one with a form of its contract."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from handoffs.contracts.contract import Contract
from handoffs.contracts.text import printable
from handoffs.coordinator.client.approvals import Approval, asked_by
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.console.access.caller import Caller
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import FORM_KEY, Outcome
from handoffs.coordinator.console.asked import Asked, By, console_of, requires
from handoffs.coordinator.console.forms.form import Filled, Form, filled, form_of
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.templating import base_of, flash, rendered
from handoffs.coordinator.console.twin import twin
from handoffs.coordinator.errors import LoadError

router = APIRouter(tags=["approvals"])

_TEMPLATE = "approval.html.j2"
_LONGEST = 500
RunId = Annotated[str, Path(max_length=200)]
Signal = Annotated[str, Path(max_length=200)]


class ApprovalField(BaseModel):
    """A field of an answer; ``kind`` and ``bounds`` are in words."""

    name: str
    kind: str
    required: bool
    bounds: list[str]
    description: str


class Stands(BaseModel):
    """What stands in for a signal that does not come in time: ``data`` is null for those who may not see what messages say."""

    contract: str
    data: dict[str, Any] | None


class AwaitedSignal(BaseModel):
    """A signal that a run waits for, at a step, of a contract. ``due`` and ``otherwise``: until when, and what stands in then, as the flow is loaded in
    the console; null where it waits until the signal comes. ``fields`` is null where the flow is not loaded here."""

    run: str
    flow: str
    key: str
    signal: str
    contract: str
    step: str
    since: datetime | None
    due: datetime | None
    otherwise: Stands | None
    fields: list[ApprovalField] | None


class ApprovalList(BaseModel):
    """What runs wait for, the newest run first; ``more``: there may be others than these."""

    approvals: list[AwaitedSignal]
    more: bool


class ApprovalDetail(BaseModel):
    """What a run waits for under the name of a signal: nothing where it does not (yet, or any more). ``fields`` are those of an answer."""

    run: str
    status: str
    signal: str
    awaited: list[AwaitedSignal]
    fields: list[ApprovalField]


class Answer(BaseModel):
    """An answer: ``payload`` is data of the signal's contract."""

    model_config = ConfigDict(extra="forbid")

    payload: dict[str, Any]
    why: str = Field(default="", max_length=_LONGEST)
    """The reason, for those who read the operator actions later."""


def approvals(
    coordinator: Asked,
    caller: By,
    *,
    flow: Annotated[str, Query(max_length=200)] = "",
    signal: Annotated[str, Query(max_length=200)] = "",
    key: Annotated[
        str, Query(max_length=500, description="The idempotency key of a run, as it is shown.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> View[ApprovalList]:
    """The signals that runs wait for, those of the newest run first: since when, until when, and what an answer has.

    Many parameters because each is a filter of its own.
    """
    found = coordinator.approvals(flow=flow, signal=signal, key=key, limit=limit + 1)
    data = ApprovalList(approvals=[_told(one, caller) for one in found[:limit]], more=len(found) > limit)
    chosen = {"flow": flow, "signal": signal, "key": key}
    return View(data, "Approvals", twin("approvals list", **chosen), {"chosen": chosen, "limit": limit})


def approval(coordinator: Asked, caller: By, run: RunId, signal: Signal) -> View[ApprovalDetail]:
    """A signal that a run waits for, and the fields of an answer."""
    found = coordinator.run(run)
    contract = _contract(found, signal)
    return _view(coordinator, caller, found, signal, Filled(form_of(contract), None))


def answer(
    request: Request, coordinator: Asked, caller: By, run: RunId, signal: Signal, body: Answer
) -> Outcome:
    """Send a run the signal that it waits for, or will wait for. Its contract checks the answer before anything is sent."""
    console_of(request).access.check_origin(request, caller)
    found = coordinator.run(run)
    payload = _contract(found, signal).from_data(body.payload)
    found.signal(signal, payload, by=caller.name, why=body.why)
    return Outcome(message=_done(found, signal), location=f"{base_of(request)}/runs/{found.id}")


async def answer_form(
    request: Request, coordinator: Asked, caller: By, run: RunId, signal: Signal
) -> Response:
    """The same for a form. Where something is wrong with it, it comes back with what that is."""
    async with request.form(max_files=0) as sent:
        console_of(request).access.check_form(request, sent.get(FORM_KEY))
        fields = {name: value for name, value in sent.items() if isinstance(value, str)}
    return await run_in_threadpool(_answered, request, coordinator, caller, run, signal, fields)


def _answered(
    request: Request, coordinator: Coordinator, caller: Caller, run: str, signal: str, sent: dict[str, str]
) -> Response:
    found = coordinator.run(run)
    contract = _contract(found, signal)
    made = filled(contract, sent)
    why = printable(sent.get("why", ""), _LONGEST)
    if made.data is None or not made.form.is_sound:
        view = _view(coordinator, caller, found, signal, made, why)
        return rendered(
            request, _TEMPLATE, title=view.title, twin=view.twin, code=422, data=view.data, **view.more
        )
    found.signal(signal, contract.from_data(made.data), by=caller.name, why=why)
    flash(request, _done(found, signal))
    return RedirectResponse(f"{base_of(request)}/approvals", 303)


def _view(
    coordinator: Coordinator, caller: Caller, run: Run, signal: str, made: Filled, why: str = ""
) -> View[ApprovalDetail]:
    """A signal of a run, with its form as it is filled in.

    Many parameters because a form that was sent comes back with all that was in it.
    """
    awaited = [_told(one, caller) for one in coordinator.approvals_of(run.id) if one.signal == signal]
    data = ApprovalDetail(
        run=run.id,
        status=run.status(),
        signal=signal,
        awaited=awaited,
        fields=_fields(asked_by(_contract(run, signal))),
    )
    form: Form = made.form
    command = twin("approvals answer", run.id, signal=signal)
    return View(data, f"Answer {printable(signal, 80)}", command, {"form": form, "why": why})


def _contract(run: Run, signal: str) -> type[Contract]:
    """The contract of a signal of a run. Raises :class:`~handoffs.coordinator.errors.LoadError` where its flow, as it is loaded here, waits for none
    of that name."""
    signals = run.flow.signals if run.flow else {}
    if signal not in signals:
        raise LoadError(
            f"the flow of run {printable(run.id, 80)}, as it is loaded here, waits for no signal {printable(signal, 80)!r}",
            "there is no form for an answer",
            "load its flow in the console with COORDINATOR_AGENTS, or answer where it is loaded",
        )
    return signals[signal]


def _told(one: Approval, caller: Caller) -> AwaitedSignal:
    otherwise = None
    if one.otherwise is not None:
        data = one.otherwise["data"] if caller.may(Permission.PAYLOADS) else None
        otherwise = Stands(contract=one.otherwise["contract"], data=data)
    return AwaitedSignal(
        run=one.run,
        flow=one.flow,
        key=one.key,
        signal=one.signal,
        contract=one.contract,
        step=one.step,
        since=one.since,
        due=one.due,
        otherwise=otherwise,
        fields=None if one.asks is None else _fields(one.asks),
    )


def _fields(found: Any) -> list[ApprovalField]:
    return [ApprovalField.model_validate(asdict(one)) for one in found]


def _done(run: Run, signal: str) -> str:
    return f"{printable(signal, 80)} was sent to run {run.id}: it is {run.status()}"


add_page(router, "/approvals", approvals, template="approvals.html.j2", model=ApprovalList)
add_page(router, "/approvals/{run}/{signal}", approval, template=_TEMPLATE, model=ApprovalDetail)
_options: dict[str, Any] = {"methods": ["POST"], "dependencies": [Depends(requires(Permission.OPERATE))]}
router.add_api_route("/api/approvals/{run}/{signal}", answer, response_model=Outcome, **_options)
router.add_api_route(
    "/approvals/{run}/{signal}", answer_form, name="answer.form", include_in_schema=False, response_model=None, **_options
)  # fmt: skip
