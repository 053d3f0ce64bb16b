"""Filling: a page with a form of a contract that does something when it is sent; what is wrong in it is said at its fields. Programs send
the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from handoffs.contracts.contract import Contract
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done, Outcome, led_on, outcome, own_form
from handoffs.coordinator.console.asked import By, console_of, requires
from handoffs.coordinator.console.forms.form import Form, filled, form_of
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.templating import rendered

LONGEST_WHY = 1_000
"""As many characters a reason has at most."""


@dataclass(frozen=True, slots=True)
class Filling:
    """A form that is to be filled in.

    contract, value, locked
        The form is of ``contract``, filled with ``value`` (JSON values, sensitive ones masked); the fields ``locked`` stay as they are.
    does
        What is done with what was filled in, with who did it, why, and the texts of the other fields of the form (``more`` of the body).
    asks_why
        Whether a reason is asked for.
    """

    contract: type[Contract]
    title: str
    about: str
    button: str
    does: Callable[[Mapping[str, Any], str, str, Mapping[str, str]], Done]
    value: Any = None
    locked: frozenset[str] = frozenset()
    twin: str = ""
    asks_why: bool = True
    more: Mapping[str, Any] = field(default_factory=dict)


class FieldShown(BaseModel):
    """A field of a form: its path in the data, how it is filled in, what stands there, and its type and bounds in words."""

    path: str
    kind: str
    value: str
    required: bool
    locked: bool
    options: list[str]
    said: str
    about: str


class FormShown(BaseModel):
    """A form: of which contract (``name/version``), and its fields."""

    contract: str
    fields: list[FieldShown]


class Filled(BaseModel):
    """What is filled in: the whole ``payload`` as the contract has it, and why it is done. ``more`` has what else the form of the page asks."""

    model_config = ConfigDict(extra="forbid")

    payload: dict[str, Any]
    why: Annotated[str, Field(max_length=LONGEST_WHY)] = ""
    more: dict[str, Annotated[str, Field(max_length=1_000)]] = Field(default_factory=dict, max_length=20)


def add_filling(
    router: APIRouter,
    path: str,
    filling: Callable[..., Filling],
    *,
    template: str = "filling.html.j2",
    permission: Permission = Permission.OPERATE,
    takes_json: bool = True,
) -> None:
    """Have ``router`` show the form that ``filling``, a dependency of FastAPI, describes at ``path`` (and its fields as JSON), take it
    there, and where it ``takes_json`` that at ``/api/path``.

    Many parameters because each is a choice of its own.
    Long because its three routes take the same form.
    """
    Found = Annotated[Filling, Depends(filling)]  # noqa: N806 - a type
    guards: dict[str, Any] = {"dependencies": [Depends(requires(permission))]}

    def view(found: Found) -> View[FormShown]:
        form = form_of(found.contract, found.value, locked=found.locked)
        return View(
            _shown(form), found.title, found.twin, {"form": form, "filling": found, "why": "", "typed": {}}
        )

    async def sent(request: Request, caller: By, found: Found) -> Response:
        texts = await own_form(request)
        return await run_in_threadpool(_take, request, template, found, texts, caller.name)

    def asked(request: Request, caller: By, found: Found, body: Filled) -> dict[str, Any]:
        console_of(request).access.check_origin(request, caller)
        done = found.does(body.payload, caller.name, body.why, body.more)
        return outcome(request, done)

    view.__annotations__["found"] = sent.__annotations__["found"] = asked.__annotations__["found"] = Found
    name = filling.__name__
    view.__name__, view.__doc__ = f"{name}.form", f"The form: {filling.__doc__}"
    add_page(router, path, view, template=template, model=FormShown, permission=permission)
    if takes_json:
        router.add_api_route(
            f"/api{path}",
            asked,
            methods=["POST"],
            response_model=Outcome,
            name=name,
            description=filling.__doc__,
            **guards,
        )
    router.add_api_route(
        path,
        sent,
        methods=["POST"],
        name=f"{name}.sent",
        response_model=None,
        include_in_schema=False,
        **guards,
    )


def _take(request: Request, template: str, found: Filling, texts: Mapping[str, str], by: str) -> Response:
    """Do what a form that was sent asks; or show it again, with what is wrong in it."""
    why = texts.get("why", "")
    given = filled(found.contract, texts, found.value, locked=found.locked)
    if given.data is None or not given.form.is_sound or len(why) > LONGEST_WHY:
        return _again(request, template, found, given.form, texts)
    done = found.does(given.data, by, why, texts)
    return led_on(request, done)


def _again(
    request: Request, template: str, found: Filling, form: Form, texts: Mapping[str, str]
) -> HTMLResponse:
    return rendered(
        request,
        template,
        title=found.title,
        twin=found.twin,
        code=HTTPStatus.UNPROCESSABLE_ENTITY,
        data=_shown(form),
        form=form,
        filling=found,
        why=texts.get("why", "")[:LONGEST_WHY],
        typed=texts,
    )


def _shown(form: Form) -> FormShown:
    fields = [
        FieldShown(
            path=one.path, kind=one.kind, value=one.value, required=one.required, locked=one.locked,
            options=list(one.options), said=one.said, about=one.about,
        )
        for one in form.fields
    ]  # fmt: skip
    return FormShown(contract=form.contract, fields=fields)
