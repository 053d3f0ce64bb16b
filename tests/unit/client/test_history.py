"""The history of a run and its dead letters, as programs and tests look at them."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handoffs import (
    Contract,
    ContractRef,
    EntryKind,
    FailureKind,
    History,
    HistoryEntry,
    Letters,
    NotOne,
    agent,
)
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.history import Entry


class Order(Contract, name="told.order", version=1):
    number: str


@agent("shop.charge")
def charge(order: Order) -> Order:
    return order


def entry(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, "run": "r", "flow": "shop.order", "at": "2026-12-01T10:00:00.500+00:00", **fields}


ENTRIES = [
    entry("started", wrote="shop.order-placed/2", input={"number": "17"}, key="17"),
    entry("settled", step="1", agent="shop.fraud", attempt=1, read="a/1", wrote="b/3", output={"ok": True}),
    entry("retried", step="2", agent="shop.charge", attempt=1, error="Transient: busy", wait_ms=1500),
    entry("waits", step="2", agent="shop.charge", attempt=2, error="Transient: later: at noon"),
    entry(
        "parked", step="2", agent="shop.charge", attempt=2, error="error: ValueError: no: money", trace="t"
    ),
    entry("replayed", step="2", agent="shop.charge", by="ann", why="there is money"),
    entry("skipped", step="2", agent="shop.charge", by="ann", error="paid in cash", output={}),
]
HISTORY = History.read(ENTRIES)


def test_what_tests_ask_of_a_history() -> None:
    """A history says which agents have their outcome, how many attempts were made, and what there is of an agent, a step or a kind."""
    assert HISTORY.steps == ["shop.fraud", "shop.charge"]
    assert HISTORY.kinds == [one["kind"] for one in ENTRIES]
    assert HISTORY.attempts("shop.charge") == HISTORY.attempts(charge) == HISTORY.attempts("2") == 2
    assert HISTORY.attempts("shop.nobody") == 0
    assert HISTORY.of("shop.charge") == HISTORY.of(charge) == HISTORY.of("2") == HISTORY[2:]
    assert HISTORY.of("shop.charge").kind(EntryKind.PARKED) == HISTORY.kind("parked") == [HISTORY[4]]
    assert HISTORY.only("parked") is HISTORY[4]
    assert HISTORY.of("shop.fraud").only().output == {"ok": True}
    assert not HISTORY.of("shop.nobody")


def test_what_an_entry_says() -> None:
    """An entry has its fields with types: kinds, contracts, times, and of an error its reason, its class and its text."""
    started, fraud, retried, waits, parked, replayed, skipped = HISTORY
    assert (started.kind, started.contract, started.input) == (
        EntryKind.STARTED,
        ContractRef("shop.order-placed", 2),
        {"number": "17"},
    )
    assert started.at == datetime(2026, 12, 1, 10, 0, 0, 500_000, UTC)
    assert (fraud.step, fraud.agent, fraud.attempt) == ("1", "shop.fraud", 1)
    assert (fraud.read, fraud.wrote, fraud.contract) == (
        ContractRef("a", 1),
        ContractRef("b", 3),
        ContractRef("b", 3),
    )
    assert (retried.reason, retried.error_class, retried.detail) == ("", "Transient", "busy")
    assert (retried.wait, fraud.wait) == (timedelta(seconds=1.5), None)
    assert (waits.error_class, waits.detail) == ("Transient", "later: at noon")
    assert (parked.reason, parked.error_class, parked.detail) == (
        FailureKind.ERROR,
        "ValueError",
        "no: money",
    )
    assert (replayed.by, replayed.why, replayed.error) == ("ann", "there is money", "")
    assert (skipped.why, skipped.error, skipped.error_class) == ("paid in cash", "", "")


def test_an_entry_is_the_mapping_that_is_printed_too() -> None:
    """An entry is a mapping of the JSON values that it was written as, and so is what ``--json`` prints."""
    assert HISTORY[0]["kind"] == "started"
    assert HISTORY[0].get("by") is None
    assert HISTORY.to_json() == ENTRIES == HISTORY
    assert {**HISTORY[1]} == ENTRIES[1]
    assert json.loads(json.dumps(HISTORY.to_json())) == ENTRIES


def test_nothing_of_it_can_be_set() -> None:
    """An entry cannot be changed; a copy of a history, a pickled one too, is equal to it."""
    with pytest.raises(AttributeError, match="does not change"):
        HISTORY[0].kind = "parked"  # type: ignore[misc]
    with pytest.raises(AttributeError, match="does not change"):
        del HISTORY[0].kind
    assert copy.deepcopy(HISTORY) == HISTORY == pickle.loads(pickle.dumps(HISTORY))


def test_only_one() -> None:
    """Where there is not one, a test fails by an error that lists what there is."""
    with pytest.raises(NotOne) as raised:
        HISTORY.of("shop.charge").only()
    assert isinstance(raised.value, AssertionError)
    assert str(raised.value) == (
        "there are 5 entry of the history, where one is expected; these are there: "
        "retried 2 shop.charge attempt 1: Transient: busy; waits 2 shop.charge attempt 2: Transient: later: at noon; "
        "parked 2 shop.charge attempt 2: error: ValueError: no: money; replayed 2 shop.charge; skipped 2 shop.charge; "
        'narrow it down first, as in .of("shop.price").only(), or look at each'
    ).replace("5 entry of the history", "5 entries of the history")
    with pytest.raises(
        NotOne, match="there is no dead letter, where one is expected; there is nothing at all"
    ):
        Letters().only()
    with pytest.raises(
        NotOne, match=r"no entry of the history of the kind late, .*: started; settled 1 shop.fraud;"
    ):
        HISTORY.only("late")
    many = History.read(entry("retried", step="1", agent="a", attempt=one) for one in range(1, 40))
    with pytest.raises(NotOne, match=r"there are 39 .*; and 19 more;"):
        many.only()


def test_what_is_asked_for_wrongly() -> None:
    """A word that is no kind, and what is no agent, are refused with what there is to choose from."""
    with pytest.raises(InvalidData, match="of the kind 'prked'; nothing was looked for; give one of started"):
        HISTORY.kind("prked")
    with pytest.raises(InvalidData, match=r"of the kind 'parked'; .* give one of error, "):
        Letters().only("parked")


@given(
    st.dictionaries(
        st.sampled_from(Entry.__slots__),
        st.none() | st.integers() | st.text() | st.floats() | st.lists(st.text()),
    )
)
def test_whatever_is_written_there(fields: dict[str, Any]) -> None:
    """However odd an entry is that others have written, each attribute of it is there, and it has its words."""
    odd = HistoryEntry(fields)
    for name in vars(HistoryEntry):
        if isinstance(vars(HistoryEntry)[name], property):
            getattr(odd, name)
    history = History([odd])
    assert repr(odd) in f"<{odd.told()}>"
    assert len(history.steps) <= 1
    assert odd.told() in repr(history)
