"""Decision: what can-i-deploy found, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.padding import Padding
from rich.text import Text

from handoffs.contracts import strictjson
from handoffs.contracts.deployment import Decision, Edge, Outstanding, Problem
from handoffs.contracts.text import printable
from handoffs.coordinator.render.console import out, say, table

_WITNESS = 2_000


def show(decision: Decision, found: Sequence[Outstanding]) -> None:
    """Print a decision for people, with what is outstanding."""
    edges = [
        (edge.rule, edge.contract, _other(edge), _list(edge.writes), _list(edge.reads), _sent(edge))
        for edge in decision.edges
    ]
    if edges:
        columns = ("edge", "contract", "other side", "writes", "reads", "sent as")
        out.print(table("what works", columns, edges))
    if found:
        reads = decision.new.accepts
        rows = [
            (
                left.contract.name, left.contract.version, left.dead_lettered, left.other,
                "yes" if left.contract.version in reads.get(left.contract.name, ()) else "no",
            )
            for left in found
        ]  # fmt: skip
        heads = ("contract", "version", "dead-lettered", "other", "read by the new build")
        out.print(table("what is outstanding", heads, rows))
    for note in decision.notes:
        _say(f"note: {note}", 0)
    for number, problem in enumerate(decision.problems, 1):
        _print_problem(number, problem)
    out.print(Text(printable(f"{decision.new}: {'yes' if decision.ok else 'no'}"), "bold"), soft_wrap=True)
    for sentence in decision.order:
        _say(f"order: {sentence}", 0)


def _print_problem(number: int, problem: Problem) -> None:
    _say(f"problem {number}, {problem.rule}: {problem.text}", 0)
    _say(f"remedy: {problem.remedy}")
    for difference in problem.differences:
        _say(str(difference))
    if problem.broken:
        witness = printable(strictjson.dumps(problem.witness), _WITNESS)
        say(f"  witness: {witness}")  # on one line, to be copied


def _say(sentence: str, indent: int = 2) -> None:
    out.print(Padding(Text(printable(sentence, _WITNESS)), (0, 0, 0, indent), expand=False))


def _other(edge: Edge) -> str:
    return " ".join(edge.writer if edge.rule == "accepts" else edge.reader)


def _sent(edge: Edge) -> str:
    return str(edge.version) if edge.how == "as it is" else f"{edge.version} ({edge.how})"


def _list(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))
