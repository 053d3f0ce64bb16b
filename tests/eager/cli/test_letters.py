"""`coordinator dead-letters`: nothing is cut off in silence, and nothing is shown that must not be."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from handoffs import Coordinator
from handoffs.config.settings import Settings
from handoffs.coordinator.cli import letters as cli
from handoffs.coordinator.client import letter_view
from tests.eager.command import Command
from tests.journal_suite import letter

KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def crowded(coordinator_settings: Settings) -> Iterator[Coordinator]:
    """A coordinator whose journal has twelve letters that wait, and one that does not."""
    settings = coordinator_settings.model_copy(update={"eager": True, "journal_keys": (KEY,)})
    with Coordinator(settings) as made:
        rows = [letter(f"letter-{number:02}", flow=f"shop.flow-{number % 2}") for number in range(12)]
        made.journal.letters.add_all([*rows, letter("gone", state="replayed")])
        yield made


def test_what_is_not_listed_is_counted(
    crowded: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first hundred, or as many as one asks for: the last line says of how many."""
    monkeypatch.setattr(cli, "_MOST", 10)
    _, printed, _ = command(crowded, "dead-letters", "list")
    assert "letter-09" in printed
    assert "letter-10" not in printed
    assert "dead letters: 12" in printed
    assert "the oldest 10 of 12: --limit N lists more, --no-limit all, a filter fewer" in printed
    assert (
        "the oldest 2 of 6"
        in command(crowded, "dead-letters", "list", "--limit", "2", "--flow", "shop.flow-0")[1]
    )
    for more in (["--no-limit"], ["--limit", "12"], ["--limit", "99"]):
        printed = command(crowded, "dead-letters", "list", *more)[1]
        assert "letter-11" in printed
        assert "the oldest" not in printed
    assert "gone" in command(crowded, "dead-letters", "list", "--all", "--limit", "99")[1]


def test_programs_get_all_of_them(
    crowded: Coordinator, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one list, unless they ask for fewer."""
    monkeypatch.setattr(letter_view, "_AT_ONCE", 5)
    found = command.json(crowded, "dead-letters", "list")
    assert [one["id"] for one in found] == [f"letter-{number:02}" for number in range(12)]
    assert all("message" not in one and one["edits"] == [] for one in found)
    assert len(command.json(crowded, "dead-letters", "list", "--limit", "3")) == 3
    assert command.json(crowded, "dead-letters", "list", "--flow", "shop.none") == []
    assert found[3] == command.json(crowded, "dead-letters", "show", "letter-03")


def test_programs_may_take_them_one_after_the_other(crowded: Coordinator) -> None:
    """What may be large of a letter is read where it is asked for."""
    found = [(one.id, one.payload, one.message) for one in crowded.each_dead_letter(flow="shop.flow-1")]
    assert found == [(f"letter-{n:02}", {}, {"body": f"letter-{n:02}"}) for n in range(1, 12, 2)]


def test_what_is_sealed_with_no_key_or_an_older_one_is_sealed_anew(
    crowded: Coordinator, command: Command
) -> None:
    """Once; and it says with which key, so that the older ones can be dropped."""
    sealed = crowded.journal.sealed_with
    assert command.json(crowded, "dead-letters", "reseal") == {"key": sealed, "resealed": 0, "refused": {}}
    assert f"0 sealed with the key {sealed}" in command(crowded, "dead-letters", "reseal")[1]


def test_without_a_key_there_is_nothing_to_seal_with(coordinator: Coordinator, command: Command) -> None:
    """It says how to make one."""
    status, _, printed = command(coordinator, "dead-letters", "reseal")
    assert status == 2
    assert "openssl rand -base64 32" in printed
