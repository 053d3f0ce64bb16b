"""A failure is parked, not spread: siblings finish, nothing downstream runs, and a replay goes on from there."""

import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Coordinator
from handoffs.contracts.text import printable
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import RunParked, UnknownLetter
from handoffs.coordinator.flow.trigger import agents_of
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.store.record import StepRef
from tests.eager.shop import Shop, thing
from tests.waiting import wait_until

TIMEOUT = 20.0
# For each shape and each step that fails: what has had its effect by then.
DONE_BEFORE = {
    ("chain", "a"): "",
    ("chain", "b"): "a",
    ("chain", "c"): "ab",
    ("header", "a"): "",
    ("header", "b"): "ac",
    ("header", "c"): "ab",
    ("header", "pair"): "abc",
    ("header", "d"): "abc+pair",
    ("chain in header", "a"): "c",
    ("chain in header", "b"): "ac",
    ("chain in header", "c"): "ab",
    ("chain in header", "pair"): "abc",
    ("nested", "a"): "d",
    ("nested", "b"): "acd",
    ("nested", "c"): "abd",
    ("nested", "d"): "abc",
    ("nested", "nested"): "abcd",
}


def parked(run: Run, shop: Shop, before: int) -> Letter:
    """Wait until a run is parked with one letter, and everything beside it is done."""
    wait_until(lambda: sum(shop.effects.values()) >= before, description="the siblings have finished")
    assert run.wait(TIMEOUT) == "parked"
    [letter] = wait_until(run.letters, description="the letter is there")
    return letter


def _names(text: str) -> list[str]:
    letters, _, word = text.partition("+")
    return [*letters, word] if word else [*letters]


@pytest.mark.parametrize(("shape", "broken"), DONE_BEFORE, ids=lambda value: value)
def test_every_step_parks_and_resumes(anywhere: Coordinator, shape: str, broken: str) -> None:
    """Whichever step fails: it is parked with the reason, its siblings finish, and after a replay the run completes."""
    shop = Shop()
    flow = shop.flows[shape]
    shop.broken = {broken}
    run = anywhere.start(flow, thing())
    before = Counter(_names(DONE_BEFORE[shape, broken]))
    letter = parked(run, shop, before.total())
    assert shop.effects == before
    assert (letter.kind, letter.error, letter.text) == ("error", "Permanent", f"{broken} is broken")
    assert (letter.agent, letter.run, letter.flow) == (f"shop.{broken}", run.id, flow.name)
    with pytest.raises(RunParked, match=f"{broken} is broken"):
        run.result(TIMEOUT)
    shop.broken.clear()
    letter.replay(by="me")
    assert run.result(TIMEOUT) is not None
    assert shop.effects == Counter(name.removeprefix("shop.") for name in agents_of(flow))
    assert wait_until(lambda: not run.letters(), description="the letter waits no more")
    [replayed] = [entry for entry in run.history() if entry["kind"] == "replayed"]
    assert (replayed["by"], replayed["step"]) == ("me", letter.step)


@pytest.mark.parametrize("shape", ["chain", "header", "nested"])
def test_replaying_twice_has_one_effect(anywhere: Coordinator, shape: str) -> None:
    """A letter that is replayed twice has one effect, there and after it."""
    shop = Shop()
    shop.broken = {"b"}
    run = anywhere.start(shop.flows[shape], thing())
    letter = parked(run, shop, {"chain": 1, "header": 2, "nested": 3}[shape])
    shop.broken.clear()
    letter.replay()
    letter.replay()
    run.result(TIMEOUT)
    letter.replay()
    assert run.status() == "completed"
    assert set(shop.effects.values()) == {1}
    assert run.letters() == []


def test_replay_that_fails_is_parked_again(anywhere: Coordinator) -> None:
    """A letter whose cause is not mended comes back as the same letter, counted."""
    shop = Shop()
    shop.broken = {"b"}
    run = anywhere.start(shop.flows["chain"], thing())
    letter = parked(run, shop, 1)
    letter.replay()
    again = wait_until(
        lambda: [found for found in run.letters() if found.times == 2], description="it is parked again"
    )[0]
    assert (again.id, again.replays, again.state) == (letter.id, 1, "waiting")
    assert [entry["kind"] for entry in run.history()] == [
        "started",
        "settled",
        "parked",
        "replayed",
        "parked",
    ]
    shop.broken.clear()
    again.replay()
    assert run.result(TIMEOUT).path == "a>b>c"


def test_all_branches_may_be_parked(anywhere: Coordinator) -> None:
    """Branches are parked one by one; the join comes when the last one is replayed."""
    shop = Shop()
    shop.broken = {"b", "c"}
    run = anywhere.start(shop.flows["header"], thing())
    letters = wait_until(lambda: found if len(found := run.letters()) == 2 else None, description="both wait")
    assert letters is not None
    shop.broken.clear()
    letters[1].replay()
    wait_until(lambda: shop.effects.total() == 2, description="one branch is done")
    assert run.wait(TIMEOUT) == "parked"
    letters[0].replay()
    assert run.result(TIMEOUT).path == "(a>b|a>c)>pair>d"
    assert set(shop.effects.values()) == {1}


