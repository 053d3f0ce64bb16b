"""Trace report: a trace in the terminal, as a tree with its counts."""

from __future__ import annotations

from handoffs.coordinator.observe.trace import Trace
from handoffs.coordinator.render.console import STYLES, out
from handoffs.coordinator.render.lines import as_ascii
from handoffs.coordinator.render.trace_tree import trace_summary, trace_tree


def print_trace(found: Trace, *, everything: bool = False) -> None:
    """Print a trace as a tree, with its counts beneath; ``everything`` gives each message a line of its own."""
    for line in trace_tree(found, out.width, STYLES, everything=everything):
        if out.options.ascii_only:
            line.plain = as_ascii(line.plain)
        out.print(line, soft_wrap=True)
    out.print(trace_summary(found), soft_wrap=True)
