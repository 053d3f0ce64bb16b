"""The desk on pages: dead letters by cause, groups with their notes, selections that are replayed, put away and brought back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from handoffs import Coordinator
from handoffs.config.console import Role
from tests.eager.console import bench
from tests.eager.console.pages import Browser, console
from tests.journal_suite import letter
from tests.waiting import wait_until


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


def _over(desk: Coordinator, operation: str) -> str:
    """Wait until an operation is no more running; gives its state."""
    wait_until(lambda: desk.operation(operation).state != "running", description="the operation is over")
    return desk.operation(operation).state


def test_nothing_waits(browser: Browser) -> None:
    """Without letters the page says so, and the JSON has none."""
    assert "No dead letter waits." in browser.get("/dead-letters")
    found = browser.json("/api/dead-letters")
    assert (found["causes"], found["groups"], found["total"]) == ([], [], 0)
    assert "Nothing was done with many letters" in browser.get("/operations")


def test_letters_of_one_cause_are_one_line(desk: Coordinator, browser: Browser) -> None:
    """With how many, why, a drawing of when, and the cause in words; the JSON says the same, and the page names its command."""
    bench.failed(desk, 3)
    page = browser.get("/dead-letters")
    assert "no price for o-#" in page
    assert re.search(r'<svg class="spark" role="img"[^>]* aria-label="How many failed over time', page)
    assert "coordinator dead-letters groups --limit 50" in page
    [group] = browser.json("/dead-letters.json")["groups"]
    assert (group["count"], group["cause"], group["kind"]) == (3, "failed", "error")
    [cause] = browser.json("/api/dead-letters")["causes"]
    assert (cause["cause"], cause["count"], [kind["kind"] for kind in cause["kinds"]]) == (
        "failed",
        3,
        ["error"],
    )


def test_kinds_are_put_together_by_cause(desk: Coordinator, browser: Browser) -> None:
    """Each cause stands apart with its kinds, and a filter of one shows its letters only."""
    kinds = [
        "error",
        "time-limit",
        "invalid-input",
        "invalid-output",
        "unroutable",
        "expired",
        "delivery-limit",
        "conflict",
        "poison",
    ]
    desk.journal.letters.add_all([letter(f"letter-{kind}", kind=kind) for kind in kinds])
    causes = {one["cause"]: one["count"] for one in browser.json("/api/dead-letters")["causes"]}
    assert causes == {
        "failed": 2, "invalid contract": 2, "unroutable": 1, "expired": 1, "delivery limit": 1, "conflict": 1, "poison": 1,
    }  # fmt: skip
    found = browser.json("/api/dead-letters?by=letter&kind=poison")
    assert [one["id"] for one in found["letters"]] == ["letter-poison"]
    assert sum(one["count"] for one in found["causes"]) == len(kinds)


def test_pages_of_letters_have_each_letter_once(desk: Coordinator, browser: Browser) -> None:
    """Page after page, whatever has the same moment, each letter comes once, the oldest first."""
    desk.journal.letters.add_all([letter(f"letter-{number:02}") for number in range(7)])
    seen, after = [], ""
    while True:
        page = browser.client.get(
            "/api/dead-letters", params={"by": "letter", "limit": 3, "after": after}
        ).json()
        seen += [one["id"] for one in page["letters"]]
        after = page["next"]
        if not after:
            break
    assert seen == [f"letter-{number:02}" for number in range(7)]
    first = browser.get("/dead-letters?by=letter&limit=3")
    link = re.search(r'href="(\?[^"]*after=[^"]*)" rel="next"', first)
    assert link is not None
    assert "letter-03" in browser.get(f"/dead-letters{link[1].replace('&amp;', '&')}")


def test_a_note_and_an_owner_are_written_down(desk: Coordinator, browser: Browser) -> None:
    """By the form of the group's page; who did it is recorded, and what is dangerous in HTML is text."""
    bench.failed(desk, 2)
    [group] = desk.letter_groups()
    at = f"/dead-letters/groups/{group.id}"
    page = browser.send(browser.get(at), f"{at}/note", {"note": "the <b>list</b>", "owner": "ann"})
    assert "the &lt;b&gt;list" in page
    assert desk.letter_group(group.id).owner == "ann"
    told = browser.json(f"/api{at}")
    assert (told["group"]["note"], len(told["letters"])) == ("the <b>list</b>", 2)
    assert "note-group" in {one.action for one in desk.actions()}
    browser.get("/dead-letters/groups/ffff0000", status=404)


