"""Gantt chart: the lines of a run beside bars of their time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.text import Text

from handoffs.contracts.text import printable
from handoffs.coordinator.observe.timeline import Line, Lines, Span
from handoffs.coordinator.render.lines import connected, cut, padded, wrapped

_GAP = 2
_ROOM = 36  # from so many columns on, what came of a step stands beside it


@dataclass(frozen=True, slots=True)
class _Widths:
    """Columns, in cells. ``beside`` is the room for what came of it on the same line, 0: it stands beneath."""

    whole: int
    label: int
    kind: int
    since: int
    took: int
    bar: int
    beside: int


def gantt(lines: Lines, width: int, styles: Mapping[str, str]) -> Iterator[Text]:
    """A run in lines of at most ``width`` cells (60 or more): the steps as they are nested, seconds since the start,
    milliseconds, and a bar of the time from when a step began to when it ended, with dots while it waited.

    ``styles`` has the colour of a kind of entry.
    """
    rows = [(first, rest, _safe(line)) for first, rest, line in connected(lines)]
    total = max((line.span.end for _, _, line in rows if line.span), default=0.0)
    widths = _widths(rows, width)
    yield _head(widths, total)
    for first, rest, line in rows:
        yield from _drawn(first, rest, line, widths, total, styles)


def _widths(rows: list[tuple[str, str, Line]], whole: int) -> _Widths:
    lines = [line for _, _, line in rows]
    kind = max((len(line.kind) for line in lines), default=0)
    since = max([len(_since(line)) for line in lines] + [len("+s")])
    took = max([len(_took(line)) for line in lines] + [len("ms")])
    bar = max(8, min(30, whole // 5))
    figures = kind + since + took + bar + 4 * _GAP
    longest = max((cell_len(first + line.label) for first, _, line in rows if line.kind), default=0)
    label = max(min(longest, whole - figures), 8)
    room = whole - label - figures - _GAP
    came = max((cell_len(line.came) for line in lines), default=0)
    return _Widths(whole, label, kind, since, took, bar, room if room >= min(_ROOM, came) else 0)


def _head(widths: _Widths, total: float) -> Text:
    scale = f"{total:.3g} s"
    step = padded("step", widths.label + _GAP + widths.kind)
    axis = "0" + scale.rjust(widths.bar - 1)
    return Text(f"{step}{'+s'.rjust(widths.since + _GAP)}{'ms'.rjust(widths.took + _GAP)}  {axis}", "dim")


def _drawn(
    first: str, rest: str, line: Line, widths: _Widths, total: float, styles: Mapping[str, str]
) -> Iterator[Text]:
    style = styles.get(line.kind, "")
    fits = cell_len(first + line.label) <= widths.label
    if not fits:
        for text in wrapped(line.label, widths.whole - cell_len(rest)):
            yield Text.assemble((first, "dim"), text)
            first = rest
    if fits or line.span:
        made = Text.assemble((first, "dim"), line.label if fits else "")
        if line.span:
            made.append(" " * (widths.label - made.cell_len + _GAP))
            made.append(padded(line.kind, widths.kind), style)
            made.append(
                f"{_since(line).rjust(widths.since + _GAP)}{_took(line).rjust(widths.took + _GAP)}  ", "dim"
            )
            made.append(_bar(line, line.span, total, widths.bar), style or "dim")
        if line.came and widths.beside:
            made.append(padded("", widths.whole - widths.beside - made.cell_len))
            made.append(cut(line.came, widths.beside))
        made.rstrip()
        yield made
    if line.came and not widths.beside:
        yield Text.assemble((rest, "dim"), cut(line.came, widths.whole - cell_len(rest)))


def _since(line: Line) -> str:
    return f"{line.span.begin:.3f}" if line.span else ""


def _took(line: Line) -> str:
    if line.span is None or line.moment:
        return ""
    return f"{(line.span.end - line.span.begin) * 1000:.1f}"


def _bar(line: Line, span: Span, total: float, width: int) -> str:
    """Cells from 0 to ``total``: a dot where it waited, a block where it worked, a line over what belongs together."""

    if total <= 0:
        return "◆" if line.moment else "█"
    long = 1 if line.moment else max(1, round((span.end - span.begin) / total * width))
    begin = min(int(span.begin / total * width), width - long)
    ready = min(int(span.ready / total * width), begin)
    sign = "◆" if line.moment else "█" if line.kind else "━"
    return " " * ready + "·" * (begin - ready) + sign * long


def _safe(line: Line) -> Line:
    return replace(line, label=printable(line.label, 400), kind=printable(line.kind, 20))
