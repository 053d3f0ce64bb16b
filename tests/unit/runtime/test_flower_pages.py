"""Which queues of a broker Flower's page shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from handoffs.config.topology import Topology
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.runtime.flower_pages import QueuesOfInstallation, with_link


class Announced:
    """What Redis has of the agents that were seen; None where it is away."""

    def __init__(self, *names: str, away: bool = False) -> None:
        self._names = names
        self._away = away

    def agents(self) -> list[str]:
        if self._away:
            raise ServerError("Redis does not answer")
        return list(self._names)


def page(prefix: str, announced: Announced) -> QueuesOfInstallation:
    engine: Any = SimpleNamespace(
        topology=Topology(prefix),
        agents={"shop.loaded": None},
        services=SimpleNamespace(announcements=announced),
        app=SimpleNamespace(connection_for_read=lambda: SimpleNamespace(virtual_host="/")),
    )
    return QueuesOfInstallation(engine)


def queue(name: str, dead: str = "", vhost: str = "/") -> dict[str, Any]:
    return {"name": name, "vhost": vhost, "arguments": {"x-dead-letter-exchange": dead} if dead else {}}


@pytest.mark.parametrize("prefix", ["", "a."])
def test_the_names_are_those_of_all_agents_and_our_own(prefix: str) -> None:
    """Loaded here, or announced by others; what is announced and no name is passed over, and so is Redis where it is away."""
    own = ["coordinator.timer", "handoff.dead-letters", "handoff.unheard-events"]
    found = page(prefix, Announced("team.far", "no name\x1b")).names()
    assert found == [prefix + name for name in ("shop.loaded", "team.far", *own)]
    assert page(prefix, Announced(away=True)).names() == [prefix + name for name in ("shop.loaded", *own)]


def test_of_all_queues_of_a_broker_those_of_the_installation_are_chosen() -> None:
    """By name, by where they dead-letter, and by what ours are called; not those of another installation, of another virtual host, or of
    nobody. Agents come first, then ours, delays by their length."""
    there = [
        queue("a.handoff.delay.20000"), queue("a.handoff.delay.3000"), queue("a.handoff.dead-letters"),
        queue("a.team.gone", "a.handoff.dead"), queue("a.shop.loaded", "a.handoff.dead"), queue("a.unknown"),
        queue("handoff.delay.10"), queue("b.handoff.delay.10"), queue("b.team", "b.handoff.dead"),
        queue("shop.loaded", "handoff.dead"), queue("a.team.else", "a.handoff.dead", "other"),
        {"name": "a.strange", "arguments": None}, {"arguments": []}, {"name": 7},
    ]  # fmt: skip
    found = page("a.", Announced()).chosen(there, ["a.shop.loaded", "a.not-there"])
    assert [one["name"] for one in found] == [
        "a.shop.loaded", "a.team.gone", "a.handoff.dead-letters", "a.handoff.delay.3000", "a.handoff.delay.20000",
    ]  # fmt: skip


def test_the_page_of_a_task_leads_to_its_run_in_the_console() -> None:
    """Below its heading, whatever is in the id; where the run is not known, or the page is another, it stays as it is."""
    page = b'<header><div class="detail-actions">\n</div></header>'
    linked = with_link(page, "https://console.example/c", 'a/b"<c>').decode()
    assert '<div class="detail-actions"><a ' in linked
    assert 'href="https://console.example/c/runs/a%2Fb%22%3Cc%3E"' in linked
    assert with_link(page, "https://console.example", "") == page
    assert with_link(b"<p>not found</p>", "https://console.example", "r") == b"<p>not found</p>"