def test_a_selection_is_looked_at_and_then_replayed(desk: Coordinator, browser: Browser) -> None:
    """Ticked letters: the page says what they would meet and what follows, nothing is done yet; then they run, and no other."""
    letters = bench.failed(desk, 3)
    ahead = browser.get(f"/dead-letters/replay?letters={letters[0].id}&letters={letters[1].id[:13]}")
    assert "bench.ship" in ahead
    assert desk.operations() == []
    page = browser.send(ahead, "/dead-letters/replay", {"why": "mended", "stop_on_recurrence": "true"})
    assert "Replay of 2 letters" in page
    [operation] = desk.operations()
    assert _over(desk, operation.id) == "done"
    assert (operation.why, operation.pace.stop_on_recurrence, desk.operation(operation.id).done) == (
        "mended",
        True,
        2,
    )
    assert set(bench.DONE) == {"o-0", "o-1"}
    assert "2 of 2" in browser.get(f"/operations/{operation.id}")


def test_an_operation_on_a_group_is_called_by_what_failed(desk: Coordinator, browser: Browser) -> None:
    """Not by the id of the group, to which it leads."""
    bench.failed(desk, 2)
    [group] = desk.letter_groups()
    told = browser.post("/api/dead-letters/replay", {"selection": {"group": group.id}})
    page = browser.get(f"/operations/{told['operation']}")
    assert "<h1>Replay of letters with Permanent at bench.price, step 1 of bench.orders</h1>" in page
    assert f'href="/dead-letters/groups/{group.id}"' in page


def test_a_dry_run_of_programs_changes_nothing(desk: Coordinator, browser: Browser) -> None:
    """It says what would be replayed and refused, and in which contract version each letter is."""
    letters = bench.failed(desk, 2)
    desk.run(letters[0].run).cancel()
    body = {"selection": {"letters": [one.id for one in letters]}, "dry_run": True}
    told = browser.post("/api/dead-letters/replay", body)
    assert told["message"] == "1 would be replayed, 1 refused; nothing was done"
    second = told["foreseen"]["letters"][1]
    assert (second["contract"], second["follows"], second["refused"]) == ("bench.asked/1", ["bench.ship"], "")
    assert desk.operations() == []


def test_a_program_replays_a_filter(desk: Coordinator, browser: Browser) -> None:
    """With a canary and a rate; the answer names the operation, whose state it can ask for."""
    bench.failed(desk, 4)
    body = {
        "selection": {"flow": bench.FLOW.name},
        "canary": 1,
        "rate": 500,
        "stop_on_recurrence": True,
        "why": "mended",
    }
    told = browser.post("/api/dead-letters/replay", body)
    assert _over(desk, told["operation"]) == "done"
    found = browser.json(f"/api/operations/{told['operation']}")
    assert (found["operation"]["done"], found["operation"]["pace"]["canary_passed"]) == (4, True)
    assert {one["state"] for one in found["letters"]} == {"done"}


@pytest.mark.parametrize(
    "selection",
    [{}, {"letters": []}, {"letters": ["a"], "flow": "b"}, {"all": True, "flow": "b"}, {"colour": "red"}, "[", 5, {"flow": "\x00"}],
)  # fmt: skip
def test_what_chooses_no_letters_is_refused(desk: Coordinator, browser: Browser, selection: object) -> None:
    """Nothing, two ways at once, or no selection at all: an answer of 4xx, and no operation."""
    browser.post("/api/dead-letters/replay", {"selection": selection}, status=422)
    assert desk.operations() == []


