"""`coordinator check` and `agents`: what is loaded, and whether it and the servers are in order."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import click

from handoffs.coordinator.cli.options import json_option
from handoffs.coordinator.cli.published import sound_registry
from handoffs.coordinator.cli.session import settings_of_command
from handoffs.coordinator.client.coordinator import Coordinator
from handoffs.coordinator.flow.lineage import contracts_of
from handoffs.coordinator.flow.loading import Definitions, load_modules
from handoffs.coordinator.flow.twins import refuse_twins
from handoffs.coordinator.observe.doctor.journal import IN_A_FILE
from handoffs.coordinator.observe.doctor.settings import changed_contracts
from handoffs.coordinator.observe.served import UNSERVED, coordinator_processes
from handoffs.coordinator.observe.unattended import nobody, without_worker
from handoffs.coordinator.render.console import print_rows, tell
from handoffs.coordinator.runtime.preflight import examine
from handoffs.coordinator.services import Services

_SOON = timedelta(seconds=5)
"""It looks at one server after the other, and is to end within 15 seconds where one hangs."""


@click.command("agents")
@json_option
def agents(as_json: bool) -> None:
    """The agents that are loaded; each has a queue of its name."""
    settings = settings_of_command()
    rows = [
        (
            agent.name,
            settings.prefix + agent.name,
            str(agent.accepts.ref()),
            str(agent.emits.ref()),
            agent.retry.attempts,
        )
        for agent in load_modules(settings.agents).agents.values()
    ]
    print_rows("agents", ("agent", "queue", "accepts", "emits", "attempts"), rows, as_json=as_json)


@click.command("check")
@json_option
def check(as_json: bool) -> None:
    """Whether settings, modules, published contracts and servers are in order. Exit status 1 where one is not.

    What is in order and may not be meant so is a remark: agents of which no worker is alive, no coordinator process, a journal in a file.
    """
    settings = settings_of_command()
    definitions = load_modules(settings.agents)
    contracts = contracts_of(definitions)
    refuse_twins(contracts)
    registry = sound_registry(settings)
    changed = changed_contracts(contracts, registry)
    rows = [("published contracts", _published(len(list(registry)), changed))]
    if settings.embedded:
        rows.append(("servers", "none set: embedded in each process"))
    else:
        soon = min(settings.server_timeout, _SOON)
        with closing(Coordinator(settings.model_copy(update={"server_timeout": soon}))) as coordinator:
            coordinator.engine.register(coordinator.flows.agents.values())
            rows += examine(coordinator.engine, coordinator.journal)
            rows += remarks(coordinator.engine.services, definitions)
    print_rows("check", ("what", "state"), rows, as_json=as_json)
    if changed:
        tell(
            f"coordinator: the code has another {', '.join(changed)} than was published: coordinator contracts check"
        )
        raise click.exceptions.Exit(1)


def remarks(services: Services, definitions: Definitions) -> list[tuple[str, str]]:
    """What is in order, and may not be meant so: who is not at work, and where the journal is. Raises
    :class:`~handoffs.coordinator.errors.ServerError`."""
    missing = without_worker(services, definitions.agents)
    serving = coordinator_processes(services)
    found = [
        ("workers", "; ".join(nobody(missing)) if missing else f"of {len(definitions.agents)} agents"),
        ("coordinator process", f"{serving} at work" if serving else UNSERVED),
    ]
    return found if services.settings.journal_url else [*found, ("journal file", IN_A_FILE)]


def _published(versions: int, changed: Sequence[str]) -> str:
    if changed:
        return f"{versions}; the code has another {', '.join(changed)}: coordinator contracts check"
    return f"{versions}, each as it was published"
