"""Acceptance: what is asked of Redis where a run is started."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

from handoffs.config.delays import AFTER_ANY_DELAY
from handoffs.config.settings import Settings
from handoffs.contracts.envelope import first_life
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.flow.usage import Amounts
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Arguments, Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Entry, StepRef, entry_text
from handoffs.coordinator.store.settlement import lines_of
from handoffs.coordinator.store.usage import amounts_text

Verdict: TypeAlias = Literal["created", "scheduled", "unpublished", "existing", "waiting", "over"]
"""What became of a run that was to be accepted."""

_LIVES = re.compile(r" life (\d+)")


class Acceptance:
    """The runs of one installation, where they are started. Each method gives what it asks of Redis (``asking.py``)."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self._keys = keys
        self._run_ttl = clock.ms(settings.run_ttl)
        self._life_ttl = 2 * max(self._run_ttl, clock.ms(settings.result_ttl), clock.ms(AFTER_ANY_DELAY))

    def start(
        self,
        ref: StepRef,
        *,
        key: str,
        content: str,
        first: str,
        entry: Entry | None = None,
        sends: Iterable[tuple[str, str, str]] = (),
        due: datetime | timedelta | None = None,
        older: str = "",
        life: int = 0,
        limits: Amounts = MappingProxyType({}),
        trace: str = "",
    ) -> Asking[Verdict]:
        """Accept a run, with its ``first`` messages until they are published, and the history entry of that.

        ``sends`` names those messages as (step, agent, ``contract/version``). With ``due``, a moment or how long from
        now, that is to come by Redis' clock, the run is ``scheduled``, and ``waiting`` when it is asked for again: nothing
        of it is to be published before :class:`~handoffs.coordinator.store.scheduled.ScheduledRuns` begins it. ``older`` is what
        the release before called the content. ``over``: the run has ended and is forgotten, and another life of it, of another id, is
        to be started (:mod:`handoffs.coordinator.runs.lives`); ``life`` is the number of this one. ``limits`` are those of what it may use up, and
        ``trace`` is the span in which it begins, where there is one.

        Raises :class:`Conflict` where the run exists with another content.

        Many parameters because the script is asked for all of them at once, each by its name.
        """
        keys = self._keys.around(ref.run, "ended", "starting", "history", "outstanding", "scheduled", "later")
        arguments: Arguments = {
            "content": content,
            "flow": ref.flow,
            "key": key,
            "first": first,
            "run_id": ref.run,
            "entry": entry_text(entry),
            "due": _due(due),
            "sends": lines_of(sends),
            "ttl": self._run_ttl,
            "older": older,
            "life": f"{first_life(ref.run)} {life}" if life else "",
            "limits": amounts_text(limits),
            "trace": trace,
        }
        keys["usage"] = self._keys.usage(ref.run)
        [(verdict, unpublished)] = yield RoundTrip.of(Call("start", keys, arguments))
        if verdict == "conflict":
            raise Conflict(
                f"a run of {ref.flow} was started under the key {key!r} with another input",
                "that run stands and this input was not taken",
                "use another idempotency key for other work",
            )
        if verdict in {"created", "scheduled", "waiting", "over"}:
            return cast("Verdict", verdict)
        return "unpublished" if unpublished == "1" else "existing"

    def newest_life(self, first: str) -> Asking[int]:
        """The number of the newest life of a run that is known; 0 where there is no other than the first."""
        [text] = yield RoundTrip.of(Command("GET", self._keys.ended(first)))
        found = _LIVES.search(text or "")
        return int(found[1]) if found else 0

    def keep_lives(self, lives: Iterable[tuple[str, int]]) -> Asking[None]:
        """Have runs be known that go on in another life, by the ids of their first, as long as they may; asked again it is kept on."""
        calls = tuple(
            Call("life", {"ended": self._keys.ended(first)}, {"life": life, "ttl": self._life_ttl})
            for first, life in lives
        )
        if calls:
            yield RoundTrip(calls)

    def is_there(self, run_id: str) -> Asking[bool]:
        """Whether there is anything of a run."""
        [found] = yield RoundTrip.of(Command("EXISTS", self._keys.run(run_id)))
        return bool(found)

    def now(self, run_id: str) -> Asking[datetime]:
        """What time it is where a run is, in UTC: by that clock workers judge its deadline."""
        [digits] = yield RoundTrip.of(clock.asked(self._keys.run(run_id)))
        return datetime.fromtimestamp(int(digits) / 1000, UTC)


def _due(due: datetime | timedelta | None) -> str:
    if isinstance(due, timedelta):
        return f"+{max(clock.ms(due), 0)}"
    return str(math.ceil(due.timestamp() * 1000)) if due else ""  # never before
