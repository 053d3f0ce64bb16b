"""Map: the topology drawn and in tables."""

from __future__ import annotations

import re

import pytest

from handoffs import Coordinator
from handoffs.coordinator.console.drawing import landscape
from tests.eager.console.pages import console
from tests.eager.office import Office


def test_what_goes_where_is_drawn_and_told(office: Office) -> None:
    """Boxes and arrows with their names, a table that says the same, and the JSON of `coordinator map`; a number leads to its letters."""
    with console(office.coordinator) as browser:
        page = browser.get("/map")
        assert "<title>office.asks → office.price: office.order/1 in office.asks</title>" in page
        assert 'role="img"' in page
        assert 'href="/dead-letters?agent=office.price"' in page
        assert "coordinator map" in page
        told = browser.json("/api/map")
        agents = {one["agent"]: one for one in told["agents"]}
        assert (agents["office.price"]["outstanding"], agents["office.price"]["parked"]) == (1, 1)
        assert {"from": "office.price", "to": "office.ship", "contract": "office.approval/1"} not in told[
            "flows"
        ][1]["handovers"]
        assert {one["flow"] for one in told["flows"]} == {"office.asks", "office.files", "office.prices"}


def test_too_much_for_a_picture_is_told_in_tables(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more boxes than can be seen, the tables are there alone."""
    monkeypatch.setattr(landscape, "MOST", 1)
    with console(office.coordinator) as browser:
        page = browser.get("/map")
        assert "<svg" not in page
        assert "too much here for a picture" in page
        assert re.search(r"<th scope=\"row\">office\.price", page)


def test_nothing_is_an_empty_map(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing loaded and nobody seen, the page says so."""
    from handoffs.coordinator.flow.loading import Definitions  # noqa: PLC0415 - for this test alone

    monkeypatch.setattr(coordinator._loaded, "_definitions", Definitions())
    with console(coordinator) as browser:
        assert "No agent is loaded, and none has been seen." in browser.get("/map")
