"""Trace as a tree: a trace in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.folding import Row, folded, states
from handoffs.coordinator.observe.trace import Trace, TraceNode
from handoffs.coordinator.render.lines import cut, padded, wrapped

_STATE, _SINCE, _TOOK = 26, 8, 9  # columns
_MOST_BENEATH = 3
_LEAST_WHICH = 12
_SECONDS, _DAYS = 99_999.5, 99_999_000  # from so many milliseconds on they are told in these
_SHALLOW = 62  # columns that are not for rails
TIMES = "\u00d7"
"""Stands before how many there are."""


def trace_tree(
    trace: Trace, width: int, styles: Mapping[str, str], *, everything: bool = False
) -> Iterator[Text]:
    """A trace in lines of at most ``width`` cells (60 or more): who emitted what, who heard it, what became of that, when it
    began and how long it took. Many of one kind are one line, unless ``everything`` is wanted.

    ``styles`` has the colour of a state.
    """
    label = max(width - _STATE - _SINCE - _TOOK - 2, 15)
    head = " " * (label + 2 + _STATE) + "+ms".rjust(_SINCE) + "took ms".rjust(_TOOK)
    yield Text(head, "dim")
    reason = ""
    for row in folded(trace, max((width - _SHALLOW) // 2, 4), everything=everything):
        again = row.odd and reason == row.nodes[0].reason
        reason = row.nodes[0].reason if row.odd else ""
        yield from _drawn(row, label, width, styles, again=again)


def _drawn(row: Row, label: int, width: int, styles: Mapping[str, str], *, again: bool) -> Iterator[Text]:
    """The lines of a row; ``again``: the reason is that of the row before."""
    first, beneath = row.first, max(width - cell_len(row.rest), 20)
    words, style = _label(row)
    if cell_len(first + words) > label:
        for line in wrapped(words, beneath):
            yield Text.assemble((first, "dim"), (line, style))
            first = row.rest
        made = Text(row.rest, "dim")
    else:
        made = Text.assemble((first, "dim"), (words, style))
        made.append(_which(row, label - made.cell_len), "dim")
    made.append(" " * max(label + 2 - made.cell_len, 1))
    shown, colour = _states(row), _colour(row.nodes, styles)
    fits = cell_len(shown) <= _STATE
    made.append(padded(shown if fits else "", _STATE), colour)
    made.append(f"{_since(row.nodes)}{_took(row.nodes)}", "dim")
    made.rstrip()
    if made.cell_len > cell_len(row.rest.rstrip()):
        yield made
    more = [] if fits else [(shown, colour)]
    more += [] if again else [(words, style) for words, style in _beneath(row, styles) if words]
    for text, style in more:
        for line in wrapped(text, beneath)[:_MOST_BENEATH]:
            yield Text.assemble((row.rest, "dim"), (cut(line, beneath), style))


def _label(row: Row) -> tuple[str, str]:
    nodes, one = row.nodes, row.nodes[0]
    if row.below or row.more:
        return (f"… {row.below} further down" if row.below else f"… and {row.more} more"), "dim"
    many = f" {TIMES} {len(nodes)}" if len(nodes) > 1 else ""
    name = printable(one.name, 300) or "an event that nobody tells of"
    if row.odd:
        return one.which or one.step or name, ""
    if one.kind in {"story", "run"}:
        return (name if many else f"{one.kind} {name}") + many, "bold"
    if one.kind == "set":
        return f"{name} has {'sets' if many else 'a set'}{many}", "cyan"
    path = f"{one.step}  " if one.kind == "step" and not many else ""
    return f"{path}{name}{many}", "green" if one.kind == "event" else "cyan"


def _which(row: Row, room: int) -> str:
    """What tells it from others, where there is room for that."""
    one = row.nodes[0]
    alone = len(row.nodes) == 1 and one.kind in {"hearing", "step"} and not (row.odd or row.below)
    return f"  {cut(one.which, room - 2)}" if alone and one.which and room - 2 >= _LEAST_WHICH else ""


def _states(row: Row) -> str:
    """The state; of several, how many are in which."""
    if row.below:
        return ""
    if len(row.nodes) > 1:
        nodes = [node for node in row.nodes if node.state != "emitted"]
        return ", ".join(f"{count} {state}" for state, count in states(nodes).items())
    node = row.nodes[0]
    if node.kind == "event":
        return "unheard" if node.state == "unheard" else ""
    tries = f", {node.attempts} attempts" if node.attempts > 1 else ""
    return f"{node.state}{tries}"


def _colour(nodes: Sequence[TraceNode], styles: Mapping[str, str]) -> str:
    """That of the worst state."""
    found = {node.state for node in nodes}
    worst = next((state for state in ("parked", "unheard", "open", "cancelled") if state in found), "")
    return styles.get(worst or (nodes[0].state if len(found) == 1 else "settled"), "")


def _since(nodes: Sequence[TraceNode]) -> str:
    first = min((node.at_ms for node in nodes if node.at_ms is not None), default=None)
    return ("" if first is None else f"+{_figure(first, 0)}").rjust(_SINCE)


def _took(nodes: Sequence[TraceNode]) -> str:
    took = [node.took_ms for node in nodes if node.took_ms is not None]
    if not took:
        return ""
    return f"{'≤ ' if len(took) > 1 else ''}{_figure(max(took), 1)}".rjust(_TOOK)


def _figure(ms: float, digits: int) -> str:
    """Milliseconds in at most seven cells: of a hundred seconds and more the seconds, of a day and more the days."""
    if ms < _SECONDS:
        return f"{ms:.{digits}f}"
    return f"{ms / 1000:.0f}s" if ms < _DAYS else f"{min(ms / 86_400_000, 99_999):.0f}d"


def _beneath(row: Row, styles: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What else there is to say of it."""
    nodes, one = row.nodes, row.nodes[0]
    if row.below:
        yield (
            ", ".join(f"{count} {state}" for state, count in states(nodes).items() if state != "emitted"),
            "dim",
        )
    elif len(nodes) > 1:
        notes = [note.partition(" ")[0] for node in nodes for note in node.notes]
        counted = [f"{notes.count(word)} {word}" for word in dict.fromkeys(notes) if word != "read"]
        tries = sum(node.attempts > 1 for node in nodes)
        yield ", ".join([*([f"{tries} took more than one attempt"] if tries else []), *counted]), "dim"
    else:
        if one.kind == "set":
            yield _came(one), "dim"
        if one.kind in {"story", "run"}:
            yield one.run, "dim"
        yield one.reason, styles.get("parked", "")
        yield ", ".join(one.notes), "dim"


def _came(node: TraceNode) -> str:
    if node.expected is not None:
        return f"{node.size} of {node.expected} events have come"
    return f"{node.size} event{'' if node.size == 1 else 's'} {'has' if node.size == 1 else 'have'} come"


def trace_summary(trace: Trace) -> str:
    """How many events there are, and how much of what they led to is in which state, in a line."""
    counts = dict(trace.counts)
    events = counts.pop("events")
    shown = [f"{count} {state}" for state, count in counts.items()]
    return ", ".join([f"{events} event{'' if events == 1 else 's'}", *shown])
