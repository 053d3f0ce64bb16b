"""Given: what callers hand over, checked before anything is done with it: an odd value is a typed error, in one line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from handoffs.config.delays import LONGEST_WAIT
from handoffs.config.settings import Settings
from handoffs.contracts.contract import Contract
from handoffs.contracts.errors import InvalidData
from handoffs.contracts.searchable import value_text
from handoffs.contracts.text import named, printable, quoted
from handoffs.coordinator.client.operation import Pace
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.duration import is_duration
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.step import Step
from handoffs.coordinator.journal.letters import LetterFilter
from handoffs.coordinator.letters.letter import Letter
from handoffs.coordinator.observe.run_query import RunChoice, RunQuery
from handoffs.coordinator.observe.standing import Status
from handoffs.coordinator.store.usage import MOST_DAYS

_STARTED, _SENT, _CHANGED = "nothing was started", "nothing was sent", "nothing was changed"
_LOOKED = "nothing was looked up"


def settings(value: Any) -> Settings | None:
    """Settings, or none. Raises :class:`InvalidData`, as all of these do."""
    if value is not None and not isinstance(value, Settings):
        raise InvalidData(
            f"the coordinator is given {_kind(value)} as its settings",
            _STARTED,
            "give it what handoffs.config.settings.load(eager=True) gives",
        )
    return value


def flow(value: Any) -> Flow | str:
    """A flow, or the name of one."""
    if isinstance(value, (Flow, str)):
        return value
    wrap = (
        "wrap it: Flow('shop.order', step)" if isinstance(value, Step) else "give a Flow, or the name of one"
    )
    raise InvalidData(f"start() is given {_kind(value)}, which is no flow", _STARTED, wrap)


def payloads(value: Any) -> Iterable[Any]:
    """What many runs are started with."""
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, Mapping, Contract)):
        raise InvalidData(
            f"start_many() is given {_kind(value)}, which is no list of payloads",
            _STARTED,
            "give it any iterable of payloads: start_many(flow, [payload])",
        )
    return value


def key_function(value: Any) -> Callable[[Any], str | None] | None:
    """What gives the key of a payload, or None: its own."""
    if value is not None and (not callable(value) or isinstance(value, type)):
        raise InvalidData(
            f"the idempotency key of many runs is {_kind(value)}",
            _STARTED,
            "give a function of a payload that returns its key: idempotency_key=lambda order: order.order_id",
        )
    found: Callable[[Any], str | None] | None = value
    return found


def event(value: Any) -> Contract:
    """What can be emitted."""
    return _contract(value, "emit()", _SENT)


def signal(name: Any, payload: Any) -> tuple[str, Contract]:
    """The name of a signal and its payload."""
    return text(name, "the name of a signal", _SENT), _contract(payload, "signal()", _SENT)


def deadline(value: timedelta | None) -> timedelta | None:
    """How long something is wanted, or None: always."""
    if value is not None and not is_duration(value):
        raise InvalidData(
            f"the deadline is {_shown(value)}",
            _STARTED,
            f"give a timedelta above 0, up to {LONGEST_WAIT.days} days: timedelta(minutes=5)",
        )
    return value


def time_ahead(by: Any, **units: Any) -> timedelta:
    """By how much time is moved: ``by``, and so many of each unit; whether that may be is for others to say."""
    odd = [value for value in units.values() if not _is_number(value)]
    if odd or not isinstance(by, timedelta):
        raise InvalidData(
            f"time is to be moved by {_shown(odd[0] if odd else by)}",
            "it is what it was",
            "give a timedelta, or numbers: advance(hours=3)",
        )
    try:
        return by + timedelta(**units)
    except OverflowError:
        return timedelta.max


def seconds(value: float | None) -> float | None:
    """A timeout, or None: as long as it takes."""
    if value is not None and not _is_number(value):
        raise InvalidData(
            f"the timeout is {_shown(value)}", "nothing was waited for", "give seconds, as a number"
        )
    return value


def text(value: Any, what: str, consequence: str = "nothing was looked up") -> str:
    """An id or a name."""
    if not isinstance(value, str):
        raise InvalidData(f"{what} is {_kind(value)}", consequence, "give a text")
    return value


def letter(value: Any) -> Letter:
    """A dead letter."""
    if not isinstance(value, Letter):
        raise InvalidData(
            f"a dead letter is expected, and {_kind(value)} is given",
            _CHANGED,
            "give one of run.letters() or coordinator.dead_letters()",
        )
    return value


def runs(values: Any) -> list[Any]:
    """The handles of runs."""
    found = list(values) if isinstance(values, Iterable) else [values]
    for value in found:
        if not isinstance(getattr(value, "id", None), str):
            raise InvalidData(
                f"a run is expected, and {_kind(value)} is given",
                "nothing was looked up",
                "give runs: statuses([coordinator.run(run_id)])",
            )
    return found


def one_agent(value: Any) -> Agent:
    """An agent that something is to stand in for."""
    if not isinstance(value, Agent):
        raise InvalidData(
            f"an agent is expected, and {_kind(value)} is given",
            "nothing was replaced",
            "give what @agent(...) made, or its name",
        )
    return value


def agent_or_step(value: Any) -> str:
    """An agent, its name, or the path of a step, as a text."""
    if isinstance(value, Agent):
        return value.name
    if not isinstance(value, str) or not value:
        raise InvalidData(
            f"an agent or a step is expected, and {_kind(value) if value != '' else 'an empty text'} is given",
            _LOOKED,
            'give what @agent(...) made, its name, or the path of a step, such as "3.stock.1"',
        )
    return value


_STATUSES = get_args(Status)


def run_query(chosen: Mapping[str, Any], before: Any = "", found: frozenset[str] | None = None) -> RunQuery:
    """Which runs are asked for, and after which place in the list; ``found`` are those of the text that is looked for."""
    known = RunChoice.__annotations__
    if odd := [name for name in chosen if name not in known]:
        raise InvalidData(
            f"runs are not chosen by {printable(', '.join(odd), 120)}",
            _LOOKED,
            f"choose by {', '.join(sorted(known))}",
        )
    names = {name: chosen.get(name, "") for name in ("flow", "status", "key", "failed_at", "error")}
    for name, value in names.items():
        text(value, f"the {name} of runs")
    if names["status"] and names["status"] not in _STATUSES:
        shown = printable(names["status"], 60)
        raise InvalidData(f"no run has the status {shown!r}", _LOOKED, f"give one of {', '.join(_STATUSES)}")
    return RunQuery(
        **names,
        since=_moment(chosen.get("since"), "since"),
        until=_moment(chosen.get("until"), "until"),
        waiting=bool(chosen.get("waiting", False)),
        where=_where(chosen.get("where") or {}),
        before=_place(before),
        runs=found,
    )


def _where(value: Any) -> tuple[tuple[str, str], ...]:
    """Values of searchable fields, as they are looked for."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) and name for name in value):
        raise InvalidData(
            f"runs are looked for where {_kind(value)} holds",
            _LOOKED,
            'give values by the names of searchable fields: where={"order": "o-17"}',
        )
    found = tuple((name, value_text(one)) for name, one in value.items())
    for name, wanted in found:
        if not wanted:
            raise InvalidData(
                f"runs are looked for where {quoted(name, 120)} is {_kind(value[name]) if value[name] != '' else 'empty'}",
                _LOOKED,
                "give a text, a whole number, true or false, a decimal, a date, a UUID, or one of an enum",
            )
    return found


