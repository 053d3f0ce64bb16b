"""App: the console as an ASGI application: pages, the HTTP API, and how each error is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.resources import files

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
    faults = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()[:20]]
    return told(
        request,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "What was sent is not what is taken here",
        cause=printable("; ".join(faults), 2000),
        consequence="nothing was done",
        remedy="see the description of this address in the HTTP API",
    )


def _of_http(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: no such address, another method."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    response = told(
        request, status, status.phrase, cause=printable(error.detail, 500), consequence="nothing was done"
    )
    response.headers.update(error.headers or {})
    return response


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
