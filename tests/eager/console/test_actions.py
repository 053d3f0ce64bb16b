"""Actions: who did what, on a page, as JSON, and as a command."""

from __future__ import annotations

from tests.eager.console.pages import console
from tests.eager.office import Office


def test_who_did_what_is_on_the_page_and_in_its_json(office: Office) -> None:
    """A cancelled run is on the page of actions with who did it and why, the JSON says the same, and the page names its command."""
    with console(office.coordinator) as browser:
        office.asking.cancel("mary", why="sold out <b>")
        page = browser.get("/actions?by=mary")
        assert "sold out &lt;b&gt;" in page
        assert "coordinator actions list --by mary" in page
        [told] = browser.json("/actions.json?by=mary")["actions"]
        assert (told["action"], told["run"], told["note"]) == ("cancel", office.asking.id, "sold out <b>")
        assert browser.json("/api/actions?by=nobody") == {"actions": [], "older": None}
