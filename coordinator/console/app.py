"""App: the console as an ASGI application: pages, the HTTP API, and how each error is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from fastapi.telemetry import TelemetryConfig
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from handoffs.config.console import ConsoleSettings
from handoffs.contracts.errors import CoordinationError
from handoffs.contracts.text import printable
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console import (
    about,
    actions,
    approvals,
    contracts,
    deploying,
    doctor,
    flows,
    now,
    schedules,
    sign_in,
    ticks,
    topology,
    trace,
)
from handoffs.coordinator.console.access.access import SESSION_HOURS, Access
from handoffs.coordinator.console.access.issuer import Issuer
from handoffs.coordinator.console.asked import Console
from handoffs.coordinator.console.desk import amend, group, letter, letters, operations, replay
from handoffs.coordinator.console.errors import Unauthenticated, status_of
from handoffs.coordinator.console.limits import LimitedBodies
from handoffs.coordinator.console.operators import Operators
from handoffs.coordinator.console.page import PROBLEMS, told, wants_page
from handoffs.coordinator.console.runs import acting, compare, listing, mending, show
from handoffs.coordinator.console.templating import base_of, here_of, templates
from handoffs.coordinator.console.tracing import Traced

_log = logging.getLogger(__name__)

ROUTERS = (
    about.router, actions.router, sign_in.router, ticks.router,
    listing.router, compare.router, show.router, acting.router, mending.router, trace.router, flows.router,
    letters.router, group.router, replay.router, amend.router, letter.router, operations.router,
    now.router, topology.router, deploying.router, contracts.router, approvals.router, schedules.router, doctor.router,
)  # fmt: skip

_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
_KEPT = "private, no-cache"
"""Of pages that are the answer of a form: a browser that keeps none of it could go back to it only by sending the form again."""
_UNTOLD: TelemetryConfig = {"tracing": False, "logs": False, "auto_configure": False}
"""FastAPI tells of requests by itself where an SDK of OpenTelemetry is set up: in the trace of the first of several ``traceparent``, which is
none, with the query, in which somebody may have searched for what a payload says, and with the words of errors."""
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_DESCRIPTION = """What the pages of the console show and do, for programs. Send `Authorization: Bearer TOKEN` where tokens are set.

