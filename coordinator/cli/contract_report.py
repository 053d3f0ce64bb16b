"""What is wrong with a contract, laid out so that a reviewer sees it at a glance."""

from __future__ import annotations

from typing import Any

from rich.text import Text

from handoffs.contracts import strictjson
from handoffs.contracts.fields import sensitive_of
from handoffs.contracts.registry.problem import Problem
from handoffs.contracts.registry.publishing import Decision
from handoffs.contracts.text import printable
from handoffs.coordinator.flow.lineage import Lineage
from handoffs.coordinator.render.console import out, table

STATES = {"published": "published", "new": "not published"}
"""How a state is called where it is not by its own name."""


def note(decision: Decision) -> str:
    """One line on a decision."""
    if decision.state == "new":
        owner = "" if decision.published.owner else " --owner TEAM"
        return f"coordinator contracts publish {decision.ref}{owner}"
    if not decision.problems:
        unsealed = (
            ""
            if decision.published.digest
            else "; without a digest (see publish): a change would not be seen"
        )
        return (
            f"owner {decision.published.owner}, {decision.published.mode}{_marked_since(decision)}{unsealed}"
        )
    more = len(decision.problems) - 1
    return decision.problems[0].text + (f" (and {more} more)" if more else "")


def _marked_since(decision: Decision) -> str:
    """What the code marks as sensitive and the published version does not: nothing is lost, but others go by what is published."""
    since = sorted({*sensitive_of(decision.contract)} - {*decision.published.sensitive})
    if not since:
        return ""
    return f"; sensitive only in the code: {', '.join(since)} (who reads what is published shows it: make a new version)"


def report(decision: Decision, lineage: Lineage) -> dict[str, Any]:
    """The same for programs, with all of its problems."""
    return {
        "contract": decision.ref.name,
        "version": decision.ref.version,
        "state": STATES.get(decision.state, decision.state),
        "note": note(decision),
        "owner": decision.published.owner,
        "mode": decision.published.mode,
        "producers": list(lineage.producers),
        "consumers": list(lineage.consumers),
        "problems": [problem.to_json() for problem in decision.problems],
    }


def print_problems(decision: Decision, lineage: Lineage) -> None:
    """What is wrong, which fields it is about, who is concerned, and what to do."""
    out.print()
    _line(f"{decision.ref}: {STATES.get(decision.state, decision.state)}", style="bold red")
    _line(f"  written by   {', '.join(lineage.producers) or 'no agent that is loaded'}")
    _line(f"  read by      {', '.join(lineage.consumers) or 'no agent that is loaded'}")
    shown: set[Any] = set()
    for problem in decision.problems:
        out.print()
        _line(f"  {problem.rule}: {problem.text}")
        _tables(problem, shown)
        if problem.has_witness:
            word = "instance:" if problem.rule == "migration" else "witness: "
            _line(f"  {word} {printable(strictjson.dumps(problem.witness), 2000)}")
        _line(f"  remedy:   {problem.remedy}", style="green")


def _tables(problem: Problem, shown: set[Any]) -> None:
    if problem.changes and problem.changes not in shown:
        shown.add(problem.changes)
        rows = [(change.path, change.was or "-", change.now or "-") for change in problem.changes]
        out.print(table("", ("field", *problem.sides), rows))
    if problem.differences:
        rows = [
            (
                difference.path or "/",
                "nothing" if difference.kind == "required" else difference.writer,
                difference.reader + ("" if difference.certain else " (not decided)"),
            )
            for difference in problem.differences
        ]
        out.print(table("", ("where", "may be written", "is wanted"), rows))


def _line(text: str, style: str | None = None) -> None:
    out.print(Text(printable(text, 4000), style or ""), soft_wrap=True)
