"""Asked: what a route of the console gets to work with: the coordinator, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from jinja2 import Environment

from handoffs.config.console import ConsoleSettings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.access.access import Access
from handoffs.coordinator.console.access.caller import Caller
from handoffs.coordinator.console.access.issuer import Issuer
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.operators import Operators


@dataclass(frozen=True, slots=True)
class Console:
    """The parts of one console."""

    coordinator: Coordinator
    settings: ConsoleSettings
    access: Access
    templates: Environment
    operators: Operators
    issuer: Issuer | None = None


def console_of(request: Request) -> Console:
    """The console that is asked."""
    return cast("Console", request.app.state.console)


def _coordinator(request: Request) -> Coordinator:
    return console_of(request).coordinator


_BEARER = HTTPBearer(
    auto_error=False, description="A token of the console, as coordinator console-token makes one."
)


def _caller(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]) -> Caller:
    return console_of(request).access.caller(request)


Asked = Annotated[Coordinator, Depends(_coordinator)]
"""The coordinator that is asked."""


def _operators(request: Request) -> Operators:
    return console_of(request).operators


InBackground = Annotated[Operators, Depends(_operators)]
"""Who goes on with operations."""

By = Annotated[Caller, Depends(_caller)]
"""Who asks."""


def requires(permission: Permission) -> Callable[[Caller], None]:
    """What lets only those pass who have ``permission``."""

    def check(caller: By) -> None:
        caller.must(permission)

    return check
