"""Record page: one run for an auditor as one page of HTML, which needs nothing else and no script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from handoffs.contracts.text import escaped_json, printable
from handoffs.coordinator.journal.records import RecordedEntry, RecordedRun, Records

_LONGEST = 2_000
_STYLE = """body{font:14px/1.45 system-ui,sans-serif;margin:2rem;color:#1b1b1b;background:#fff}
h1{font-size:1.3rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.3rem .6rem;border-bottom:1px solid #ddd}
dt{font-weight:600}dd{margin:0 0 .4rem}dd,td{overflow-wrap:anywhere}code,pre{font:12px/1.4 ui-monospace,monospace}
pre{white-space:pre-wrap;background:#f6f6f6;padding:.6rem;margin:.3rem 0}.digest{color:#666}.fault{color:#a00;font-weight:600}"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_FACTS = (
    ("flow", "flow"), ("key", "idempotency key"), ("state", "state"), ("started", "accepted (UTC)"), ("noted", "state written down (UTC)"),
    ("sequence", "entries in the chain"), ("digest", "digest of the last entry (SHA-256)"),
)  # fmt: skip


def page(records: Records, run: RecordedRun, *, printed: str, verdict: str, holds: bool) -> Iterator[str]:
    """The page of a run, in pieces. ``printed``: when, ISO 8601 in UTC; ``verdict``: in words, whether its chain ``holds``."""
    title = f"Run {_plain(run.run)}"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n<style>{_STYLE}</style></head><body>\n'
    yield f"<h1>{title}</h1>\n<dl>"
    for name, words in _FACTS:
        yield f"<dt>{words}</dt><dd>{_plain(getattr(run, name)) or '-'}</dd>\n"
    yield f"<dt>exported (UTC)</dt><dd>{_plain(printed)}</dd>"
    yield f"<dt>the chain</dt><dd{'' if holds else ' class=fault'}>{_plain(verdict)}</dd></dl>\n"
    yield "<h2>What happened</h2>\n<table><thead><tr><th>#<th>when (UTC)<th>what<th>step<th>agent<th>in full</tr></thead><tbody>\n"
    for entry in records.entries(run.run):
        yield _entry(entry)
    yield "</tbody></table>\n<h2>What people did</h2>\n"
    yield "<table><thead><tr><th>#<th>when (UTC)<th>who<th>what<th>letter<th>why<th>digest</tr></thead><tbody>\n"
    for one in records.actions(run.run):
        cells = (one.sequence, one.at, one.who, one.action, one.letter, one.note, one.digest)
        yield "<tr>" + "".join(f"<td>{_plain(cell)}" for cell in cells) + "</tr>\n"
    yield "</tbody></table>\n</body></html>\n"


def _entry(entry: RecordedEntry) -> str:
    value = entry.value or {}
    cells = (entry.sequence or "-", entry.at, entry.kind, value.get("step", ""), value.get("agent", ""))
    if entry.value is None:
        shown = escape(printable(entry.text, 1_000_000))
    else:
        shown = escape(escaped_json(json.dumps(entry.value, ensure_ascii=False, indent=2)))
    head = "".join(f"<td>{_plain(cell)}" for cell in cells)
    digest = f'<div class="digest">{_plain(entry.digest) or "of an older release, not in the chain"}</div>'
    return f"<tr>{head}<td>{_reason(value)}<details><summary>entry</summary><pre>{shown}</pre>{digest}</details></tr>\n"


def _reason(value: dict[str, Any]) -> str:
    """What failed, or who did it and why, before the whole entry."""
    words = (value.get("error", ""), value.get("by", ""), value.get("why", ""))
    return _plain("; ".join(str(word) for word in words if word))


def _plain(value: object) -> str:
    return escape(printable(value, _LONGEST))