def test_starting_a_parked_run_again_changes_nothing(anywhere: Coordinator) -> None:
    """To start a run that is parked does not run it again."""
    shop = Shop()
    shop.broken = {"b"}
    run = anywhere.start(shop.flows["chain"], thing())
    parked(run, shop, 1)
    runs = anywhere.engine.runs
    wait_until(
        lambda: not list(runs.unpublished(older_than=timedelta(seconds=-1))),
        description="the store knows that the run's first message was published",
    )
    shop.broken.clear()
    assert anywhere.start(shop.flows["chain"], thing()).id == run.id
    assert run.status() == "parked"
    assert shop.effects == Counter(a=1)


def test_letters_are_found(anywhere: Coordinator) -> None:
    """Letters are listed, filtered, and found by their id; what they show is JSON."""
    shop = Shop()
    shop.broken = {"b"}
    run = anywhere.start(shop.flows["chain"], thing())
    other = anywhere.start(shop.flows["header"], thing("o-2"))
    parked(run, shop, 3)
    letter = parked(other, shop, 3)
    assert {found.run for found in anywhere.dead_letters()} == {run.id, other.id}
    assert [found.id for found in anywhere.dead_letters(flow="shop.header")] == [letter.id]
    assert anywhere.dead_letters(agent="shop.a") == anywhere.dead_letters(kind="conflict") == []
    assert json.loads(json.dumps(letter.payload))["pin"] == "**********"
    assert letter.remedy
    with pytest.raises(UnknownLetter):
        anywhere.desk.letter("nonsense")


def _comes_late(coordinator: Coordinator, letter: Letter, monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as something is published, an old copy of the letter's message is dead-lettered once more."""
    publisher = coordinator.engine.publisher
    publish = publisher.publish
    row = letter.row

    def beside(messages: Iterable[Message], **options: Any) -> None:
        monkeypatch.setattr(publisher, "publish", publish)
        copy = Message.restored(row.message)
        coordinator.desk.receive(RawLetter({**copy.headers}, copy.body.encode(), "application/json"))
        publish(messages, **options)

    monkeypatch.setattr(publisher, "publish", beside)


def test_an_old_copy_is_parked_after_the_replay(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A letter that comes back although its step is under way waits no more once the step has its outcome."""
    shop = Shop()
    shop.broken = {"b"}
    run = live_coordinator.start(shop.flows["chain"], thing())
    letter = parked(run, shop, 1)
    shop.broken.clear()
    _comes_late(live_coordinator, letter, monkeypatch)
    letter.replay()
    wait_until(lambda: run.status() == "completed", description="the step is done")
    wait_until(lambda: not run.letters(), description="the letter waits no more")
    again = live_coordinator.desk.letter(letter.id)
    assert (again.state, again.times) == ("settled", 2)
    assert shop.effects == {"a": 1, "b": 1, "c": 1}


def test_a_letter_is_replayed_at_once(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step whose letter is replayed in the moment that it is there is parked once, and is on its way then."""
    shop, letters = Shop(), coordinator.journal.letters
    shop.broken = {"b"}
    add = letters.add

    def add_and_replay(row: LetterRow) -> None:
        monkeypatch.setattr(letters, "add", add)
        add(row)
        shop.broken.clear()
        coordinator.desk.letter(row.id).replay()

    monkeypatch.setattr(letters, "add", add_and_replay)
    run = coordinator.start(shop.flows["chain"], thing())
    assert run.status() == "completed"
    assert [entry["kind"] for entry in run.history()].count("parked") == 1
    assert shop.effects == {"a": 1, "b": 1, "c": 1}


@pytest.mark.parametrize("instead", ["constant", "agent"])
def test_a_letter_in_a_budget_that_was_spent(live_coordinator: Coordinator, instead: str) -> None:
    """What waits within a budget waits no more once the fallback has taken its place, and not before."""
    shop = Shop()
    shop.broken = {"b"}
    run = live_coordinator.start(shop.guarded[instead], thing())
    run.result(TIMEOUT)
    [row] = wait_until(
        lambda: live_coordinator.dead_letters(run=run.id, state=None), description="the step was parked"
    )
    wait_until(
        lambda: live_coordinator.desk.letter(row.id).state == "settled",
        description="it is known that something took its place",
    )


@pytest.mark.parametrize(("mended", "other"), [("b", "d"), ("d", "b")])
def test_a_fallback_that_fails_too(live_coordinator: Coordinator, mended: str, other: str) -> None:
    """Where the fallback is parked as well, both letters wait; whichever is replayed, the other waits no more."""
    shop = Shop()
    shop.broken = {"b", "d"}
    run = live_coordinator.start(shop.guarded["agent"], thing())
    wait_until(lambda: len(run.letters()) == 2, description="both are parked")
    letters = {one.agent: one for one in run.letters()}
    shop.broken.clear()
    letters[f"shop.{mended}"].replay()
    wait_until(lambda: run.status() == "completed", description="it goes on")
    wait_until(lambda: not run.letters(), description="no letter waits")
    assert live_coordinator.desk.letter(letters[f"shop.{other}"].id).state == "settled"
    assert shop.effects == {"a": 1, mended: 1, "c": 1}


def test_digits_in_a_name() -> None:
    """A step whose digits pass for a payment card number is known by its name all the same: names are shown masked, not kept so."""
    step = "news.press@b970681040434485"
    assert printable(step) != step
    letter = RawLetter({"id": "m", "handoff_run": "r", "handoff_flow": "f", "handoff_step": step}, b"", "")
    assert letter.place == StepRef("r", "f", step)
    hidden = RawLetter({"id": "m\x1b", "handoff_run": "r", "handoff_step": "s" * 1001}, b"", "")
    assert (hidden.id, hidden.place) == ("", StepRef("r", "", ""))
