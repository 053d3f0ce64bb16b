"""About: where the console begins, its keys, its HTTP API in words, and whether it is at work."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from pydantic import BaseModel

from handoffs.coordinator.console.asked import By
from handoffs.coordinator.console.page import View, add_page
from handoffs.coordinator.console.templating import base_of, rendered

router = APIRouter()


class Health(BaseModel):
    """That it is at work."""

    status: str = "ok"


class Keys(BaseModel):
    """What keys do on the pages."""

    keys: dict[str, str]


@router.get("/", include_in_schema=False)
def beginning(request: Request) -> Response:
    """The first page."""
    return RedirectResponse(f"{base_of(request)}/now", 303)


@router.get("/api/health")
def health() -> Health:
    """Whether the console is at work; it asks no server, and needs no token."""
    return Health()


def keys() -> View[Keys]:
    """What keys do on the pages."""
    return View(
        Keys(keys={"/": "find", "j": "the next line of a list", "k": "the line before it", "r": "see what a replay would meet, or go to the button that does it", "Enter": "open the line", "Esc": "leave a field", "?": "this page"}),
        "Keys",
    )  # fmt: skip


add_page(router, "/help", keys, template="help.html.j2", model=Keys)


@router.get("/api/docs", include_in_schema=False)
def described(request: Request, caller: By) -> Response:  # noqa: ARG001 - who asks is known, or it raises
    """The HTTP API in words."""
    return rendered(
        request,
        "api.html.j2",
        title="HTTP API",
        twin="",
        operations=_operations(request.app.openapi()),
    )


def _operations(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What can be asked for, by what it is about."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            about = next(iter(said.get("tags") or ()), "the console").capitalize()
            told = {name: said.get(name) for name in ("summary", "description", "parameters", "requestBody")}
            found.setdefault(about, []).append({"method": method.upper(), "path": path, **told})
    return found
