"""Document: figures are put between the marks of a Markdown file, and everything else of it stays as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from bench.measures.measure import Measure
from bench.report.tables import bars_table, section
from bench.samples import Record

BARS = "bars"


class NoMark(Exception):
    """A document has no place for what is to be put into it."""


def updated(text: str, record: Record, measures: Sequence[Measure]) -> str:
    """The document with the sections of all measures in the record, and with the table of all bars.

    Raises :class:`NoMark` where there is no ``<!-- bench: name -->`` with its ``<!-- /bench: name -->``.
    """
    measured = [(one, record.of(one.name)) for one in measures if one.bars]
    text = _put(text, BARS, bars_table(measured) + "\n")
    for measure in measures:
        if told := section(measure, record):
            text = _put(text, measure.name, told)
    return text


def _put(text: str, name: str, told: str) -> str:
    begin, end = f"<!-- bench: {name} -->", f"<!-- /bench: {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise NoMark(f"the document has no {begin} ... {end}")
    return pattern.sub(lambda _: f"{begin}\n{told}{end}", text, count=1)
