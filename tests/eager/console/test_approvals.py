"""Approvals: what runs wait for, on a page, as JSON, and answered with a form of its contract."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Sensitive, agent, constant, wait_for
from handoffs.config.console import ConsoleSettings, Role, Token
from tests.eager.command import have_loaded
from tests.eager.console.pages import Browser, console
from tests.eager.office import Approval, Order, price, ship

WORDS = {role: f"{role}-".ljust(40, "x") for role in Role}
GUARDED = ConsoleSettings(tokens=tuple(Token.read(f"{role}:{role}:{word}") for role, word in WORDS.items()))


class Verdict(Contract, name="approvals.verdict", version=1):
    order: str = Key()
    granted: bool
    pin: Sensitive


@agent("approvals.take")
def take(verdict: Verdict) -> Verdict:
    return verdict


NO = Verdict(order="none", granted=False, pin="p-1234")  # type: ignore[arg-type]
TIMED = Flow(
    "approvals.timed",
    price >> wait_for("verdict", Verdict, timeout=timedelta(hours=8), otherwise=constant(NO)) >> take,
)
ASKS = Flow("approvals.asks", price >> wait_for("approval", Approval) >> ship)


@pytest.fixture
def desk(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """A coordinator in eager mode in which time stands still: what waits, waits."""
    have_loaded(coordinator, monkeypatch, TIMED, ASKS)
    coordinator.hold_time()
    return coordinator


def as_role(browser: Browser, role: Role) -> dict[str, str]:
    return {"authorization": f"Bearer {WORDS[role]}", "accept": "text/html"}


def test_what_waits_is_listed_with_what_happens_otherwise(desk: Coordinator) -> None:
    """Since when, until when, and what stands in then, secrets masked; without a limit it says so. The JSON says the same, and the page names its
    command; the filters choose."""
    timed, asks = desk.start(TIMED, Order(number="o-1")), desk.start(ASKS, Order(number="o-2"))
    with console(desk) as browser:
        page = browser.get("/approvals?flow=approvals.timed&key=o-1")
        assert "coordinator approvals list --flow approvals.timed --key o-1" in page
        assert f'action="/runs/{timed.id}/signals/verdict"' in page
        assert "p-1234" not in page
        found = browser.json("/approvals.json")["approvals"]
        assert {one["run"] for one in found} == {timed.id, asks.id}
        [one] = browser.json("/api/approvals?signal=verdict")["approvals"]
        [known] = desk.approvals(signal="verdict")
        assert known.since is not None
        assert known.due == known.since + timedelta(hours=8)
        assert one["due"] == known.due.isoformat().replace("+00:00", "Z")
        assert one["otherwise"]["contract"] == "approvals.verdict/1"
        assert one["otherwise"]["data"]["granted"] is False
        assert one["otherwise"]["data"]["pin"] != "p-1234"
        assert [field["name"] for field in one["fields"]] == ["order", "granted", "pin"]
        [other] = browser.json("/api/approvals?signal=approval")["approvals"]
        assert (other["due"], other["otherwise"]) == (None, None)
        assert "no limit" in browser.get("/approvals?signal=approval")
        assert "Nothing of that kind" in browser.get("/approvals?flow=none")


def test_a_form_of_the_contract_answers(desk: Coordinator) -> None:
    """Each has its own on the list; what is wrong in it comes back on a page of its own, which says until when it is waited for; sent, the run goes on."""
    run, other = (desk.start(TIMED, Order(number=number)) for number in ("o-1", "o-2"))
    [known] = desk.approvals_of(run.id)
    assert known.due is not None
    path = f"/runs/{run.id}/signals/verdict"
    with console(desk) as browser:
        page = browser.get("/approvals")
        assert 'hx-get="/approvals" hx-select="#approvals"' in page
        ids = re.findall(r' id="([^"]*)"', page)
        assert len(ids) == len(set(ids))
        page = browser.send(page, path, {"data.granted": "true", "why": "a <b>reason"}, status=422)
        assert f"until {known.due:%Y-%m-%d %H:%M:%S} UTC; then approvals.verdict/1 stands in: " in page
        assert "a &lt;b&gt;reason" in page
        assert "p-1234" not in page
        assert len(desk.approvals()) == 2
        filled = {"data.order": "o-1", "data.granted": "true", "data.pin": "77", "why": "called"}
        browser.send(page, path, filled)
        assert run.status() == "completed"
        assert [one.run for one in desk.approvals()] == [other.id]
        [action] = desk.actions(run=run.id)
        assert (action.action, action.note) == ("signal", "verdict: called")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/approvals?limit=0", 422),
        ("/api/approvals?limit=1e9", 422),
        (f"/api/approvals?flow={'x' * 300}", 422),
        ("/api/approvals?flow=%00", 200),
    ],
)
def test_bad_addresses_are_answered_as_such(desk: Coordinator, path: str, status: int) -> None:
    """Numbers and texts that are none, and too long ones: never a fault."""
    with console(desk) as browser:
        browser.json(path, status=status)


def test_who_reads_sees_no_payload_and_answers_nothing(desk: Coordinator) -> None:
    """A reader sees that a constant stands in, and not what it says; no form is linked, and none is given."""
    run = desk.start(TIMED, Order(number="o-1"))
    with console(desk, GUARDED) as browser:

        def get(path: str, role: Role) -> Any:
            return browser.client.get(path, headers=as_role(browser, role))

        [one] = get("/api/approvals", Role.READER).json()["approvals"]
        assert one["otherwise"] == {"contract": "approvals.verdict/1", "data": None}
        [one] = get("/api/approvals", Role.OPERATOR).json()["approvals"]
        assert one["otherwise"]["data"]["order"] == "none"
        path = f"/runs/{run.id}/signals/verdict"
        assert path not in get("/approvals", Role.READER).text
        assert path in get("/approvals", Role.OPERATOR).text
        assert get(path, Role.READER).status_code == 403
        assert run.status() == "running"


def test_what_is_sent_before_it_is_waited_for_is_told_as_such(desk: Coordinator) -> None:
    """A run that is paused before it waits has the form as well, and it says that it does not wait now."""
    run = desk.start(ASKS, Order(number="bad-1"))
    with console(desk) as browser:
        assert "does not wait for it now" in browser.get(f"/runs/{run.id}/signals/approval")
