"""Run actions: what people do to runs from their pages, and what programs do by the HTTP API."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from handoffs import Contract, Flow, Key, Permanent, Sensitive, Spending, agent, compensate
from handoffs.config.console import ConsoleSettings, Role, Token
from handoffs.coordinator.client.run import Run
from tests.eager.command import have_loaded
from tests.eager.console.pages import Browser, console
from tests.eager.office import ASKS, FILES, PRICES, Office

WORDS = {role: f"{role}-{'w' * 30}" for role in Role}
GUARDED = ConsoleSettings(tokens=tuple(Token.read(f"{role}:{role}:{word}") for role, word in WORDS.items()))


class Trip(Contract, name="office.trip", version=1):
    number: str = Key()
    pin: Sensitive
    seats: int = 1


@agent("office.book")
def book(trip: Trip) -> Trip:
    return trip


@agent("office.unbook")
def unbook(trip: Trip) -> Trip:
    return trip


@agent("office.pay")
def pay(trip: Trip) -> Trip:
    if trip.seats > 4 or trip.pin.get_secret_value() != "1234":
        raise Permanent("no seats, or a wrong pin")
    return trip


TRIPS = Flow("office.trips", compensate(book, by=unbook) >> pay, spending=Spending(tokens=10))


@pytest.fixture
def browser(office: Office) -> Iterator[Browser]:
    """A browser on the office, by somebody who may do all."""
    with console(office.coordinator) as found:
        yield found


@pytest.fixture
def trip(office: Office, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of which one step is done and can be undone, and the next is parked."""
    have_loaded(office.coordinator, monkeypatch, PRICES, ASKS, FILES, TRIPS)
    return office.coordinator.start(TRIPS, {"number": "t-1", "pin": "1234", "seats": 9})


def did(office: Office, run: Run) -> list[tuple[str, str, str]]:
    """What people did to a run: what, who and why, the newest first."""
    return [(one.action, one.who, one.note) for one in office.coordinator.actions_page(run=run.id).actions]


def test_a_cancelled_run_is_cancelled_for_a_reason(office: Office, browser: Browser) -> None:
    """The page says what it does first; then it is cancelled, and who did it and why is written down."""
    page = browser.get(f"/runs/{office.asking.id}/cancel")
    after = browser.send(page, f"/runs/{office.asking.id}/cancel", {"why": "sold out"})
    assert "is cancelled" in after
    assert office.asking.status() == "cancelled"
    [(action, _, note)] = did(office, office.asking)
    assert (action, note) == ("cancel", "sold out")


def test_before_a_run_is_given_up_it_is_shown_what_will_be_undone(trip: Run, browser: Browser) -> None:
    """The steps in the order in which they will be undone, and those of which nothing undoes what they did; and that is what happens."""
    page, told = browser.get(f"/runs/{trip.id}/cancel"), browser.json(f"/api/runs/{trip.id}/cancel")
    assert [(one["step"], one["agent"], one["undone_by"]) for one in told["undone"]] == [
        ("1", "office.book", "office.unbook")
    ]
    assert "office.unbook" in page
    assert f"coordinator runs cancel {trip.id} --compensate --dry-run" in page
    assert trip.status() == "parked"  # nothing was changed
    after = browser.send(page, f"/runs/{trip.id}/give-up", {"why": "no seats"})
    assert "office.book" in after
    assert trip.status() == "cancelled"
    assert [one["agent"] for one in trip.history() if one["kind"] == "settled"] == [
        "office.book",
        "office.unbook",
    ]
    assert browser.json(f"/api/runs/{trip.id}/cancel")["undone"] == []


def test_cancelling_undoes_only_where_that_is_asked(trip: Run, browser: Browser) -> None:
    """With the box ticked, by a form; a program says ``compensate``."""
    page = browser.get(f"/runs/{trip.id}/cancel")
    browser.send(page, f"/runs/{trip.id}/cancel", {"compensate": "true"})
    assert "office.unbook" in trip.history().steps


def test_a_program_cancels_without_undoing(trip: Run, browser: Browser) -> None:
    """By default."""
    told = browser.post(f"/api/runs/{trip.id}/cancel", {"why": "sold out"})
    assert (told["status"], told["run"]) == ("cancelled", trip.id)
    assert "office.unbook" not in trip.history().steps


def test_a_run_is_held_and_let_go(office: Office, browser: Browser) -> None:
    """The page of a run that is held has the button that lets it go on, and the other way round."""
    run = f"/runs/{office.asking.id}"
    held = browser.send(browser.get(run), f"{run}/pause", {"why": "wait"})
    assert f'action="{run}/pause"' not in held
    assert office.asking.status() == "paused"
    browser.send(held, f"{run}/resume")
    assert office.asking.status() == "running"
    assert [one[0] for one in did(office, office.asking)] == ["resume", "pause"]


