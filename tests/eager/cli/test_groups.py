"""`coordinator dead-letters groups` and `coordinator operations`: what people and programs are shown, and how they end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Permanent, agent
from handoffs.coordinator.client.operation import Pace
from tests.eager.command import Command
from tests.journal_suite import letter


class Asked(Contract, name="groups.order", version=1):
    number: str = Key()


BROKEN: set[str] = set()


@agent("groups.price")
def price(order: Asked) -> Asked:
    if "all" in BROKEN or order.number in BROKEN:
        raise Permanent(f"no price for {order.number}")
    return order


FLOW = Flow("groups.prices", price)


@pytest.fixture
def crowded(coordinator: Coordinator) -> Iterator[Coordinator]:
    """A coordinator with four letters of one cause, and one of another."""
    BROKEN.add("all")
    for number in range(4):
        coordinator.start(FLOW, Asked(number=f"o-{number}")).wait(10)
    BROKEN.clear()
    coordinator.journal.letters.add(letter("other", text="no shelf", run=""))
    yield coordinator
    BROKEN.clear()


def test_groups_are_listed_and_shown(crowded: Coordinator, command: Command) -> None:
    """With ids that are whole, for people and for programs; the beginning of an id will do."""
    first, second = command.json(crowded, "dead-letters", "groups")
    assert (first["count"], second["count"], first["remedy"]) == (4, 1, "mend the cause, then replay")
    status, out, err = command(crowded, "dead-letters", "groups")
    assert (status, err) == (0, "")
    assert re.search(
        rf"{first['id']} +4 +groups\.prices 1 groups\.price +error +Permanent: no price for o-#", out
    )
    assert second["id"] in out
    assert "the largest 1 of 2" in command(crowded, "dead-letters", "groups", "--limit", "1")[1]
    assert command.json(crowded, "dead-letters", "groups", "show", first["id"][:5]) == first
    out = command(crowded, "dead-letters", "groups", "show", first["id"])[1]
    assert first["example"] in out
    listed = command.json(crowded, "dead-letters", "list", "--group", first["id"][:4])
    assert len(listed) == 4
    status, _, err = command(crowded, "dead-letters", "groups", "show", "abcdef")
    assert (status, err.count("\n")) == (1, 1)
    assert "there is no group 'abcdef'" in err


def test_a_note_is_shown_with_its_group(crowded: Coordinator, command: Command) -> None:
    """And recorded with who wrote it."""
    group = crowded.letter_groups()[0]
    noted = ("dead-letters", "groups", "note", group.id, "the list of March", "--owner", "ann", "--by", "bob")
    assert command.json(crowded, *noted)["note"] == "the list of March"
    assert "ann" in command(crowded, "dead-letters", "groups")[1]
    [action] = command.json(crowded, "actions", "list")["actions"]
    assert (action["action"], action["who"]) == ("note-group", "bob")


def test_a_group_is_replayed_with_a_canary(crowded: Coordinator, command: Command) -> None:
    """Stopped it says why and how to go on, and ends with 3; resumed it goes on, and ends with 0."""
    group = crowded.letter_groups()[0].id
    BROKEN.add("o-0")
    replay = (
        "dead-letters",
        "replay",
        "--group",
        group[:6],
        "--canary",
        "1",
        "--rate",
        "50",
        "--stop-on-recurrence",
    )
    status, out, _ = command(crowded, *replay, "--why", "the list is there", "--by", "ann")
    assert status == 3
    assert "canary: 1 parked again" in out
    [operation] = command.json(crowded, "operations", "list")
    assert (operation["state"], operation["why"], operation["by"]) == ("stopped", "the list is there", "ann")
    assert f"coordinator operations resume {operation['id']}" in out
    shown = command.json(crowded, "operations", "show", operation["id"][:6])
    assert [one["came"] for one in shown["letters"]] == ["again", "", "", ""]
    assert "parked again, for the same cause" in command(crowded, "operations", "show", operation["id"])[1]
    status, out, _ = command(crowded, "operations", "resume", operation["id"])
    assert status == 0
    assert re.search(r"state +done", out)
    assert operation["id"] in command(crowded, "operations", "list")[1]
    for odd in ("resume", "cancel"):
        status, _, err = command(crowded, "operations", odd, operation["id"])
        assert status == 1
        assert "is done" in err


def test_an_operation_is_cancelled(crowded: Coordinator, command: Command) -> None:
    """By whoever looks at it; the letters that it has not come to wait."""
    begun = crowded.operating.begin("replay", {"agent": "groups.price"}, Pace(), by="ann", why="")
    cancelled = command.json(crowded, "operations", "cancel", begun.id, "--why", "wrong group", "--by", "eve")
    assert (cancelled["state"], cancelled["pending"], cancelled["told"]) == ("cancelled", 4, "wrong group")
    assert len(crowded.dead_letters()) == 5


def test_programs_are_told_of_the_operation(crowded: Coordinator, command: Command) -> None:
    """A replay says which it was, beside what was replayed and what was refused."""
    status, out, _ = command(crowded, "dead-letters", "replay", "--all", "--json")
    found = json.loads(out)
    assert status == 3
    assert (len(found["replayed"]), [one["letter"] for one in found["refused"]], found["state"]) == (
        4,
        ["other"],
        "done",
    )
    assert found["operation"] == crowded.operations()[0].id


def test_letters_are_put_away(crowded: Coordinator, command: Command) -> None:
    """Those that a filter selects; nothing without one."""
    assert command(crowded, "dead-letters", "archive")[0] == 2
    put_away = command.json(
        crowded, "dead-letters", "archive", "--agent", "groups.price", "--why", "of last year"
    )
    assert (put_away["kind"], put_away["done"]) == ("archive", 4)
    assert [one.id for one in crowded.dead_letters()] == ["other"]


@pytest.mark.parametrize(
    "odd",
    [("--canary", "x"), ("--rate", "0"), ("--rate", "fast"), ("--canary-wait", "-1"), ("--group", "abcdef")],
    ids=str,
)
def test_what_people_get_wrong(crowded: Coordinator, command: Command, odd: tuple[str, str]) -> None:
    """One line, a status that is not 0, and nothing is done."""
    status, out, err = command(crowded, "dead-letters", "replay", *odd)
    assert status in {1, 2}
    assert (out, err.count("\n")) == ("", 1)
    assert crowded.operations() == []
