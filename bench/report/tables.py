"""Tables: the figures of a measure as Markdown, with its bars below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.bars import Bar
from bench.figures import cpu_ms, median, ratio
from bench.measures.measure import Column, Measure
from bench.peers.choice import BASELINE, OPTIONAL
from bench.samples import About, Record, Sample

_SAYS_SO = "—"


def section(measure: Measure, record: Record) -> str:
    """A measure with its heading, its method, its table and its bars; empty where it was not measured."""
    samples = record.of(measure.name)
    if not samples:
        return ""
    about = record.abouts.get(measure.name)
    parts = [f"### {measure.title}", measure.explains, table(measure, samples)]
    if measure.bars:
        parts.append(bars_table([(measure, samples)]))
    if about is not None:
        parts.append(_told(about))
    return "\n\n".join(parts) + "\n"


def table(measure: Measure, samples: Sequence[Sample]) -> str:
    """A row for each case and side: medians, from the lowest to the highest, and the ratio to durable Celery."""
    compared = any(one.side == BASELINE for one in samples)
    columns = [column for column in measure.columns if any(column.key in one.values for one in samples)]
    head = ["", ""]
    for column in columns:
        head.append(column.heading)
        if column.compared and compared:
            head.append("to Celery")
    groups = sorted({group for one in samples for group in one.cpu}, key=_order) if measure.unit else []
    if groups:
        head.append(f"CPU ms a {measure.unit}: " + ", ".join(groups))
    lines = [_row(head), _row(["---"] * 2 + ["---:"] * (len(head) - 2))]
    case = None
    for one in dict.fromkeys((sample.case, sample.side) for sample in samples):
        lines.append(_row(_cells(one, "" if one[0] == case else one[0], columns, samples, compared, groups)))
        case = one[0]
    return "\n".join(lines)


def bars_table(measured: Sequence[tuple[Measure, Sequence[Sample]]]) -> str:
    """Each bar with what was measured, and whether it is reached."""
    lines = [_row(["bar", "least", "aim", "measured", ""]), _row(["---", "---:", "---:", "---:", "---"])]
    for measure, samples in measured:
        for bar in measure.bars:
            figure = bar.figure(samples)
            verdict = bar.verdict(figure)
            lines.append(
                _row(
                    [
                        bar.text,
                        _bound(bar, bar.least),
                        _bound(bar, bar.aim) if bar.aim is not None else "",
                        _SAYS_SO if figure is None else _value(bar, figure),
                        f"**{verdict}**" if verdict == "MISSED" else verdict,
                    ]
                )
            )
    return "\n".join(lines)


def absent(record: Record) -> Iterator[str]:
    """The optional sides that were not there, by measure, in words."""
    for about in record.abouts.values():
        if missing := [name for name in OPTIONAL if about.facts.get(name) == "not installed"]:
            yield f"{about.measure}: {', '.join(missing)} not installed"


def _cells(
    which: tuple[str, str],
    shown: str,
    columns: Sequence[Column],
    samples: Sequence[Sample],
    compared: bool,
    groups: Sequence[str],
) -> list[str]:
    """Many parameters because they are what a row is made of."""
    case, side = which
    here = [one for one in samples if one.case == case]
    own = [one for one in here if one.side == side]
    base = [one for one in here if one.side == BASELINE]
    cells = [shown, side]
    for column in columns:
        cells.append(_spread(own, column))
        if column.compared and compared:
            found = ratio(own, base, column.key) if side != BASELINE else None
            cells.append(f"{found:.2f}" if found is not None else "")
    if groups:
        cpu = cpu_ms(own)
        cells.append(", ".join(f"{cpu[group]:.2f}" if group in cpu else _SAYS_SO for group in groups))
    return cells


def _spread(samples: Sequence[Sample], column: Column) -> str:
    values = [one.values[column.key] for one in samples if column.key in one.values]
    middle = median(samples, column.key)
    if middle is None:
        return ""
    told = f"{middle:,.{column.digits}f}"
    if len(values) > 1:
        told += f" ({min(values):,.{column.digits}f}..{max(values):,.{column.digits}f})"
    return told


def _bound(bar: Bar, value: float) -> str:
    return f"{'≤' if bar.at_most else '≥'} {_value(bar, value)}"


def _value(bar: Bar, value: float) -> str:
    return f"{value:.3g} {bar.unit}".rstrip() if bar.against is None else f"{value:.2f} x {bar.against}"


def _told(about: About) -> str:
    return "Measured: " + "; ".join(f"{name} {value}" for name, value in about.facts.items()) + "."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _order(group: str) -> tuple[int, str]:
    known = ("client", "workers", "RabbitMQ", "Redis")
    return (known.index(group) if group in known else len(known), group)
