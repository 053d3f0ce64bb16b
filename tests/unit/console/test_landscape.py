"""The topology as boxes and arrows: what is drawn, how it is called, and when there is no picture."""

from __future__ import annotations

from handoffs.coordinator.console.drawing.landscape import MOST, drawing_of
from handoffs.coordinator.observe.topology import (
    LandscapeMap,
    MapAgent,
    MapEvent,
    MapFlow,
    MapHandover,
    MapSubscriber,
)

FLOW = MapFlow(
    "shop.order",
    "shop.placed/1",
    (MapHandover("", "shop.price", "shop.placed/1"), MapHandover("shop.price", "shop.ship", "shop.priced/1")),
)


def landscape(*agents: MapAgent, events: tuple[MapEvent, ...] = (), asked: bool = True) -> LandscapeMap:
    return LandscapeMap(asked, agents, events, (FLOW,))


def test_a_flow_leads_through_its_agents() -> None:
    """From its start to the first, and on; each arrow says what is handed over, and in which flow."""
    drawn = drawing_of(landscape(MapAgent("shop.price", "q", "live", live=1)))
    assert drawn is not None
    assert [(one.source, one.target, one.says) for one in drawn.arrows] == [
        ("shop.order", "shop.price", "shop.placed/1 in shop.order"),
        ("shop.price", "shop.ship", "shop.priced/1 in shop.order"),
    ]
    assert {(one.kind, one.name) for one in drawn.boxes} == {
        ("flow", "shop.order"), ("agent", "shop.price"), ("agent", "shop.ship"),
    }  # fmt: skip


def test_events_lead_to_who_hears_them() -> None:
    """From agents and flows that emit them; one that nobody hears, or of which some lie unheard, is marked."""
    heard = MapEvent(
        "shop.shipped", (1,), ("shop.ship",), ("shop.order",), (MapSubscriber("shop.mail", "shop.*"),)
    )
    lost = MapEvent("shop.lost", (1,), ("shop.ship",), unheard=1200)
    drawn = drawing_of(landscape(events=(heard, lost)))
    assert drawn is not None
    told = {(one.source, one.target): (one.says, one.event) for one in drawn.arrows}
    assert told["shop.ship", "shop.shipped"] == ("emits", True)
    assert told["shop.order", "shop.shipped"] == ("emits", True)
    assert told["shop.shipped", "shop.mail"] == ("hears by shop.*", True)
    boxes = {one.name: (one.says, one.state) for one in drawn.boxes}
    assert boxes["shop.shipped"] == ("event", "good")
    assert boxes["shop.lost"] == ("event, 1,200 unheard", "warn")


def test_an_agent_says_how_it_is() -> None:
    """How many workers, what is queued and parked; none alive with something waiting is bad, and where nobody was asked nothing is said."""
    agents = (
        MapAgent("shop.price", "q", "live", live=2, depth=7, outstanding=9, parked=1),
        MapAgent("shop.ship", "q", "seen", live=0, depth=3, outstanding=3),
    )
    drawn = drawing_of(landscape(*agents))
    assert drawn is not None
    told = {one.name: (one.says, one.state) for one in drawn.boxes}
    assert told["shop.price"] == ("2 workers, 7 queued, 1 parked", "warn")
    assert told["shop.ship"] == ("0 workers, 3 queued", "bad")
    plain = drawing_of(landscape(*agents, asked=False))
    assert plain is not None
    assert {one.says for one in plain.boxes if one.kind == "agent"} == {"agent"}


def test_a_long_name_is_cut_in_its_box_only() -> None:
    """The box shows its beginning, and has the whole as its name."""
    name = "shop." + "x" * 60
    flow = MapFlow("shop.f", "shop.a/1", (MapHandover("", name, "shop.a/1"),))
    drawn = drawing_of(LandscapeMap(True, (), (), (flow,)))
    assert drawn is not None
    [box] = [one for one in drawn.boxes if one.kind == "agent"]
    assert (box.name, len(box.fits), box.fits[-1]) == (name, 25, "…")


def test_too_much_is_no_picture() -> None:
    """With more boxes than can be seen, and where nothing leads anywhere, there is none."""
    handed = tuple(MapHandover("", f"shop.a{number}", "shop.a/1") for number in range(MOST))
    assert drawing_of(LandscapeMap(True, (), (), (MapFlow("shop.f", "shop.a/1", handed[:-1]),))) is not None
    assert drawing_of(LandscapeMap(True, (), (), (MapFlow("shop.f", "shop.a/1", handed),))) is None
    assert drawing_of(LandscapeMap(True, (MapAgent("shop.a", "q", "live"),), (), ())) is None
