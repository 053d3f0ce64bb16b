"""An office: a coordinator with something of everything that people look at and act upon, and every command there is."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing, contextmanager

import click
import pytest

from handoffs import Contract, Coordinator, Flow, Key, Permanent, agent, wait_for
from handoffs.config.settings import Settings, load
from handoffs.coordinator.cli import deployments as deployment_commands
from handoffs.coordinator.cli.command_line import cli
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.deployment.deployments import Deployments
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.store.announcements import Announcements
from handoffs.coordinator.store.outstanding import Outstanding
from tests.builds import manifest
from tests.eager.command import have_loaded
from tests.journal_suite import letter

KEY = base64.b64encode(bytes(32)).decode()
AGENT = "office.price"
BUILD = "build-2026"


class Order(Contract, name="office.order", version=1):
    number: str = Key()


class Approval(Contract, name="office.approval", version=1):
    approved: bool


class Filed(Contract, name="office.filed", version=1):
    number: str = Key()


@agent(AGENT)
def price(order: Order) -> Order:
    if order.number.startswith("bad"):
        raise Permanent(f"no price for {order.number}")
    return order


@agent("office.ship")
def ship(approval: Approval) -> Approval:
    return approval


@agent("office.file")
def file(order: Order) -> Filed:
    return Filed(number=order.number)


PRICES = Flow("office.prices", price)
ASKS = Flow("office.asks", price >> wait_for("approval", Approval) >> ship)
FILES = Flow("office.files", file)


class Office:
    """Everything that a person may find there in the morning."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.coordinator = coordinator
        self.done = coordinator.start(PRICES, Order(number="good"))
        self.story = coordinator.emit(Filed(number="unheard"))
        self.asking: Run = coordinator.start(ASKS, Order(number="asks"))
        self.failed: Run = coordinator.start(PRICES, Order(number="bad"))
        self.letter: Letter = self.failed.letters()[0]
        with closing(Journal(coordinator.settings.journal_url or "")) as plain:
            plain.letters.add(letter("in-clear", state="replayed"))
        redis, settings = coordinator.engine.store.redis, coordinator.settings
        self.deployments = Deployments(
            coordinator.journal, Announcements(redis, settings), Outstanding(redis, settings)
        )
        self.deployments.record(manifest(AGENT, build=BUILD), "ann")


@contextmanager
def opened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """An office; the commands on deployments are asked there too."""
    with Coordinator(settings) as coordinator:
        have_loaded(coordinator, monkeypatch, PRICES, ASKS, FILES)
        made = Office(coordinator)

        @contextmanager
        def asked(_: str) -> Iterator[tuple[Settings, Deployments]]:
            yield load(), made.deployments

        monkeypatch.setattr(deployment_commands, "_deployments", asked)
        yield made


def commands() -> dict[str, click.Command]:
    """Every command that does something, by its words."""

    def below(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield words, command
        for name, inner in command.commands.items() if isinstance(command, click.Group) else ():
            yield from below(f"{words} {name}".strip(), inner)

    return dict(below("", cli))


def options(command: click.Command) -> set[str]:
    """The options of a command, as they are typed, and its arguments in capitals."""
    found: set[str] = set()
    for one in command.params:
        found |= {one.human_readable_name} if isinstance(one, click.Argument) else set(one.opts)
    return found
