"""Every page there is, also one that is added tomorrow: at the width of a phone, a tablet and a desk, in light and in dark."""

from __future__ import annotations

from typing import Literal

import pytest
from fastapi.routing import APIRoute
from playwright.sync_api import Browser

from handoffs import Coordinator
from handoffs.config.addresses import Address
from handoffs.coordinator.console.app import ROUTERS
from handoffs.coordinator.console.server import ConsoleServer
from tests.browser.person import Person
from tests.browser.shop import ASKING, NIGHTLY, SELLING, Order

WIDTHS = (360, 800, 1400)
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def pages() -> set[str]:
    """The addresses of all pages, with names in braces where ids stand."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
    found = {
        route.path for route in routes if route.name.endswith(".page") and not route.path.endswith(".py")
    }
    assert len(found) > 15
    return found


def filled(path: str, known: dict[str, str]) -> str:
    """The address with ids of what is there, and with what a page needs to be asked for."""
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
    assert "{" not in path, f"the test knows nothing to put into {path}"
    return path + QUERIES.get(path.split("/")[-1], "").format(**known)


QUERIES = {
    "compare": "?left={run}&right={other}",
    "replay": "?all=true",
    "many": "?all=true",
    "can-i-deploy": "",
}


@pytest.fixture
def known(selling: Coordinator) -> dict[str, str]:
    """What there is in a shop where something of everything has happened: an id for each name that an address has."""
    done = selling.start(SELLING, Order(order="o-1", article="lamp"))
    parked = [selling.start(SELLING, Order(order=f"o-{number}", article="chair")) for number in range(2, 12)]
    asking = selling.start(ASKING, Order(order="a-1", article="lamp"))
    done.wait(timeout=20)
    for run in parked:
        assert run.wait(timeout=20) == "parked"
    letters = selling.dead_letters()
    operation = selling.archive_letters([letters[-1].id], why="not wanted")
    [group, *_] = selling.letter_groups()
    return {
        "run": parked[0].id, "other": done.id, "step": "1", "letter": letters[0].id, "group": group.id, "operation": operation.id,
        "flow": SELLING.name, "correlation_id": parked[0].id, "signal": "approval", "contract": "browser.order", "name": "browser.order",
        "asking": asking.id,
    }  # fmt: skip


@pytest.mark.timeout(600)
def test_every_page_fits_and_could_be_read_aloud(
    selling: Coordinator, known: dict[str, str], browser: Browser
) -> None:
    """No page is wider than its window, none has anything that axe-core finds, no script fails, and nothing is refused by the content
    security policy: with data in it, at three widths, in both themes."""
    server = ConsoleServer(selling, Address("127.0.0.1", 0))
    with server.beside() as url:
        for scheme in _SCHEMES:
            with browser.new_context(color_scheme=scheme) as context:
                person = Person(context.new_page(), url)
                for path in sorted(pages()):
                    ids = known | ({"run": known["asking"]} if "signal" in path else {})
                    ids |= {"name": NIGHTLY.name} if path.startswith("/schedules") else {}
                    for width in WIDTHS:
                        person.page.set_viewport_size({"width": width, "height": 900})
                        person.go(filled(path, ids))
                        person.fits()
                    person.could_be_read_aloud()
                assert not person.complaints
