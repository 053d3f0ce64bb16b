"""The letters of a run that is parked: whoever was told that it is parked finds them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Permanent, agent, each
from handoffs.contracts.errors import CoordinationError, InvalidInput, TooLarge
from handoffs.coordinator.client import parked
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.errors import Refused, RunParked, ServerError
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.runtime.eager import EagerPublisher
from tests.waiting import wait_until

TIMEOUT = 20.0


class Card(Contract, name="letters.card", version=1):
    """What cannot be charged."""

    number: str = Key()


@agent("letters.charge")
def charge(card: Card) -> Card:
    """It never can."""
    raise Permanent("the card has expired")


class Cards(Contract, name="letters.cards", version=1):
    """Several of them."""

    cards: list[Card]


FLOW = Flow("letters.flow", charge)
ALL = Flow("letters.all", each("cards", charge, into="cards"), input=Cards)


def waited(run: Run) -> None:
    """As README's own loop."""
    assert run.wait(TIMEOUT) == "parked"


def asked(run: Run) -> None:
    """By who asks for the result."""
    with pytest.raises(RunParked):
        run.result(TIMEOUT)


def looked(run: Run) -> None:
    """By who looks now and then, and may see it at once."""
    wait_until(lambda: run.status() == "parked", timeout=TIMEOUT, description="it is parked")


@pytest.mark.parametrize("told", [waited, asked, looked])
def test_who_is_told_that_a_run_is_parked_finds_its_letter(
    anywhere: Coordinator, told: Callable[[Run], None]
) -> None:
    """However it was told: the letter is on its way for a moment, and that moment is nobody's trouble."""
    for number in range(10):
        run = anywhere.start(FLOW, Card(number=str(number)))
        told(run)
        assert [letter.text for letter in run.letters()] == ["the card has expired"]
        assert [letter.id for letter in anywhere.dead_letters(run=run.id)] == [run.letters()[0].id]


def test_many_letters_are_waited_for_as_long_as_they_come(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is slow, and takes longer for all of them than anybody waits for one."""
    monkeypatch.setattr(parked, "LETTERS_WITHIN", 1.0)
    letters, add = live_coordinator.journal.letters, live_coordinator.journal.letters.add

    def slowly(row: LetterRow) -> None:
        time.sleep(0.15)
        add(row)

    monkeypatch.setattr(letters, "add", slowly)
    run = live_coordinator.start(ALL, Cards(cards=[Card(number=str(number)) for number in range(12)]))

    def all_parked() -> bool:
        record = live_coordinator.engine.runs.get(run.id)
        return record is not None and len(record.parked) == 12

    wait_until(all_parked, timeout=TIMEOUT, description="each is parked")
    assert len(run.letters()) == 12


def test_a_letter_that_failed_anew_is_there_anew(anywhere: Coordinator) -> None:
    """What was replayed and is parked once more is found as the letter that it is by now, and not as the one of before."""
    run = anywhere.start(FLOW, Card(number="1"))
    for times in range(1, 6):
        assert run.wait(TIMEOUT) == "parked"
        [letter] = run.letters()
        assert (letter.state, letter.times, letter.replays) == ("waiting", times, times - 1)
        letter.replay()


def test_without_a_coordinator_process_nobody_hangs(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said in the log that the letters wait in the broker, and for what; the status is right all the same."""
    monkeypatch.setattr(parked, "LETTERS_WITHIN", 0.2)
    live_coordinator._hosting.stop_serving()
    run = live_coordinator.start(FLOW, Card(number="1"))
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert run.wait(TIMEOUT) == "parked"
    assert time.monotonic() - began < TIMEOUT / 2
    assert "wait in the broker for the coordinator process (coordinator serve)" in caplog.text


def test_a_journal_that_is_down_keeps_no_run_from_being_parked(
    live_coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Redis says that it is, at once; and the error is the agent's."""

    def down(_letters: object) -> dict[str, str]:
        raise ServerError("the journal cannot be used")

    monkeypatch.setattr(live_coordinator.journal.letters, "failures", down)
    run = live_coordinator.start(FLOW, Card(number="1"))
    with caplog.at_level(logging.WARNING):
        assert run.wait(TIMEOUT) == "parked"
        with pytest.raises(RunParked, match="the card has expired"):
            run.result(TIMEOUT)
    assert "its dead letters cannot be looked for: the journal cannot be used" in caplog.text


@pytest.mark.parametrize("kind", [InvalidInput, TooLarge, Refused, ServerError])
def test_what_keeps_a_replay_from_being_sent_leaves_its_letter(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, kind: type[CoordinationError]
) -> None:
    """Whatever it is: the error is told as it is, the letter waits, and its run is parked as before."""
    run = coordinator.start(FLOW, Card(number="1"))
    [letter] = run.letters()

    def refuse(*_: object, **__: object) -> None:
        raise kind("no", "nothing was sent")

    with monkeypatch.context() as patch:
        patch.setattr(EagerPublisher, "publish", refuse)
        with pytest.raises(kind, match="no"):
            letter.replay()
    assert run.status() == "parked"
    assert [one.id for one in run.letters()] == [letter.id]
    letter.replay()
    assert run.status() == "parked"
