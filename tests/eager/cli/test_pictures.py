"""`coordinator flows show`, the timeline of a run, and the catalogue, for flows with every kind of step."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from handoffs import Coordinator
from handoffs.config.settings import Settings
from handoffs.coordinator.cli import main
from handoffs.coordinator.docs.asyncapi import asyncapi
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.markdown import markdown
from handoffs.coordinator.docs.page import page
from handoffs.coordinator.flow.loading import load_modules
from handoffs.coordinator.observe.outline import outline
from handoffs.coordinator.observe.timeline import timeline
from handoffs.coordinator.render import console  # noqa: F401 - made before a test sets a width, which it would keep
from handoffs.coordinator.render.gantt import gantt
from tests.drawn import Line, Order, everything

EXPECTED = Path(__file__).parents[2] / "unit" / "render" / "drawings"


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line with the flows of ``tests.drawn`` loaded. Gives the exit status and what was printed."""
    monkeypatch.setenv("COORDINATOR_AGENTS", "tests.drawn")

    def run(*arguments: str, columns: int = 100) -> tuple[Any, str, str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        status: Any = 0
        try:
            main(arguments)
        except SystemExit as end:
            status = end.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.mark.parametrize("width", [100, 60])
def test_flow_in_the_terminal(command: Any, width: int) -> None:
    """`flows show` prints the tree, as wide as the terminal is."""
    assert command("flows", "show", "drawn.everything", columns=width) == (
        0,
        (EXPECTED / f"flow-{width}.txt").read_text("utf-8"),
        "",
    )


@pytest.mark.parametrize("option", [["--mermaid"], ["--format", "mermaid"]])
def test_flow_as_mermaid(command: Any, option: list[str]) -> None:
    """`flows show --mermaid` prints a flowchart and nothing else, in lines that are not broken."""
    made = command("flows", "show", "drawn.everything", *option, columns=60)
    assert made == (0, (EXPECTED / "flow-mermaid.txt").read_text("utf-8"), "")


def test_flow_as_json(command: Any) -> None:
    """`flows show --json` prints the outline."""
    for option in (["--json"], ["--format", "json"]):
        assert json.loads(command("flows", "show", "drawn.listed", *option)[1])["flow"] == "drawn.listed"


def test_flows_are_listed(command: Any) -> None:
    """`flows` and `flows list` print the same, as tables and as JSON."""
    assert command("flows") == command("flows", "list")
    rows = json.loads(command("flows", "--json")[1])
    assert rows == json.loads(command("flows", "list", "--json")[1])
    assert {row["flow"] for row in rows} == {
        "drawn.everything",
        "drawn.polishing",
        "drawn.listed",
        "drawn.waiting",
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["drawn.none"], "there is no flow called 'drawn.none'"),
        (["\x1b[31m"], "there is no flow called"),
        (["drawn.listed", "--mermaid", "--json"], "give one of them: json, mermaid"),
        (["drawn.listed", "--format", "svg"], "svg"),
    ],
)
def test_mistakes(command: Any, arguments: list[str], said: str) -> None:
    """A flow that there is not, and two formats, are mistakes that are told."""
    status, out, err = command("flows", "show", *arguments)
    assert status
    assert not out
    assert said in err
    assert "\x1b" not in err


def test_run_in_the_terminal(coordinator: Coordinator) -> None:
    """A run is drawn as its flow is nested: the case that was taken, the items, the rounds, the budgets, the delay."""
    given = Order(order="o-1", amount=7000, lines=[Line(sku="a"), Line(sku="bcd")])
    run = coordinator.start(everything, given)
    assert run.wait(timeout=20) == "completed"
    lines = [line.plain for line in gantt(timeline(run.history(), outline(everything)), 100, {})]
    steps = [re.split(r"  +(?:settled|started|\d)", line)[0] for line in lines if re.search(r"─ \S+", line)]
    assert steps == [
        "├─ run",
        "├─ 1  choice: when amount >= 5000",
        "│  ├─ 1.c1.1  drawn.review",
        "│  └─ 1.c1.2  drawn.escalate",
        "├─ 2  parallel",
        "│  ├─ stock",
        "│  │  ├─ 2.stock.1  each of lines into prices, 4 at a time: 2 items",
        "│  │  │  ├─ 2.stock.1.i0.1  drawn.price",
        "│  │  │  └─ 2.stock.1.i1.1  drawn.price",
        "│  │  └─ 2.stock.2  drawn.collect",
        "│  └─ score",
        "│     └─ 2.score.1  budget 300 ms",
        "│        └─ 2.score.1.b.1  drawn.score",
        "├─ 3  drawn.write",
        "├─ 4  flow drawn.polishing",
        "│  └─ 4.1  repeat until approved == True, at most 5 times: 2 rounds",
        "│     ├─ 4.1.r1.1  drawn.polish",
        "│     └─ 4.1.r2.1  drawn.polish",
        "├─ 5  delay 5 min",
        "└─ 6  budget 2 s",
        "   └─ 6.b.1  drawn.send",
    ]


def test_start_draws_the_run(command: Any) -> None:
    """`start` prints the timeline with the words of the flow that is loaded, and says that without servers nothing of it is kept."""
    status, out, err = command(
        "start", "drawn.listed", "--payload", '{"order": "o-1", "lines": [{"sku": "a"}]}'
    )
    assert status == 0
    [line] = err.splitlines()
    assert line.startswith("coordinator: embedded: this runs in one process, and nothing of it is kept")
    assert "└─ 1  each of lines into prices: 1 item" in out
    assert "cents=1  (drawn.priced/1)" in out


def test_catalogue() -> None:
    """The documents tell of every kind of step; each link leads somewhere, and each operation has its channel."""
    landscape = gather(load_modules(["tests.drawn"]), Settings())
    drawn, text, document = page(landscape), markdown(landscape), asyncapi(landscape)
    for words in (
        "when amount &gt;= 5000",
        "each of lines into prices",
        "delay 5 min",
        "budget 300 ms",
        "repeat until",
    ):
        assert words in drawn
    assert set(re.findall(r'href="#([^"]+)"', drawn)) <= set(re.findall(r'id="([^"]+)"', drawn))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(re.findall(r'id="([^"]+)"', text)) | {
        "queues",
        "the-envelope",
    }
    assert (EXPECTED / "flow-mermaid.txt").read_text("utf-8").rstrip() in text
    steps = {step["path"]: step for step in document["x-flows"]["drawn.everything"]["steps"]}
    assert set(steps) == {place.path for place in everything.places()}
    assert {giver["path"] for giver in steps["4.1.r*.1"]["from"]} == {"3", "4.1.r*.1"}
    assert {giver["path"] for giver in steps["2.stock.1.i*.1"]["from"]} == {"1.c1.2", "1.c2.1", ""}
    assert {giver["part"] for giver in steps["2.stock.2"]["from"]} == {"prices"}
    assert {"drawn.waiting.signal.approval.drawn.decide", "drawn.waiting.start.drawn.review"} <= set(
        document["operations"]
    )
    assert "drawn.escalate.send.drawn.price" in document["operations"]
