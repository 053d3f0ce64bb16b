"""Filling: a page with a form of a contract that does something when it is sent; what is wrong in it is said at its fields, and what is
put in the place of another is looked at before it is done. Programs send the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.action import Done, Outcome, outcome, own_form
from handoffs.coordinator.console.asked import By, console_of, requires
from handoffs.coordinator.console.forms.form import Form, form_of
from handoffs.coordinator.console.page import View, add_page

LONGEST_WHY = 1_000
"""As many characters a reason has at most."""


@dataclass(frozen=True, slots=True)
class Link:
    """What a form is about, and the path of its page: ``letter``, its id."""

    word: str
    id: str
    path: str


@dataclass(frozen=True, slots=True)
class Filling:
    """A form that is to be filled in.

    contract, value, locked
        The form is of ``contract``, filled with ``value`` (JSON values, sensitive ones masked); the fields ``locked`` stay as they are.
    does
        What is done with what was filled in, with who did it, why, and the texts of the other fields of the form (``more`` of the body).
    reason
        Whether a reason ``must`` be given, ``may`` be, or is not asked for (``none``).
    shows
        ``change``: what is sent is put in the place of ``value``; ``outcome``: it is new. Where it is looked at first, that is shown so.
    links
        What it is about.
    """

    contract: type[Contract]
    title: str
    about: str
    button: str
    does: Callable[[Mapping[str, Any], str, str, Mapping[str, str]], Done]
    value: Any = None
    locked: frozenset[str] = frozenset()
    twin: str = ""
    reason: Literal["must", "may", "none"] = "may"
    shows: Literal["change", "outcome"] = "outcome"
    links: tuple[Link, ...] = ()
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
    """A form: of which contract (``name/version``), its fields, and the ``value`` that it is filled with, sensitive values masked; null
    where it is empty."""

    contract: str
    value: Any
    fields: list[FieldShown]


class Filled(BaseModel):
    """What is filled in: the whole ``payload`` as the contract has it, and why it is done. ``more`` has what else the form of the page asks."""

    model_config = ConfigDict(extra="forbid")

    payload: dict[str, Any]
    why: Annotated[str, Field(max_length=LONGEST_WHY)] = ""
    more: dict[str, Annotated[str, Field(max_length=1_000)]] = Field(default_factory=dict, max_length=20)


Answer = Callable[[Request, Filling, Mapping[str, str], str], Response]
"""What a form that was sent is answered with: the request, the form as it is, its texts, and who sent it."""


def add_filling(
    router: APIRouter,
    path: str,
    filling: Callable[..., Filling],
    *,
    answers: Mapping[str, Answer],
    permission: Permission = Permission.OPERATE,
    takes_json: bool = True,
) -> None:
    """Have ``router`` show the form that ``filling``, a dependency of FastAPI, describes at ``path`` (and its fields as JSON), and answer it
    when it is sent: ``answers`` has what follows by what stands behind ``path`` (``""``, ``/preview``). Where it ``takes_json``, that is
    taken at ``/api/path``.

    Many parameters because each is a choice of its own.
    """
    Found = Annotated[Filling, Depends(filling)]  # noqa: N806 - a type
    options: dict[str, Any] = {"methods": ["POST"], "dependencies": [Depends(requires(permission))]}

    def view(found: Found) -> View[FormShown]:
        form = form_of(found.contract, found.value, locked=found.locked)
        return View(
            form_shown(form, found.value),
            found.title,
            found.twin,
            form_values(found, form, {}, looks="/preview" in answers),
        )

    def asked(request: Request, caller: By, found: Found, body: Filled) -> dict[str, Any]:
        console_of(request).access.check_origin(request, caller)
        if found.reason == "must" and not body.why.strip():
            raise InvalidData(
                "no reason is given", "nothing was done", "say why: it is written down with what was done"
            )
        return outcome(request, found.does(body.payload, caller.name, body.why, body.more))

    view.__annotations__["found"] = asked.__annotations__["found"] = Found
    name = filling.__name__
    view.__name__, view.__doc__ = f"{name}.form", f"The form: {filling.__doc__}"
    add_page(router, path, view, template="filling.html.j2", model=FormShown, permission=permission)
    if takes_json:
        router.add_api_route(
            f"/api{path}", asked, response_model=Outcome, name=name, description=filling.__doc__, **options
        )
    for behind, answer in answers.items():
        router.add_api_route(
            f"{path}{behind}", _answering(Found, answer), name=f"{name}.sent{behind}", response_model=None, include_in_schema=False, **options
        )  # fmt: skip


def _answering(found_type: Any, answer: Answer) -> Callable[..., Any]:
    async def sent(request: Request, caller: By, found: Any) -> Response:
        texts = await own_form(request)
        return await run_in_threadpool(answer, request, found, texts, caller.name)

    sent.__annotations__["found"] = found_type
    return sent


def form_values(found: Filling, form: Form, texts: Mapping[str, str], *, looks: bool) -> dict[str, Any]:
    """What the page of a form is made of, with the ``texts`` that were sent; ``looks``: it is looked at before it is done."""
    return {
        "form": form, "filling": found, "why": texts.get("why", "")[:LONGEST_WHY], "typed": texts, "looks": looks, "at": "", "refused": "", "why_fault": "",
    }  # fmt: skip


def form_shown(form: Form, value: Any) -> FormShown:
    """A form as JSON values."""
    fields = [
        FieldShown(
            path=one.path, kind=one.kind, value=one.value, required=one.required, locked=one.locked,
            options=list(one.options), said=one.said, about=one.about,
        )
        for one in form.fields
    ]  # fmt: skip
    return FormShown(contract=form.contract, value=value, fields=fields)
