"""Task events: what workers tell of themselves and of their tasks, looked at before anybody goes by it.

Whoever may publish to the exchange of events can send anything. One event with a time that is a text used to end Flower's account
of all tasks: what came later could not be put in order beside it. Markup in the place of a number went into its page as it came.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import is_plain, printable

Take = Callable[[Any], Any]
"""A field as it may be shown; None where it is malformed."""

_LONGEST_NAME = 255  # characters
_SHOWN = 800  # octets in memory
_SHOWN_OF_TRACEBACK = 4_000
_LINES = 200
_MOST = 2**53
_DAY = 86_400.0  # seconds


def read_event(event: Any, now: float) -> dict[str, Any]:
    """An event with the fields that are shown, and none besides; ``now`` is the time in seconds since 1970.

    Raises :class:`InvalidInput` where it is not what a worker sends.
    """
    if not isinstance(event, dict):
        raise InvalidInput("it is no event")
    kind = event.get("type")
    fields = _FIELDS.get(kind) if isinstance(kind, str) else None
    if fields is None:
        raise InvalidInput("it is of no type of worker or task events")
    read: dict[str, Any] = {"type": kind}
    for name, take in fields.items():
        value = event.get(name)
        if value in (None, ""):
            if name in _NEEDED:
                raise InvalidInput(f"its {name} is missing")
            continue
        taken = take(value)
        if taken is None:
            raise InvalidInput(f"its {name} is malformed")
        read[name] = taken
    if abs(read["timestamp"] - now) > _DAY:
        raise InvalidInput("its timestamp is more than a day from now")
    return read


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME and is_plain(value) else None


def _ascii(value: Any) -> str | None:
    """The name of an agent, an id, a time: one character of another kind would make the text about its task four times as large."""
    return value if _name(value) and value.isascii() else None


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    text = _escaped(value[:_SHOWN])
    most = _SHOWN // _width(text)
    return text if len(text) <= most and len(value) <= _SHOWN else text[: most - 3] + "..."


def _lines(value: Any) -> str | None:
    """The end of it says what went wrong."""
    if not isinstance(value, str):
        return None
    lines = value[-_SHOWN_OF_TRACEBACK:].splitlines()[-_LINES:]
    text = "\n".join(map(_escaped, lines))
    return text[-(_SHOWN_OF_TRACEBACK // _width(text)) :]


def _escaped(text: str) -> str:
    return printable(text, 10 * len(text) + 1)  # an escape has ten characters


def _width(text: str) -> int:
    """How many octets of memory Python takes for each of its characters: as many as for the one that needs most."""
    widest = max(text, default="")
    return 1 if widest <= "\xff" else 2 if widest <= "\uffff" else 4


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _between(least: float, most: float) -> Take:
    def take(value: Any) -> int | float | None:
        return value if type(value) in {int, float} and least <= value <= most else None

    return take


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < _MOST else None


def _loads(value: Any) -> list[float] | None:
    """The averages of three periods."""
    loads = list(map(_between(0, _MOST), value)) if isinstance(value, list) and len(value) == 3 else [None]
    return None if None in loads else loads  # type: ignore[return-value]


_OF_ALL: dict[str, Take] = {
    "hostname": _name,
    "timestamp": _between(0, _MOST),
    "utcoffset": _between(-24, 24),
    "clock": _count,
    "pid": _count,
}
_NEEDED = frozenset({"hostname", "timestamp", "uuid"})
_OF_A_WORKER: dict[str, Take] = {
    **_OF_ALL,
    "freq": _between(0.001, _DAY),
    "active": _count,
    "processed": _count,
    "loadavg": _loads,
    "sw_ident": _name,
    "sw_ver": _name,
    "sw_sys": _name,
}
_OF_A_TASK: dict[
    str, Take
] = {  # without "kwargs": ours have none that are shown, and Flower makes an index of every pair
    **_OF_ALL,
    **dict.fromkeys(("uuid", "name", "root_id", "parent_id", "eta", "expires"), _ascii),
    **dict.fromkeys(("args", "result", "exception"), _text),
    "traceback": _lines,
    "retries": _count,
    "runtime": _between(0, _MOST),
}
_TYPES_OF_A_WORKER = ("online", "heartbeat", "offline")
_TYPES_OF_A_TASK = (
    "sent",
    "received",
    "started",
    "succeeded",
    "failed",
    "rejected",
    "revoked",
    "retried",
    "cancelled",
)
_FIELDS: dict[str, dict[str, Take]] = {
    **{f"worker-{kind}": _OF_A_WORKER for kind in _TYPES_OF_A_WORKER},
    **{f"task-{kind}": _OF_A_TASK for kind in _TYPES_OF_A_TASK},
}
