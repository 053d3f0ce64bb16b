"""Tracing: a run that a request starts belongs to the trace that the request brings, by the rules of W3C Trace Context."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import baggage, trace

from handoffs import Context, Contract, Coordinator, Flow, Key, agent
from handoffs.coordinator.console.tracing import brought_by
from handoffs.coordinator.messaging.trace_context import NONE, current
from tests.eager.command import have_loaded
from tests.eager.console.pages import Browser, console
from tests.spans import ids, parent, recording

TRACE, SPAN = "1234567890abcdef1234567890abcdef", "1234567890abcdef"
PARENT = f"00-{TRACE}-{SPAN}-01"
GIVEN: list[tuple[dict[str, str], object]] = []


class Job(Contract, name="traced.job", version=1):
    number: str = Key()


@agent("traced.work")
def work(job: Job, context: Context) -> Job:
    GIVEN.append((dict(context.trace_headers), baggage.get_baggage("tenant")))
    return job


FLOW = Flow("traced.flow", work)


@pytest.fixture
def browser(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """A browser on a console whose flow notes what its agent is given."""
    GIVEN.clear()
    have_loaded(coordinator, monkeypatch, FLOW)
    with console(coordinator) as found:
        yield found


def _start(browser: Browser, *headers: tuple[str, str]) -> dict[str, str]:
    """What the agent is given of a run that a request with these headers starts."""
    path, body = "/api/flows/traced.flow/runs", {"payload": {"number": str(len(GIVEN))}}
    response = browser.client.post(path, json=body, headers=list(headers))
    assert response.status_code == 200, response.text
    return GIVEN[-1][0]


def _brought(*headers: tuple[str, str]) -> dict[str, str]:
    return brought_by((name.encode(), value.encode("latin-1")) for name, value in headers).headers()


def test_a_run_belongs_to_the_trace_of_the_request(browser: Browser) -> None:
    """Its agent is given the caller's trace, state and baggage, and the baggage is current in it."""
    headers = {"traceparent": PARENT, "tracestate": "foo=1,bar=2", "baggage": "tenant=7"}
    assert _start(browser, *headers.items()) == headers
    assert GIVEN[-1][1] == "7"


