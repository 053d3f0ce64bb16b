"""Asked: what a route of the console gets to work with: the coordinator, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
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
from handoffs.coordinator.console.shared import Shared
from handoffs.coordinator.observe.doctor.check import Check
from handoffs.coordinator.observe.reading import Reading
from handoffs.coordinator.observe.topology import LandscapeMap


@dataclass(frozen=True, slots=True)
class Console:
    """The parts of one console. What servers are asked for once, for all who look, is ``landscape``, ``reading`` and ``checks``."""

    coordinator: Coordinator
    settings: ConsoleSettings
    access: Access
    templates: Environment
    operators: Operators
    issuer: Issuer | None = None
    landscape: Shared[LandscapeMap] = field(init=False)
    reading: Shared[Reading] = field(init=False)
    checks: Shared[tuple[Check, ...]] = field(init=False)

    def __post_init__(self) -> None:
        asked = self.coordinator
        object.__setattr__(self, "landscape", Shared("the map", asked.landscape))
        object.__setattr__(self, "reading", Shared("a reading of the servers", asked.reading, fresh=0.5))
        checks = Shared("the doctor", asked.examine, fresh=2.0, within=8.0)
        object.__setattr__(self, "checks", checks)


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
