"""Record table: the entries of runs for an auditor as one Parquet file, where the package that writes it is installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from handoffs.coordinator.errors import NotInstalled
from handoffs.coordinator.journal.records import RecordedEntry

_AT_ONCE = 1_000
_OF_THE_ENTRY = ("step", "agent", "error", "by", "why")
_COLUMNS = (
    "run", "sequence", "at", "flow", "kind", *_OF_THE_ENTRY, "entry", "source", "namespace", "previous", "digest",
)  # fmt: skip


def require_parquet() -> Any:
    """pyarrow, whole. Raises :class:`~handoffs.coordinator.errors.NotInstalled` where it is not installed."""
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise NotInstalled(
            f"what writes Parquet is not installed: {error.name or 'pyarrow'}",
            "nothing was written",
            "pip install pyarrow, or take --format jsonl",
        ) from None


def write_parquet(path: Path, entries: Iterable[RecordedEntry]) -> int:
    """Write entries to a file, a thousand at a time; gives how many there were. All columns are texts, but ``sequence``."""
    arrow = require_parquet()
    schema = arrow.schema(
        [(name, arrow.int32() if name == "sequence" else arrow.string()) for name in _COLUMNS]
    )
    count, rest = 0, iter(entries)
    with arrow.parquet.ParquetWriter(str(path), schema) as writer:
        while some := list(islice(rest, _AT_ONCE)):
            count += len(some)
            writer.write_table(arrow.Table.from_pylist(list(_rows(some)), schema=schema))
    return count


def _rows(entries: Iterable[RecordedEntry]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        values, value = entry._asdict(), entry.value or {}
        told = {name: str(value.get(name, "")) for name in _OF_THE_ENTRY}
        yield {**{name: values[name] for name in _COLUMNS if name in values}, **told, "entry": entry.text}
