"""Run: its page: what it does, its flow with the state of each step, bars, one step in full, and what a reader may not see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handoffs import Coordinator
from handoffs.config.console import ConsoleSettings, Role, Token
from handoffs.coordinator.client.history import History
from handoffs.coordinator.client.run import Run
from handoffs.coordinator.console.runs import reading
from tests.eager.console.pages import Browser, console
from tests.eager.office import Office

WORD = "w" * 40
MANY = "a-run-of-five-thousand-items"


@pytest.fixture
def browser(office: Office) -> Iterator[Browser]:
    """A browser on the office, by somebody who may do all."""
    with console(office.coordinator) as found:
        yield found


@pytest.fixture
def reader(office: Office) -> Iterator[Browser]:
    """A browser of somebody who may look, and not see what messages say."""
    settings = ConsoleSettings(tokens=(Token.read(f"ann:reader:{WORD}"),), payloads=Role.OPERATOR)
    with console(office.coordinator, settings) as found:
        found.client.headers["authorization"] = f"Bearer {WORD}"
        yield found


def steps(told: dict[str, Any]) -> dict[str, str]:
    """The state of each step of a run, by its path."""
    return {one["step"]: one["state"] for one in told["steps"]} | {
        path: state for one in told["steps"] for path, state in steps({"steps": one["below"]}).items()
    }


def test_a_parked_run_opens_at_the_step_that_waits(office: Office, browser: Browser) -> None:
    """With why, where in the code, its input beside the version that it came in, and what can be done about it."""
    page, told = browser.get(f"/runs/{office.failed.id}"), browser.json(f"/runs/{office.failed.id}.json")
    assert (told["status"], steps(told), told["counts"]) == ("parked", {"1": "parked"}, {"parked": 1})
    assert "Permanent: no price for bad" in page
    assert "raise Permanent" in page
    step = told["step"]
    assert (step["step"], step["agent"], step["input"], step["read"], step["accepts"]) == (
        "1", "office.price", {"number": "bad"}, "office.order/1", "office.order/1",
    )  # fmt: skip
    assert told["can"] == ["cancel", "give-up", "pause", "retry", "allow"]
    for path in ("retry", "pause"):
        assert f'action="/runs/{office.failed.id}/{path}"' in page
    for path in ("cancel", "steps/1/edit", "steps/1/skip"):
        assert f'href="/runs/{office.failed.id}/{path}"' in page
    assert f"coordinator runs show {office.failed.id}" in page


def test_a_run_that_waits_says_for_what_and_what_comes_then(office: Office, browser: Browser) -> None:
    """The wait is drawn between what is done and what is to come, and leads to where it is answered."""
    page, told = browser.get(f"/runs/{office.asking.id}"), browser.json(f"/api/runs/{office.asking.id}")
    assert steps(told) == {"1": "done", "2": "waiting", "3": "to come"}
    assert [(one["signal"], one["contract"]) for one in told["waiting"]] == [
        ("approval", "office.approval/1")
    ]
    assert f'href="/runs/{office.asking.id}/signals/approval"' in page
    assert "sse-connect" in page  # it is brought up to date


def test_a_run_that_has_ended_stays_as_it_is(office: Office, browser: Browser) -> None:
    """Nothing is brought up to date, nothing can be done, and any step can be looked at."""
    page = browser.get(f"/runs/{office.done.id}?step=1")
    assert "sse-connect" not in page
    assert "<form" not in page.partition("</h1>")[2].partition("/runs/compare")[0].rpartition("<form")[0]
    told = browser.json(f"/runs/{office.done.id}.json?step=1")
    assert (told["can"], told["step"]["output"], told["step"]["wrote"]) == (
        [],
        {"number": "good"},
        "office.order/1",
    )
    assert [one["kind"] for one in told["step"]["events"]] == ["settled"]
    assert {one["kind"] for one in told["bars"]} == {"started", "settled"}
    assert browser.json(f"/runs/{office.done.id}.json?step=77")["step"] is None


def test_a_reader_does_not_see_what_messages_say(office: Office, reader: Browser) -> None:
    """Neither on the pages nor in the JSON of a run, its history, its trace and a comparison; and is told so."""
    run, other = office.done.id, office.failed.id
    page = reader.get(f"/runs/{run}?step=1")
    assert "Your role does not see what messages say" in page
    for path in (
        f"/runs/{run}?step=1",
        f"/runs/{run}/history",
        f"/trace/{run}",
        f"/runs/compare?left={run}&right={other}&all=true",
    ):
        assert "number" not in reader.get(path), path
        assert "number" not in reader.client.get(f"/api{path}").text, path
    assert reader.json(f"/runs/{run}.json?step=1")["step"]["sees_payloads"] is False
    assert reader.json(f"/api/runs/compare?left={run}&right={other}")["steps"][0]["differs"]


def test_the_beginning_of_an_id_leads_to_the_run(office: Office, browser: Browser) -> None:
    """Page and JSON are at the address with the whole id, with what else the address said."""
    for path in (
        "/runs/{}?step=1",
        "/runs/{}.json?step=1",
        "/api/runs/{}?step=1",
        "/runs/{}/history?begin=1",
        "/runs/{}/cancel",
    ):
        response = browser.client.get(path.format(office.failed.id[:8]), follow_redirects=False)
        assert (response.status_code, response.headers["location"]) == (307, path.format(office.failed.id))
    assert "Run" in browser.get(f"/runs/{office.failed.id[:8]}")


@pytest.mark.parametrize(
    "run", ["none-such-run", "abc", "%00", "%ff%fe", "a" * 301, "..%2f..", "%F0%9F%98%80"]
)
def test_what_is_no_run_is_none(run: str, browser: Browser) -> None:
    """404, or 422 for what no id can be, with words."""
    for path in (
        f"/runs/{run}",
        f"/runs/{run}/history",
        f"/runs/{run}/cancel",
        f"/trace/{run}",
    ):
        response = browser.client.get(path, headers={"accept": "text/html"})
        assert response.status_code in (404, 422), (path, response.status_code)
        assert "What is wrong" in response.text
    response = browser.client.get(f"/runs/compare?left={run}&right={run}", headers={"accept": "text/html"})
    assert response.status_code in (404, 422)
    assert "What is wrong" in response.text or response.text.count('class="fault"') == 2


@pytest.mark.parametrize(
    "query", ["begin=-1", "begin=x", "begin=1000001", "step=" + "1" * 2_001, "within=" + "1" * 2_001]
)
def test_what_is_no_part_of_a_run_is_refused(query: str, office: Office, browser: Browser) -> None:
    """With what is wrong."""
    assert browser.json(f"/api/runs/{office.failed.id}?{query}", status=422)["cause"]


def test_a_story_is_shown_as_its_trace(office: Office, browser: Browser) -> None:
    """What an event began has no flow: its page has who emitted what, and who hears it."""
    page, told = browser.get(f"/runs/{office.story.id}"), browser.json(f"/runs/{office.story.id}.json")
    assert (told["is_story"], told["steps"], told["bars"]) == (True, [], [])
    assert "office.filed/1" in page
    assert "unheard" in page
    trace = browser.json(f"/trace/{office.story.id}.json")
    assert [(one["kind"], list(one["states"])) for one in trace["rows"]][1:] == [("event", ["unheard"])]
    assert f"coordinator trace {office.story.id}" in browser.get(f"/trace/{office.story.id[:8]}")


def test_a_history_is_shown_in_parts(office: Office, browser: Browser) -> None:
    """Each part says where the next begins, and all of them together are the history."""
    whole = office.asking.history().to_json()
    found: list[object] = []
    begin: int | None = 0
    while begin is not None:
        part = browser.json(f"/api/runs/{office.asking.id}/history?limit=1&begin={begin}")
        found += part["entries"]
        begin = part["next"]
    assert found == whole
    assert "settled" in browser.get(f"/runs/{office.asking.id}/history")
    assert "nothing more" in browser.get(f"/runs/{office.asking.id}/history?begin=99")


def test_what_others_wrote_is_text(office: Office, browser: Browser) -> None:
    """Errors, keys and reasons with markup, or with characters that a reader would not see, are shown as they are written."""
    office.asking.pause("ann", why="<script>alert(1)</script>\u202e")
    page = browser.get(f"/runs/{office.asking.id}") + browser.get(f"/runs/{office.asking.id}/history")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page


def many(office: Office) -> None:
    """A run of five thousand items in the journal, one of them parked."""
    began = datetime.now(UTC) - timedelta(hours=1)
    entries: list[dict[str, Any]] = [
        {"kind": "started", "at": began.isoformat(timespec="milliseconds"), "input": {"n": 0}}
    ]
    for item in range(5_000):
        at = (began + timedelta(milliseconds=10 * item)).isoformat(timespec="milliseconds")
        told: dict[str, Any] = {"kind": "settled", "took_ms": 5.0, "output": {"cents": item}}
        if item == 4_321:
            told = {"kind": "parked", "error": "error: Permanent: no"}
        entries.append(
            {
                "step": f"1.i{item}.1",
                "agent": "office.price",
                "attempt": 1,
                "at": at,
                "input": {"n": item},
                **told,
            }
        )
    rows = [
        (f"many-{number}", {"run": MANY, "flow": "elsewhere.many", **one})
        for number, one in enumerate(entries)
    ]
    office.coordinator.journal.history.record(rows)


def test_five_thousand_steps_fold(office: Office, browser: Browser) -> None:
    """The one with trouble and the first few are drawn, all are counted, the page is less than a megabyte, and any fifty can be looked at."""
    many(office)
    page, told = browser.get(f"/runs/{MANY}"), browser.json(f"/runs/{MANY}.json")
    assert told["counts"] == {"done": 4_999, "parked": 1}
    drawn = steps(told)
    assert drawn["1.i4321.1"] == "parked"
    assert len(drawn) < 30
    assert len(page) < 200_000
    assert "4,988 more" in page
    assert len(told["bars"]) <= 40
    [last] = re.findall(r'href="([^"]*)">the last</a>', page)
    assert "item 4999" in browser.get(last.replace("&amp;", "&"))
    assert "1.i2000.1" in steps(browser.json(f"/api/runs/{MANY}?within=1&begin=1990"))
    assert (
        browser.json(f"/api/runs/{MANY}?step=1.i4321.1")["step"]["events"][0]["error"]
        == "error: Permanent: no"
    )


def test_a_step_that_there_is_not_is_said(office: Office, browser: Browser) -> None:
    """Whoever follows an address with a step of another run is told."""
    assert "Nothing is told of step 99" in browser.get(f"/runs/{office.done.id}?step=99")
    assert "Nothing is told of step" not in browser.get(f"/runs/{office.done.id}?step=1")


def test_of_a_run_that_is_completed_the_history_may_be_on_its_way(
    office: Office, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then its page says so, and looks again; a run of long ago of which something is not told is said to be so. Nothing has not begun."""
    whole = Run.history

    def behind(run: Run) -> History:
        return History.read([one for one in whole(run).to_json() if one["kind"] != "settled"])

    monkeypatch.setattr(Run, "history", behind)
    page = browser.get(f"/runs/{office.done.id}")
    for said in ("Its history is on its way to the journal", "not told", 'id="run" hx-get'):
        assert said in page
    assert "not begun" not in page
    assert browser.json(f"/api/runs/{office.done.id}")["untold"] == "on its way"
    monkeypatch.setattr(reading, "_ON_ITS_WAY", timedelta(0))
    assert browser.json(f"/api/runs/{office.done.id}")["untold"] == "not known"
    assert "its history does not tell of" in browser.get(f"/runs/{office.done.id}")


def test_the_state_of_a_run_comes_first(browser: Browser, office: Office) -> None:
    """On a phone the first columns are all that is seen of a list."""
    assert "<thead><tr><th>Status<th>Run" in browser.get("/runs")


def test_before_anything_was_started_it_is_said_how(coordinator: Coordinator) -> None:
    """With a link, and with the command."""
    with console(coordinator) as browser:
        page = browser.get("/runs")
    assert "No run was started yet" in page
    assert 'href="/flows"' in page
    assert "coordinator start" in page


def test_a_run_that_waits_is_said_to_wait(office: Office, browser: Browser) -> None:
    """Wherever people see it: on its page, before it is cancelled, and beside another one."""
    run = office.asking.id
    assert browser.json(f"/api/runs/{run}/cancel")["status"] == "waiting"
    for path in (f"/runs/{run}", f"/runs/{run}/cancel", f"/runs/compare?left={run}&right={run}"):
        assert '<span class="status s-waiting">' in browser.get(path)
