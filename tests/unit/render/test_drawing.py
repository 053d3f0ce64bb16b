"""Drawings of flows and runs: exactly as they are expected, at two widths, and whatever the names are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.text import Text

from handoffs import Contract, Flow, Retry, agent, compensate, constant, retrying, wait_for
from handoffs.coordinator.docs.gather import gather
from handoffs.coordinator.docs.markdown import markdown
from handoffs.coordinator.docs.page import page
from handoffs.coordinator.flow.condition import field
from handoffs.coordinator.flow.loading import Definitions
from handoffs.coordinator.flow.step import choice, each, go_on, parallel, repeat, when
from handoffs.coordinator.observe.current import Current
from handoffs.coordinator.observe.grouping import grouped
from handoffs.coordinator.observe.outline import Outline, outline
from handoffs.coordinator.observe.summary import summary
from handoffs.coordinator.observe.timeline import timeline
from handoffs.coordinator.observe.words import duration
from handoffs.coordinator.render.flow_mermaid import flow_mermaid
from handoffs.coordinator.render.flow_tree import flow_tree
from handoffs.coordinator.render.gantt import gantt
from handoffs.coordinator.render.lines import as_ascii, cut, wrapped
from handoffs.coordinator.render.run_timeline import awaited
from tests.drawn import Order, collect, escalate, everything, listed, price, review, waiting
from tests.store_suite import make_settings
from tests.unit.render.drawn_history import HISTORY, entry

EXPECTED = Path(__file__).parent / "drawings"
HOSTILE = '"];\nclick A "javascript:alert(1)" <script>[red]\x1b[31m\u202e end --> |'


def expected(name: str) -> str:
    return (EXPECTED / f"{name}.txt").read_text("utf-8").rstrip("\n")


def shown(lines: Iterable[Text]) -> str:
    return "\n".join(line.plain for line in lines)


def run(story: Sequence[Mapping[str, Any]], flow: Outline | None = None, width: int = 100) -> str:
    return shown(gantt(timeline(story, flow), width, {}))


class TestFlow:
    @pytest.mark.parametrize("width", [100, 60])
    def test_tree(self, width: int) -> None:
        """Every kind of step is in the tree, with its path and its words; contracts stand beneath where it is narrow."""
        lines = flow_tree(outline(everything), width)
        assert shown(lines) == expected(f"flow-{width}")
        assert max(line.cell_len for line in lines) <= width

    def test_mermaid(self) -> None:
        """Every kind of step is in the flowchart: a rhombus for a choice, frames for lists, repetitions, budgets and flows."""
        assert flow_mermaid(outline(everything)) == expected("flow-mermaid")

    def test_a_list_at_the_start(self) -> None:
        """What a flow begins with and ends with may be a list."""
        assert shown(flow_tree(outline(listed), 100)).splitlines() == [
            "drawn.listed",
            "starts with drawn.order/1",
            "└─ 1  each of lines into prices",
            "   └─ 1.i*.1  drawn.price   drawn.line/1 → drawn.priced/1",
        ]
        assert '  start -->|"each item, drawn.line/1"| s1' in flow_mermaid(outline(listed))

    def test_a_signal(self) -> None:
        """A signal that is waited for is told with its contract, its time, and what is kept beside it."""
        assert shown(flow_tree(outline(waiting), 100)).splitlines()[2:] == [
            "├─ 1  drawn.review, undone by drawn.reopen                          drawn.order/1 → drawn.order/1",
            "├─ 2  wait for approval, beside order, up to 8 h, else a constant   → drawn.approval/1",
            "└─ 3  drawn.decide                                                  drawn.decided/1 → drawn.order/1",
        ]
        drawn = flow_mermaid(outline(waiting))
        assert '  s1 -.->|"to undo it, drawn.order/1"| s2' in drawn
        assert '  s3 -->|"order: drawn.order/1, approval: drawn.approval/1"| s4' in drawn

    def test_a_repetition_begins_again_at_its_first_steps(self) -> None:
        """The dotted arrow of a repetition leads to what it begins with, also where that is a choice."""
        body = choice(when(field("amount") > 1, review), otherwise=go_on) >> escalate
        drawn = flow_mermaid(outline(Flow("drawn.again", repeat(body, until=field("amount") > 5, at_most=3))))
        assert re.findall(r"(\w+) -\.->.*\| (\w+)", drawn) == [("s3", "s1")]

    def test_json(self) -> None:
        """For programs there is the same tree, with every agent's place in it."""
        made = outline(everything).to_json()
        assert (made["flow"], made["accepts"]) == ("drawn.everything", "drawn.order/1")
        assert [step["kind"] for step in made["steps"]] == [
            "choice",
            "parallel",
            "agent",
            "flow",
            "delay",
            "budget",
        ]
        assert made["steps"][0]["ways"][2] == {
            "name": "c0",
            "says": "otherwise it passes on as it is",
            "steps": [],
        }
        assert made["steps"][5]["ways"][1]["gives"] == "drawn.draft/1"
        places = re.findall(r"'step': '([^']+)', 'kind': 'agent'", str(made))
        assert places == [place.path for place in everything.places()]

    def test_hostile_words(self) -> None:
        """Whatever a condition compares with is text: no line is broken, no terminal and no browser obeys it."""
        flow = outline(Flow("drawn.bad", choice(when(field("country") == HOSTILE, review), otherwise=go_on)))
        for line in flow_tree(flow, 60):
            assert line.cell_len <= 60
            assert not set("\n\x1b\u202e") & set(line.plain)
        drawn = flow_mermaid(flow)
        assert len(drawn.splitlines()) == len(
            flow_mermaid(outline(Flow("drawn.good", flow_of("DE")))).splitlines()
        )
        assert not re.search(r"<script|\x1b|\u202e|javascript:alert\(", drawn)

    def test_wide_letters(self) -> None:
        """Letters that take two columns are counted as two."""
        flow = Flow("drawn.wide", parallel(**{"倉庫" * 8: review, "b": review}))
        assert all(line.cell_len <= 60 for line in flow_tree(outline(flow), 60))

    def test_durations(self) -> None:
        """A time is said in the largest unit that it fills."""
        said = [duration(timedelta(seconds=seconds)) for seconds in (0.001, 0.3, 1.5, 90, 3600, 5400)]
        assert said == ["1 ms", "300 ms", "1.5 s", "1.5 min", "1 h", "1.5 h"]


