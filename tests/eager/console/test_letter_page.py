"""The page of a letter: what failed, what to do first, and doing it: replay, edit, skip, allow, put away, export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from handoffs import Coordinator
from handoffs.config.console import Role
from handoffs.contracts.text import MASK
from handoffs.coordinator.handoff.failure import FailureKind
from handoffs.coordinator.letters.causes import Act, advice, where
from handoffs.coordinator.letters.letter import Letter
from tests.eager.console import bench
from tests.eager.console.pages import Browser, console
from tests.journal_suite import letter as row_of


@pytest.fixture(autouse=True)
def _mended() -> Iterator[None]:
    with bench.mended():
        yield


@pytest.fixture
def desk(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> Coordinator:
    """A coordinator with a flow that fails where it is told to."""
    return bench.loaded(coordinator, monkeypatch)


@pytest.fixture
def browser(desk: Coordinator) -> Iterator[Browser]:
    """A browser on its console."""
    with console(desk) as made:
        yield made


@pytest.fixture
def letter(desk: Coordinator) -> Letter:
    """A letter that waits."""
    return bench.failed(desk, 1)[0]


def _do_first(browser: Browser, letter: Letter, act: Act) -> str:
    """Do what the page of a letter offers first, by its forms alone; gives the page that follows."""
    at = f"/dead-letters/{letter.id}"
    page = browser.get(at)
    match act:
        case Act.REPLAY:
            return browser.send(page, f"{at}/replay", {"why": "mended"})
        case Act.ALLOW:
            return browser.send(page, f"{at}/allow", {"tokens": "1000", "cost": "", "why": "agreed"})
        case Act.ARCHIVE:
            return browser.send(page, f"{at}/archive", {"why": "whoever sent it"})
        case _:
            assert f'href="{at}/{act}"' in page
            form = browser.get(f"{at}/{act}")
            fields = browser.typed(form)
            if act == Act.SKIP:
                fields |= {"data.number": "o-kind", "data.total": "5"}
            looked = browser.send(form, f"{at}/{act}/preview", {**fields, "why": "agreed by phone"})
            return browser.send(looked, f"{at}/{act}", {"why": "agreed by phone"})


@pytest.mark.parametrize("kind", sorted(FailureKind))
def test_a_letter_of_each_kind_says_what_to_do_and_does_it(
    desk: Coordinator, browser: Browser, kind: str
) -> None:
    """One sentence, and the button for it first; doing that alone resumes the run, or puts away what nobody can resume."""
    run, letter = bench.failed_as(desk, kind)
    told = advice(kind, letter.id)
    page = browser.get(f"/dead-letters/{letter.id}")
    assert f'<p class="remedy">{told.remedy}.</p>' in page.replace("&#39;", "'")
    offers = page.partition('<div class="offers">')[2]
    assert 0 < offers.find("first") < offers.find("</button>") or offers.find("first") < offers.find("</a>")
    _do_first(browser, letter, told.first)
    if told.first == Act.ARCHIVE:
        assert desk.find_letter(letter.id).state == "archived"
    else:
        assert run.wait(30) == "completed"
    assert {one.who for one in desk.actions(run=run.id)} != set()


def test_it_is_said_how_far_a_letter_came_where_no_place_is_told(desk: Coordinator, browser: Browser) -> None:
    """An output that does not fit was made by an agent that ran; an input that does not fit reached none."""
    for kind, said in (
        (FailureKind.INVALID_OUTPUT, "its agent ran and returned, and what it returned was refused"),
        (FailureKind.INVALID_INPUT, "its agent did not begin: its input was refused before"),
    ):
        row = row_of(f"odd-{kind}", kind=str(kind), trace="")
        desk.journal.letters.add(row)
        assert said in browser.get(f"/dead-letters/odd-{kind}").replace("&#39;", "'")
    assert {where(kind) for kind in FailureKind} >= {where("a kind of a newer release")}


def test_the_key_leads_to_what_a_replay_would_meet(browser: Browser, letter: Letter) -> None:
    """It does nothing by itself: the page says what would come of it, and has the button."""
    page = browser.get(f"/dead-letters/{letter.id}")
    [to] = re.findall(r'href="([^"]*)" data-key="r"', page)
    assert to == f"/dead-letters/replay?letters={letter.id}"
    assert "would be replayed" in browser.get(to)


def test_what_failed_is_shown(browser: Browser, letter: Letter) -> None:
    """Why, where in the code, its input with the secret masked beside the contract, and its run; the JSON says the same."""
    page = browser.get(f"/dead-letters/{letter.id[:12]}")
    for said in (
        "no price for o-0",
        "bench.py:",
        " in price",
        letter.run[:12],
        f"coordinator dead-letters show {letter.id}",
    ):
        assert said in page
    assert bench.CARD not in page
    assert MASK in page
    found = browser.json(f"/api/dead-letters/{letter.id}")
    assert (found["payload"]["card"], found["cause"], found["first"], found["run_status"]) == (
        MASK,
        "failed",
        "replay",
        "parked",
    )


def test_a_reader_does_not_see_what_messages_say(desk: Coordinator, letter: Letter) -> None:
    """Neither on the page nor in the JSON, nor by the form or the test; and gets no button."""
    with console(desk, bench.GUARDED) as browser:
        header = {"authorization": f"Bearer {bench.WORDS[Role.READER]}"}
        at = f"/dead-letters/{letter.id}"
        page = browser.client.get(at, headers={**header, "accept": "text/html"}).text
        assert "Your role does not see what messages say." in page
        assert "o-0&#34;" not in page
        assert '<form class="act"' not in page
        found = browser.client.get(f"/api{at}", headers=header).json()
        assert (found["payload"], found["shows_payload"]) == (None, False)
        for path in (f"{at}/edit", f"{at}/skip", f"{at}/test.py", f"/api{at}/test", f"/api{at}/edit"):
            assert browser.client.get(path, headers=header).status_code == 403


def test_an_edit_is_a_form_and_looked_at_before_it_is_sent(
    desk: Coordinator, browser: Browser, letter: Letter
) -> None:
    """Its key is locked, its secret masked; the preview has what changes, nothing is done before; then it runs with the secret as it was."""
    at = f"/dead-letters/{letter.id}"
    form = browser.get(f"{at}/edit")
    fields = browser.typed(form)
    assert fields == {"data.cents": "5", "data.card": MASK, "data.note": ""}
    looked = browser.send(
        form, f"{at}/edit/preview", {**fields, "data.cents": "7", "data.number": "o-9", "why": "a typo"}
    )
    assert "- </del>" not in looked
    assert "&#34;cents&#34;: 5" in looked
    assert "&#34;cents&#34;: 7" in looked
    assert "o-9" not in looked
    assert desk.actions_page(run=letter.run).actions == ()
    page = browser.send(looked, f"{at}/edit", {"why": "a typo"})
    assert "It is edited, and on its way again." in page
    assert desk.run(letter.run).wait(30) == "completed"
    assert bench.CARDS == [bench.CARD]
    assert "a typo" in browser.get(at)


def test_another_secret_can_be_given_and_is_not_shown(browser: Browser, letter: Letter) -> None:
    """The preview says that there is another one; only what is sent next carries it."""
    at = f"/dead-letters/{letter.id}"
    form = browser.get(f"{at}/edit")
    looked = browser.send(
        form, f"{at}/edit/preview", {**browser.typed(form), "data.card": "4222", "why": "a new card"}
    )
    assert "Another value is given for what is masked: card." in looked
    assert looked.count("4222") == 1
    browser.send(looked, f"{at}/edit", {"why": "a new card"})
    assert bench.CARDS == ["4222"]


def test_what_does_not_fit_is_told_at_its_field(browser: Browser, letter: Letter) -> None:
    """The form comes back with what was typed and what is wrong; the check that goes on while somebody types says the same."""
    at = f"/dead-letters/{letter.id}"
    form = browser.get(f"{at}/edit")
    fields = {**browser.typed(form), "data.cents": "many", "why": "a typo"}
    back = browser.send(form, f"{at}/edit/preview", fields, status=422)
    assert 'value="many"' in back
    assert "it is no number" in back
    key = {"form_key": form.partition('name="form_key" value="')[2].partition('"')[0]}
    checked = browser.client.post(
        f"{at}/edit/check", data={**fields, **key}, headers={"sec-fetch-site": "same-origin"}
    )
    assert checked.status_code == 200
    assert "cents: it is no number" in checked.text
    assert browser.client.post(f"{at}/edit/preview", data=fields).status_code == 403


def test_a_step_gets_its_outcome_by_hand(desk: Coordinator, browser: Browser, letter: Letter) -> None:
    """By a form of what its agent emits; the run goes on after it, and the agent does not run."""
    page = _do_first(browser, letter, Act.SKIP)
    assert "Its step has that outcome" in page
    assert desk.run(letter.run).wait(30) == "completed"
    assert not bench.DONE
    assert desk.find_letter(letter.id).state == "settled"


@pytest.mark.parametrize(
    "body",
    [{}, {"payload": {}}, {"payload": {"number": "o-0"}, "why": "x"}, {"payload": "[]", "why": "x"}, {"payload": 5, "why": "x"},
     {"payload": {"number": "o-0", "cents": "\ud800", "card": MASK}, "why": "x"}, {"payload": "{" * 5_000, "why": "x"}],
)  # fmt: skip
def test_an_edit_that_is_none_is_refused(
    desk: Coordinator, browser: Browser, letter: Letter, body: object
) -> None:
    """By the API too: without a reason, or with what the contract does not take; nothing is done."""
    response = browser.client.post(
        f"/api/dead-letters/{letter.id}/edit",
        content=json.dumps(body),
        headers={"content-type": "application/json"},
    )
    assert 400 <= response.status_code < 500, response.text
    assert desk.actions_page(run=letter.run).actions == ()


def test_put_away_and_brought_back(desk: Coordinator, browser: Browser, letter: Letter) -> None:
    """One letter, by its page."""
    at = f"/dead-letters/{letter.id}"
    page = browser.send(browser.get(at), f"{at}/archive", {"why": "old"})
    assert "It was put away" in page
    page = browser.send(page, f"{at}/restore", {"why": "wanted"})
    assert "It waits again." in page
    assert desk.find_letter(letter.id).state == "waiting"


def test_a_letter_is_had_as_a_test(browser: Browser, letter: Letter) -> None:
    """A module for pytest, as a file, without the secret."""
    response = browser.client.get(f"/dead-letters/{letter.id}/test.py")
    assert response.headers["content-disposition"].startswith('attachment; filename="test_letter_')
    compile(response.text, "test_letter.py", "exec")
    assert bench.CARD not in response.text
    assert browser.client.get(f"/api/dead-letters/{letter.id}/test").text == response.text


def test_ids_and_texts_of_others_harm_nothing(desk: Coordinator, browser: Browser) -> None:
    """An id with a slash, a text that would be HTML, and a letter of no run have their pages."""
    odd = row_of(
        "history:0/1",
        run="",
        step="",
        flow="",
        agent="",
        kind="undecodable",
        text="<script>alert(1)</script>\x00",
    )
    desk.journal.letters.add(odd)
    page = browser.get("/dead-letters/history%3A0%2F1")
    assert "<script>alert" not in page
    assert "Put it away" in page
    assert browser.json("/api/dead-letters/history%3A0%2F1")["id"] == "history:0/1"
    for path in (
        "/dead-letters/%00",
        "/dead-letters/nobody",
        "/dead-letters/" + "x" * 3000,
        "/dead-letters/%ff%fe",
        "/operations/%00",
    ):
        assert 400 <= browser.client.get(path).status_code < 500


def test_an_event_is_not_edited(desk: Coordinator, browser: Browser) -> None:
    """What hears events offers no form for another input, and says why to whoever asks for it."""
    desk.journal.letters.add(row_of("heard", run="run", step="on:1@+a", kind="incomplete"))
    assert "/dead-letters/heard/edit" not in browser.get("/dead-letters/heard")
    refused = browser.client.get("/dead-letters/heard/edit", headers={"accept": "text/html"})
    assert refused.status_code == 409
    assert "hears an event" in refused.text


def test_what_is_done_offers_nothing_more(desk: Coordinator, browser: Browser, letter: Letter) -> None:
    """Once its step has its outcome, its page does not offer what would be refused."""
    bench.BROKEN.clear()
    letter.replay()
    assert desk.run(letter.run).wait(30) == "completed"
    page = browser.get(f"/dead-letters/{letter.id}")
    assert "does no harm" not in page
    for what in ("replay", "edit", "skip", "allow"):
        assert f"/dead-letters/{letter.id}/{what}" not in page


def test_a_message_that_nobody_takes(desk: Coordinator, browser: Browser) -> None:
    """Before it is replayed it is said that no worker of its agent is known, also where it belongs to no run."""
    desk.journal.letters.add(
        row_of("astray", run="", step="", agent="desk.zilch", contract="", kind="unroutable")
    )
    [found] = desk.foresee_letters([desk.find_letter("astray")])
    assert "no worker of desk.zilch is known: it would wait in its queue" in found.meets