def test_what_is_parked_is_retried(trip: Run, office: Office, browser: Browser) -> None:
    """Its letters are replayed, with who did it and why; where none waits, that is said."""
    after = browser.send(browser.get(f"/runs/{trip.id}"), f"/runs/{trip.id}/retry", {"why": "again"})
    assert "1 of 1 dead letters were replayed" in after
    assert [(action, note) for action, _, note in did(office, trip)] == [("replay", "again")]
    assert "no dead letter" in browser.post(f"/api/runs/{office.asking.id}/retry", {}, status=409)["cause"]


def test_a_run_may_be_allowed_more(trip: Run, browser: Browser) -> None:
    """A field that is left empty says nothing; what is no number is refused, and changes nothing."""
    page = browser.get(f"/runs/{trip.id}")
    assert "may use up 500 tokens" in browser.send(
        page, f"/runs/{trip.id}/allow", {"tokens": "500", "cost": "", "why": "ok"}
    )
    assert str(trip.spending()) == "500 tokens"
    for body in (
        {"tokens": 0},
        {"tokens": "many"},
        {"cost": -1},
        {"tokens": 10**13},
        {"tokens": True, "more": 1},
    ):
        assert browser.post(f"/api/runs/{trip.id}/allow", body, status=422)["cause"]
    assert browser.post(f"/api/runs/{trip.id}/allow", {}, status=422)["remedy"]
    assert str(trip.spending()) == "500 tokens"


def test_a_step_is_edited_by_a_form_of_its_contract(trip: Run, office: Office, browser: Browser) -> None:
    """It is filled with what the step was given, secrets masked and the key locked; the masked secret stays what it is, and the run goes on."""
    path = f"/runs/{trip.id}/steps/2/edit"
    page = browser.get(path)
    assert "1234" not in page
    assert 'name="data.number"' not in page
    assert 'value="9"' in page
    sent = {"data.pin": "**********", "data.seats": "2", "why": "a smaller car"}
    looked = browser.send(page, f"{path}/preview", sent)
    for said in ("What changes", "&#34;seats&#34;: 9", "&#34;seats&#34;: 2", 'value="a smaller car"'):
        assert said in looked
    assert trip.status() == "parked"
    after = browser.send(looked, path, {"why": "a smaller car"})
    assert "step 2 was edited" in after
    assert trip.status() == "completed"
    assert trip.history().only("edited").why == "a smaller car"


def test_what_is_wrong_in_a_form_is_said_at_its_field(trip: Run, browser: Browser) -> None:
    """With what was typed still there; and nothing is done."""
    path = f"/runs/{trip.id}/steps/2/edit"
    page = browser.send(
        browser.get(path), f"{path}/preview", {"data.seats": "two", "why": "because <b>"}, status=422
    )
    assert "it is no number" in page
    assert 'value="two"' in page
    assert "because &lt;b&gt;" in page
    assert trip.status() == "parked"
    assert browser.post(f"/api{path}", {"payload": {"seats": "x"}}, status=422)["cause"]


def test_a_step_is_skipped_with_an_output_of_its_contract(trip: Run, browser: Browser) -> None:
    """And the run goes on after it, as if its agent had made that."""
    path = f"/runs/{trip.id}/steps/2/skip"
    page = browser.get(path)
    assert 'value="t-1"' in page  # its key is that of the input
    looked = browser.send(
        page, f"{path}/preview", {**browser.typed(page), "data.pin": "1", "data.seats": "3"}
    )
    assert "&#34;seats&#34;: 3" in looked
    browser.send(looked, path, {"why": "by phone"})
    assert trip.status() == "completed"
    assert trip.history().only("skipped").why == "by phone"
    assert "is not parked" in browser.post(f"/api{path}", {"payload": {}}, status=409)["cause"]


def test_what_was_looked_at_can_be_changed_once_more(trip: Run, browser: Browser) -> None:
    """The form has what was typed, but no secret that was; and nothing was done."""
    path = f"/runs/{trip.id}/steps/2/edit"
    sent = {"data.pin": "9876", "data.seats": "2", "why": "a smaller car"}
    looked = browser.send(browser.get(path), f"{path}/preview", sent)
    back = browser.send(looked, f"{path}/preview", {"back": "true"}, by=path)
    assert 'value="2"' in back
    assert 'value="a smaller car"' not in back  # it is typed beside the button
    assert "9876" not in back
    assert trip.status() == "parked"