def test_what_failed_again_is_shown(desk: Coordinator, browser: Browser) -> None:
    """A canary that parks again stops the operation; the page says which letter, lists it under `failed again`, and resumes."""
    letters = bench.failed(desk, 3)
    bench.BROKEN.add("o-0")
    told = browser.post("/api/dead-letters/replay", {"selection": {"all": True}, "canary": 1})
    assert _over(desk, told["operation"]) == "stopped"
    at = f"/operations/{told['operation']}"
    page = browser.get(f"{at}?state=again")
    assert "canary: 1 parked again" in page
    found = browser.json(f"/api{at}?state=again")["letters"]
    assert [(one["letter"], one["came"]) for one in found] == [
        (letters[0].id, "parked again, for the same cause")
    ]
    bench.BROKEN.clear()
    browser.send(page, f"{at}/resume", {"why": "one is known"})
    assert _over(desk, told["operation"]) == "done"
    assert set(bench.DONE) == {"o-1", "o-2"}


def test_letters_are_put_away_and_brought_back(desk: Coordinator, browser: Browser) -> None:
    """By the pages: put away they wait no more, brought back they do; each is a row of the actions."""
    bench.failed(desk, 2)
    page = browser.get(f"/dead-letters/many?flow={bench.FLOW.name}&what=archive")
    browser.send(page, "/dead-letters/archive", {"why": "of last year"})
    wait_until(lambda: not desk.dead_letters(), description="they are put away")
    assert "Bring back" in browser.get("/dead-letters?state=archived")
    page = browser.get(f"/dead-letters/many?flow={bench.FLOW.name}&what=restore")
    browser.send(page, "/dead-letters/restore", {"why": "wanted"})
    wait_until(lambda: len(desk.dead_letters()) == 2, description="they are back")
    assert {"archive", "restore"} <= {one.action for one in desk.actions()}


def test_operations_come_page_by_page(desk: Coordinator, browser: Browser) -> None:
    """The newest first, each once."""
    [letter] = bench.failed(desk, 1)
    for _ in range(5):
        desk.archive_letters(letter), desk.restore_letters(letter)
    known = [one.id for one in desk.operations()]
    seen, after = [], ""
    while True:
        page = browser.json(f"/api/operations?limit=3&after={after}")
        seen += [one["id"] for one in page["operations"]]
        after = page["next"]
        if not after:
            break
    assert seen == known
    assert 'rel="next"' in browser.get("/operations?limit=3")


def test_who_may_do_what(desk: Coordinator) -> None:
    """A reader looks and acts on nothing; an operator replays, and ends only operations of their own; an administrator ends all."""
    bench.failed(desk, 2)
    with console(desk, bench.GUARDED) as browser:

        def sent(role: Role, path: str, body: object) -> int:
            header = {"authorization": f"Bearer {bench.WORDS[role]}"}
            return int(browser.client.post(path, json=body, headers=header).status_code)

        everything = {"selection": {"all": True}}
        assert sent(Role.READER, "/api/dead-letters/replay", everything) == 403
        assert sent(Role.OPERATOR, "/api/dead-letters/archive", everything) == 403
        begun = desk.operating.begin("replay", {}, desk.replay_letters([]).pace, by="somebody", why="").id
        assert sent(Role.OPERATOR, f"/api/operations/{begun}/cancel", {}) == 403
        assert desk.operation(begun).state == "running"
        assert sent(Role.ADMIN, f"/api/operations/{begun}/cancel", {}) == 200
        assert sent(Role.ADMIN, f"/api/operations/{begun}/resume", {}) == 409
        assert sent(Role.ADMIN, "/api/dead-letters/archive", everything) == 200
