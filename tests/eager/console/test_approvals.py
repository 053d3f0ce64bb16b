"""Approvals: what runs wait for, on a page, as JSON, and answered with a form of its contract."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from handoffs import Contract, Coordinator, Flow, Key, Sensitive, agent, constant, wait_for
from handoffs.config.console import ConsoleSettings, Role, Token
from tests.eager.command import have_loaded
from tests.eager.console.pages import Browser, console
from tests.eager.office import Approval, Office, Order, price, ship

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
        assert f'href="/approvals/{timed.id}/verdict"' in page
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
    """Its fields are the contract's; what is wrong comes back with what was typed and nothing is sent; then the run goes on, and who and why is kept."""
    run = desk.start(ASKS, Order(number="o-1"))
    with console(desk) as browser:
        path = f"/approvals/{run.id}/approval"
        page = browser.get(path)
        assert 'name="data.approved"' in page
        page = browser.send(page, path, {"why": "a <b>reason"}, status=422)
        assert "Nothing was sent" in page
        assert "a &lt;b&gt;reason" in page
        assert run.status() == "running"
        page = browser.send(page, path, {"data.approved": "true", "why": "called"})
        assert f"approval was sent to run {run.id}: it is completed" in page
        assert run.result() == Approval(approved=True)
        [action] = desk.actions(run=run.id)
        assert (action.action, action.note) == ("signal", "approval: called")


def test_a_program_answers_with_json(desk: Coordinator) -> None:
    """The payload is checked by the contract before anything is sent; another answer after that is a conflict."""
    run = desk.start(ASKS, Order(number="o-1"))
    with console(desk) as browser:
        path = f"/api/approvals/{run.id}/approval"
        told = browser.post(path, {"payload": {"approved": "perhaps"}}, status=422)
        assert "approved" in told["cause"]
        done = browser.post(path, {"payload": {"approved": True}, "why": "called"})
        assert done["location"] == f"/runs/{run.id}"
        assert run.result() == Approval(approved=True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/approvals/none/approval", 404),
        ("/api/approvals/{run}/other", 409),
        ("/api/approvals/%00/%00", 404),
        ("/api/approvals?limit=0", 422),
        ("/api/approvals?limit=1e9", 422),
        (f"/api/approvals?flow={'x' * 300}", 422),
        ("/api/approvals?flow=%00", 200),
    ],
)
def test_bad_addresses_are_answered_as_such(desk: Coordinator, path: str, status: int) -> None:
    """A run that is not there, a signal that its flow does not wait for, numbers and texts that are none: never a fault."""
    run = desk.start(ASKS, Order(number="o-1"))
    with console(desk) as browser:
        browser.json(path.format(run=run.id), status=status)


def test_who_reads_sees_no_payload_and_answers_nothing(desk: Coordinator) -> None:
    """A reader sees that a constant stands in, and not what it says; the form is not there, and an answer is refused."""
    run = desk.start(TIMED, Order(number="o-1"))
    with console(desk, GUARDED) as browser:

        def get(path: str, role: Role) -> Any:
            return browser.client.get(path, headers=as_role(browser, role))

        [one] = get("/api/approvals", Role.READER).json()["approvals"]
        assert one["otherwise"] == {"contract": "approvals.verdict/1", "data": None}
        [one] = get("/api/approvals", Role.OPERATOR).json()["approvals"]
        assert one["otherwise"]["data"]["order"] == "none"
        path = f"/approvals/{run.id}/verdict"
        page = get(path, Role.READER).text
        assert "your role does not see what messages say" in page
        assert 'name="data.granted"' not in page
        assert 'name="data.granted"' in get(path, Role.OPERATOR).text
        answer = {"payload": {"order": "o", "granted": True, "pin": "1"}}
        refused = browser.client.post(f"/api{path}", json=answer, headers=as_role(browser, Role.READER))
        assert refused.status_code == 403
        assert run.status() == "running"


def test_a_run_that_does_not_wait_says_so(office: Office) -> None:
    """Before it waits, or after: the page says that, and has its form; where the flow is not loaded here it is not found out what an answer has."""
    office.asking.signal("approval", Approval(approved=True), by="ann")
    with console(office.coordinator) as browser:
        page = browser.get(f"/approvals/{office.asking.id}/approval")
        assert "does not wait for it now" in page
        told = browser.json(f"/api/approvals/{office.done.id}/approval", status=409)
        assert "waits for no signal" in told["cause"]
