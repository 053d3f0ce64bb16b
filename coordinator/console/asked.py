"""Asked: what a route of the console gets to work with: the coordinator, and who asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from jinja2 import Environment

from handoffs.config.console import ConsoleSettings
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.console.access.access import Access
from handoffs.coordinator.console.access.caller import Caller
from handoffs.coordinator.console.access.permission import Permission
from handoffs.coordinator.console.shared import Shared
from handoffs.coordinator.observe.doctor.check import Check
from handoffs.coordinator.observe.reading import Reading
from handoffs.coordinator.observe.topology import LandscapeMap


@dataclass(frozen=True, slots=True)
class Console:
    """The parts of one console. What all who look share is asked for once: ``landscape``, ``reading`` and ``checks``."""

    coordinator: Coordinator
    settings: ConsoleSettings
    access: Access
    templates: Environment
    landscape: Shared[LandscapeMap]
    reading: Shared[Reading]
    checks: Shared[tuple[Check, ...]]

    @classmethod
    def of(
        cls, coordinator: Coordinator, settings: ConsoleSettings, access: Access, templates: Environment
    ) -> Console:
        """The console of a coordinator."""
        return cls(
            coordinator, settings, access, templates,
            Shared("the map", coordinator.landscape),
            Shared("a reading of the servers", coordinator.reading, fresh=0.5),
            Shared("the doctor", coordinator.examine, fresh=2.0, within=8.0),
        )  # fmt: skip


def console_of(request: Request) -> Console:
    """The console that is asked."""
    return cast("Console", request.app.state.console)


def _coordinator(request: Request) -> Coordinator:
    return console_of(request).coordinator


def _caller(request: Request) -> Caller:
    return console_of(request).access.caller(request)


Asked = Annotated[Coordinator, Depends(_coordinator)]
"""The coordinator that is asked."""

By = Annotated[Caller, Depends(_caller)]
"""Who asks."""


def requires(permission: Permission) -> Callable[[Caller], None]:
    """What lets only those pass who have ``permission``."""

    def check(caller: By) -> None:
        caller.must(permission)

    return check
