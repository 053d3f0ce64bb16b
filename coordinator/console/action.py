"""Action: one thing that people do, sent as a form of a page or as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import By, console_of, requires
from handoffs.coordinator.console.templating import base_of, flash

FORM_KEY = "form_key"
"""The field of a form that proves that it is ours."""

_BODY = "body"


@dataclass(frozen=True, slots=True)
class Done:
    """What was done: in words, on which page one sees it (a path), and for programs as values."""

    message: str
    to: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Outcome(BaseModel):
    """What was done."""

    model_config = ConfigDict(extra="allow")

    message: str
    """In words."""
    location: str
    """On which page one sees it."""


class Why(BaseModel):
    """What is asked of everybody who changes something."""

    model_config = ConfigDict(extra="forbid")

    why: str = ""
    """The reason, for those who read the operator actions later."""


async def own_form(request: Request) -> dict[str, str]:
    """The texts of a form that was sent, which must be one of ours. Raises :class:`~handoffs.coordinator.console.errors.ForeignForm`."""
    form = await request.form()
    console_of(request).access.check_form(request, form.get(FORM_KEY))
    return {name: text for name, text in form.items() if isinstance(text, str)}


def outcome(request: Request, done: Done) -> dict[str, Any]:
    """What was done, for programs."""
    return {**done.data, "message": done.message, "location": f"{base_of(request)}{done.to}"}


def led_on(request: Request, done: Done) -> RedirectResponse:
    """The way to the page on which people see what was done; that page says it."""
    flash(request, done.message)
    return RedirectResponse(f"{base_of(request)}{done.to}", HTTPStatus.SEE_OTHER)


def add_action(
    router: APIRouter, path: str, action: Callable[..., Done], *, permission: Permission = Permission.OPERATE
) -> None:
    """Have ``router`` do what ``action`` does: for ``POST path`` with a form of a page, and for ``POST /api/path`` with JSON.

    The parameters of ``action`` are those of a route of FastAPI; one of them is ``body``, a model, all of whose fields a form can have.
    """
    signature = inspect.signature(action, eval_str=True)
    guards = [Depends(requires(permission))]

    def with_own(given: dict[str, Any], request: Request, caller: By) -> dict[str, Any]:
        own = {"request": request, "caller": caller}
        return {**given, **{name: value for name, value in own.items() if name in signature.parameters}}

    def asked(request: Request, caller: By, **given: Any) -> dict[str, Any]:
        console_of(request).access.check_origin(request, caller)
        done = action(**with_own(given, request, caller))
        return outcome(request, done)

    async def sent(request: Request, caller: By, **given: Any) -> RedirectResponse:
        await own_form(request)
        done = await run_in_threadpool(action, **with_own(given, request, caller))
        return led_on(request, done)

    _take(asked, signature, form=False)
    _take(sent, signature, form=True)
    name = action.__name__
    options: dict[str, Any] = {"dependencies": guards, "methods": ["POST"]}
    router.add_api_route(
        f"/api{path}", asked, response_model=Outcome, name=name, description=action.__doc__, **options
    )
    router.add_api_route(
        path, sent, name=f"{name}.form", include_in_schema=False, response_model=None, **options
    )


def _take(route: Callable[..., Any], signature: inspect.Signature, *, form: bool) -> None:
    """Give ``route`` the parameters of an action beside its own; of a form, the body is its fields."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter("request", keyword, annotation=Request),
        inspect.Parameter("caller", keyword, annotation=By),
    ]
    taken = [
        one.replace(kind=keyword)
        for one in signature.parameters.values()
        if one.name not in ("request", "caller")
    ]
    if form:
        taken = [
            one.replace(annotation=Annotated[_of_form(one.annotation), Form()]) if one.name == _BODY else one
            for one in taken
        ]
    route.__signature__ = inspect.Signature([*own, *taken])  # type: ignore[attr-defined]


def _of_form(model: type[BaseModel]) -> type[BaseModel]:
    """The same model, which takes the key of forms as well."""
    return type(
        f"{model.__name__}Form",
        (model,),
        {"__annotations__": {FORM_KEY: str}, FORM_KEY: "", "__module__": model.__module__},
    )
