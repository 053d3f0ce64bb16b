"""`coordinator runs find`, `watch` and `export`, and what runs are listed by."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Permanent, Searchable, agent, wait_for
from handoffs.config.settings import load
from handoffs.coordinator.cli import run_lists, run_watch
from handoffs.coordinator.observe.lag import Lag
from handoffs.coordinator.render.console import out
from handoffs.coordinator.runtime.service import Service
from tests.eager.command import Command, have_loaded


class Order(Contract, name="lists.order", version=1):
    order: Annotated[str, Searchable] = Key()


class Approval(Contract, name="lists.approval", version=1):
    approved: bool


@agent("lists.price")
def price(order: Order) -> Order:
    if order.order.startswith("bad"):
        raise Permanent(f"no price for {order.order}")
    return order


@agent("lists.send")
def send(approval: Approval) -> Approval:
    return approval


PRICES = Flow("lists.prices", price)
ASKS = Flow("lists.asks", price >> wait_for("approval", Approval) >> send)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Coordinator]:
    """A coordinator with three runs, of which one is parked."""
    with Coordinator(load(eager=True, journal_url=f"sqlite:///{tmp_path}/journal.sqlite3")) as made:
        have_loaded(made, monkeypatch, PRICES, ASKS)
        for order in ("o-17", "o-18", "bad"):
            made.start(PRICES, Order(order=order))
        yield made


def listed(command: Command, shop: Coordinator, *words: str) -> list[str]:
    """The keys of the runs that are listed."""
    return [run["key"] for run in command.json(shop, "runs", "list", *words)]


def test_runs_are_listed_by_values_errors_and_times(command: Command, shop: Coordinator) -> None:
    """Each option narrows the list down."""
    assert listed(command, shop, "--where", "order=o-17") == ["o-17"]
    assert listed(command, shop, "--where", "order=o-1") == []
    assert listed(command, shop, "--where", "order=o-17", "--where", "other=x") == []
    assert listed(command, shop, "--error", "Permanent") == ["bad"]
    assert listed(command, shop, "--until", "2h") == []
    assert len(listed(command, shop, "--since", "2h")) == 3


@pytest.mark.parametrize("words", [["order"], ["=x"], ["order="], ["order=a", "--where", "order=b"]])
def test_what_names_no_field_and_value_is_refused(
    command: Command, shop: Coordinator, words: list[str]
) -> None:
    """With the status of a command that is none, and a line."""
    status, told, err = command(shop, "runs", "list", "--where", *words)
    assert (status, told) == (2, "")
    assert "order=o-17" in err or "names a field twice" in err


def test_a_text_is_found_wherever_it_is(command: Command, shop: Coordinator) -> None:
    """With what it was found in; an empty one is refused, and of what is not there the table is empty."""
    told = command(shop, "runs", "find", "o-17")[1]
    assert "key" in told
    assert "field order" in told
    assert "lists.prices" in told
    assert [one["by"] for one in command.json(shop, "runs", "find", "Permanent")] == ["error"]
    assert command.json(shop, "runs", "find", "nothing") == []
    assert command(shop, "runs", "find", "o-", "--limit", "1")[1].endswith(
        "the first 1: --limit N lists more, a longer text fewer\n"
    )
    status, _, err = command(shop, "runs", "find", " ")
    assert status != 0
    assert "nothing is looked for" in err


def test_it_is_said_how_many_there_are_up_to_a_bound(
    command: Command, shop: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No list counts a million runs."""
    Service(shop.engine, shop.journal).drain_history()
    assert "the newest 2 of 3: --limit N lists more" in command(shop, "runs", "list", "--limit", "2")[1]
    monkeypatch.setattr(run_lists, "_COUNTED", 2)
    assert "the newest 2 of more than 2" in command(shop, "runs", "list", "--limit", "2")[1]


def test_it_is_said_how_far_the_journal_is_behind(
    command: Command, shop: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To standard error, where it is more than some seconds."""
    assert "behind" not in command(shop, "runs", "list")[2]
    monkeypatch.setattr(shop, "lag", lambda: Lag(1_200, 90.0))
    for words in (["list"], ["find", "o-17"]):
        assert "the journal is 1.5 min behind (1,200 entries)" in command(shop, "runs", *words)[2]


def test_a_run_is_watched_until_it_has_ended(command: Command, shop: Coordinator) -> None:
    """A line for each thing that happened, and how it ended; for programs the entries themselves."""
    run = shop.start(PRICES, Order(order="o-20"))
    told = command(shop, "runs", "watch", run.id)[1].splitlines()
    assert len(told) == 3
    assert "started" in told[0]
    assert "settled  1  lists.price" in told[1]
    assert told[2] == f"run {run.id}: completed"
    entries = [json.loads(line) for line in command(shop, "runs", "watch", run.id, "--json")[1].splitlines()]
    assert [entry["kind"] for entry in entries] == ["started", "settled"]


def test_what_happens_while_a_run_is_watched_is_told(
    command: Command, shop: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on when the signal comes, and the watching ends with it."""
    run = shop.start(ASKS, Order(order="o-21"))
    looked = threading.Event()

    def wait() -> None:
        if not looked.is_set():
            looked.set()
            run.signal("approval", Approval(approved=True), by="ann")

    monkeypatch.setattr(run_watch, "_pause", wait)
    told = command(shop, "runs", "watch", run.id)[1]
    assert told.index("started") < told.index("signalled") < told.index("lists.send")
    assert told.count("lists.send") == 1
    assert told.endswith(f"run {run.id}: completed\n")


def test_in_a_terminal_the_timeline_is_drawn(
    command: Command, shop: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As runs show has it."""
    run = shop.start(PRICES, Order(order="o-22"))
    monkeypatch.setattr(type(out), "is_terminal", True)
    told = command(shop, "runs", "watch", run.id)[1]
    assert f"run {run.id}" in told
    assert "lists.price" in told


def test_a_run_is_exported_as_a_record(command: Command, shop: Coordinator, tmp_path: Path) -> None:
    """As `journal export` writes it: this run and no other."""
    run = shop.start(PRICES, Order(order="o-23"))
    Service(shop.engine, shop.journal).drain_history()
    lines, pages = tmp_path / "run.jsonl", tmp_path / "pages"
    assert (
        command(shop, "runs", "export", run.id[:8], "--output", str(lines))[1]
        == f"1 run written to {lines}\n"
    )
    assert {json.loads(line)["run"] for line in lines.read_text().splitlines()} == {run.id}
    told: Any = command.json(shop, "runs", "export", run.id, "--format", "html", "--output", str(pages))
    assert told["files"] == 1
    assert "o-23" in (pages / f"{run.id}.html").read_text()


@pytest.mark.parametrize("words", [[], ["--output", "a", "--as-test", "b"]])
def test_it_is_said_where_a_run_is_exported_to(command: Command, shop: Coordinator, words: list[str]) -> None:
    """To one place."""
    status, told, err = command(shop, "runs", "export", "x", *words)
    assert (status, told) == (2, "")
    assert "--output PATH for a record, or --as-test FILE" in err
