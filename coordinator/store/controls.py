"""Controls: what the controls of a flow keep in Redis: items that wait for their turn, signals, budgets, stand-ins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Arguments, Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.fields import Field, Kind, first_of
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Entry, Record, StepRef, entry_text


class Controls:
    """The controls of one installation's runs. Each method gives what it asks of Redis (``asking.py``)."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self.keys = keys
        self._run_ttl = clock.ms(settings.run_ttl)

    def closed(self, ref: StepRef, *paths: str) -> Asking[bool]:
        """Whether something has come back from one of the budgets at ``paths``, or the run does not go on."""
        [[status, *arrived], ended] = yield RoundTrip.of(
            Command("HMGET", self.keys.run(ref.run), Field.STATUS, *map(first_of, paths)),
            Command("GET", self.keys.ended(ref.run)),
        )
        return (status or ended) not in ("running", None) or any(one is not None for one in arrived)

    def stood_in(self, ref: StepRef, path: str) -> Asking[tuple[Record, str] | None]:
        """What has come out of the budget at ``path``, and which fallback it is, empty where it is none; None where nothing
        has."""
        [[text, mark]] = yield RoundTrip.of(
            Command("HMGET", self.keys.run(ref.run), first_of(path), Kind.MARK.of(path))
        )
        return (Record.parse(text), str(mark or "")) if text else None

    def arrived(self, ref: StepRef, names: Sequence[str]) -> Asking[list[str | None]]:
        """What has arrived at joins, by the names of the fields; None where nothing has."""
        [found] = yield RoundTrip.of(Command("HMGET", self.keys.run(ref.run), *names))
        return list(found)

    def come(self, ref: StepRef) -> Asking[None]:
        """What was held back by a delay is not any more."""
        yield RoundTrip.of(Command("HDEL", self.keys.run(ref.run), Kind.DELAYED.of(ref.step)))

    def hold(self, ref: StepRef, path: str, items: Mapping[int, Any]) -> Asking[None]:
        """Keep the items of an each until their turn."""
        key = self.keys.run(ref.run)
        fields = (
            (Kind.ITEM.of(f"{path}.{number}"), strictjson.dumps(item)) for number, item in items.items()
        )
        yield RoundTrip.of(
            Command("HSET", key, *chain.from_iterable(fields)), Command("PEXPIRE", key, self._run_ttl)
        )

    def held(self, ref: StepRef, path: str, number: int) -> Asking[Any]:
        """An item that was kept; None where there is none any more, because the run has ended."""
        field = Kind.ITEM.of(f"{path}.{number}")
        [text] = yield RoundTrip.of(Command("HGET", self.keys.run(ref.run), field))
        return json.loads(text) if text else None

    def wait(
        self, ref: StepRef, path: str, name: str, follows: dict[str, Any], budgets: tuple[str, ...] = ()
    ) -> Asking[Record | None]:
        """Wait at ``path`` for the signal ``name``; ``follows`` is what is needed to go on. Gives the signal if it came before.

        ``budgets`` are the paths of those that it is in: where one of them is spent it does not wait any more.
        """
        arguments: Arguments = {
            "path": path,
            "signal": name,
            "follows": strictjson.dumps({**follows, "scopes": list(budgets)}),
            "budgets": " ".join(budgets),
            "ttl": self._run_ttl,
        }
        [text] = yield RoundTrip.of(Call("wait", self.keys.around(ref.run), arguments))
        return Record.parse(text) if text else None

    def take_back(self, wait: StepRef, name: str, record: Record, entry: Entry | None = None) -> Asking[bool]:
        """A signal that was accepted is not taken after all, and ``entry`` is told; False where the step that waited for it goes on
        with it by now."""
        arguments: Arguments = {
            "path": wait.step,
            "name": name,
            "record": record.text(),
            "entry": entry_text(entry),
            "ttl": self._run_ttl,
        }
        keys = self.keys.around(wait.run, "history")
        [verdict] = yield RoundTrip.of(Call("take_back", keys, arguments))
        return bool(verdict != "over")

    def keep(self, key: str, record: Record, max_age_ms: int) -> Asking[None]:
        """Keep a good outcome, for those that fall back to it."""
        arguments: Arguments = {"record": json.dumps(record.text()), "ttl": max_age_ms}
        yield RoundTrip.of(Call("keep", {"kept": self.keys.kept(key)}, arguments))

    def kept(self, key: str) -> Asking[tuple[Record, int] | None]:
        """The last good outcome that was kept under ``key``, and its age in milliseconds."""
        place = self.keys.kept(key)
        [now, text] = yield RoundTrip.of(clock.asked(place), Command("GET", place))
        if not text:
            return None
        found = json.loads(text)
        return Record.parse(found["record"]), max(int(now) - int(found["at"]), 0)
