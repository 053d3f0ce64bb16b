"""What people do about a step: skip it, or edit what it is given; in eager and in embedded mode."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from handoffs import Contract, CoordinationError, Coordinator, Key, Permanent, Sensitive, agent
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import MASK
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import Conflict, EditRefused, RunCancelled, UnknownRun
from handoffs.coordinator.flow.step import compensate, each
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.journal.runs import Noted
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store.handoffs import Handoffs
from tests.deliveries import start
from tests.eager.flow.orders import (
    Line,
    Order,
    Total,
    _number,
    flow,
    order,
    pricing,
    total,
    worked,
)
from tests.waiting import wait_until


class TestSkipping:
    def parked(self, running: Coordinator) -> tuple[Run, Any]:
        broken = worked("two", lambda order: {"amount": 1 // order.amount})
        run = running.start(flow(worked("one") >> broken >> worked("three")), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        return run, letter

    def test_a_person_gives_the_outcome(self, running: Coordinator) -> None:
        """A parked step is skipped with an outcome that a person gives; who and why is recorded; the run goes on."""
        run, letter = self.parked(running)
        given = {"order": "by-hand", "trail": ["one", "ann"]}
        running.skip(letter, given, by="ann", why="the sum was known")
        assert run.result(timeout=20).trail == ["one", "ann", "three"]
        [entry] = [entry for entry in run.history() if entry["kind"] == "skipped"]
        assert (entry["by"], entry["error"], entry["step"]) == ("ann", "the sum was known", "2")
        assert running.dead_letters(run=run.id) == []
        assert [act.action for act in running.journal.actions.of(run.id)] == ["skip"]
        running.skip(letter, given)  # again, which changes nothing
        with pytest.raises(CoordinationError, match="has an outcome"):
            running.skip(letter, {**given, "amount": 7})

    def test_the_outcome_is_checked(self, running: Coordinator) -> None:
        """What the agent would not emit is refused, and the step stays parked."""
        run, letter = self.parked(running)
        for wrong in ({"order": 5}, {}, Line(sku="s")):
            with pytest.raises(InvalidData):
                running.skip(letter, wrong)
        assert run.status() == "parked"


class TestEnded:
    """Where nothing can be done about a step any more, every way to do something says why, and changes nothing."""

    def parked(self, running: Coordinator) -> tuple[Run, Any]:
        undo, broken = worked("undo"), worked("broken", lambda order: {"amount": 1 // order.amount})
        made = flow(compensate(worked("one"), by=undo) >> broken)
        run = running.start(made, order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        return run, letter

    def refused(self, running: Coordinator, run: Run, letter: Any, why: str) -> None:
        before = len(run.history())
        with pytest.raises(EditRefused, match=f"cannot be edited: its run is {why}"):
            running.edit(letter, order(amount=1))
        with pytest.raises(EditRefused, match=f"cannot be edited: its run is {why}"):
            run.edit("2", order(amount=1))
        kind = RunCancelled if why == "cancelled" else CoordinationError
        with pytest.raises(kind, match=f"cannot be skipped: .*its run is {why}"):
            running.skip(letter, order(amount=1))
        assert len(run.history()) == before

    def test_cancelled(self, running: Coordinator) -> None:
        """It was cancelled."""
        run, letter = self.parked(running)
        run.cancel()
        self.refused(running, run, letter, "cancelled")
        with pytest.raises(RunCancelled, match="was cancelled"):
            letter.replay()

    def test_given_up(self, running: Coordinator) -> None:
        """It was cancelled, and what it did is undone by now."""
        run, letter = self.parked(running)
        run.give_up()
        assert run.wait(timeout=20) == "cancelled"
        self.refused(running, run, letter, "cancelled")
        with pytest.raises(RunCancelled, match="was cancelled"):
            letter.replay()

    def test_completed(self, running: Coordinator) -> None:
        """It is completed; a replay finds the outcome, and does nothing again."""
        run, letter = self.parked(running)
        running.edit(letter, order(amount=1))
        assert run.wait(timeout=20) == "completed"
        self.refused(running, run, letter, "completed")
        letter.replay()
        assert run.wait(timeout=20) == "completed"

    def test_unknown(self, running: Coordinator) -> None:
        """Nobody knows it, or Redis does not any more and the journal says how it ended."""
        running.journal.runs.note(
            {"lost": Noted("steps.flow", "live"), "long-ago": Noted("steps.flow", "cancelled")}
        )
        edit = running._interventions.edit_step
        with pytest.raises(UnknownRun, match="Redis does not know run lost; nothing was edited; look at"):
            edit("lost", "2", order(amount=1))
        with pytest.raises(UnknownRun, match="run long-ago is cancelled, and Redis has forgotten it"):
            edit("long-ago", "2", order(amount=1))


class TestEditing:
    """A person gives a step another input; what it does, and what follows, is done with that."""

    def parked(self, running: Coordinator, step: str = "2") -> tuple[Run, Any]:
        broken = worked("two", lambda order: {"amount": 100 // order.amount})
        run = running.start(flow(worked("one") >> broken >> worked("three")), order())
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        return run, letter

    def test_a_parked_step(self, running: Coordinator) -> None:
        """It is replayed with the edited input; who, why, before and after are in the history, the letter and the actions."""
        run, letter = self.parked(running)
        old = letter.row.message
        given = {"order": letter.row.payload["order"], "amount": 25, "trail": ["ann"]}
        running.edit(letter, given, by="ann", why="the amount was missing")
        assert run.result(timeout=20).trail == ["ann", "two", "three"]
        [entry] = [entry for entry in run.history() if entry["kind"] == "edited"]
        assert (entry["by"], entry["error"], entry["step"]) == ("ann", "the amount was missing", "2")
        assert (entry["input"]["amount"], entry["output"]["amount"]) == (0, 25)
        assert [act.action for act in running.journal.actions.of(run.id)] == ["edit", "replay"]
        [edit] = letter.edits
        assert (edit.number, edit.who, edit.why, edit.message) == (1, "ann", "the amount was missing", old)
        assert running.desk.letter(letter.id).row.message != old
        settled = [entry for entry in run.history() if entry["kind"] == "settled" and entry["step"] == "2"]
        assert [entry["input"]["amount"] for entry in settled] == [25]
        with pytest.raises(EditRefused, match=r"has its outcome|is completed"):
            running.edit(letter, given)

    def test_edited_again(self, running: Coordinator) -> None:
        """An edited input that fails too is edited again; both are told, and the last one runs."""
        run, letter = self.parked(running)
        given = {"order": letter.row.payload["order"], "trail": []}
        running.edit(letter, {**given, "amount": 0}, by="ann")
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="it is back")
        running.edit(letter, {**given, "amount": 50}, by="bob")
        assert run.result(timeout=20).amount == 2
        assert [(edit.number, edit.who) for edit in letter.edits] == [(1, "ann"), (2, "bob")]
        told = [entry for entry in run.history() if entry["kind"] == "edited"]
        assert [entry["by"] for entry in told] == ["ann", "bob"]
        assert told[1]["input"] == told[0]["output"]

    def test_another_key(self, running: Coordinator) -> None:
        """An edit may change the fields of the key: it is other work then. A key that stands for something else is refused."""
        run, letter = self.parked(running)
        running.edit(letter, {"order": "quite-another", "amount": 10, "trail": []})
        assert run.result(timeout=20).order == "quite-another"
        agent = next(place.agent for place in (run.flow.places() if run.flow else ()) if place.path == "2")
        other = running.start(flow(agent), order(amount=0))
        assert other.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=other.id), description="there is a letter")
        with pytest.raises(Conflict, match="stands for another input, which has its outcome"):
            running.edit(letter, {"order": "quite-another", "amount": 77})
        assert other.status() == "parked"
        running.edit(letter, {"order": "quite-another", "amount": 10, "trail": []})
        assert other.result(timeout=20).amount == 10

    def test_the_input_is_checked(self, running: Coordinator) -> None:
        """What the agent would not accept is refused, and nothing is changed."""
        run, letter = self.parked(running)
        wrong: Any
        for wrong in ({"order": 5}, {}, Line(sku="s"), [], None, "x"):
            with pytest.raises(InvalidData):
                running.edit(letter, wrong)
        assert run.status() == "parked"
        assert letter.edits == []
        assert [entry["kind"] for entry in run.history()].count("edited") == 0
        run.cancel()
        with pytest.raises(EditRefused, match="its run is cancelled"):
            running.edit(letter, {"order": "o", "amount": 1})

    def test_masked_values(self, running: Coordinator) -> None:
        """A sensitive value that is left masked stays as it is, a default that was not sent too; one that is not known is refused;
        none is shown."""

        class Card(Contract, name=f"steps.card-{next(_number)}", version=1):
            order: str = Key()
            pins: list[Sensitive]
            code: Sensitive = Sensitive("0000-hidden")
            amount: int = 0

        seen: list[Card] = []

        @agent(f"steps.pay-{next(_number)}")
        def pay(card: Card) -> Card:
            if not card.amount:
                raise Permanent("nothing to pay")
            seen.append(card)
            return card

        run = running.start(flow(pay), {"order": "o", "pins": ["1234-hidden", "5678-hidden"]})
        assert run.wait(timeout=20) == "parked"
        [letter] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        shown = letter.row.payload
        for wrong in ({**shown, "pins": [MASK]}, {**shown, "pins": [MASK, MASK, MASK]}):
            with pytest.raises(InvalidData, match=r"pins\.0 is masked"):
                running.edit(letter, {**wrong, "amount": 5})
        running.edit(letter, {**shown, "pins": [MASK, "9"], "amount": 5})
        assert run.result(timeout=20).amount == 5
        assert [pin.get_secret_value() for pin in seen[0].pins] == ["1234-hidden", "9"]
        assert (shown["code"], seen[0].code.get_secret_value()) == (MASK, "0000-hidden")
        assert "hidden" not in str(run.history())

    def test_what_cannot_be_edited(self, running: Coordinator) -> None:
        """A step that is settled, or that is not there, is refused with its path; so is a run that is not."""
        run, _ = self.parked(running)
        for step in ("1", "3", "99", "", "2.x"):
            with pytest.raises(EditRefused, match="neither parked nor held"):
                run.edit(step, {"order": "o", "amount": 1})
        run.edit("2", {"order": "o-edited", "amount": 1, "trail": []}, by="ann")
        assert run.result(timeout=20).trail == ["two", "three"]
        with pytest.raises(EditRefused, match=r"step 2 of run .* cannot be edited: its run is completed"):
            run.edit("2", {"order": "o", "amount": 1})

    def test_invalid_input(self, running: Coordinator) -> None:
        """A step that is parked because its input is none goes on with the edited one; so do old copies of its message."""
        made = flow(worked("one") >> worked("two"))
        [sent] = start(made, order(), run := f"r-{next(_number)}")
        running.work(agents_of(made).values())
        broken = Message(
            sent.id, sent.agent, sent.headers, sent.body.replace('\\"amount\\":0', '\\"amount\\":\\"x\\"')
        )
        assert broken != sent
        running.engine.publisher.publish([broken])
        [letter] = wait_until(lambda: running.dead_letters(run=run), description="there is a letter")
        assert letter.row.kind == "invalid-input"
        running.edit(letter, {"order": "o-mended", "amount": 3})
        found = running.run(run)
        assert found.result(timeout=20)["amount"] == 3
        running.engine.publisher.publish([broken])
        wait_until(lambda: not running.dead_letters(run=run), description="nothing waits")

    def test_in_a_branch_and_a_list(self, running: Coordinator) -> None:
        """The edited input is that of its branch, or its item, alone."""
        made = flow(
            each("lines", pricing(lambda line: line.sku == "bad"), into="prices") >> total, input=Order
        )
        run = running.start(made, order(lines=[Line(sku="a"), Line(sku="bad"), Line(sku="c")]))
        assert run.wait(timeout=20) == "parked"
        wait_until(run.letters, description="there is a letter")
        run.edit("1.i1.1", Line(sku="b", pieces=5), by="ann")
        assert run.result(timeout=20) == Total(cents=700, skus=["a", "b", "c"])

    def test_compensation(self, running: Coordinator) -> None:
        """What undoes a step can be edited while its run is compensated; nothing else can."""
        undone: list[Order] = []

        @agent(f"steps.undo-{next(_number)}")
        def undo(order: Order) -> Order:
            if order.amount == 0:
                raise Permanent("nothing to give back")
            undone.append(order)
            return order

        broken = worked("broken", lambda order: {"amount": 1 // order.amount})
        run = running.start(flow(compensate(worked("one"), by=undo) >> broken), order())
        assert run.wait(timeout=20) == "parked"
        [first] = wait_until(lambda: running.dead_letters(run=run.id), description="there is a letter")
        run.give_up()
        [letter] = wait_until(
            lambda: [one for one in running.dead_letters(run=run.id) if one.row.step == "1.undo"],
            description="undoing is parked",
        )
        with pytest.raises(EditRefused, match="its run is compensating"):
            running.edit(first, {"order": "o", "amount": 1})
        running.edit(letter, {"order": "o-back", "amount": 9})
        assert run.wait(timeout=20) == "cancelled"
        assert [one.amount for one in undone] == [9]

    def test_a_held_step(self, live_coordinator: Coordinator) -> None:
        """A step that has not begun when its run is paused can be edited, more than once; resumed, it begins with the last."""
        began, gate = threading.Event(), threading.Event()

        def wait(order: Order) -> dict[str, Any]:
            began.set()
            gate.wait(10)
            return {}

        run = live_coordinator.start(flow(worked("one", wait) >> worked("two")), order(amount=1))
        assert began.wait(10)
        run.pause()
        with pytest.raises(EditRefused, match="neither parked nor held"):
            run.edit("1", {"order": "o", "amount": 1})
        gate.set()
        record = live_coordinator.engine.runs.get
        wait_until(lambda: "2" in record(run.id).held, description="it is held")  # type: ignore[union-attr]
        run.edit("2", {"order": "o-held", "amount": 2, "trail": []}, by="ann", why="first")
        run.edit("2", {"order": "o-held", "amount": 3, "trail": []}, by="bob", why="second")
        assert run.status() == "paused"
        run.resume()
        result = run.result(timeout=20)
        assert (result.amount, result.trail) == (3, ["two"])
        told = [
            (entry["by"], entry["input"]["amount"], entry["output"]["amount"])
            for entry in run.history()
            if entry["kind"] == "edited"
        ]
        assert told == [("ann", 1, 2), ("bob", 2, 3)]
        acts = [act.action for act in live_coordinator.journal.actions.of(run.id)]
        assert [act for act in acts if act not in {"pause", "resume"}] == [
            "edit",
            "edit",
        ]  # those come with the history

    def test_a_held_step_whose_message_comes_again(
        self, live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its message comes now and then, finds that the run is held, and takes no lease for that: it can be edited at any time."""
        coordinator = live_coordinator
        began, gate = threading.Event(), threading.Event()

        def wait(order: Order) -> dict[str, Any]:
            began.set()
            gate.wait(10)
            return {}

        first = order(amount=1)
        run = coordinator.start(flow(worked("one", wait) >> worked("two")), first)
        assert began.wait(10)
        run.pause()
        gate.set()
        record = coordinator.engine.runs.get
        wait_until(lambda: "2" in record(run.id).held, description="it is held")  # type: ignore[union-attr]
        came: list[int] = []
        claim = Handoffs.claim

        def counted(self: Handoffs, place: Any, **given: Any) -> Any:
            came.append(given["looks"])
            return claim(self, place, **given)

        def edited() -> bool:
            run.edit("2", {"order": first.order, "amount": 2, "trail": []})
            return len(came) >= 4

        monkeypatch.setattr(Handoffs, "claim", counted)
        wait_until(edited, description="its message has come again, four times", interval=0)
        assert 0 not in came
        run.resume()
        assert run.result(timeout=20).amount == 2
