"""Action: one thing that people do, sent as a form of a page or as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.again import Wrong, body_of, form_again
from handoffs.coordinator.console.asked import By, console_of, requires
from handoffs.coordinator.console.errors import status_of
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
    return {name: text for name, text in form.items() if isinstance(text, str) and name != FORM_KEY}


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
    name = action.__name__
    model: type[BaseModel] = signature.parameters[_BODY].annotation

    def with_own(given: dict[str, Any], request: Request, caller: By) -> dict[str, Any]:
        own = {"request": request, "caller": caller}
        return {**given, **{name: value for name, value in own.items() if name in signature.parameters}}

    def asked(request: Request, caller: By, **given: Any) -> dict[str, Any]:
        console_of(request).access.check_origin(request, caller)
        done = action(**with_own(given, request, caller))
        return outcome(request, done)

    async def sent(request: Request, caller: By, **given: Any) -> Response:
        texts = await own_form(request)
        return await run_in_threadpool(_sent, request, texts, with_own(given, request, caller))

    def _sent(request: Request, texts: Mapping[str, str], given: dict[str, Any]) -> Response:
        """Do what a form asks; or show it again, with what is wrong in it."""
        try:
            return led_on(request, action(**given, **{_BODY: body_of(model, texts)}))
        except Wrong as wrong:
            faults = wrong.faults
        except CoordinationError as error:
            if status_of(error) != HTTPStatus.UNPROCESSABLE_ENTITY:
                raise
            faults = {"": str(error)}
        return form_again(request, _title(name), _about(action), model, texts, faults)

    _take(asked, signature, form=False)
    _take(sent, signature, form=True)
    options: dict[str, Any] = {"dependencies": guards, "methods": ["POST"]}
    router.add_api_route(
        f"/api{path}", asked, response_model=Outcome, name=name, description=action.__doc__, **options
    )
    router.add_api_route(
        path, sent, name=f"{name}.form", include_in_schema=False, response_model=None, **options
    )


def _take(route: Callable[..., Any], signature: inspect.Signature, *, form: bool) -> None:
    """Give ``route`` the parameters of an action beside its own; of a form, the texts are its body."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter("request", keyword, annotation=Request),
        inspect.Parameter("caller", keyword, annotation=By),
    ]
    left = ("request", "caller", _BODY) if form else ("request", "caller")
    taken = [one.replace(kind=keyword) for one in signature.parameters.values() if one.name not in left]
    route.__signature__ = inspect.Signature([*own, *taken])  # type: ignore[attr-defined]


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def _about(action: Callable[..., Any]) -> str:
    """What an action does, in the first words of its description."""
    return " ".join((action.__doc__ or "").partition("\n\n")[0].split())
