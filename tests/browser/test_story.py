"""A morning at the desk: what failed is found, understood, mended and sent on, and it is known who did it."""

from __future__ import annotations

from handoffs import Coordinator
from tests.browser.person import Person
from tests.browser.shop import SELLING, Order, Prices


def test_a_run_is_started_found_mended_and_completed(person: Person, selling: Coordinator) -> None:
    """Start a run by its form, see it park, find it by its business key, understand why, edit its input after a look at the difference, see it
    complete, and see who did it and why."""
    person.go("/flows/browser.selling/start")
    person.could_be_read_aloud()
    person.fill("order", "o-17")
    person.fill("article", "lamb")
    person.press("Start")
    person.sees("parked")  # live: nobody reloads the page
    person.could_be_read_aloud()

    person.page.keyboard.press("/")  # the key of the search box
    person.page.keyboard.type("o-17")
    person.page.keyboard.press("Enter")
    person.sees("o-17")
    person.could_be_read_aloud()
    person.go(f"/runs/{selling.runs(key='o-17')[0].id}")
    person.sees("no price for 'lamb' of order o-17")

    [letter] = selling.dead_letters()
    person.go(f"/dead-letters/{letter.id}")
    person.could_be_read_aloud()
    person.page.keyboard.press("r")
    person.sees("would be replayed")  # the key asks first
    person.could_be_read_aloud()
    person.page.keyboard.press("r")  # and here it leads to the button
    person.go(f"/dead-letters/{letter.id}")
    assert not [one for one in selling.actions(run=letter.run) if one.action == "replay"]
    person.follow("Edit the input")
    person.could_be_read_aloud()
    person.fill("article", "lamp")
    person.fill("why", "a slip of the pen")
    person.press("Look at it first")
    person.sees('"article": "lamp"')
    person.could_be_read_aloud()
    person.press("Edit it, and replay it")
    person.sees("It is edited")
    person.page.go_back()  # the browser does not ask whether the form is to be sent once more
    person.sees('"article": "lamp"')
    person.sees_after_looking_again(f"/runs/{letter.run}", "completed")
    person.go(f"/actions?run={letter.run}")
    person.sees("a slip of the pen")
    person.could_be_read_aloud()


def test_a_group_is_tried_with_a_canary_and_replayed(person: Person, selling: Coordinator) -> None:
    """Ten letters of one cause: a dry run says what would come of each, a canary goes first, all follow, and each run completes."""
    runs = [selling.start(SELLING, Order(order=f"o-{number}", article="chair")) for number in range(10)]
    for run in runs:
        assert run.wait(timeout=20) == "parked"
    person.sees_after_looking_again("/dead-letters", "no price for")
    person.could_be_read_aloud()
    person.page.locator("main table a.id").first.click()
    person.sees("10")
    person.could_be_read_aloud()
    Prices.known["chair"] = 8_000
    person.follow("Replay all 10")
    person.sees("would be replayed")  # the dry run
    person.could_be_read_aloud()
    person.fill("canary", "2")
    person.page.locator('[name="stop_on_recurrence"]').check()
    person.fill("why", "chairs have a price now")
    person.press("Replay 10 letters")
    person.sees("done")
    person.sees("chairs have a price now")
    person.could_be_read_aloud()
    assert [run.wait(timeout=20) for run in runs] == ["completed"] * 10


def test_an_approval_is_answered(person: Person, selling: Coordinator) -> None:
    """What waits for a person is listed with a form, and goes on when that is sent."""
    run = selling.start(selling.flows.flows["browser.asking"], Order(order="o-1", article="lamp"))
    person.sees_after_looking_again("/approvals", "o-1")
    person.could_be_read_aloud()
    person.could_be_read_aloud()
    fold = person.page.locator("details[id]").first
    fold.locator("summary").click()
    person.page.wait_for_timeout(
        2_500
    )  # the list looks again each second, and leaves what is folded as it is
    assert fold.get_attribute("open") is None
    fold.locator("summary").click()
    person.page.locator('[name="data.approved"]').first.select_option("true")
    person.fill("why", "called them")
    person.page.locator("h1").click()
    person.page.wait_for_timeout(2_500)  # the list looks again each second, and leaves what is typed as it is
    assert person.page.locator('[name="why"]').first.input_value() == "called them"
    person.press("Answer")
    assert run.wait(timeout=20) == "completed"
    [action] = [one for one in selling.actions(run=run.id) if one.action == "signal"]
    assert action.note == "approval: called them"
