"""Letters cannot be taken over: whatever a message says of itself, it takes no other's place and moves no run that it does not carry."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handoffs import Coordinator
from handoffs.contracts.envelope import message_id
from handoffs.contracts.errors import CoordinationError
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.continuation.signature import EVENT
from handoffs.coordinator.journal.letter_row import LetterRow
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.letters.raw import RawLetter
from handoffs.coordinator.messaging.message import Message
from tests.eager.shop import Shop, thing
from tests.waiting import wait_until

Change = Callable[[RawLetter], RawLetter]


def parked(coordinator: Coordinator, shop: Shop, order: str = "o-1") -> tuple[Run, Letter]:
    """A run whose second step is parked, and its letter."""
    shop.broken = {"b"}
    run = coordinator.start(shop.flows["chain"], thing(order))
    [letter] = run.letters()
    return run, letter


def as_raw(letter: Letter, **headers: Any) -> RawLetter:
    """The message of a letter as it comes from the dead-letter queue."""
    message = letter.message
    death = [{"reason": "rejected", "queue": "q"}]
    return RawLetter(
        {**message["headers"], "x-death": death, **headers}, message["body"].encode(), "application/json"
    )


def _headers(**values: Any) -> Change:
    return lambda raw: replace(raw, headers={**raw.headers, **values})


def _body(change: Callable[[list[Any], dict[str, Any]], None]) -> Change:
    """Another body: its parts, and its envelope, as ``change`` leaves them."""

    def changed(raw: RawLetter) -> RawLetter:
        parts = json.loads(raw.body)
        envelope = json.loads(parts[0][0])
        change(parts, envelope)
        parts[0] = [json.dumps(envelope)]
        return replace(raw, body=json.dumps(parts).encode())

    return changed


HOSTILE: dict[str, Change] = {
    "no JSON": lambda raw: replace(raw, body=b"nonsense"),
    "no text": lambda raw: replace(raw, body=b"\xff\xfe"),
    "empty": lambda raw: replace(raw, body=b""),
    "nested deep": lambda raw: replace(raw, body=b"[" * 100_000),
    "another encoding": lambda raw: replace(raw, content_encoding="utf-16"),
    "another type": lambda raw: replace(raw, content_type="application/x-python-serialize"),
    "another agent": _headers(task="shop.nobody"),
    "unroutable": _headers(**{"x-death": [{"reason": "unroutable"}]}),
    "given up": _headers(**{"x-death": [{"reason": "delivery_limit", "queue": "q"}]}),
    "other data": _body(lambda _, envelope: envelope["data"].update(order="o-9")),
    "another continuation": _body(lambda parts, _: parts[2].update(chain=None)),
    "other arguments": _body(lambda parts, _: parts[1].update(turn="7")),
    "the envelope of another run": _body(lambda _, envelope: envelope.update(correlationid="run-9")),
    "the envelope of another message": _body(
        lambda _, envelope: envelope.update(id=message_id("run-9", "1"))
    ),
    "no envelope": _body(lambda parts, envelope: envelope.clear()),
    "another step": lambda raw: _body(lambda parts, _: parts[1].update(step="1"))(
        _headers(handoff_step="1")(raw)
    ),
    "no run": _headers(handoff_run=""),
    "a run that is none": _headers(handoff_run="run\x00\x1b[2J"),
    "a count that is none": _headers(retries="many"),
    "a header that is nested": _headers(**{"x-y": {"a": [{"b": b"\xff"}]}}),
    "a header with half a character": _headers(argsrepr="\ud800", **{"\udfff": "x"}),
}


@pytest.mark.parametrize("change", HOSTILE)
def test_no_message_takes_a_letters_place(coordinator: Coordinator, change: str) -> None:
    """A message with the id of a letter that waits, or with the run and the step of it, leaves that as it is, and its run; it is a
    letter of its own, once however often it comes. The run goes on from the letter."""
    shop = Shop()
    run, letter = parked(coordinator, shop)
    runs = coordinator.engine.services.runs
    wait_until(lambda: not runs.get(run.id).unpublished, description="its start is noted")  # type: ignore[union-attr]
    before, stands = coordinator.journal.letters.get(letter.id), runs.get(run.id)
    raw = HOSTILE[change](as_raw(letter))
    first, again = coordinator.desk.receive(raw), coordinator.desk.receive(raw)
    assert coordinator.journal.letters.get(letter.id) == before
    assert coordinator.engine.services.runs.get(run.id) == stands
    assert first.id == again.id
    copy = change in {
        "unroutable",
        "given up",
        "a header that is nested",
    }  # the same message, which waits already
    assert (first.id == letter.id) is copy
    assert len(coordinator.dead_letters(state=None)) == (1 if copy else 2)
    shop.broken.clear()
    letter.replay()
    assert run.status() == "completed"
    assert shop.effects == {"a": 1, "b": 1, "c": 1}
    if not first.run:
        assert coordinator.desk.letter(first.id).state == "waiting"


def test_a_copy_from_before_a_replay(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of a message that is given up once more, while what was replayed is on its way, parks nothing: what a replay has moved,
    no older copy moves back."""
    shop = Shop()
    run, letter = parked(coordinator, shop)
    raw = as_raw(letter)
    sent: list[Message] = []
    with monkeypatch.context() as patch:
        patch.setattr(coordinator.engine.publisher, "publish", lambda messages, **_: sent.extend(messages))
        letter.replay()
    assert run.status() == "running"
    for copy in (raw, HOSTILE["given up"](raw), HOSTILE["unroutable"](raw)):
        assert coordinator.desk.receive(copy).state == "replayed"
        assert run.status() == "running"
    assert not coordinator.dead_letters()
    shop.broken.clear()
    coordinator.engine.publisher.publish(sent)
    assert run.status() == "completed"


