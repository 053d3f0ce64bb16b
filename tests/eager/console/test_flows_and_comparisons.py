"""Flows and comparisons: what is loaded, runs that are started from a page or by a program, and two runs side by side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from handoffs import Contract, Coordinator, Flow, Key, Sensitive, agent
from tests.eager.command import have_loaded
from tests.eager.console.pages import Browser, console
from tests.eager.office import Office, Order


class Crate(Contract, name="office.crate", version=1):
    number: str = Key()
    pieces: int = 7
    pin: Sensitive = SecretStr("p-1")
    note: str | None = None


@agent("office.crate")
def crate(given: Crate) -> Crate:
    return given


@pytest.fixture
def browser(office: Office) -> Iterator[Browser]:
    """A browser on the office, by somebody who may do all."""
    with console(office.coordinator) as found:
        yield found


def test_flows_are_listed_and_drawn(browser: Browser) -> None:
    """With their agents, what they start with and the signals that they wait for; each is drawn as it is nested."""
    told = browser.json("/flows.json")["flows"]
    assert [(one["flow"], one["accepts"], one["signals"]) for one in told] == [
        ("office.prices", "office.order/1", []),
        ("office.asks", "office.order/1", ["approval"]),
        ("office.files", "office.order/1", []),
    ]
    assert 'href="/flows/office.asks/start"' in browser.get("/flows")
    page = browser.get("/flows/office.asks")
    assert [name for name in ("office.price", "wait for approval", "office.ship") if name in page] == [
        "office.price",
        "wait for approval",
        "office.ship",
    ]
    assert [one["kind"] for one in browser.json("/api/flows/office.asks")["steps"]] == [
        "agent",
        "wait",
        "agent",
    ]


def test_a_run_is_started_by_a_form(office: Office, browser: Browser) -> None:
    """The form is of the flow's contract, and leads to the run; the same key again leads to the same run, and says so."""
    page = browser.get("/flows/office.prices/start")
    after = browser.send(page, "/flows/office.prices/start", {"data.number": "new", "key": "k-1"})
    [run] = re.findall(r'<code class="whole">([^<]*)</code>', after)
    assert office.coordinator.run(run).result(0) == Order(number="new")
    again = browser.send(page, "/flows/office.prices/start", {"data.number": "new", "key": "k-1"})
    assert "has that key already" in again
    assert run in again


def test_a_form_says_what_holds_where_nothing_is_given(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defaults of the contract, but for those of secrets and for null."""
    have_loaded(coordinator, monkeypatch, Flow("office.crates", crate))
    with console(coordinator) as browser:
        page = browser.get("/flows/office.crates/start")
    assert "7 where nothing is given" in page
    assert page.count("where nothing is given") == 1


def test_a_form_that_does_not_fit_starts_nothing(office: Office, browser: Browser) -> None:
    """What is wrong is said, and another input under a key that is there is a conflict."""
    path = "/flows/office.prices/start"
    before = len(office.coordinator.runs(limit=None))
    back = browser.send(browser.get(path), path, {"data.number": "n" * 5, "key": "k" * 20_000}, status=422)
    assert "Nothing was done: the idempotency key" in back
    assert 'value="nnnnn"' in back
    assert len(office.coordinator.runs(limit=None)) == before
    browser.send(browser.get(path), path, {"data.number": "new", "key": "k-1"})
    browser.send(browser.get(path), path, {"data.number": "other", "key": "k-1"}, status=409)


def test_a_program_starts_runs(office: Office, browser: Browser) -> None:
    """With a payload and, if it wants, a key; the answer names the run, and whether it is new."""
    told = browser.post("/api/flows/office.prices/runs", {"payload": {"number": "p-1"}, "key": "k-2"})
    assert (told["flow"], told["status"], told["created"]) == ("office.prices", "completed", True)
    assert told["location"] == f"/runs/{told['run']}"
    assert (
        browser.post("/api/flows/office.prices/runs", {"payload": {"number": "p-1"}, "key": "k-2"})["created"]
        is False
    )
    assert office.coordinator.run(told["run"]).key() == "k-2"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("office.none", {"payload": {}}, 404), ("office.prices", {}, 422), ("office.prices", {"payload": []}, 422), ("office.prices", {"payload": {}}, 422),
     ("office.prices", {"payload": {"number": 5}}, 422), ("office.prices", {"payload": {"number": "x"}, "key": 5}, 422),
     ("office.prices", {"payload": {"number": "\ud800"}}, 422), ("office.prices", {"payload": {"number": "x"}, "extra": 1}, 422)],
)  # fmt: skip
def test_what_cannot_be_started_is_refused(path: str, body: Any, status: int, browser: Browser) -> None:
    """With a typed error, whatever it is."""
    import json  # noqa: PLC0415 - a lone surrogate is written as its escape

    response = browser.client.post(
        f"/api/flows/{path}/runs", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert response.status_code == status, response.text


def test_two_runs_are_compared_step_by_step(office: Office, browser: Browser) -> None:
    """In what each step differs, with what was given and made in both; and from the other side."""
    left, right = office.done.id, office.failed.id
    told = browser.json(f"/runs/compare.json?left={left[:8]}&right={right}")
    assert (told["left"]["status"], told["right"]["status"], told["differing"], told["total"]) == (
        "completed",
        "parked",
        2,
        2,
    )
    begun, step = told["steps"]
    assert (begun["step"], begun["differs"], begun["input"]) == (
        "", ["input"], [{"path": "number", "kind": "changed", "left": "good", "right": "bad"}],
    )  # fmt: skip
    assert step["differs"] == ["outcome", "input", "output", "error"]
    page = browser.get(f"/runs/compare?left={left}&right={right}")
    assert "2 of 2 steps differ" in page
    assert f"coordinator runs compare {left} {right}" in page
    assert "no price for bad" in page
    assert "null" not in page  # what was never made is not there
    assert (
        browser.json(f"/runs/compare.json?left={right}&right={left}")["steps"][0]["input"][0]["left"] == "bad"
    )


def test_a_run_is_like_itself(office: Office, browser: Browser) -> None:
    """No step differs; all of them can be looked at."""
    both = f"left={office.done.id}&right={office.done.id}"
    assert "alike in every step" in browser.get(f"/runs/compare?{both}")
    assert [one["differs"] for one in browser.json(f"/api/runs/compare?{both}&all=true")["steps"]] == [[], []]


def test_two_runs_are_chosen_by_a_form(office: Office, browser: Browser) -> None:
    """The page has it where none is named; it keeps what was typed, and says at its field what names no run."""
    page = browser.get("/runs/compare")
    assert 'action="/runs/compare"' in page
    assert 'value="none-such"' in browser.get(
        f"/runs/compare?left=none-such&right={office.done.id}", status=404
    )
    page = browser.get("/runs/compare?left=none-such&right=", status=200)
    assert 'value="none-such"' in page
    assert 'href="/runs/compare"' in browser.get("/runs")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "left=x",
        "left=&right=",
        "left=none-such&right=none-such",
        "left=%00&right=%00",
        f"left={'x' * 301}&right=x",
    ],
)
def test_what_cannot_be_compared_is_refused(query: str, browser: Browser) -> None:
    """404 or 422, with words."""
    response = browser.client.get(f"/api/runs/compare?{query}")
    assert response.status_code in (404, 422)
    assert response.json()["cause"]
