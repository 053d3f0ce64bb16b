"""A workbench: a flow whose agents fail where they are told to, on a console."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from pydantic import SecretStr

from handoffs import Contract, Coordinator, Flow, Key, Permanent, Sensitive, agent
from handoffs.config.console import ConsoleSettings, Role, Token
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.letters.letter import Letter
from tests.eager.command import have_loaded
from tests.waiting import wait_until

CARD = "4111-1111"
WORDS = {role: f"{role}-{'x' * 30}" for role in Role}
GUARDED = ConsoleSettings(
    tokens=tuple(Token.read(f"{role}-person:{role}:{word}") for role, word in WORDS.items())
)


class Asked(Contract, name="bench.asked", version=1):
    number: str = Key()
    cents: int
    card: Sensitive
    note: str = ""


class Priced(Contract, name="bench.priced", version=1):
    number: str = Key()
    total: int


BROKEN: set[str] = set()
DONE: Counter[str] = Counter()
CARDS: list[str] = []


@agent("bench.price")
def price(asked: Asked) -> Priced:
    if "all" in BROKEN or asked.number in BROKEN or asked.cents < 0:
        raise Permanent(f"no price for {asked.number}")
    DONE[asked.number] += 1
    CARDS.append(asked.card.get_secret_value())
    return Priced(number=asked.number, total=asked.cents)


@agent("bench.ship")
def ship(priced: Priced) -> Priced:
    return priced


FLOW = Flow("bench.orders", price >> ship)


@contextmanager
def mended() -> Iterator[None]:
    """Nothing is broken before and after."""
    BROKEN.clear()
    DONE.clear()
    CARDS.clear()
    yield
    BROKEN.clear()


def loaded(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """The coordinator with the flow."""
    have_loaded(coordinator, monkeypatch, FLOW)
    return coordinator


def asked(number: str, cents: int = 5) -> Asked:
    """An order with a secret."""
    return Asked(number=number, cents=cents, card=SecretStr(CARD))


def failed(coordinator: Coordinator, count: int, begin: int = 0) -> list[Letter]:
    """The letters of so many runs that are parked at their first step, the oldest first; what broke them is mended then."""
    BROKEN.add("all")
    before = coordinator.journal.letters.total()
    for number in range(begin, begin + count):
        assert coordinator.start(FLOW, asked(f"o-{number}")).wait(30) == "parked"
    wait_until(
        lambda: coordinator.journal.letters.total() == before + count, description="the letters are there"
    )
    BROKEN.clear()
    return list(coordinator.dead_letters(flow=FLOW.name))[-count:]


def failed_as(coordinator: Coordinator, kind: str, number: str = "o-kind") -> tuple[Run, Letter]:
    """A run that is parked, and its letter, which says that it is of that kind."""
    BROKEN.add("all")
    run = coordinator.start(FLOW, asked(number))
    assert run.wait(30) == "parked"
    BROKEN.clear()
    letter = run.letters()[0]
    coordinator.journal.letters.add(
        replace(letter.row, kind=kind, last_failed_at="2999-01-01T00:00:00.000+00:00")
    )
    return run, coordinator.find_letter(letter.id)
