"""Generators: each makes a case of a seeded random. To add one, write its module and add a line here."""

from __future__ import annotations

from tests.hostile.case import Generator
from tests.hostile.generators import (
    bodies,
    contents,
    continuations,
    frames,
    headers,
    properties,
    rows,
    task_events,
    timers,
    values,
)

GENERATORS: dict[str, Generator] = {
    "frames": frames.generate,
    "properties": properties.generate,
    "headers": headers.generate,
    "bodies": bodies.generate,
    "continuations": continuations.generate,
    "timers": timers.generate,
    "contents": contents.generate,
    "rows": rows.generate,
    "values": values.generate,
    "task-events": task_events.generate,
}
"""By name, in the order of the table."""
