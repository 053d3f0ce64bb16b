"""Templating: the pages' templates, and what they can say of moments, durations and values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from handoffs.config import clock
from handoffs.contracts.text import escaped_json, printable
from handoffs.coordinator.console.access.caller import Caller
from handoffs.coordinator.console.asked import console_of
from handoffs.coordinator.console.errors import Unauthenticated

_FLASH = "flash"
_LONGEST = 500
_SHORT = 12
_UNITS = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))

NAVIGATION = (
    ("/now", "Now"), ("/runs", "Runs"), ("/flows", "Flows"), ("/dead-letters", "Dead letters"), ("/operations", "Operations"),
    ("/approvals", "Approvals"), ("/contracts", "Contracts"), ("/map", "Map"), ("/schedules", "Schedules"),
    ("/actions", "Actions"), ("/doctor", "Doctor"),
)  # fmt: skip


def templates() -> Environment:
    """The templates of the console."""
    made = Environment(
        loader=PackageLoader("handoffs.coordinator.console", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        moment=moment,
        ago=ago,
        lasts=lasts,
        number=number,
        plain=plain,
        plain_lines=plain_lines,
        pretty=pretty,
        short=short,
        segment=segment,
        query=urlencode,
    )
    made.globals["navigation"] = NAVIGATION
    return made


def rendered(
    request: Request, template: str, *, title: str, twin: str, code: int = 200, **values: Any
) -> HTMLResponse:
    """The page that ``template`` makes of ``values``. What a page always has: who looks at it, what was just done, where its JSON is."""
    console = console_of(request)
    text = console.templates.get_template(template).render(
        title=title,
        twin=twin,
        base=base_of(request),
        here=here_of(request),
        json_at=_json_of(request),
        caller=_caller(request),
        form_key=console.access.form_key(request),
        flashed=request.session.pop(_FLASH, ""),
        guarded=console.settings.is_guarded,
        flower=console.settings.flower_url or "",
        **values,
    )
    return HTMLResponse(text, code)


def base_of(request: Request) -> str:
    """What stands before each path of the console: empty, or the path below which a proxy shows it."""
    return str(request.scope.get("root_path", "")).rstrip("/")


def flash(request: Request, message: str) -> None:
    """Have the next page say ``message``."""
    request.session[_FLASH] = printable(message, _LONGEST)


def moment(value: datetime | str | None) -> Markup:
    """A moment as it is in UTC; a script puts it into the time of the browser. Nothing for none."""
    found = _read(value)
    if found is None:
        return Markup("") if not value else escape(printable(value, 80))
    utc = found.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="milliseconds"), f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    )


def ago(value: datetime | str | None) -> str:
    """How long ago something was: ``3 min``; empty for none."""
    found = _read(value)
    return lasts((clock.now() - found).total_seconds()) if found else ""


def lasts(seconds: float | None) -> str:
    """A number of seconds in words, of two figures: ``85 ms``, ``1.5 min``, ``3 d``; empty for none."""
    if seconds is None:
        return ""
    unit, size = next((one for one in _UNITS if seconds >= one[1]), _UNITS[-1])
    count = round(max(seconds, 0.001) / size, 1)
    return f"{count:.0f} {unit}" if count >= 10 or count == round(count) else f"{count:.1f} {unit}"


def number(value: float | None) -> str:
    """``12,034``; ``0.4``; ``?`` where it is not known."""
    if value is None:
        return "?"
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    )


def plain(value: object, longest: int = _LONGEST) -> str:
    """What others have written, without what a reader would not see."""
    return printable(value, longest)


def plain_lines(value: object, longest: int = 20_000) -> str:
    """The same of a text of several lines."""
    return "\n".join(printable(line, _LONGEST) for line in str(value)[:longest].splitlines())


def pretty(value: Any) -> str:
    """A value as JSON on several lines, with escapes for what a reader would not see."""
    return escaped_json(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def short(value: str) -> str:
    """The beginning of an id."""
    return printable(value, 200)[:_SHORT]


def segment(value: object) -> str:
    """A name as one part of a path."""
    return quote(str(value), safe="")


def _read(value: datetime | str | None) -> datetime | None:
    if not value:
        return None
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def here_of(request: Request) -> str:
    """The address of the page, without the server: the path, and what it is asked for."""
    return f"{base_of(request)}{_path(request)}{f'?{request.url.query}' if request.url.query else ''}"


def _json_of(request: Request) -> str:
    if request.method != "GET":
        return ""
    return f"{base_of(request)}{_path(request)}.json{f'?{request.url.query}' if request.url.query else ''}"


def _path(request: Request) -> str:
    path = request.url.path
    base = base_of(request)
    return path.removeprefix(base) if base else path


def _caller(request: Request) -> Caller | None:
    try:
        return console_of(request).access.caller(request)
    except Unauthenticated:
        return None
