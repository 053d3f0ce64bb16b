"""The spans of one handoff, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry import trace

from handoffs import Contract, Flow, Key, agent
from handoffs.contracts.envelope import trace_of
from handoffs.coordinator.dispatch.requests import Asking, Invoke, Publish
from handoffs.coordinator.handoff.attempt import Attempted
from handoffs.coordinator.handoff.failure import Failure, FailureKind
from handoffs.coordinator.handoff.outcome import Done, Outcome, Park, Postpone, Reason
from handoffs.coordinator.handoff.spans import recorded, tell_usage
from handoffs.coordinator.messaging.delivery import Delivery
from handoffs.coordinator.messaging.message import Message
from handoffs.coordinator.messaging.trace_context import LINKS, current
from handoffs.coordinator.store.performing import driven
from tests.deliveries import deliver, start
from tests.spans import Recorded, ids, linked, parent, recording, told

TRACE = "a" * 32
PARENT = f"00-{TRACE}-{'b' * 16}-01"


class Job(Contract, name="spanned.job", version=1):
    number: str = Key()


@agent("spanned.work")
def work(job: Job) -> Job:
    return job


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    with recording(monkeypatch) as found:
        yield found


def _delivery(**headers: Any) -> Delivery:
    [message] = start(Flow("spanned.flow", work), Job(number="1"))
    came = deliver(message)
    return replace(came, headers={**came.headers, "traceparent": PARENT, **headers})


def _perform(asking: Asking[Outcome], answer: Callable[[Any], Any] = lambda request: None) -> Outcome:
    return driven(asking, answer)


def _ends(outcome: Outcome) -> Asking[Outcome]:
    yield Publish(())
    return outcome


def test_nothing_is_recorded_where_nobody_wants_it() -> None:
    """Then a handoff asks for what it asks for, and nothing is around it."""
    asking = _ends(Done("settled"))
    assert recorded(asking, _delivery(), "spanned.work") is asking


def test_the_tree(spans: Recorded) -> None:
    """The handoff is a child of the span that its message came from; the work of the agent and what is published are in it, and what is
    published goes on with the span that publishes it."""
    sent: list[Message] = []
    seen: list[str] = []

    def working() -> Attempted:
        seen.append(current().parent)
        return Attempted(7)

    def asking() -> Asking[Outcome]:
        seen.append(current().parent)
        yield Invoke(lambda: None)  # something of ours
        found = yield Invoke(working, work=True)
        assert found == Attempted(7)
        [made] = start(Flow("spanned.next", work), Job(number="2"))
        yield Publish((made,))
        return Done("settled spanned.job/1")

    def answer(request: Any) -> Any:
        if isinstance(request, Publish):
            assert current().parent == ""  # nothing is current while it is performed
            sent.extend(request.messages)
            return None
        return request.function()

    assert _perform(recorded(asking(), _delivery(), "spanned.work"), answer) == Done("settled spanned.job/1")
    assert spans.tree() == [
        "handoff spanned.work (settled)",
        "  agent spanned.work",
        "  publish spanned.work",
    ]
    handoff, at_work, published = spans.spans
    assert (ids(handoff)[0], parent(handoff)) == (int(TRACE, 16), int("b" * 16, 16))
    assert [one[36:52] for one in seen] == [f"{ids(one)[1]:016x}" for one in (handoff, at_work)]
    assert sent[0].headers["traceparent"][3:52] == f"{TRACE}-{ids(published)[1]:016x}"
    assert sent[0].headers["traceparent"] in sent[0].body
    came = _delivery()
    assert dict(told(handoff)) == {
        "messaging.system": "rabbitmq",
        "messaging.operation.type": "process",
        "messaging.destination.name": "spanned.work",
        "messaging.message.id": came.id,
        "messaging.message.conversation_id": came.run,
        "handoff.run": came.run,
        "handoff.flow": "spanned.flow",
        "handoff.step": "1",
        "handoff.agent": "spanned.work",
        "handoff.attempt": 1,
        "handoff.outcome": "settled",
    }
    kinds = [span.kind for span in (handoff, at_work, published)]
    assert kinds == [trace.SpanKind.CONSUMER, trace.SpanKind.INTERNAL, trace.SpanKind.PRODUCER]


def test_a_message_of_a_run_that_nobody_recorded(spans: Recorded) -> None:
    """It has the trace of its run: so all handoffs of a run are in one trace, also where they begin side by side."""
    came = _delivery()
    came = replace(
        came, headers={name: value for name, value in came.headers.items() if name != "traceparent"}
    )
    _perform(recorded(_ends(Done("settled")), came, "spanned.work"))
    assert f"{ids(spans.only('handoff spanned.work'))[0]:032x}" == trace_of(came.run)


def test_a_header_that_is_none(spans: Recorded) -> None:
    """A malformed header, or one that links to nothing, harms nobody."""
    came = _delivery(traceparent="00-x", **{LINKS: "one two"})
    assert _perform(recorded(_ends(Done("settled")), came, "spanned.work")) == Done("settled")
    assert linked(spans.only("handoff spanned.work")) == set()


def test_what_was_not_sampled_is_not_recorded(spans: Recorded) -> None:
    """Whoever began the trace has decided that; what comes after it is told so."""
    sent: list[Message] = []

    def asking() -> Asking[Outcome]:
        [made] = start(Flow("spanned.next", work), Job(number="2"))
        yield Publish((made,))
        return Done("settled")

    _perform(
        recorded(asking(), _delivery(traceparent=f"{PARENT[:-1]}0"), "spanned.work"),
        lambda request: sent.extend(request.messages),
    )
    assert spans.spans == []
    assert (sent[0].headers["traceparent"][:36], sent[0].headers["traceparent"][-3:]) == (
        PARENT[:36],
        "-00",
    )


def _park() -> Park:
    failure = Failure(FailureKind.ERROR, "Broken", "for s3cret", "m", "spanned.work", 1, "2026-01-01")
    return Park(failure, ValueError("s3cret"))


def _postpone(reason: Reason, error: BaseException | None = None) -> Postpone:
    return Postpone(timedelta(), _delivery().again(attempt=2), reason, str(reason), 2, error=error)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Done("deduplicated spanned.job/1 run=1"), {"handoff.outcome": "deduplicated"}),
        (_postpone(Reason.BUSY), {"handoff.outcome": "postponed", "handoff.reason": "busy"}),
        (
            _postpone(Reason.FAILED, ValueError("s3cret")),
            {"handoff.outcome": "retried", "error.type": "ValueError"},
        ),
        (_park(), {"handoff.outcome": "parked", "error.type": "Broken"}),
    ],
)
def test_how_it_ends(spans: Recorded, outcome: Outcome, said: dict[str, str]) -> None:
    """The span says how the handoff has ended, that it has failed where it has, and nothing of what an error says."""
    _perform(recorded(_ends(outcome), _delivery(), "spanned.work"))
    span = spans.only("handoff spanned.work")
    assert {name: told(span).get(name) for name in said} == said
    failed = span.status.status_code is trace.StatusCode.ERROR
    assert failed == ("error.type" in said)
    assert "s3cret" not in span.to_json()


def test_the_next_attempt_links_to_the_one_that_failed(spans: Recorded) -> None:
    """And one that is only put off does not."""
    failed = _perform(recorded(_ends(_postpone(Reason.FAILED, ValueError())), _delivery(), "spanned.work"))
    assert isinstance(failed, Postpone)
    again = replace(_delivery(), headers={**_delivery().headers, **failed.message.headers})
    put_off = _perform(recorded(_ends(_postpone(Reason.BUSY)), again, "spanned.work"))
    first, second = spans.named("handoff spanned.work")
    assert linked(second) == {ids(first)[1]}
    assert isinstance(put_off, Postpone)
    assert LINKS not in put_off.message.headers


@pytest.mark.parametrize("error", [ValueError("s3cret"), KeyboardInterrupt()])
def test_what_breaks_off(spans: Recorded, error: BaseException) -> None:
    """An error that the handoff does not deal with leaves it as it would without spans, and is told by its name."""

    def answer(request: Any) -> Any:
        raise error

    with pytest.raises(type(error)) as found:
        _perform(recorded(_ends(Done("settled")), _delivery(), "spanned.work"), answer)
    assert found.value is error
    span = spans.only("handoff spanned.work")
    assert (told(span)["handoff.outcome"], told(span)["error.type"]) == ("broken-off", type(error).__name__)
    assert "s3cret" not in span.to_json()


def test_a_handoff_that_is_given_up(spans: Recorded) -> None:
    """Nobody performs what it asks for any more: its span ends, and so does what asks."""
    ended: list[bool] = []

    def asking() -> Asking[Outcome]:
        try:
            yield Publish(())
        finally:
            ended.append(True)
        return Done("settled")

    one = recorded(asking(), _delivery(), "spanned.work")
    next(one)
    one.close()
    assert ended == [True]
    assert told(spans.only("handoff spanned.work"))["handoff.outcome"] == "broken-off"


def test_what_asks_deals_with_an_error(spans: Recorded) -> None:
    """An error of what is asked for is thrown into the handoff, which may go on."""

    def asking() -> Asking[Outcome]:
        try:
            yield Publish(())
        except OSError:
            return Done("late")
        raise AssertionError

    def answer(request: Any) -> Any:
        raise OSError("no")

    assert _perform(recorded(asking(), _delivery(), "spanned.work"), answer) == Done("late")
    handoff, published = spans.spans
    assert told(handoff)["handoff.outcome"] == "late"
    assert told(published)["error.type"] == "OSError"


def test_work_that_nobody_waits_for(spans: Recorded) -> None:
    """In an event loop the span of the agent's work ends when the work does; its error is told by name, and what it has used up."""
    told_later: list[Callable[[Any], None]] = []

    def begin(tell: Callable[[Any], None]) -> None:
        tell_usage(lambda: {"tokens": 5, "cost": 1_500_000_000, "input_tokens": 3, "searches": 1}, "one")
        told_later.append(tell)

    def asking() -> Asking[Outcome]:
        found = yield Invoke(lambda: None, begin, work=True)
        assert isinstance(found.error, ValueError)
        return Done("late")

    one = recorded(asking(), _delivery(), "spanned.work")
    request = next(one)
    assert isinstance(request, Invoke)
    assert request.begin is not None
    found: list[Any] = []
    request.begin(found.append)
    assert spans.spans == []
    told_later[0](Attempted(error=ValueError("s3cret")))
    with pytest.raises(StopIteration):
        one.send(found[0])
    at_work = spans.only("agent spanned.work")
    assert dict(told(at_work)) == {
        "handoff.run": _delivery().run,
        "handoff.flow": "spanned.flow",
        "handoff.step": "1",
        "handoff.agent": "spanned.work",
        "handoff.attempt": 1,
        "gen_ai.request.model": "one",
        "gen_ai.usage.total_tokens": 5,
        "gen_ai.usage.cost": 1.5,
        "gen_ai.usage.input_tokens": 3,
        "handoff.usage.searches": 1,
        "error.type": "ValueError",
    }


def test_usage_of_nobody(spans: Recorded) -> None:
    """What is used up where no agent's work is recorded is told nobody."""
    tell_usage(dict, "one")
    assert spans.spans == []
