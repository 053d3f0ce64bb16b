"""`coordinator actions list`: what operators did, for people and for programs."""

from __future__ import annotations

from typing import Any

import pytest

from handoffs import Coordinator
from tests.eager.command import Command


@pytest.fixture
def acted(coordinator: Coordinator) -> Coordinator:
    """A coordinator in whose journal there are three actions."""
    record = coordinator.journal.actions.record
    record("skip", who="ann", run="run-1", letter="letter-1", note="the [bold] parcel\x1b[31m is lost")
    record("replay", who="bob", run="run-2", letter="letter-2")
    record("forget-events", who="ann", note="3 unheard events")
    return coordinator


def names(found: Any) -> list[str]:
    return [action["action"] for action in found["actions"]]


def test_actions_are_a_table(acted: Coordinator, command: Command) -> None:
    """People see them newest first, as they were written, and no control character reaches the terminal."""
    status, out, _ = command(acted, "actions", "list")
    assert status == 0
    assert [out.index(name) for name in ("forget-events", "replay", "skip")] == sorted(
        out.index(name) for name in ("forget-events", "replay", "skip")
    )
    assert "[bold]" in out
    assert "\x1b" not in out
    assert "--before" not in out


def test_actions_are_chosen(acted: Coordinator, command: Command) -> None:
    """By run, by person, and from a day on."""
    assert names(command.json(acted, "actions", "list")) == ["forget-events", "replay", "skip"]
    assert names(command.json(acted, "actions", "list", "--run", "run-1")) == ["skip"]
    assert names(command.json(acted, "actions", "list", "--by", "ann")) == ["forget-events", "skip"]
    assert names(command.json(acted, "actions", "list", "--since", "2999-01-01")) == []
    [action] = command.json(acted, "actions", "list", "--run", "run-2")["actions"]
    assert action | {"at": "", "id": 0} == {
        "id": 0, "at": "", "who": "bob", "action": "replay", "run": "run-2", "letter": "letter-2", "note": "",
    }  # fmt: skip


def test_a_list_that_ends_early_says_so(acted: Coordinator, command: Command) -> None:
    """It says how to go on: to people in a line, to programs in a field."""
    first = command.json(acted, "actions", "list", "--limit", "2")
    assert names(first) == ["forget-events", "replay"]
    rest = command.json(acted, "actions", "list", "--limit", "2", "--before", str(first["older"]))
    assert (names(rest), rest["older"]) == (["skip"], None)
    _, out, _ = command(acted, "actions", "list", "--limit", "2")
    assert f"there are older ones: --before {first['older']}" in out


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_the_size_of_a_list_is_bounded(acted: Coordinator, command: Command, limit: str) -> None:
    """More is asked for page by page."""
    status, _, err = command(acted, "actions", "list", "--limit", limit)
    assert status == 2
    assert "--limit" in err