def test_a_browser_can_go_back_to_what_was_looked_at(trip: Run, browser: Browser) -> None:
    """It keeps the answer of a form, but for one with a secret that was typed; pages that can be asked for again are not kept."""

    def kept(fields: dict[str, str]) -> str:
        page = browser.get(f"/runs/{trip.id}/steps/2/edit")
        browser.send(page, f"/runs/{trip.id}/steps/2/edit/preview", fields)
        return str(browser.last.headers["cache-control"])

    assert kept({"data.pin": "**********", "data.seats": "2"}) == "private, no-cache"
    assert "vary" not in browser.last.headers  # the cookie of the session changes when the form is sent
    assert kept({"data.pin": "9876", "data.seats": "2"}) == "no-store"
    browser.get(f"/runs/{trip.id}")
    assert browser.last.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("fields", "fault"),
    [({"tokens": "many", "cost": "2"}, "valid integer"), ({"tokens": "-5", "cost": "2"}, "greater than 0"),
     ({"tokens": "", "cost": ""}, "Nothing was done"), ({"tokens": "5", "cost": "nan"}, "less than or equal to 100000")],
)  # fmt: skip
def test_an_action_that_does_not_fit_comes_back_as_its_form(
    fields: dict[str, str], fault: str, trip: Run, browser: Browser
) -> None:
    """With what was typed, and what is wrong beside the field; mended and sent again, it is done."""
    path = f"/runs/{trip.id}/allow"
    back = browser.send(browser.get(f"/runs/{trip.id}"), path, {**fields, "why": "because <b>"}, status=422)
    assert fault in back
    assert "because &lt;b&gt;" in back
    for name, text in fields.items():
        assert re.search(rf'name="{name}"[^>]*value="{text}"', back)
    assert str(trip.spending()) == "10 tokens"
    assert "may use up 500 tokens" in browser.send(back, path, {"tokens": "500", "cost": "", "why": "ok"})


def test_a_held_step_begins_with_its_new_input(office: Office, browser: Browser) -> None:
    """A program edits it as it would a parked one; another step cannot be edited."""
    assert browser.post(
        f"/api/runs/{office.asking.id}/steps/1/edit", {"payload": {"number": "x"}}, status=409
    )["cause"]
    assert "is not held or parked" in browser.get(f"/runs/{office.done.id}/steps/1/edit", status=409)


def test_a_signal_is_a_form_of_its_contract(office: Office, browser: Browser) -> None:
    """It is answered on its page, checked before it is sent, and the run goes on."""
    path = f"/runs/{office.asking.id}/signals/approval"
    page = browser.get(path)
    assert "it is needed" in browser.send(page, path, {"data.approved": ""}, status=422)
    browser.send(page, path, {"data.approved": "true", "why": "called"})
    assert office.asking.status() == "completed"
    assert [(action, note) for action, _, note in did(office, office.asking)] == [
        ("signal", "approval: called")
    ]
    assert browser.post(f"/api{path}", {"payload": {"approved": True}}, status=409)["cause"]


def test_only_signals_that_the_flow_waits_for_are_sent(office: Office, browser: Browser) -> None:
    """Another name is refused, with those that there are."""
    assert "approval" in browser.json(f"/api/runs/{office.asking.id}/signals/other", status=409)["remedy"]


def test_what_has_ended_is_left_alone(office: Office, browser: Browser) -> None:
    """Every action on a run that is completed is a conflict, and nothing is written down."""
    for action in ("cancel", "give-up", "pause", "resume", "retry"):
        assert browser.post(f"/api/runs/{office.done.id}/{action}", {}, status=409)["consequence"]
    assert did(office, office.done) == []


@pytest.mark.parametrize(
    ("path", "least"),
    [("cancel", Role.OPERATOR), ("pause", Role.OPERATOR), ("retry", Role.OPERATOR), ("steps/1/edit", Role.OPERATOR),
     ("give-up", Role.ADMIN), ("allow", Role.ADMIN)],
)  # fmt: skip
def test_who_may_do_what(path: str, least: Role, office: Office) -> None:
    """A role that lacks the permission is told which, and nothing is done; the one that has it is not refused for that."""
    with console(office.coordinator, GUARDED) as browser:
        for role in Role:
            body: dict[str, Any] = {"payload": {}} if path.endswith("edit") else {}
            response = browser.client.post(
                f"/api/runs/{office.done.id}/{path}",
                json=body,
                headers={"authorization": f"Bearer {WORDS[role]}"},
            )
            assert (response.status_code == 403) == (not role.covers(least)), (role, response.text)
    assert did(office, office.done) == []


@pytest.mark.parametrize(
    "body",
    [[], "x", {"why": 5}, {"why": None}, {"more": 1}, {"why": "x", "compensate": "perhaps"}, {"why": ["x"]}],
)
def test_odd_bodies_are_refused(body: Any, office: Office, browser: Browser) -> None:
    """As what is not taken here."""
    assert browser.post(f"/api/runs/{office.asking.id}/cancel", body, status=422)["cause"]
    assert office.asking.status() == "running"