def test_a_copy_amid_a_replay(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Just before its replay is sent, a copy waits as its letter did, for the reason that is known: it can be replayed again."""
    shop = Shop()
    run, letter = parked(coordinator, shop)
    raw = as_raw(letter)

    def copy_comes(_: object) -> None:
        monkeypatch.undo()
        coordinator.desk.receive(raw)
        raise ConnectionError("its process dies")

    monkeypatch.setattr(coordinator.engine.publisher, "publish", copy_comes)
    with pytest.raises(ConnectionError):
        letter.replay()
    [waits] = coordinator.dead_letters()
    assert (waits.id, waits.kind, waits.error, waits.text) == (
        letter.id,
        letter.kind,
        letter.error,
        letter.text,
    )
    assert run.status() == "parked"
    shop.broken.clear()
    waits.replay()
    assert run.status() == "completed"


def test_what_has_its_id_is_moved_out_of_its_way(coordinator: Coordinator) -> None:
    """Where another message's letter has the id of a step that a worker has parked, the step's letter gets it, and the other one is
    kept under an id of its own."""
    shop = Shop()
    run, letter = parked(coordinator, shop)
    raw, row = as_raw(letter), letter.row
    other = HOSTILE["other data"](raw)
    squatter = replace(
        row, message={**row.message, "body": other.body.decode()}, last_failed_at="2026-01-01T00:00:00"
    )
    coordinator.journal.letters.add(squatter)
    assert coordinator.desk.receive(raw).id == letter.id
    kept = coordinator.journal.letters.get(letter.id)
    assert kept is not None
    assert (kept.message, kept.kind, kept.trace) == (row.message, row.kind, row.trace)
    [aside] = [one for one in coordinator.dead_letters() if one.id != letter.id]
    assert aside.message["body"] == other.body.decode()
    shop.broken.clear()
    letter.replay()
    assert run.status() == "completed"


def test_one_body_in_many_runs(coordinator: Coordinator) -> None:
    """Messages that nobody can read are a letter each, also where their bodies are the same; no run is parked without a letter."""
    shop = Shop()
    shop.broken = {"a"}
    runs = [coordinator.start(shop.flows["chain"], thing(f"o-{number}")) for number in range(18)]
    letters = [letter for run in runs for letter in run.letters()]
    raws = [replace(as_raw(letter), body=b"nonsense") for letter in letters]
    rows = [coordinator.desk.receive(raw) for raw in (*raws, *raws)]
    assert len({row.id for row in rows}) == 18
    assert coordinator.journal.letters.total(kind="undecodable") == 18
    assert all(letter.run in row.text and row.run == "" for letter, row in zip(letters, rows, strict=False))
    assert all(run.status() != "parked" or run.letters() for run in runs)


@pytest.mark.parametrize("kind", ["rejected", "unroutable", "delivery_limit"])
@pytest.mark.parametrize("change", ["the envelope of another run", "no envelope", "no JSON", "no run"])
def test_a_run_does_not_hear_of_a_claim(coordinator: Coordinator, kind: str, change: str) -> None:
    """A run that waits for its worker is not parked by a message that only says that it is of it, and goes on when its own comes."""
    shop = Shop()
    _, letter = parked(coordinator, shop)
    coordinator.run(letter.run).pause()
    shop.broken.clear()
    letter.replay()  # its message is laid aside until the run is resumed
    raw = HOSTILE[change](as_raw(letter, **{"x-death": [{"reason": kind, "queue": "q"}]}))
    row = coordinator.desk.receive(raw)
    assert (row.run, row.step, row.state) == ("", "", "waiting")
    assert row.kind in {"undecodable", "unroutable"}
    assert coordinator.run(letter.run).status() == "paused"
    coordinator.run(letter.run).resume()
    assert coordinator.run(letter.run).status() == "completed"
    assert coordinator.desk.letter(row.id).state == "waiting"


NAMES = [
    "",
    "x" * 1_000_000,
    "a\x00b",
    "\x1b[2J",
    "\ud800",
    "|",
    "other|{id}",
    "{id}",
    "{other}",
    "sha256:{id}",
    "lost:{id}",
]


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_it_claims(coordinator: Coordinator, data: st.DataObject) -> None:
    """For every choice of id, run, step, task and body, the letters that wait stay as they are, and what comes is one letter more,
    or one that was there and is the same message."""
    shop = Shop()
    letters = coordinator.dead_letters()
    if not letters:
        parked(coordinator, shop, "o-1")
        parked(coordinator, shop, "o-2")
        letters = coordinator.dead_letters()
    one, other = letters[0], letters[1]
    before = {letter.id: coordinator.journal.letters.get(letter.id) for letter in (one, other)}
    claims = {
        name: data.draw(st.sampled_from(NAMES)).format(id=one.id, other=other.id)
        for name in data.draw(
            st.sets(st.sampled_from(["id", "handoff_run", "handoff_step", "task", "parent_id"]))
        )
    }
    raw = as_raw(one, **claims)
    if data.draw(st.booleans()):
        raw = replace(raw, headers={**raw.headers, "handoff_run": other.run})
    if data.draw(st.booleans()):
        raw = replace(raw, body=data.draw(st.binary(max_size=20) | st.just(as_raw(other).body)))
    total = coordinator.journal.letters.total(state=None)
    row = coordinator.desk.receive(raw)
    assert {letter.id: coordinator.journal.letters.get(letter.id) for letter in (one, other)} == before
    assert coordinator.journal.letters.total(state=None) <= total + 1
    assert coordinator.journal.letters.get(row.id) is not None
    if not row.run:
        with contextlib.suppress(
            CoordinationError
        ):  # one that is all right but for what nobody reads is taken as what it is
            coordinator.skip(coordinator.desk.letter(row.id), thing(), why="nobody knows of what")


def test_what_nobody_can_read_is_not_skipped(coordinator: Coordinator) -> None:
    """A letter that is no message has no step to be skipped; one that is a message by now is skipped as the step of its run, not as nothing's."""
    shop = Shop()
    run, letter = parked(coordinator, shop)
    broken = coordinator.desk.receive(replace(as_raw(letter), body=b"{"))
    with pytest.raises(CoordinationError, match="cannot be read"):
        coordinator.skip(coordinator.desk.letter(broken.id), thing(), why="nobody knows of what")
    odd = coordinator.desk.receive(as_raw(letter, parent_id="\ud800"))
    assert not odd.run
    coordinator.skip(coordinator.desk.letter(odd.id), thing(), why="it is the same message")
    assert run.status() == "completed"


def test_an_event_that_nobody_hears_takes_no_letters_place(coordinator: Coordinator) -> None:
    """The same on the queue of unheard events, also for two that come together."""
    shop = Shop()
    _, letter = parked(coordinator, shop)
    before = coordinator.journal.letters.get(letter.id)
    raw = as_raw(letter, task=EVENT, handoff_event="shop.thing")
    event = _body(lambda parts, _: parts[1].update(event="shop.thing"))(raw)
    rows: list[LetterRow] = coordinator.desk.unheard(
        raw, event, _body(lambda _, one: one["data"].update(order="o-9"))(event)
    )
    assert len({row.id for row in rows}) == 3
    assert coordinator.journal.letters.get(letter.id) == before
    assert coordinator.journal.letters.total(state=None) == 4
