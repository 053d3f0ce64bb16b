"""What operators do all day: find runs, answer what waits for them, bring back what failed, and see who did what."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Permanent, Sensitive, agent, wait_for
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import MASK
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import AmbiguousId, UnknownLetter, UnknownRun
from tests.eager.command import Command, have_loaded
from tests.waiting import wait_until

PIN = "correct horse battery"


class Order(Contract, name="day.order", version=1):
    number: str = Key()
    pin: Sensitive = PIN  # type: ignore[assignment]


class Approval(Contract, name="day.approval", version=1):
    approved: bool
    by: str
    limit: Decimal | None = None
    tags: tuple[str, ...] = ()


BROKEN: set[str] = set()


@agent("day.price")
def price(order: Order) -> Order:
    if "price" in BROKEN:
        raise Permanent(f"no price for {order.number}")
    return order


@agent("day.ship")
def ship(approval: Approval) -> Approval:
    return approval


PRICES = Flow("day.prices", price)
ASKS = Flow("day.asks", price >> wait_for("approval", Approval) >> ship)


@pytest.fixture(autouse=True)
def _mended() -> Iterator[None]:
    BROKEN.clear()
    yield
    BROKEN.clear()


@pytest.fixture
def desk(anywhere: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """A coordinator, eager or with worker threads, that has the flows of this module loaded."""
    have_loaded(anywhere, monkeypatch, PRICES, ASKS)
    return anywhere


def asking(desk: Coordinator, number: str) -> Run:
    """A run that waits for its approval."""
    run = desk.start(ASKS, Order(number=number))
    wait_until(run.waiting, description="it waits")
    return run


def failed(desk: Coordinator, number: str) -> Run:
    """A run that is parked at its only step."""
    BROKEN.add("price")
    run = desk.start(PRICES, Order(number=number))
    assert run.wait(20) == "parked"
    wait_until(run.letters, description="its letter is in the journal")
    return run


def ids(found: Any) -> list[str]:
    return [one["run"] for one in found]


class TestRuns:
    def test_a_run_is_found_by_the_key_of_its_input(self, desk: Coordinator, command: Command) -> None:
        """In the list each run has its key, and the key finds it, whichever flow it is of."""
        first, _ = desk.start(PRICES, Order(number="o-1")), desk.start(PRICES, Order(number="o-2"))
        other = asking(desk, "o-1")
        assert sorted(ids(command.json(desk, "runs", "list", "--key", "o-1"))) == sorted([first.id, other.id])
        assert ids(command.json(desk, "runs", "list", "--key", "o-1", "--flow", "day.prices")) == [first.id]
        assert command.json(desk, "runs", "list", "--key", "o-") == []
        _, out, _ = command(desk, "runs", "list", "--key", "o-2")
        assert re.search(r"day\.prices +o-2 +completed", out)

    def test_a_run_without_a_key_has_a_dash(self, desk: Coordinator, command: Command) -> None:
        """So has one of a release that did not write it down."""

        class Note(Contract, name="day.note", version=1):
            text: str

        @agent("day.note")
        def note(said: Note) -> Note:
            return said

        run = desk.start(Flow("day.notes", note), Note(text="hello"))
        status, out, err = command(desk, "runs", "list", "--flow", "day.notes")
        assert (status, err) == (0, "")
        assert re.search(rf"{run.id} +day\.notes +- +", out)
        assert command.json(desk, "runs", "list", "--flow", "day.notes")[0]["key"] is None

    def test_a_key_that_is_made_of_a_secret_is_masked(self, desk: Coordinator, command: Command) -> None:
        """Who starts a run may make its key of what the payload keeps secret: no list shows it."""
        run = desk.start(PRICES, Order(number="o-3"), idempotency_key=f"order {PIN}")
        [found] = desk.runs(flow="day.prices")
        assert (found.id, found.key, run.key()) == (run.id, f"order {MASK}", f"order {MASK}")
        for arguments in (("runs", "list"), ("runs", "show", run.id), ("runs", "show", run.id, "--json")):
            assert PIN not in command(desk, *arguments)[1]

    def test_a_run_that_waits_says_so(self, desk: Coordinator, command: Command) -> None:
        """For which signal, and since when: in the list, in its own picture, and to programs."""
        before = datetime.now(UTC) - timedelta(seconds=1)
        run, done = asking(desk, "o-1"), desk.start(PRICES, Order(number="o-2"))
        [wait] = run.waiting()
        assert (wait.signal, wait.contract) == ("approval", "day.approval/1")
        assert wait.since is not None
        assert before <= wait.since <= datetime.now(UTC) + timedelta(seconds=1)
        assert run.status() == "running"
        for chosen in (["--waiting"], ["--status", "waiting"]):
            [found] = command.json(desk, "runs", "list", *chosen)
            assert (found["run"], found["status"], found["waiting"][0]["signal"]) == (
                run.id,
                "running",
                "approval",
            )
        listed = command(desk, "runs", "list")[1]
        assert re.search(rf'{run.id} .* waiting .* signal "approval" since [0-9:]{{8}}', listed)
        assert re.search(rf"{done.id} .* completed ", listed)
        assert (
            'status: waiting for signal "approval" of day.approval/1 since'
            in command(desk, "runs", "show", run.id)[1]
        )
        assert command.json(desk, "runs", "show", run.id)["waiting"][0]["signal"] == "approval"

    def test_runs_are_found_by_where_they_failed(self, desk: Coordinator, command: Command) -> None:
        """By the agent or by the step; and one that goes on again is no more among them."""
        run = failed(desk, "o-1")
        for where in ("day.price", "1"):
            assert ids(command.json(desk, "runs", "list", "--failed-at", where)) == [run.id]
        assert command.json(desk, "runs", "list", "--failed-at", "day.ship") == []
        assert ids(command.json(desk, "runs", "list", "--status", "parked")) == [run.id]
        assert re.search(rf"{run.id} .* parked .* step 1 \(day\.price\)", command(desk, "runs", "list")[1])
        BROKEN.clear()
        run.letters()[0].replay()
        assert run.wait(20) == "completed"
        assert command.json(desk, "runs", "list", "--failed-at", "day.price") == []

    def test_the_newest_come_first_and_no_more_than_asked_for(
        self, desk: Coordinator, command: Command
    ) -> None:
        """From when on can be said as a moment, or as how long ago."""
        runs = [desk.start(PRICES, Order(number=f"o-{number}")).id for number in range(4)]
        started = [one.started for one in desk.runs()]
        assert started == sorted(started, reverse=True)
        assert {one.id for one in desk.runs(limit=None)} == set(runs)
        assert len(desk.runs(limit=2)) == 2
        assert desk.runs(limit=0) == []
        assert desk.runs(since=datetime.now(UTC) + timedelta(hours=1)) == []
        assert len(command.json(desk, "runs", "list", "--since", "1h")) == 4
        assert command.json(desk, "runs", "list", "--since", "2999-01-01") == []
        assert (
            "--limit N lists more"
            in command(desk, "runs", "list", "--limit", "2", "--status", "completed")[1]
        )

    @pytest.mark.parametrize(
        "chosen",
        [{"flow": 1}, {"status": "lost"}, {"since": "1h"}, {"since": datetime(2026, 1, 1)}, {"limit": -1}],  # noqa: DTZ001
    )
    def test_a_filter_that_is_none_is_an_error(self, desk: Coordinator, chosen: dict[str, Any]) -> None:
        """It says what is wrong with it, and looks nothing up."""
        with pytest.raises(InvalidData, match="nothing was looked up"):
            desk.runs(**chosen)

    @pytest.mark.parametrize("since", ["soon", "1y", "2026-13-01", "99999999d"])
    def test_a_moment_that_is_none_is_an_error(self, desk: Coordinator, command: Command, since: str) -> None:
        """It shows how one is written."""
        status, _, err = command(desk, "runs", "list", "--since", since)
        assert status == 2
        assert len(err.splitlines()) == 1
        assert "2026-11-30" in err or "out of range" in err or "WHEN" in err


class TestIds:
    def test_the_beginning_of_an_id_will_do(self, desk: Coordinator, command: Command) -> None:
        """Wherever the id of a run is asked for, if no other begins so; the answer has the whole one."""
        run = asking(desk, "o-1")
        assert desk.find_run(run.id[:8]).id == run.id
        assert command.json(desk, "runs", "show", run.id[:8])["run"] == run.id
        assert run.id in command(desk, "runs", "pause", run.id[:8])[1]
        assert run.id in command(desk, "runs", "resume", run.id[:8])[1]
        assert run.id in command(desk, "trace", run.id[:8])[1]
        assert run.id in command(desk, "runs", "cancel", run.id[:8])[1]

    def test_so_it_will_for_letters(self, desk: Coordinator, command: Command) -> None:
        """They are found in whatever state they are."""
        [letter] = failed(desk, "o-1").letters()
        assert desk.find_letter(letter.id[:6]).id == letter.id
        assert command.json(desk, "dead-letters", "show", letter.id[:6])["id"] == letter.id
        BROKEN.clear()
        status, out, _ = command(desk, "dead-letters", "replay", letter.id[:6])
        assert (status, out.strip()) == (0, "1 replayed")

    def test_several_that_begin_so_are_named(self, desk: Coordinator, command: Command) -> None:
        """In one line, and nothing is done to any of them."""
        record = desk.journal.history.record
        twins = ["abcdef-1", "abcdef-2"]
        desk._listing.pending = lambda: [  # type: ignore[method-assign]
            _row(one) for one in twins
        ]
        assert record([]) == 0
        with pytest.raises(AmbiguousId, match="abcdef-1, abcdef-2"):
            desk.find_run("abcd")
        status, _, err = command(desk, "runs", "cancel", "abcd")
        assert status == 1
        assert len(err.splitlines()) == 1
        assert "abcdef-1, abcdef-2" in err
        with pytest.raises(UnknownRun, match="these begin with 'abcd': abcdef-1, abcdef-2"):
            desk.find_run("abcdxx")

    @pytest.mark.parametrize("text", ["abc", "ffff-none", "", "a\x1bb", "%___", "____"])
    def test_what_begins_no_id_is_an_error(self, desk: Coordinator, command: Command, text: str) -> None:
        """One line that says what to do; fewer than four characters begin none, and no character stands for others."""
        failed(desk, "o-1")
        with pytest.raises(UnknownRun):
            desk.find_run(text)
        with pytest.raises(UnknownLetter):
            desk.find_letter(text)
        status, _, err = command(desk, "runs", "show", text)
        assert status == 1
        assert len(err.splitlines()) == 1
        assert "runs list" in err


def _row(run: str) -> Any:
    from handoffs.coordinator.journal.run_filter import LIVE, ListedRun  # noqa: PLC0415

    return ListedRun(0, run, "day.prices", LIVE, "2026-01-01T00:00:00.000+00:00", "")


class TestApprovals:
    def test_what_waits_is_listed_over_all_runs(self, desk: Coordinator, command: Command) -> None:
        """With the key of its run, since when, and the fields that an answer has."""
        first, second = asking(desk, "o-1"), asking(desk, "o-2")
        desk.start(PRICES, Order(number="o-3"))
        found = command.json(desk, "approvals", "list")
        assert sorted(ids(found)) == sorted([first.id, second.id])
        [one] = command.json(desk, "approvals", "list", "--key", "o-2")
        assert (one["run"], one["flow"], one["signal"], one["contract"]) == (
            second.id, "day.asks", "approval", "day.approval/1",
        )  # fmt: skip
        assert [(field["field"], field["required"]) for field in one["asks"]] == [
            ("approved", True), ("by", True), ("limit", False), ("tags", False),
        ]  # fmt: skip
        out = command(desk, "approvals", "list", "--flow", "day.asks")[1]
        assert re.search(rf"{first.id} +day\.asks +o-1 +approval +[0-9:]{{8}} +approved: ", out)
        assert command.json(desk, "approvals", "list", "--signal", "other") == []

    def test_an_answer_lets_the_run_go_on(self, desk: Coordinator, command: Command) -> None:
        """Each field as its contract has it: text stays text, all else is JSON; who and why are kept."""
        run = asking(desk, "o-1")
        status, out, _ = command(
            desk, "approvals", "answer", run.id[:8], "--set", "approved=true", "--set", "by=5",
            "--set", "limit=12.50", "--set", 'tags=["a"]', "--why", "called the customer", "--by", "ann",
        )  # fmt: skip
        assert status == 0
        assert run.id in out
        assert run.wait(20) == "completed"
        assert run.result() == Approval(approved=True, by="5", limit=Decimal("12.50"), tags=("a",))
        assert desk.approvals() == []
        [action] = command.json(desk, "actions", "list", "--run", run.id)["actions"]
        assert (action["who"], action["action"], action["note"]) == (
            "ann",
            "signal",
            "approval: called the customer",
        )
        [entry] = [one for one in run.history() if one["kind"] == "signalled"]
        assert (entry["by"], entry["why"]) == ("ann", "called the customer")

    def test_an_answer_may_be_a_file(self, desk: Coordinator, command: Command, tmp_path: Any) -> None:
        """What is set beside it takes the place of what it has."""
        run, file = asking(desk, "o-1"), tmp_path / "answer.json"
        file.write_text(json.dumps({"approved": False, "by": "bob"}))
        assert (
            command(desk, "approvals", "answer", run.id, "--payload", f"@{file}", "--set", "by=ann")[0] == 0
        )
        assert run.wait(20) == "completed"
        assert run.result() == Approval(approved=False, by="ann")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ([], "approved"),
            (["--set", "approved=yes", "--set", "by=ann"], "no JSON"),
            (["--set", "approved=1", "--set", "by=ann"], "approved"),
            (["--set", "aproved=true"], "its fields: approved, by, limit, tags"),
            (["--set", "approved"], "--set FIELD=VALUE"),
            (["--set", "by=a", "--set", "by=b"], "twice"),
            (["--payload", "[]", "--set", "by=a"], "no JSON object"),
            (["--signal", "other", "--set", "by=a"], "waits for no signal"),
        ],
    )
    def test_an_answer_that_is_none_sends_nothing(
        self, desk: Coordinator, command: Command, arguments: list[str], said: str
    ) -> None:
        """One line says what is wrong, and the run goes on waiting."""
        run = asking(desk, "o-1")
        status, _, err = command(desk, "approvals", "answer", run.id, *arguments)
        assert status in {1, 2}
        assert len(err.splitlines()) == 1
        assert said in err
        assert run.waiting()

    def test_a_run_that_waits_for_nothing_is_not_answered(self, desk: Coordinator, command: Command) -> None:
        """It says how the run is."""
        run = desk.start(PRICES, Order(number="o-1"))
        run.wait(20)
        status, _, err = command(desk, "approvals", "answer", run.id, "--set", "by=ann")
        assert status == 1
        assert "waits for no signal: it is completed" in err


class TestLetters:
    def test_a_letter_shows_its_error_and_where_it_was_raised(
        self, desk: Coordinator, command: Command
    ) -> None:
        """The innermost places in the agent's code, as file, line and function, without a folder."""
        [letter] = failed(desk, "o-1").letters()
        shown = command.json(desk, "letters", "show", letter.id)
        assert shown["error"] == "Permanent"
        assert len(shown["frames"]) == 1
        assert re.fullmatch(r"test_operating\.py:[0-9]+ in price", shown["frames"][0])
        out = command(desk, "dead-letters", "show", letter.id)[1]
        assert shown["frames"][0] in out
        assert re.search(r"Permanent: no price for o-1 +[0-9:]{8}", command(desk, "letters", "list")[1])

    def test_a_dry_run_says_what_a_replay_would_do(self, desk: Coordinator, command: Command) -> None:
        """And does nothing; what would be refused says why."""
        [letter] = failed(desk, "o-1").letters()
        out = command(
            desk, "letters", "replay", "--reason", letter.kind, "--flow", "day.prices", "--dry-run"
        )[1]
        assert "would be replayed" in out
        assert "1 would be replayed, 0 refused; nothing was done" in out
        [would] = command.json(desk, "letters", "replay", letter.id, "--dry-run")["would"]
        assert (would["letter"], would["run"], would["refused"]) == (letter.id, letter.run, "")
        assert [one.replays for one in desk.dead_letters()] == [0]
        desk.run(letter.run).cancel()
        [would] = command.json(desk, "letters", "replay", letter.id, "--dry-run")["would"]
        assert would["refused"] == "its run is cancelled"
        assert command(desk, "letters", "replay", letter.id, "--dry-run", "--wait", "1")[0] == 2

    def test_a_replay_that_leads_to_a_wait_says_so(self, desk: Coordinator, command: Command) -> None:
        """Where a run goes on to a signal that a person has to send, that is what came of the replay: nobody waits for it."""
        BROKEN.add("price")
        run = desk.start(ASKS, Order(number="o-1"))
        assert run.wait(20) == "parked"
        [letter] = run.letters()
        BROKEN.clear()
        began = time.monotonic()
        out = command(desk, "letters", "replay", letter.id, "--wait", "60")[1]
        assert "0 completed, 0 parked again, 0 still at work, 1 waiting for a signal" in out
        assert time.monotonic() - began < 50

    def test_a_replay_says_what_came_of_it(self, desk: Coordinator, command: Command) -> None:
        """How many runs completed, and how many are parked again; who did it, and why, is kept."""
        runs = [failed(desk, f"o-{number}") for number in range(3)]
        out = command(desk, "letters", "replay", "--flow", "day.prices", "--wait", "20")[1]
        assert "0 completed, 3 parked again, 0 still at work" in out
        wait_until(lambda: len(desk.dead_letters()) == 3, description="they wait again")
        BROKEN.clear()
        status, out, _ = command(
            desk,
            "letters",
            "replay",
            "--flow",
            "day.prices",
            "--wait",
            "20",
            "--by",
            "ann",
            "--why",
            "mended",
        )
        assert (status, "3 completed, 0 parked again, 0 still at work" in out) == (0, True)
        assert [run.status() for run in runs] == ["completed"] * 3
        [_, action] = desk.actions(run=runs[0].id)
        assert (action.who, action.action, action.note) == ("ann", "replay", "mended")


