"""The picture of a record: for each measure its first figure, by case and side, from the lowest to the highest round."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot

from bench.figures import median
from bench.measures.measure import Measure
from bench.samples import Record, Sample

_COLOURS = {"handoffs": "#1f77b4", "celery": "#2ca02c", "dramatiq": "#ff7f0e", "taskiq": "#9467bd"}
_OTHERS = ("#8c564b", "#17becf", "#7f7f7f", "#bcbd22")
_COLUMNS = 2


def draw(record: Record, measures: Sequence[Measure], path: Path) -> None:
    """Draw all measures of the record into a file."""
    mpl.use("Agg")
    measured = [one for one in measures if record.of(one.name)]
    rows = -(-len(measured) // _COLUMNS)
    figure, panels = pyplot.subplots(
        rows, _COLUMNS, figsize=(12, 3.2 * rows), layout="constrained", squeeze=False
    )
    for axes, measure in zip(panels.flat, measured, strict=False):
        _panel(axes, measure, record.of(measure.name))
    for axes in list(panels.flat)[len(measured) :]:
        axes.axis("off")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panel(axes: Any, measure: Measure, samples: Sequence[Sample]) -> None:
    column = measure.columns[0]
    cases = list(dict.fromkeys(one.case for one in samples))
    sides = list(dict.fromkeys(one.side for one in samples))
    width, named = 0.8 / len(sides), dict[str, str]()
    for number, side in enumerate(sides):
        for place, case in enumerate(cases):
            own = [one for one in samples if (one.side, one.case) == (side, case)]
            middle = median(own, column.key)
            if middle is None:
                continue
            found = [one.values[column.key] for one in own if column.key in one.values]
            spread = [[middle - min(found)], [max(found) - middle]]
            axes.bar(
                place + (number - (len(sides) - 1) / 2) * width,
                middle,
                width,
                yerr=spread,
                color=_COLOURS.get(side, _OTHERS[number % len(_OTHERS)]),
                label=named.setdefault(side, side) if side not in named else None,
                error_kw={"linewidth": 0.8},
            )
    axes.set_title(measure.title, fontsize="medium")
    axes.set_ylabel(column.heading)
    axes.set_xticks(range(len(cases)), cases, fontsize="x-small", rotation=15 if len(cases) > 3 else 0)
    axes.legend(frameon=False, fontsize="x-small")