def _place(value: Any) -> tuple[str, str] | None:
    """A place in the list of runs; None for its beginning."""
    started, _, run = text(value, "the place in the list of runs").partition(" ")
    if value and not (started and run):
        raise InvalidData(
            f"{quoted(value, 60)} is no place in the list of runs",
            _LOOKED,
            "give the cursor of the last run of the page before: before=runs[-1].cursor",
        )
    return (started, run) if value else None


def searched(value: Any) -> str:
    """A text that is looked for, without the blanks around it."""
    found = text(value, "what is looked for").strip()
    if not found:
        raise InvalidData("nothing is looked for", _LOOKED, "give a text: an id, a key, a value, or a name")
    return found


def page(value: Any, what: str, most: int) -> int:
    """How many are asked for at once, 1 to ``most``."""
    if type(value) is not int or not 1 <= value <= most:
        raise InvalidData(
            f"the limit of {what} is {_shown(value)}", _LOOKED, f"give a number from 1 to {most:,}"
        )
    return value


def since(value: Any) -> str:
    """From when on something is asked for, as the journal has it; empty: from the beginning."""
    found = _moment(value)
    return found.astimezone(UTC).isoformat(timespec="milliseconds") if found else ""


def limit(value: Any, what: str) -> int | None:
    """How many are asked for; None: all of them."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise InvalidData(f"the limit of {what} is {_shown(value)}", _LOOKED, "give a number from 0")
    return value


def pace(canary: Any, canary_wait: Any, rate: Any, stop_on_recurrence: Any) -> Pace:
    """How letters are replayed."""
    if type(canary) is not int or canary < 0:
        raise InvalidData(f"the canary is {_shown(canary)}", _CHANGED, "give a number of letters, from 0")
    if rate is not None and not (_is_number(rate) and 0 < rate < math.inf):
        raise InvalidData(f"the rate is {_shown(rate)}", _CHANGED, "give letters a second, above 0: rate=20")
    if not (_is_number(canary_wait) and canary_wait >= 0):
        raise InvalidData(f"the canary is waited for {_shown(canary_wait)}", _CHANGED, "give seconds, from 0")
    if not isinstance(stop_on_recurrence, bool):
        raise InvalidData(
            f"stop_on_recurrence is {_shown(stop_on_recurrence)}", _CHANGED, "give True or False"
        )
    return Pace(canary, float(canary_wait), None if rate is None else float(rate), stop_on_recurrence)


def _moment(value: Any, what: str = "since") -> datetime | None:
    if value is not None and not (isinstance(value, datetime) and value.tzinfo is not None):
        raise InvalidData(
            f"{what} is {_kind(value)}" + (" without a time zone" if isinstance(value, datetime) else ""),
            _LOOKED,
            "give a datetime with a time zone: datetime(2026, 11, 30, 12, tzinfo=UTC)",
        )
    return value


def agents(values: Any) -> list[Agent]:
    """Agents that are to work."""
    found = (
        list(values) if isinstance(values, Iterable) and not isinstance(values, (str, Mapping)) else [values]
    )
    odd = [value for value in found if not isinstance(value, Agent)]
    if odd or isinstance(values, Agent):
        raise InvalidData(
            f"work() is given {_kind(odd[0] if odd else values)}",
            _STARTED,
            "give it a list of agents: work([price, ship])",
        )
    return found


def letters(most: Any, chosen: Mapping[str, Any]) -> None:
    """Which dead letters are asked for."""
    known = LetterFilter.__annotations__
    odd = [name for name in chosen if name not in known]
    if odd:
        raise InvalidData(
            f"dead letters are not chosen by {printable(', '.join(odd), 120)}",
            "nothing was looked up",
            f"choose by {', '.join(sorted(known))}",
        )
    for name, value in chosen.items():
        if not (name == "state" and value is None):
            text(value, f"the {name} of dead letters")
    limit(most, "dead letters")


def _contract(value: Any, where: str, consequence: str) -> Contract:
    if not isinstance(value, Contract):
        raise InvalidData(
            f"{where} is given {_kind(value)}, which is no contract",
            consequence,
            "give it one: OrderPlaced(order_id=...)",
        )
    value.ref()
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)


def _kind(value: Any) -> str:
    """What a value is, without what it says."""
    if isinstance(value, Agent):
        return f"the agent {value.name}"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = getattr(value, "__name__", None)
    return (
        f"the function {name}" if callable(value) and isinstance(name, str) else f"a {type(value).__name__}"
    )


def _shown(value: Any) -> str:
    return printable(repr(value), 60) if isinstance(value, (int, float, timedelta)) else _kind(value)


def name_of_flow(value: object) -> str:
    """A flow, or the name of one, as the name. Raises :class:`InvalidData` for anything else."""
    found = flow(value)
    return found if isinstance(found, str) else found.name


def days(value: object) -> int:
    """So many days to look back on. Raises :class:`InvalidData` for what is no such number."""
    if type(value) is not int or not 1 <= value <= MOST_DAYS:
        raise InvalidData(
            f"{named(value)} days", "nothing was looked up", f"give a whole number from 1 to {MOST_DAYS}"
        )
    return value