class TestActions:
    def test_what_people_do_to_a_run_is_kept_with_who_and_why(
        self, desk: Coordinator, command: Command
    ) -> None:
        """Whatever it is, by whichever way; `audit` is another word for it."""
        run = asking(desk, "o-1")
        for action in ("pause", "resume", "cancel"):
            assert command(desk, "runs", action, run.id, "--by", "ann", "--why", f"to {action}")[0] == 0
        other = asking(desk, "o-2")
        other.give_up("bob", why="not wanted")

        def told() -> list[tuple[str, str, str]]:
            found = command.json(desk, "audit", "list")["actions"]
            return [(one["who"], one["action"], one["note"]) for one in found]

        expected = [
            ("bob", "give-up", "not wanted"),
            *(("ann", one, f"to {one}") for one in ("cancel", "resume", "pause")),
        ]
        assert told() == expected
        assert [one.action for one in desk.actions()] == ["pause", "resume", "cancel", "give-up"]
        assert [one.action for one in desk.actions(by="bob")] == ["give-up"]
        assert re.search(r"ann +cancel +" + run.id + " .*to cancel", command(desk, "actions", "list")[1])

    def test_who_is_logged_in_did_it(self, desk: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where nobody says who."""
        monkeypatch.setattr("handoffs.coordinator.client.run.current_user", lambda: "carol")
        asking(desk, "o-1").cancel()
        assert [(one.who, one.action) for one in desk.actions()] == [("carol", "cancel")]

    def test_a_run_is_exported_line_by_line(self, desk: Coordinator, command: Command) -> None:
        """What people did to it, and what its steps were given and made, with secrets masked."""
        run = asking(desk, "o-1")
        run.cancel("ann", why="not wanted")
        out = command(desk, "actions", "export", "--run", run.id[:8])[1]
        lines = [json.loads(line) for line in out.splitlines()]
        assert [one["action"] for one in lines if one["record"] == "action"] == ["cancel"]
        settled = [one for one in lines if one.get("kind") == "settled" and one.get("agent") == "day.price"]
        assert [(one["input"]["number"], one["output"]["pin"]) for one in settled] == [("o-1", MASK)]
        assert PIN not in out
        assert all(one["run"] == run.id for one in lines)
        assert command(desk, "actions", "export", "--by", "nobody")[1] == ""
