"""Runs are found by what people know of them: values, texts, errors, times; and it is said how many are how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import Field, SecretStr

from handoffs import Contract, Coordinator, Flow, Key, Permanent, Searchable, Sensitive, agent, each, wait_for
from handoffs.config.settings import load
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.observe.finding import FoundBy
from handoffs.coordinator.runtime.service import Service


class Line(Contract, name="search.line", version=1):
    sku: Annotated[str, Searchable] = Key()


class Order(Contract, name="search.order", version=1):
    order: Annotated[str, Searchable] = Key()
    amount: Annotated[Decimal, Searchable] = Decimal("1.50")
    card: Sensitive | None = None
    lines: list[Line] = Field(default_factory=list)


class Paid(Contract, name="search.paid", version=1):
    payment: Annotated[str, Searchable]
    lines: list[Line] = Field(default_factory=list)


class Told(Contract, name="search.told", version=1):
    number: Annotated[str, Searchable] = Key()


class Packed(Contract, name="search.packed", version=1):
    boxes: list[Told]


class Approval(Contract, name="search.approval", version=1):
    ticket: Annotated[str, Searchable]


@agent("search.pay")
def pay(order: Order) -> Paid:
    if order.order.startswith("bad"):
        raise Permanent(f"no money for {order.order}")
    return Paid(payment=f"p-{order.order}", lines=order.lines)


@agent("search.pack")
def pack(line: Line) -> Told:
    return Told(number=f"box-{line.sku}")


@agent("search.send")
def send(packed: Packed) -> Packed:
    return packed


@agent("search.approve")
def approve(approval: Approval) -> Approval:
    return approval


ORDERS = Flow("search.orders", pay)
ASKS = Flow("search.asks", pay >> wait_for("approval", Approval) >> approve)


@pytest.fixture
def coordinator(tmp_path: Any) -> Any:
    """A coordinator in eager mode whose journal is a file."""
    with Coordinator(load(eager=True, journal_url=f"sqlite:///{tmp_path}/journal.sqlite3")) as made:
        yield made


@pytest.fixture(params=["on the way", "in the journal"])
def written(request: pytest.FixtureRequest, coordinator: Coordinator) -> Any:
    """What has the history in the journal, or leaves it where it is."""

    def write() -> None:
        if request.param == "in the journal":
            Service(coordinator.engine, coordinator.journal).drain_history()
            assert coordinator.lag().entries == 0

    return write


def ids(runs: Any) -> list[str]:
    return [run.id for run in runs]


def test_runs_are_found_by_what_they_were_given_and_have_made(coordinator: Coordinator, written: Any) -> None:
    """By each value, exactly and together; also where the history is on its way to the journal."""
    first = coordinator.start(ORDERS, Order(order="o-17", card=SecretStr("4711-4711")))
    other = coordinator.start(ORDERS, Order(order="O-17", amount=Decimal("2.0")))
    written()
    assert ids(coordinator.runs(where={"order": "o-17"})) == [first.id]
    assert ids(coordinator.runs(where={"payment": "p-O-17"})) == [other.id]
    assert ids(coordinator.runs(where={"amount": Decimal("2.0"), "order": "O-17"})) == [other.id]
    assert coordinator.runs(where={"amount": "1.50", "order": "O-17"}) == []
    assert coordinator.runs(where={"payment": "o-17"}) == []
    assert "4711-4711" not in str(coordinator.journal.search.of(first.id)) + str(first.history().to_json())


def test_a_run_is_found_by_the_signal_that_it_got_and_by_what_a_person_gave(
    coordinator: Coordinator, written: Any
) -> None:
    """As it is by what agents have made."""
    asked = coordinator.start(ASKS, Order(order="o-1"))
    asked.signal("approval", Approval(ticket="t-9"), by="ann")
    skipped = coordinator.start(ORDERS, Order(order="bad-1"))
    coordinator.skip(skipped.letters()[0], Paid(payment="cash-1"), by="ann", why="paid in cash")
    edited = coordinator.start(ORDERS, Order(order="bad-2"))
    coordinator.edit(edited.letters()[0], Order(order="good-2"), by="ann", why="a misprint")
    written()
    assert ids(coordinator.runs(where={"ticket": "t-9"})) == [asked.id]
    assert ids(coordinator.runs(where={"payment": "cash-1"})) == [skipped.id]
    assert ids(coordinator.runs(where={"order": "good-2"})) == [edited.id]
    assert ids(coordinator.runs(where={"order": "bad-2"})) == [edited.id]


def test_what_an_item_of_a_list_was_given_finds_its_run(coordinator: Coordinator, written: Any) -> None:
    """Also where what comes of it does not say it again."""

    flow = Flow("search.each", pay >> each("lines", pack, into="boxes") >> send)
    run = coordinator.start(flow, Order(order="o-2", lines=[Line(sku="s-1"), Line(sku="s-2")]))
    assert run.status() == "completed"
    written()
    assert ids(coordinator.runs(where={"sku": "s-2"})) == [run.id]
    assert ids(coordinator.runs(where={"number": "box-s-1"})) == [run.id]


def test_one_text_finds_whatever_it_is(coordinator: Coordinator, written: Any) -> None:
    """An id or its beginning, a key, a value, a letter, a flow, an agent, an error: what it is exactly comes first."""
    good = coordinator.start(ORDERS, Order(order="o-17"), idempotency_key="key-1")
    bad = coordinator.start(ORDERS, Order(order="bad"))
    [letter] = bad.letters()
    story = coordinator.emit(Told(number="n-1"))
    written()

    def found(text: str) -> set[tuple[FoundBy, str]]:
        return {(one.by, one.run) for one in coordinator.search(text)}

    assert (FoundBy.RUN, good.id) in found(good.id)
    assert (FoundBy.RUN, good.id) in found(good.id[:8])
    assert (FoundBy.KEY, good.id) in found("key-1")
    assert (FoundBy.KEY, good.id) in found("key")
    assert found("o-17") == {(FoundBy.FIELD, good.id)}
    assert (FoundBy.FIELD, good.id) in found(" p-o ")
    assert (FoundBy.LETTER, bad.id) in found(letter.id)
    assert found("search.orders") == {(FoundBy.FLOW, good.id), (FoundBy.FLOW, bad.id)}
    assert found("search.pay") == {(FoundBy.AGENT, bad.id)}
    assert found("Permanent") == {(FoundBy.ERROR, bad.id)}
    assert (FoundBy.KIND, bad.id) in found("error")
    assert (FoundBy.FIELD, story.id) in found("n-1")
    assert found("o-170") == found("\x00") == found("\ud800") == found("x" * 1_000) == set()
    [one] = coordinator.search("o-17")
    assert (one.exact, one.field, one.flow, one.status) == (True, "order", "search.orders", "completed")
    assert set(one.to_json()) == {"by", "value", "exact", "run", "flow", "letter", "field", "status", "at"}
    assert len(coordinator.search("search.orders", limit=1)) == 1
    assert set(ids(coordinator.runs(text="o-17"))) == {good.id}
    assert coordinator.runs(text="nothing") == []


def test_runs_are_chosen_by_error_and_by_time_and_read_on(coordinator: Coordinator, written: Any) -> None:
    """A page begins after the last run of the one before it."""
    runs = [
        coordinator.start(ORDERS, Order(order=f"{'bad' if number % 2 else 'o'}-{number}"))
        for number in range(6)
    ]
    now = datetime.now(UTC)
    written()
    assert {run.key for run in coordinator.runs(error="Permanent")} == {"bad-1", "bad-3", "bad-5"}
    assert len(coordinator.runs(error="error")) == 3
    assert coordinator.runs(error="ValueError") == []
    assert coordinator.runs(until=now - timedelta(hours=1)) == []
    assert len(coordinator.runs(since=now - timedelta(hours=1), until=now + timedelta(hours=1))) == 6
    whole, pages, before = ids(coordinator.runs()), [], ""
    while page := coordinator.runs(limit=2, before=before):
        pages += ids(page)
        before = page[-1].cursor
    assert pages == whole
    assert sorted(whole) == sorted(run.id for run in runs)
    assert [run.key for run in coordinator.runs(status="parked", before=coordinator.runs()[0].cursor)]


def test_it_is_said_how_many_runs_are_how(coordinator: Coordinator, written: Any) -> None:
    """By status as tables call it, by flow, and by when they were accepted; narrowed down as lists are."""
    for number in range(3):
        coordinator.start(ORDERS, Order(order=f"o-{number}"))
    coordinator.start(ORDERS, Order(order="bad"))
    coordinator.start(ASKS, Order(order="o-9"))
    written()
    facets = coordinator.run_facets()
    assert dict(facets.statuses) == {"completed": 3, "parked": 1, "waiting": 1}
    assert dict(facets.flows) == {"search.orders": 4, "search.asks": 1}
    assert (facets.total, facets.more) == (5, False)
    assert coordinator.run_facets(status="parked").total == 1
    assert coordinator.run_facets(status="completed").total == 3
    assert coordinator.run_facets(where={"order": "o-1"}).total == 1
    assert coordinator.run_facets(waiting=True).flows == {"search.asks": 1}
    assert coordinator.run_facets(flow="search.none").to_json()["total"] == 0
    assert len(facets.started) <= 150


@pytest.mark.parametrize(
    ("span", "part", "parts"),
    [
        (timedelta(), timedelta(minutes=1), 0),
        (timedelta(hours=2), timedelta(minutes=1), 120),
        (timedelta(hours=20), timedelta(minutes=10), 120),
        (timedelta(days=5), timedelta(hours=1), 120),
        (timedelta(days=100), timedelta(days=1), 100),
        (timedelta(days=5_000), timedelta(days=1), 149),
    ],
)
def test_a_chart_has_so_many_parts(
    coordinator: Coordinator, span: timedelta, part: timedelta, parts: int
) -> None:
    """However long the time is."""
    until = datetime(2026, 12, 1, tzinfo=UTC)
    facets = coordinator.run_facets(since=until - span, until=until)
    assert facets.part == part
    assert len(facets.started) == parts
    assert facets.counted_since is None


def test_when_runs_were_accepted_is_counted_by_the_journal(coordinator: Coordinator) -> None:
    """In the part of the chart in which that was."""
    for number in range(3):
        coordinator.start(ORDERS, Order(order=f"o-{number}"))
    Service(coordinator.engine, coordinator.journal).drain_history()
    facets = coordinator.run_facets(until=datetime.now(UTC) + timedelta(minutes=1))
    assert sum(one.runs for one in facets.started) == 3
    assert facets.to_json()["started"][-1]["at"].endswith("+00:00")


@pytest.mark.parametrize(
    "chosen",
    [
        {"where": "order"}, {"where": {"order": ""}}, {"where": {"order": None}}, {"where": {"order": 1.5}}, {"where": {17: "x"}},
        {"where": {"": "x"}}, {"until": "now"}, {"until": datetime.now(UTC).replace(tzinfo=None)}, {"error": 17}, {"before": "x"}, {"before": 17},
        {"text": " "}, {"text": 17}, {"named": "x"},
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_in_a_line(coordinator: Coordinator, chosen: Any) -> None:
    """And nothing is looked up."""
    with pytest.raises(InvalidData) as refused:
        coordinator.runs(**chosen)
    assert "nothing was looked up" in str(refused.value)


@pytest.mark.parametrize("call", [("", 5), ("x", 0), ("x", 1_001), ("x", True), ("x", None), (None, 5)])
def test_what_cannot_be_searched_is_refused_in_a_line(coordinator: Coordinator, call: Any) -> None:
    """An empty text, and a limit that is none."""
    with pytest.raises(InvalidData, match="nothing was looked up"):
        coordinator.search(call[0], limit=call[1])