def flow_of(country: str) -> Any:
    return choice(when(field("country") == country, review), otherwise=go_on)


class TestRun:
    @pytest.mark.parametrize("width", [100, 60])
    def test_timeline(self, width: int) -> None:
        """What happened is nested as the flow is, each with when it began, how long it took, and a bar of that; retries,
        fallbacks, what came late, was parked or replayed, and the choice that was taken, are told."""
        made = run(HISTORY, outline(everything), width)
        assert made == expected(f"run-{width}")
        assert max(map(cell_len, made.splitlines())) <= width

    def test_flow_not_loaded(self) -> None:
        """Without the flow the paths tell how the steps are nested."""
        assert run(HISTORY) == expected("run-100-flow-not-loaded")

    def test_another_flow_of_that_name(self) -> None:
        """A flow that does not have the run's agents in their places is no help, and is left aside."""
        other = outline(
            Flow("drawn.everything", review >> choice(when(field("amount") > 1, review), otherwise=go_on))
        )
        assert run(HISTORY, other) == run(HISTORY)

    def test_signals(self) -> None:
        """A signal is told where it is waited for; without the flow, as something that happened to the run."""
        story = [
            entry("started", 0),
            entry("settled", 10, "1", "drawn.review", took_ms=10.0),
            entry("paused", 20, by="ada"),
            entry("refused", 30, "aproval", error="the flow waits for no signal 'aproval'", by="bob"),
            entry("signalled", 40, "approval", wrote="drawn.approval/1", input={"granted": True}, by="ada"),
            entry("settled", 60, "3", "drawn.decide", took_ms=5.0),
        ]
        made = run(story, outline(waiting), 120)
        assert [line.split("  ")[0] for line in made.splitlines() if "─ " in line] == [
            "├─ run", "├─ 1", "├─ 2", "│", "├─ 3", "├─ run", "└─ signal aproval",
        ]  # fmt: skip
        assert "granted=true  (drawn.approval/1, by ada)" in made
        assert "└─ signal approval" in run(story)

    def test_begun_later(self) -> None:
        """The bars of a run that was accepted for later begin when it begins, and what came before stands at 0."""
        accepted = {
            **entry("started", 0, due="2026-01-05T10:00:20.000+00:00"),
            "at": "2025-11-11T00:00:00+00:00",
        }
        begun = entry("begun", 20_200)
        settled = entry("settled", 20_700, "1", took_ms=500.0)
        head, *lines = run([accepted, begun, settled]).splitlines()
        assert head.rstrip().endswith("0.5 s")
        assert "due 2026-01-05T10:00:20.000+00:00" in lines[0]
        kinds = [word for line in lines for word in line.split() if word in {"started", "begun", "settled"}]
        assert kinds == ["started", "begun", "settled"]

    def test_undone(self) -> None:
        """What undoes a step is told beneath it, with or without the flow; nothing waits for it."""
        story = [
            entry("started", 0),
            entry("settled", 10, "1", "drawn.review", took_ms=10.0),
            entry("given-up", 20, by="ada"),
            entry("settled", 40, "1.undo", "drawn.reopen", took_ms=10.0),
        ]
        for flow in (outline(waiting), None):
            assert [
                re.split("  +(?=settled|started|given-up)", line)[0]
                for line in run(story, flow).splitlines()[1:]
            ] == [
                "├─ run",
                "├─ 1  drawn.review",
                "│  └─ 1.undo  drawn.reopen",
                "└─ run",
            ]
        branch = [entry("started", 0), entry("settled", 10, "1.undo.1", "drawn.review")]
        assert "1.undo.1  drawn.review" in run(branch)

    def test_branches_named_like_items(self) -> None:
        """Where the flow is loaded, a branch may have the name of an item, a round, a case or a budget."""
        flow = outline(Flow("drawn.names", review >> parallel(r2=review, i0=review, b=review)))
        story = [
            entry("started", 0),
            entry("settled", 10, "1", "drawn.review", took_ms=10.0),
            *(entry("settled", 20, f"2.{name}.1", "drawn.review", took_ms=5.0) for name in ("b", "i0", "r2")),
        ]
        steps = grouped(story, flow).parts["2"]
        assert (steps.kind, list(steps.parts)) == ("parallel", ["r2", "i0", "b"])

    def test_many_items(self) -> None:
        """Of many items, those with trouble are shown and the first; the others are counted."""
        flow = outline(Flow("drawn.many", each("lines", price, into="prices") >> collect, input=Order))
        story = [
            entry("started", 0),
            *(
                entry("parked" if number == 500 else "settled", 10, f"1.i{number}.1", "drawn.price")
                for number in range(1000)
            ),
        ]
        made = run(story, flow)
        assert "each of lines into prices: 1000 items" in made
        assert "1.i500.1" in made
        assert "… and 988 items without trouble" in made
        assert len(made.splitlines()) < 40

    def test_items_in_order_of_their_numbers(self) -> None:
        """Items and rounds are told in the order of their numbers, whenever they ended."""
        story = [
            entry("started", 0),
            *(entry("settled", 10 + n, f"1.i{n}.1", "drawn.price") for n in (10, 2, 1)),
        ]
        assert list(grouped(story).parts["1"].parts) == ["i1", "i2", "i10"]

    def test_nothing_happened(self) -> None:
        """A run without a history is a heading; one that has just begun has a line."""
        assert len(run([]).splitlines()) == 1
        assert "started" in run([entry("started", 0)])

    def test_hostile_history(self) -> None:
        """Names, errors and values in a history do nothing to a terminal, and break no line."""
        story = [
            entry("started", 0, input={"a": HOSTILE}),
            entry("parked", 5, f"1.{HOSTILE}.1", HOSTILE, attempt=1, error=HOSTILE),
            entry("settled", 5, "1." * 5000 + "1", HOSTILE, output={HOSTILE: HOSTILE}),
            entry(HOSTILE, 5, "2", HOSTILE),
        ]
        for width in (60, 100):
            lines = run(story, outline(everything), width).splitlines()
            assert not set("\x1b\u202e") & set("".join(lines))
            assert all(cell_len(line) <= width for line in lines)


