"""Page: one thing to look at, as a page, as JSON, and as a command of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel

from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.asked import requires
from handoffs.coordinator.console.parameters import parameters_of, refuses_others
from handoffs.coordinator.console.templating import rendered

T = TypeVar("T", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class View(Generic[T]):
    """What a page shows.

    data
        What there is to see, the same for people and programs.
    title
        What it is, in a few words.
    twin
        The command that prints the same.
    more
        What only the page needs, such as forms.
    code
        The HTTP status of the page.
    """

    data: T
    title: str
    twin: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    code: int = 200


def add_page(
    router: APIRouter,
    path: str,
    view: Callable[..., View[Any]],
    *,
    template: str,
    model: type[BaseModel],
    permission: Permission = Permission.READ,
) -> None:
    """Have ``router`` answer with what ``view`` finds: at ``path`` as a page made of ``template``, at ``path.json`` and below ``/api`` as JSON
    of ``model``. ``view`` is a dependency of FastAPI: its parameters are those of the address, its docstring describes it. A parameter that it
    does not take is refused.

    Many parameters because each is a choice of its own.
    """
    Found = Annotated[View[Any], Depends(view)]  # noqa: N806 - a type
    guards = [Depends(requires(permission)), Depends(refuses_others(parameters_of(view)))]

    def page(request: Request, found: Found) -> HTMLResponse:
        return rendered(
            request,
            template,
            title=found.title,
            twin=found.twin,
            code=found.code,
            data=found.data,
            **found.more,
        )

    def value(found: Found) -> Any:
        return found.data

    name = view.__name__
    page.__annotations__["found"] = value.__annotations__["found"] = Found
    options: dict[str, Any] = {"dependencies": guards, "methods": ["GET"]}
    router.add_api_route(
        f"/api{path}", value, response_model=model, name=name, description=view.__doc__, **options
    )
    router.add_api_route(
        f"{path}.json", value, response_model=model, name=f"{name}.json", include_in_schema=False, **options
    )
    router.add_api_route(
        path, page, response_class=HTMLResponse, name=f"{name}.page", include_in_schema=False, **options
    )


class Problem(BaseModel):
    """What went wrong (RFC 9457): its cause, what follows from it, and what to do about it."""

    type: str
    title: str
    status: int
    detail: str | None = None
    cause: str | None = None
    consequence: str | None = None
    remedy: str | None = None


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": what,
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status, what in (
        ("422", "What was sent is not what is taken here."),
        ("default", "It could not be done."),
    )
}
"""How errors are described."""


def problem(status: int, title: str, **said: Any) -> JSONResponse:
    """What went wrong, for programs (RFC 9457)."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        **{name: value for name, value in said.items() if value},
    }
    return JSONResponse(body, status, media_type="application/problem+json")


def wants_page(request: Request) -> bool:
    """Whether who asks is a person with a browser."""
    path = request.url.path.removeprefix(request.scope.get("root_path", ""))
    return (
        not path.startswith("/api/")
        and not path.endswith(".json")
        and "text/html" in request.headers.get("accept", "")
    )


def told(request: Request, status: int, title: str, **said: str) -> Response:
    """An error: for people as a page, for programs as a problem."""
    if not wants_page(request):
        return problem(status, title, **said)
    return rendered(request, "problem.html.j2", title=title, twin="", status=status, said=said, code=status)
