"""Approvals: what runs wait for from people, or from systems outside; each is answered with a form of its contract."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from handoffs.coordinator.client.approvals import Approval
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.access.caller import Caller
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import Asked, By
from handoffs.coordinator.console.forms.form import Form, form_of
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.twin import twin

router = APIRouter(tags=["approvals"])


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


def approvals(
    coordinator: Asked,
    caller: By,
    *,
    flow: Annotated[str, Query(max_length=200)] = "",
    signal: Annotated[str, Query(max_length=200)] = "",
    key: Annotated[
        str, Query(max_length=500, description="The idempotency key of a run, as it is shown.")
    ] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> View[ApprovalList]:
    """The signals that runs wait for, those of the newest run first: since when, until when, and what an answer has.

    Many parameters because each is a filter of its own.
    """
    found = coordinator.approvals(flow=flow, signal=signal, key=key, limit=limit + 1)
    data = ApprovalList(approvals=[_told(one, caller) for one in found[:limit]], more=len(found) > limit)
    chosen = {"flow": flow, "signal": signal, "key": key}
    forms = [_form(coordinator, one) for one in found[:limit]] if caller.may(Permission.OPERATE) else []
    more = {"chosen": chosen, "limit": limit, "forms": forms}
    return View(data, "Approvals", twin("approvals list", **chosen), more)


def _form(coordinator: Coordinator, one: Approval) -> Form | None:
    """The form of an answer; None where the flow is not loaded here."""
    return None if one.asks is None else form_of(coordinator.flows.flow(one.flow).signals[one.signal])


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


add_page(router, "/approvals", approvals, template="approvals.html.j2", model=ApprovalList)