class TestRails:
    def test_wrapped(self) -> None:
        """A text is broken between words, and within one that is too long."""
        assert wrapped("one two three", 8) == ["one two", "three"]
        assert wrapped("x abcdefghij y", 4) == ["x", "abcd", "efgh", "ij y"]
        assert wrapped("", 4) == [""]

    def test_cut(self) -> None:
        """A text that is too long ends in a sign that says so."""
        assert cut("abcdef", 6) == "abcdef"
        assert cut("abcdefg", 6) == "abcde…"

    def test_plain(self) -> None:
        """All that a drawing adds has a stand-in for terminals that know ASCII only."""
        made = "\n".join([run(HISTORY, outline(everything)), shown(flow_tree(outline(everything), 100))])
        assert as_ascii(made).isascii()


def test_signals_and_compensations() -> None:
    """A step that waits for a signal, and one that can be undone, say so; the catalogue takes them, too."""
    undo = agent("drawn.undo")(lambda_of(Order))
    said = Order(order="o")
    waits = wait_for("approval", Order, timeout=timedelta(hours=8), otherwise=constant(said))
    flow = Flow("drawn.signalled", compensate(review, by=undo) >> waits >> escalate)
    assert [node.title for node in outline(flow).nodes] == [
        "drawn.review, undone by drawn.undo",
        "wait for approval, up to 8 h, else a constant",
        "drawn.escalate",
    ]
    assert "wait for approval" in flow_mermaid(outline(flow))
    catalogue = Definitions()
    catalogue.add(flow)
    assert "wait for approval" in markdown(gather(catalogue, make_settings()))