def test_spans_are_below_the_request(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spans are recorded, all of them are in the caller's trace, one of them below the caller's span, and what an agent hands on
    names one of ours."""
    with recording(monkeypatch) as recorded:
        given = _start(browser, ("traceparent", PARENT), ("tracestate", "foo=1"))
        assert {ids(span)[0] for span in recorded.spans} == {int(TRACE, 16)}
        assert len([span for span in recorded.spans if parent(span) == int(SPAN, 16)]) == 1
        assert int(given["traceparent"][36:52], 16) in {ids(span)[1] for span in recorded.spans}
    assert given["tracestate"] == "foo=1"


def test_a_form_and_a_page_are_within_it(browser: Browser) -> None:
    """A run that is started by a form of a page belongs to the trace of its request as well."""
    browser.client.headers["traceparent"] = PARENT
    path = "/flows/traced.flow/start"
    browser.send(browser.get(path), path, {"data.number": "by a form"})
    assert GIVEN[-1][0]["traceparent"] == PARENT


def test_the_next_request_has_none_of_it(browser: Browser) -> None:
    """What a request brings ends with it."""
    _start(browser, ("traceparent", PARENT), ("baggage", "tenant=7"))
    given = _start(browser)
    assert given["traceparent"][3:35] != TRACE
    assert GIVEN[-1][1] is None
    assert current() == NONE


@pytest.mark.parametrize(
    "value",
    [
        f"{PARENT}.", f"{PARENT}-more", f"ff-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01.more", f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01", f".0-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN.upper()}-01", f"00-{TRACE}0-{SPAN}-01", f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}0-01", f"00-{TRACE}-{SPAN[1:]}-01", f"00-{TRACE}-{SPAN}-001", f"00-{TRACE}-{SPAN}-1", f"00-{TRACE}-{SPAN}-0.",
        f"{PARENT},{PARENT}", "", "-", "é" * 5000,
    ],
)  # fmt: skip
def test_an_invalid_parent_is_as_none(value: str) -> None:
    """With a wrong version, ids of zeros, capitals, or any part that is too long, too short or no number, nothing is brought; its state
    neither."""
    assert _brought(("traceparent", value), ("tracestate", "foo=1")) == {}


def test_a_request_with_an_invalid_parent_is_answered(browser: Browser) -> None:
    """It starts a run with a trace of its own."""
    given = _start(browser, ("traceparent", f"00-{TRACE}-{'0' * 16}-01"), ("tracestate", "foo=1"))
    assert given["traceparent"][3:35] not in (TRACE, "0" * 32)
    assert "tracestate" not in given


def test_several_parents_are_none(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody knows which of several is meant, also where they are alike: the run has a trace of its own, also where spans are recorded."""
    twice = ("traceparent", PARENT), ("traceparent", PARENT)
    assert _start(browser, *twice)["traceparent"][3:35] != TRACE
    with recording(monkeypatch) as recorded:
        assert _start(browser, *twice)["traceparent"][3:35] != TRACE
        assert int(TRACE, 16) not in {ids(span)[0] for span in recorded.spans}


@pytest.mark.parametrize("state", ["foo@=1,bar=2", "1foo=1", f"{'t' * 242}@v=1"])
def test_a_state_of_level_2_reaches_the_agent(
    state: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenTelemetry's API does not know its keys, and has no say in it, also where spans are recorded; they tell of it."""
    headers = ("traceparent", PARENT), ("tracestate", state)
    assert _start(browser, *headers)["tracestate"] == state
    with recording(monkeypatch) as recorded:
        assert _start(browser, *headers)["tracestate"] == state
        assert {span.context.trace_state.to_header() for span in recorded.spans if span.context} == {state}


def test_nothing_else_tells_of_a_request(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where spans are recorded, a request has none by FastAPI, which would tell what somebody has searched for."""
    with recording(monkeypatch) as recorded:
        browser.get("/runs?text=somebody-s-card")
        assert recorded.spans == []


@pytest.mark.parametrize(
    ("value", "found"),
    [(f"cc-{TRACE}-{SPAN}-01", PARENT), (f"cc-{TRACE}-{SPAN}-01-more", PARENT), (f" \t{PARENT}\t ", PARENT),
     (f"00-{TRACE}-{SPAN}-ff", f"00-{TRACE}-{SPAN}-03"), (f"00-{TRACE}-{SPAN}-00", f"00-{TRACE}-{SPAN}-00")],
)  # fmt: skip
def test_a_valid_parent_is_in_our_version(value: str, found: str) -> None:
    """A later version is read as far as ours goes, blanks around it and flags that nobody knows are left out."""
    assert _brought(("traceparent", value)) == {"traceparent": found}


MEMBERS = [f"k{number}={number}" for number in range(33)]


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (["foo=1 \t , \tbar=2"], "foo=1,bar=2"), (["foo=1", "", "bar=2"], "foo=1,bar=2"), (["foo=1,,bar=2,"], "foo=1,bar=2"),
        ([",".join(MEMBERS[:32])], ",".join(MEMBERS[:32])), ([",".join(MEMBERS)], ""), ([",".join(MEMBERS[:20]), ",".join(MEMBERS[20:])], ""),
        (["foo=1,bar=2,foo=3"], "foo=1,bar=2"), (["foo=1", "foo=1"], "foo=1"), (["FOO=1,bar=2"], ""), (["foo =1"], ""), (["foo.bar=1"], ""),
        (["foo@=1,bar=2"], "foo@=1,bar=2"), (["@foo=1,bar=2"], ""), (["foo@b@@c=1"], "foo@b@@c=1"), (["1foo=1"], "1foo=1"), (["_foo=1"], ""),
        (["foo=a=b"], ""), (["foo=,bar=3"], ""), (["foo"], ""), (["foo=é"], ""),
        ([f"{'z' * 256}=1"], f"{'z' * 256}=1"), ([f"{'z' * 257}=1"], ""), ([f"foo={'v' * 256}"], f"foo={'v' * 256}"), ([f"foo={'v' * 257}"], ""),
        ([f"{'t' * 242}@{'v' * 13}=1"], f"{'t' * 242}@{'v' * 13}=1"), ([f"{'t' * 242}@{'v' * 14}=1"], ""),
    ],
)  # fmt: skip
def test_a_state_is_taken_as_a_whole(values: list[str], found: str) -> None:
    """Several headers are one list, in their order, without blanks, with the keys of Level 2; of a key that is there twice the first member
    stays. One that is invalid, and more than 32, spoil all of it, and not the trace."""
    brought = _brought(("traceparent", PARENT), *(("tracestate", value) for value in values))
    assert brought == {"traceparent": PARENT} | ({"tracestate": found} if found else {})


def test_a_state_without_a_parent_is_none() -> None:
    """It says nothing by itself; baggage does."""
    assert _brought(("tracestate", "foo=1"), ("baggage", "a=1"), ("baggage", "b=2")) == {"baggage": "a=1,b=2"}


def test_a_long_state_is_shortened_by_members() -> None:
    """Members longer than 128 characters go first, and then the last ones, until 512 are left."""
    long, short = f"long={'x' * 200}", [f"k{number:02}={'y' * 60}" for number in range(9)]
    brought = _brought(("traceparent", PARENT), ("tracestate", ",".join([long, *short])))
    assert brought["tracestate"] == ",".join(short[:7])


@pytest.mark.parametrize("value", ["k=é", f"k={'x' * 9000}"])
def test_baggage_that_is_none_is_dropped(value: str) -> None:
    """The trace is not."""
    assert _brought(("traceparent", PARENT), ("baggage", value)) == {"traceparent": PARENT}


@pytest.mark.parametrize("value", ["k", "=", ";;;", "k=%", ",,,"])
def test_baggage_that_says_nothing_does_no_harm(value: str, browser: Browser) -> None:
    """The request is answered, within its trace."""
    assert _start(browser, ("traceparent", PARENT), ("baggage", value))["traceparent"] == PARENT


def test_a_span_of_the_server_stays(browser: Browser) -> None:
    """Where an instrumentation of the server has made a span current, the run is below that, and not in the trace that it has left."""
    other = trace.SpanContext(7, 7, True, trace.TraceFlags(1))
    app = browser.client.app

    async def instrumented(scope, receive, send):  # type: ignore[no-untyped-def]
        with trace.use_span(trace.NonRecordingSpan(other)):
            await app(scope, receive, send)

    browser.client.app = browser.client._transport.app = instrumented  # type: ignore[attr-defined]
    assert _start(browser, ("traceparent", PARENT))["traceparent"] == f"00-{7:032x}-{7:016x}-01"