Errors are problem documents (RFC 9457) with `cause`, `consequence` and `remedy`. Moments are ISO 8601 in UTC."""


def create_app(coordinator: Coordinator, *, secret: str, settings: ConsoleSettings | None = None) -> FastAPI:
    """The console of ``coordinator``. ``secret`` signs the cookies; ``settings`` are those of the coordinator where they are not given."""
    settings = settings or coordinator.settings.console
    app = FastAPI(
        title="Coordinator",
        version="1",
        description=_DESCRIPTION,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=PROBLEMS,
        lifespan=_life,
        telemetry=_UNTOLD,
    )
    app.state.console = Console(
        coordinator,
        settings,
        Access(settings),
        templates(),
        Operators(coordinator),
        Issuer(settings) if settings.oidc_issuer else None,
    )
    app.add_middleware(
        SessionMiddleware,
        secret_key=secret,
        session_cookie="coordinator",
        max_age=SESSION_HOURS * 3600,
        same_site="lax",
        https_only=(settings.public_url or "").startswith("https:"),
    )
    if not settings.is_guarded:  # a name that leads here from outside would let a page of another site in
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(_LOOPBACK), www_redirect=False)
    app.add_middleware(LimitedBodies)
    app.add_middleware(Traced)
    app.middleware("http")(_with_headers)
    app.mount(
        "/static", StaticFiles(directory=str(files("handoffs.coordinator.console") / "static")), name="static"
    )
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(CoordinationError, _refused)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unforeseen)
    return app


@asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    """What goes on in the background ends with the app."""
    yield
    await run_in_threadpool(app.state.console.operators.close)


async def _with_headers(request: Request, call: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call(request)
    if request.method == "POST" and response.headers.get("content-type", "").startswith("text/html"):
        response.headers.setdefault("cache-control", _KEPT)
        if (
            "vary" in response.headers
        ):  # the session goes on meanwhile; nobody but who sent the form gets at this answer
            del response.headers["vary"]
    for name, value in _HEADERS.items():
        if not (name == "cache-control" and request.url.path.startswith(f"{base_of(request)}/static/")):
            response.headers.setdefault(name, value)
    return response


def _refused(request: Request, error: Exception) -> Response:
    """An error of ours: with its cause, its consequence and its remedy."""
    assert isinstance(error, CoordinationError)
    if isinstance(error, Unauthenticated) and request.method == "GET" and wants_page(request):
        return RedirectResponse(
            str(
                request.url_for("sign_in_page")
                .include_query_params(to=here_of(request))
                .replace(scheme="", netloc="")
            ),
            303,
        )
    status = status_of(error)
    said = {name: printable(getattr(error, name), 2000) for name in ("cause", "consequence", "remedy")}
    response = told(
        request, status, _title(error, status), detail="" if any(said.values()) else str(error), **said
    )
    if isinstance(error, Unauthenticated):
        response.headers["www-authenticate"] = "Bearer"
    return response


def _malformed(request: Request, error: Exception) -> Response:
    """Parameters, or a body, that are not what the route takes: which, and what is wrong with each."""
    assert isinstance(error, RequestValidationError)
    faults = [_fault(one) for one in error.errors()[:20]]
    return told(
        request,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "What was sent is not what is taken here",
        cause=printable("; ".join(faults), 2000),
        consequence="nothing was done",
        remedy=f"see what this address takes: {base_of(request)}/api/docs",
    )


def _fault(one: Mapping[str, Any]) -> str:
    """What is wrong with a parameter, or a place of a body, in words."""
    where = ".".join(str(part) for part in one["loc"])
    if one["type"] == "json_invalid":
        why = str(one.get("ctx", {}).get("error", one["msg"]))
        return f"the body is no JSON: {why} at character {one['loc'][-1]}"
    if one["type"] == "missing" and where == "body":
        return "there is no body: send a JSON object, with the header content-type: application/json"
    return f"{where}: {one['msg'].removeprefix('Value error, ')}"


def _of_http(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: no such address, another method; and what is at another address."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    title, said = _words_of(request, status, str(error.detail), headers)
    response = told(request, status, title, **said)
    response.headers.update(headers)
    return response


def _words_of(
    request: Request, status: HTTPStatus, detail: str, headers: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """A title, cause, consequence and remedy."""
    path, docs = printable(request.url.path, 200), f"{base_of(request)}/api/docs"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        to = printable(headers.get("location", ""), 500)
        return "It is at another address", {
            "cause": detail,
            "consequence": "nothing is shown at this one",
            "remedy": f"go to {to}; programs follow redirects, as curl --location does",
        }
    if status == HTTPStatus.NOT_FOUND:
        return "There is nothing at this address", {
            "cause": f"the console has no page {path}",
            "consequence": "nothing was done",
            "remedy": f"see which addresses there are: {docs}",
        }
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return "It is not asked for so", {
            "cause": f"{path} takes no {request.method}",
            "consequence": "nothing was done",
            "remedy": f"it takes {headers.get('allow', 'other methods')}: see {docs}",
        }
    if status == HTTPStatus.BAD_REQUEST:
        return "What was sent cannot be read", {
            "cause": printable(detail, 500),
            "consequence": "nothing was done",
            "remedy": f"send a form, or JSON in UTF-8 with the header content-type: application/json; see {docs}",
        }
    return status.phrase, {"cause": printable(detail, 500), "consequence": "nothing was done"}


def _unforeseen(request: Request, error: Exception) -> Response:
    """An error that is none of ours. The log says where it was raised, and nobody else is told what was in it."""
    _log.error(
        "the console failed at %s %s", request.method, printable(request.url.path, 200), exc_info=error
    )
    return told(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The console failed",
        cause=f"{type(error).__name__}: a fault of the console",
        consequence="it is not known what was done",
        remedy="look into the log of the console, and report it",
    )


def _title(error: CoordinationError, status: HTTPStatus) -> str:
    words = "".join(
        f" {letter.lower()}" if letter.isupper() else letter for letter in type(error).__name__
    ).strip()
    return words.capitalize() or status.phrase
