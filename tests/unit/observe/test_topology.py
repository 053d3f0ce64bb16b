"""Maps: what a map tells, what it remarks on, and how it is drawn."""

from __future__ import annotations

import json
import re
from dataclasses import replace

from rich.cells import cell_len

from handoffs.contracts.text import is_plain
from handoffs.coordinator.observe.topology import (
    LandscapeMap,
    MapAgent,
    MapEvent,
    MapFlow,
    MapHandover,
    MapQueue,
    MapSubscriber,
)
from handoffs.coordinator.render.map_mermaid import map_mermaid
from handoffs.coordinator.render.map_table import map_table

DESK = MapAgent(
    "news.desk", "news.desk", "live", 2, ("b2", "b1"), {"news.filed": (2, 1)}, {"news.ordered": (1,)}, ("news.filed",),
    depth=7, consumers=2, outstanding=9, parked=1,
)  # fmt: skip
EAR = MapAgent(
    "news.ear",
    "news.ear",
    "deployed",
    0,
    ("b1",),
    {"coordinator.event": (1,)},
    {},
    ("news.*",),
    outstanding=3,
)
PRESS = MapAgent("news.press", "news.press", "loaded", 0, (), {"news.ordered": (2,)}, {}, ("news.ordered",))
FILED = MapEvent(
    "news.filed",
    (2,),
    (),
    ("news.flow",),
    (MapSubscriber("news.desk", "news.filed", (2, 1)), MapSubscriber("news.ear", "news.*")),
)
ORDERED = MapEvent(
    "news.ordered", (1,), ("news.desk",), (), (MapSubscriber("news.press", "news.ordered", (2,)),), unheard=4
)
LOST = MapEvent("news.lost", unheard=2)
ATLAS = LandscapeMap(
    True,
    (DESK, EAR, PRESS),
    (FILED, LOST, ORDERED),
    (MapFlow("news.flow", "news.filed/2", (MapHandover("", "news.desk", "news.filed/2"), MapHandover("news.desk", "news.ear", "x/1"))),),
    (MapQueue("handoff.dead-letters", "dead letters", 3, 0), MapQueue("coordinator.timer", "timers", None, None)),
)  # fmt: skip


def drawn(landscape: LandscapeMap, width: int = 100) -> list[str]:
    return [line.plain.rstrip() for line in map_table(landscape, width)]


def test_what_somebody_should_look_at() -> None:
    """Subscriptions without a live worker, events without ears, versions that do not meet, queues that are not there."""
    assert list(ATLAS.remarks()) == [
        "no worker of news.ear is alive, which subscribes to news.*: 3 wait for it",
        "the broker has no queue news.ear for news.ear",
        "no worker has begun yet for news.press, and until then no queue keeps their events",
        "nobody hears news.lost; 2 are kept (coordinator events unheard)",
        "4 events of news.ordered were not heard: coordinator events replay news.ordered",
        "news.press reads news.ordered 2, and those who emit it write 1",
        "nobody takes what is in handoff.dead-letters: no coordinator process (coordinator serve) is at work",
        "the broker has no queue coordinator.timer: no coordinator process (coordinator serve) has run here",
    ]


def test_agents_that_are_only_loaded_are_one_remark() -> None:
    """Where a module is loaded here and nobody has worked for its agents yet, that is one line; one for which something waits
    is told of by itself."""
    wire, late = replace(PRESS, name="news.wire"), replace(PRESS, name="news.late", outstanding=2)
    idle = replace(PRESS, name="news.idle", subscribes=())
    assert list(LandscapeMap(True, (PRESS, wire, late, idle), (), ()).remarks()) == [
        "no worker of news.late is alive, which subscribes to news.ordered: 2 wait for it",
        "no worker has begun yet for news.press, news.wire, and until then no queue keeps their events",
    ]


def test_without_servers_only_what_is_loaded_is_told() -> None:
    """Where nobody was asked, nobody is said to be away."""
    landscape = LandscapeMap(
        False, (PRESS,), (MapEvent("news.ordered", (2,), (), (), ORDERED.subscribers),), ()
    )
    assert list(landscape.remarks()) == []
    assert "no worker" not in "\n".join(drawn(landscape))
    assert "live" not in drawn(landscape)[0]


def test_the_map_in_a_terminal() -> None:
    """Agents with their figures, events with who emits and hears them, flows, and what to look at."""
    assert drawn(ATLAS)[:19] == [
        "agents         live  depth  cons. outst. parked",
        "news.desk         2      7      2      9      1",
        "    reads news.filed 2,1; writes news.ordered 1; builds b2, b1",
        "news.ear          0      -      -      3      0",
        "    reads coordinator.event 1; build b1 (deployed)",
        "news.press        0      -      -      0      0",
        "    reads news.ordered 2; loaded",
        "",
        "events",
        "news.filed/2",
        "├─ from flow news.flow",
        "├─ to news.desk, reads 2,1",
        "└─ to news.ear by news.*, no worker is alive",
        "news.lost   2 unheard",
        "├─ from whoever emits it",
        "└─ to nobody",
        "news.ordered/1   4 unheard",
        "├─ from news.desk",
        "└─ to news.press, reads 2, no worker is alive",
    ]
    for width in (60, 100):
        assert max(map(cell_len, drawn(ATLAS, width))) <= width


def test_the_map_as_mermaid() -> None:
    """Boxes for agents, events between them, thick arrows for flows, dotted ones to whoever is away; each box is declared."""
    lines = map_mermaid(ATLAS).splitlines()
    assert lines[0] == "flowchart LR"
    assert '  a1["news.desk<br/>2 live, 7 queued, 1 parked"]' in lines
    assert '  e2(["news.lost<br/>2 unheard"])' in lines
    assert "  e1 --> a1" in lines
    assert '  e1 -.->|"news.#42;"| a2' in lines
    assert '  s1 ==>|"news.filed/2"| a1' in lines
    declared = {found[1] for line in lines if (found := re.match(r"  (\w+)[\[(]", line))}
    used = {box for line in lines for box in re.findall(r"(?<![\w#])([aes]\d+)(?=[ \[(]|$)", line)}
    assert used <= declared


def test_hostile_names_on_the_map() -> None:
    """Names that a worker made up do not get through to the terminal, nor out of their box."""
    bad = '"];\x1b[31m\u202e' + "y" * 150
    agent = MapAgent(bad, bad, "live", 1, (bad,), {bad: (1,)}, {bad: ()}, (bad,))
    landscape = LandscapeMap(
        True,
        (agent,),
        (MapEvent(bad, (1,), (bad,), (bad,), (MapSubscriber(bad, "x"),)),),
        (),
        (MapQueue(bad, bad, 1, 1),),
    )
    for width in (60, 100):
        assert [
            line for line in drawn(landscape, width) if not is_plain(line) or cell_len(line) > width
        ] == []
    assert "\x1b" not in map_mermaid(landscape)
    assert '"];' not in map_mermaid(landscape)
    assert json.loads(json.dumps(landscape.to_json()))["agents"][0]["agent"] == bad
