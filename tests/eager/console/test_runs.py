"""Runs: the list with its search box, filters, facets and histogram, whose address is the saved view."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.run_filter import LIVE
from handoffs.coordinator.journal.runs import Noted
from tests.eager.console.pages import Browser, console
from tests.eager.office import Office


@pytest.fixture
def browser(office: Office) -> Iterator[Browser]:
    """A browser on the office."""
    with console(office.coordinator) as found:
        yield found


def rows(page: str) -> list[str]:
    """The ids of the runs in the table of a page."""
    table = page.partition("<h1>Runs</h1>")[2].rpartition("<tbody>")[2]
    return [unescape(one) for one in re.findall(r'href="/runs/([^"/?]+)" title=', table)]


def recorded(journal: Journal, number: int, *, flow: str = "office.prices") -> None:
    """So many runs in the journal, one a minute up to now."""
    now = datetime.now(UTC)
    started = [(now - timedelta(minutes=one)).isoformat(timespec="milliseconds") for one in range(number)]
    journal.runs.note(
        {f"run-{one:05d}": Noted(flow, LIVE, at, f"order-{one}") for one, at in enumerate(started)}
    )


def test_runs_are_listed_with_what_they_do(office: Office) -> None:
    """What is parked says where and of what, what waits says for which signal; the JSON has the same, and the page its command."""
    with console(office.coordinator) as browser:
        page, told = browser.get("/runs"), browser.json("/runs.json")
    assert (
        rows(page)
        == [one["run"] for one in told["runs"]]
        == [office.failed.id, office.asking.id, office.done.id]
    )
    assert [one["status"] for one in told["runs"]] == ["parked", "waiting", "completed"]
    assert "step 1 (office.price)" in page
    assert "waits for approval" in page
    assert "coordinator runs list" in page
    assert told["facets"]["statuses"] == {"completed": 1, "parked": 1, "waiting": 1}
    assert told["facets"]["flows"] == {"office.prices": 2, "office.asks": 1}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=parked", ["failed"]), ("status=waiting", ["asking"]), ("status=completed", ["done"]), ("flow=office.asks", ["asking"]),
        ("key=good", ["done"]), ("failed_at=office.price", ["failed"]), ("failed_at=1", ["failed"]), ("error=Permanent", ["failed"]),
        ("text=bad", ["failed"]), ("text=office.asks", ["asking"]), ("since=1h", ["failed", "asking", "done"]), ("until=1h", []),
        ("since=&until=&flow=&status=&where=", ["failed", "asking", "done"]), ("flow=office.prices&status=cancelled", []),
    ],
)  # fmt: skip
def test_filters_choose(query: str, found: list[str], office: Office) -> None:
    """Each by itself, those of a form that were left empty not at all; page and JSON have the same."""
    wanted = [getattr(office, name).id for name in found]
    with console(office.coordinator) as browser:
        assert rows(browser.get(f"/runs?{query}")) == wanted
        assert [one["run"] for one in browser.json(f"/api/runs?{query}")["runs"]] == wanted


def test_one_text_finds_letters_too(office: Office) -> None:
    """The beginning of a dead letter's id leads to it, and to its run."""
    with console(office.coordinator) as browser:
        page = browser.get(f"/runs?text={office.letter.id[:8]}")
        assert f'href="/dead-letters/{office.letter.id}"' in page
        assert "coordinator runs find" in page
        [found] = browser.json(f"/runs.json?text={office.letter.id[:8]}")["finds"]
        assert (found["by"], found["run"], found["exact"]) == ("letter", office.failed.id, False)


def test_facets_lead_to_what_they_count(office: Office) -> None:
    """A link of a facet keeps what is chosen, chooses one thing more, and finds as many as it says."""
    with console(office.coordinator) as browser:
        page = browser.get("/runs?flow=office.prices")
        links = [unescape(one) for one in re.findall(r'href="(\?[^"]*status=[^"]*)"', page)]
        assert sorted(links) == ["?flow=office.prices&status=completed", "?flow=office.prices&status=parked"]
        assert rows(browser.get(f"/runs{links[0]}")) != rows(browser.get(f"/runs{links[1]}"))
        assert "?flow=office.prices" in browser.get(
            "/runs?flow=office.prices&status=parked"
        )  # another click takes it away


def test_older_runs_are_on_further_pages(office: Office) -> None:
    """Page after page has each run once, the newest first, and the last one says that there are no more."""
    recorded(office.coordinator.journal, 45)
    with console(office.coordinator) as browser:
        path, found = "/runs?limit=20&flow=office.prices", []
        for _ in range(3):
            page = browser.get(path)
            found += rows(page)
            older = re.search(r'href="([^"]*)" rel="next"', page)
            path = f"/runs{unescape(older[1])}" if older else ""
        assert len(found) == len(set(found)) == 47
        assert not path


def test_a_part_of_the_time_can_be_chosen(office: Office) -> None:
    """The columns of the histogram are links, each with as many runs as it says, and work without scripts."""
    recorded(office.coordinator.journal, 40, flow="office.old")
    with console(office.coordinator) as browser:
        page = browser.get("/runs?flow=office.old&since=2h")
        columns = re.findall(r'<a href="([^"]*)" aria-label="(\d+) accepted from', page)
        assert len(columns) > 1
        for link, count in columns[:3]:
            assert len(rows(browser.get(f"/runs{unescape(link)}&limit=200"))) == int(count)


def test_the_list_is_brought_up_to_date_without_what_is_costly(office: Office) -> None:
    """What is asked for each second has neither facets nor finds, and asking so again asks for the same."""
    with console(office.coordinator) as browser:
        [asked] = re.findall(r'hx-get="([^"]*)"', browser.get("/runs?status=parked"))
        assert unescape(asked) == "/runs?status=parked&bare=true"
        again = browser.get(unescape(asked))
        assert re.findall(r'hx-get="([^"]*)"', again) == [asked]
        assert browser.json("/api/runs?bare=true")["facets"] is None


@pytest.mark.parametrize(
    "query",
    ["status=happy", "since=soon", "until=9999999d", "limit=0", "limit=201", "limit=x", "where=order", "where==1", "text=" + "x" * 301,
     "before=nonsense", "before=%00", "&".join(["where=a=1"] * 11)],
)  # fmt: skip
def test_what_is_no_filter_is_refused(query: str, office: Office) -> None:
    """With what is wrong, on a page and for programs alike."""
    with console(office.coordinator) as browser:
        assert "What is wrong" in browser.get(f"/runs?{query}", status=422)
        assert browser.json(f"/api/runs?{query}", status=422)["cause"]


@pytest.mark.parametrize(
    "text", ["%00", "%ff", "'; drop table runs; --", "<script>", "%F0%9F%98%80", "%ed%a0%80", "%25"]
)
def test_odd_texts_find_nothing(text: str, browser: Browser) -> None:
    """And nothing of them is taken for what it is not."""
    page = browser.get(f"/runs?text={text}&flow={text}&key={text}&error={text}&failed_at={text}")
    assert rows(page) == []
    assert "<script>" not in page.partition("<main")[2]
