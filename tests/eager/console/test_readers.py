"""Readers: who may look, and does not see what messages say, does not find it either."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Searchable, agent
from handoffs.config.console import ConsoleSettings, Role, Token
from tests.eager.console.pages import console

WORDS = {role: f"{role}-{'x' * 30}" for role in Role}
GUARDED = ConsoleSettings(tokens=tuple(Token.read(f"{role}:{role}:{word}") for role, word in WORDS.items()))


class Bought(Contract, name="readers.bought", version=1):
    order: str = Key()
    customer: Annotated[str, Searchable]


@agent("readers.note")
def note(bought: Bought) -> Bought:
    return bought


NOTES = Flow("readers.notes", note)


@pytest.mark.parametrize("role", list(Role))
def test_a_searchable_value_is_found_by_those_who_may_see_it(role: Role, coordinator: Coordinator) -> None:
    """Neither by the whole value, nor by how it begins, nor by asking for runs where it is: a reader is told no run and no value."""
    run = coordinator.start(NOTES, Bought(order="o-1", customer="secretive-77"))
    may = role is not Role.READER
    headers = {"authorization": f"Bearer {WORDS[role]}"}
    with console(coordinator, GUARDED) as browser:

        def asked(query: str) -> tuple[int, Any]:
            response = browser.client.get(f"/api/runs?{query}", headers=headers)
            return response.status_code, response.text

        for query in ("text=secretive-77", "text=secretive"):
            status, told = asked(query)
            assert status == 200
            assert (run.id in told, "secretive-77" in told) == (may, may), (query, told)
        status, told = asked("where=customer=secretive-77")
        assert (status, run.id in told) == ((200, True) if may else (403, False))
        assert run.id in asked("key=o-1")[1]


def test_a_filter_that_there_is_not_is_refused(coordinator: Coordinator) -> None:
    """Who mistypes one would get all runs, and may act on them."""
    with console(coordinator) as browser:
        assert "'fnid'" in browser.json("/api/runs?fnid=o-1", status=422)["cause"]