def test_what_a_run_waits_for() -> None:
    """A run that waits for a signal shows that as its last line, with the flow or without; not once it has come."""
    flow = Flow("drawn.signalled", review >> wait_for("approval", Order) >> escalate)
    story = [
        {**entry("started", 0), "flow": "drawn.signalled"},
        {**entry("settled", 200, "1", agent="drawn.review"), "flow": "drawn.signalled"},
    ]
    since = datetime.fromisoformat(story[-1]["at"])
    doing = [
        Current("2", "", "waiting", since, signal="approval", contract="drawn.order/1"),
        Current("3", "drawn.escalate", "queued", since),
    ]
    whole = [*story, *awaited(story, doing)]
    for known, label in ((outline(flow), "wait for approval"), (None, "wait")):
        drawn = run(whole, known, 140).splitlines()
        assert len(drawn) == 4
        assert drawn[-1].split() == (
            f"└─ 2 {label} waiting 0.200 ◆ for signal approval of drawn.order/1".split()
        )
    assert list(awaited([], doing)) == []


def test_edited_and_skipped() -> None:
    """What a person did to a step says first who and why, and then what is new."""
    said = {"by": "ann", "error": "it was missing", "input": {"a": 1, "b": 2}, "output": {"a": 1, "b": 3}}
    for kind in ("edited", "skipped"):
        assert summary({"kind": kind, "wrote": "x/1", **said}) == "by ann: it was missing; b=3  (x/1)"
    assert summary({"kind": "skipped", "by": "ann"}).startswith("by ann: (no reason given);")


def test_retry_policies() -> None:
    """A step that has a retry policy of its own says it, in every picture; so does what undoes it."""
    undo = agent("drawn.refund")(lambda_of(Order))
    policy = Retry(attempts=6, backoff=timedelta(seconds=2), longest=timedelta(seconds=30))
    step = compensate(retrying(review, policy), by=retrying(undo, Retry(attempts=1)))
    flow = Flow("drawn.retried", step >> retrying(escalate, Retry(factor=1)))
    first, second = outline(flow).nodes
    said = "up to 6 attempts, 2 s to 30 s apart"
    assert first.title == f"drawn.review, {said}, undone by drawn.refund, one attempt"
    assert second.title == "drawn.escalate, up to 3 attempts, 1 s apart"
    assert outline(flow).to_json()["steps"][0]["retry"] == policy.to_json()
    assert said in flow_mermaid(outline(flow))
    catalogue = Definitions()
    catalogue.add(flow)
    landscape = gather(catalogue, make_settings())
    assert said in markdown(landscape)
    assert said in page(landscape)


def lambda_of(contract: type[Contract]) -> Any:
    def run(payload: Any) -> Any:
        return payload

    run.__annotations__ = {"payload": contract, "return": contract}
    return run
