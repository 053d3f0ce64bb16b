"""A console over a coordinator of this process, a browser, and a person."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from handoffs import Coordinator
from handoffs.config.addresses import Address
from handoffs.config.settings import Settings
from handoffs.coordinator.console.server import ConsoleServer
from tests.browser.chromium import running
from tests.browser.person import Person
from tests.browser.shop import Prices


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this process."""
    with running() as found:
        yield found


@pytest.fixture
def selling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Coordinator]:
    """A shop with worker threads, whose price list is as it was afterwards."""
    monkeypatch.setattr(Prices, "known", dict(Prices.known))
    with Coordinator(Settings(agents=("tests.browser.shop",), log_level="CRITICAL")) as made:
        made.work(made.flows.agents.values())
        yield made


@pytest.fixture
def person(selling: Coordinator, browser: Browser) -> Iterator[Person]:
    """Somebody before the console of the shop. No script fails meanwhile, and the server has nothing to complain of."""
    server = ConsoleServer(selling, Address("127.0.0.1", 0))
    with server.beside() as url, browser.new_context(viewport={"width": 1300, "height": 900}) as context:
        made = Person(context.new_page(), url)
        yield made
        context.close()
        assert not made.complaints
