"""Runs: the live runs, from their start to their end, as those have them that start, watch and control them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Literal, cast

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Refused
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.acceptance import Acceptance
from handoffs.coordinator.store.asking import Arguments, Call, Command
from handoffs.coordinator.store.fields import Field, Kind, first_of
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.performing import Performed, answered
from handoffs.coordinator.store.read import count, members
from handoffs.coordinator.store.record import Entry, Record, StepRef, entry_text
from handoffs.coordinator.store.run_state import UNCLEAR, RunRecord, RunState
from handoffs.coordinator.store.undo import OutcomeRef, Undo, UndoNext

_log = logging.getLogger(__name__)

_AT_ONCE = 500

_STANDING = (
    Field.FLOW, Field.KEY, Field.STATUS, Field.STARTED, Field.PAUSED, Field.DUE, Field.OPEN, Field.PARKED, Field.LIFE, Field.TRACE,
)  # fmt: skip


class Runs:
    """The runs of one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._run_ttl = clock.ms(settings.run_ttl)
        self._result_ttl = clock.ms(settings.result_ttl)
        self.acceptance = Acceptance(self._keys, settings)

    @property
    def redis(self) -> Redis:
        """By which what is asked is performed."""
        return self._redis

    start = Performed(Acceptance.start, "acceptance")
    newest_life = Performed(Acceptance.newest_life, "acceptance")

    def keep_lives(self, lives: Iterable[tuple[str, int]]) -> None:
        """Have runs be known that go on in another life, by the ids of their first, as long as they may; asked again it is kept on."""
        answered(self._redis, self.acceptance.keep_lives(lives))

    def published(self, *runs: str) -> None:
        """The first messages of ``runs`` are in the broker's hands."""
        calls = (
            Call("published", self._keys.around(run_id, "starting"), {"run_id": run_id}) for run_id in runs
        )
        scripts.run(self._redis, *calls)

    def unpublished(self, *, older_than: timedelta) -> Iterator[tuple[str, str]]:
        """Runs that were accepted but whose first messages were not published, as (run, first messages): all of them, for those
        that cannot be published must not hide the others."""
        for run_id, first, _ in self._starting(older_than):
            if first:
                yield run_id, first

    def not_begun_to_undo(self, older_than: timedelta) -> Iterator[str]:
        """Runs that were cancelled to be undone so long ago, and of which nothing was sent for that."""
        for run_id, _, status in self._starting(older_than):
            if status == "compensating":
                yield run_id

    def _starting(self, older_than: timedelta) -> Iterator[tuple[str, str, str]]:
        """The runs of which something was to be published so long ago, and was not, as (run, first messages, status)."""
        for shard in range(self._keys.shards):
            latest = scripts.time(self._redis, self._keys.starting(shard)) - clock.ms(older_than)
            with scripts.redis_errors():
                runs: Any = self._redis.zrangebyscore(self._keys.starting(shard), 0, latest)
            for run_id in runs:
                try:
                    with scripts.redis_errors():
                        known: Any = self._redis.hmget(self._keys.run(run_id), [Field.FIRST, Field.STATUS])
                except Refused as error:
                    _log.warning("run=%s is not published: %s", printable(run_id, 200), error)
                    known = ("", "")
                first, status = known
                if not first and status != "compensating":
                    with scripts.redis_errors():
                        self._redis.zrem(self._keys.starting(shard), run_id)
                    continue
                yield run_id, str(first or ""), str(status or "")

    def state(self, run_id: str) -> RunState | None:
        """How a run stands, or None where Redis knows none of that id."""
        return self.states([run_id])[0]

    def states(self, runs: Sequence[str]) -> list[RunState | None]:
        """How several runs stand, in one round trip; two where something is parked. Little is read, whatever the runs have
        made so far: it may be asked often."""
        with scripts.redis_errors():
            pipeline: Any = self._redis.pipeline(transaction=False)
            for run_id in runs:
                pipeline.hmget(self._keys.run(run_id), _STANDING)
            replies = pipeline.execute(raise_on_error=False)
        found = {run_id: _standing(reply) for run_id, reply in zip(runs, replies, strict=True)}
        unclear = [
            run_id
            for run_id, fields in found.items()
            if fields.get(Field.STATUS) != UNCLEAR
            and (Field.STATUS not in fields or count(fields.get(Field.PARKED, "0"), 1) > 0)
        ]
        found |= zip(unclear, self._look(unclear), strict=True)
        return [RunState.read(run_id, found[run_id]) if found[run_id] else None for run_id in runs]

    def get(self, run_id: str) -> RunRecord | None:
        """What a run does, or None where Redis knows none of that id."""
        return self.records([run_id])[0]

    def records(self, runs: Sequence[str]) -> list[RunRecord | None]:
        """What several runs do, in one round trip; None where Redis knows none of that id, or holds something else in its place."""
        found = zip(runs, self._look(runs, "1"), strict=True)
        return [RunRecord.read(run_id, fields) if fields else None for run_id, fields in found]

    def result(self, run_id: str) -> Record | None:
        """The outcome of a run that is completed; None where it is not, or is forgotten."""
        with scripts.redis_errors():
            text: Any = self._redis.hget(self._keys.run(run_id), Field.RESULT)
        return Record.parse(text) if text else None

    def parked(self, ref: StepRef) -> dict[str, Any] | None:
        """Why a step is parked; None where it is not."""
        with scripts.redis_errors():
            text: Any = self._redis.hget(self._keys.run(ref.run), Kind.PARKED.of(ref.step))
        return (members(text) or {}) if text else None

    def is_at_work(self, ref: StepRef) -> bool:
        """Whether a step was begun and has no outcome: an agent is at work on it, or died at it."""
        names = [Kind.BEGUN.of(ref.step), Kind.SETTLED.of(ref.step)]
        with scripts.redis_errors():
            begun, settled = cast("list[Any]", self._redis.hmget(self._keys.run(ref.run), names))
        return begun is not None and settled is None

    def taken(self, run_id: str, budget: str) -> bool:
        """Whether something has come out of a budget of a run: within it, or its fallback."""
        with scripts.redis_errors():
            known: Any = self._redis.hmget(self._keys.run(run_id), [Field.STATUS, first_of(budget)])
        return bool(known[0] == "completed" or known[1])

    def is_to_be_published(self, run_id: str) -> bool:
        """Whether the sweep will publish the first messages of a run."""
        with scripts.redis_errors():
            found: Any = self._redis.zscore(self._keys.starting(self._keys.shard(run_id)), run_id)
        return found is not None

    def touch(self, runs: Iterable[str]) -> None:
        """Keep runs from expiring, with what they have used up and may; one that is kept longer already, as it begins later, stays so."""
        self._stay(key for run_id in runs for key in (self._keys.run(run_id), self._keys.usage(run_id)))

    def touch_shared(self) -> None:
        """Keep what the runs of each shard share from expiring."""
        self._stay(key for shard in range(self._keys.shards) for key in self._keys.shared_by(shard))

    def _stay(self, keys: Iterable[str]) -> None:
        calls = [Call("stay", {"kept": key}, {"ttl": self._run_ttl}) for key in keys]
        if calls:
            scripts.run(self._redis, *calls)

    def signal(
        self, run_id: str, name: str, record: Record, entry: Entry, waits: Iterable[Sequence[str]] = ()
    ) -> tuple[str, dict[str, Any] | None]:
        """A signal for a run. Gives what became of it (``accepted``, ``again``, ``conflict``, ``over``, the status of a run that has
        ended, or nothing where Redis knows no such run), and what follows the step that waits for it, if one does.

        ``waits`` are all places where the run may ever wait for it, where that is known: the path of each, and of the budgets that it
        is in. Where all of them are over, so is the signal.
        """
        arguments: Arguments = {
            "name": name,
            "record": record.text(),
            "waits": "\n".join(map(" ".join, waits)),
            "entry": entry_text(entry),
            "ttl": self._run_ttl,
        }
        call = Call("signal", self._keys.around(run_id, "ended", "history"), arguments)
        verdict, follows = self._do(call)
        return str(verdict), json.loads(follows) if follows else None

    def let_wait_go(self, run_id: str, path: str) -> None:
        """What follows the wait at ``path`` is on its way: the same signal once more sends it no more."""
        scripts.run(self._redis, Command("HDEL", self._keys.run(run_id), Kind.FOLLOWED.of(path)))

    def pause(self, run_id: str, entry: Entry, *, resume: bool = False) -> str:
        """Hold a run, or let it go on. Gives its status, empty where Redis knows no such run."""
        hold = "0" if resume else "1"
        arguments: Arguments = {"hold": hold, "entry": entry_text(entry), "ttl": self._run_ttl}
        call = Call("pause", self._keys.around(run_id, "ended", "history"), arguments)
        return str(self._do(call))

    def cancel(
        self, run_id: str, entry: Entry | None, *, compensate: bool = False
    ) -> tuple[str, UndoNext | None]:
        """Cancel a run that has not ended. Gives its status after that, empty where Redis knows no such run.

        With ``compensate`` also the step that is to be undone first, where there is one: then the status is ``compensating``.
        Asked again, it gives the one at which undoing is.
        """
        keys = self._keys.around(run_id, "ended", "history", "starting", "outstanding", "scheduled", "later")
        arguments: Arguments = {
            "run_id": run_id,
            "entry": entry_text(entry),
            "compensate": "1" if compensate else "",
            "ttl": self._run_ttl,
            "result_ttl": self._result_ttl,
        }
        status, *reply = self._do(Call("cancel", keys, arguments))
        return str(status), UndoNext.read(reply) if reply else None

    def to_undo(self, run_id: str) -> Iterator[list[OutcomeRef]]:
        """The outcomes that are to be undone with a run, the last ones first, some at a time."""
        for undos in self.undos(run_id):
            yield [undo.outcome for undo in undos if undo.outcome is not None]

    def undos(self, run_id: str) -> Iterator[list[Undo]]:
        """What undoes the steps of a run that have their outcome, the last one first, some at a time."""
        with scripts.redis_errors():
            count = int(cast("str | None", self._redis.hget(self._keys.run(run_id), Field.UNDOABLE)) or 0)
        for last in range(count, 0, -_AT_ONCE):
            names = [Kind.UNDO.of(f"{number:09d}") for number in range(last, max(last - _AT_ONCE, 0), -1)]
            with scripts.redis_errors():
                texts: Any = self._redis.hmget(self._keys.run(run_id), names)
            yield [Undo.parse(text) for text in texts if text]

    def unpark(self, ref: StepRef, entry: Entry) -> str:
        """A parked step is on its way again. Gives the run's status, empty where Redis knows no such run."""
        arguments: Arguments = {
            "step": ref.step,
            "flow": ref.flow,
            "entry": entry_text(entry),
            "ttl": self._run_ttl,
        }
        return str(self._do(Call("unpark", self._keys.around(ref.run, "ended", "history"), arguments)))

    def edit(
        self,
        ref: StepRef,
        edit: dict[str, Any],
        *,
        before: int,
        entry: Entry,
        sent: str,
        where: Literal["parked", "held"],
        budgets: tuple[str, ...] = (),
    ) -> str:
        """Give a step that is parked, or held with its run, another input: JSON values, with their ``number``, in place of those
        with the number ``before`` (0: those of its message). ``sent`` is ``agent contract/version``.

        Gives ``edited``, or why it was not: ``settled``, ``closed``, ``running``, ``gone``, ``changed``, or the run's status.

        Many parameters because the script is asked for all of them at once, each by its name.
        """
        keys = self._keys.around(ref.run, "ended", "history", "outstanding")
        arguments: Arguments = {
            "step": ref.step,
            "flow": ref.flow,
            "run_id": ref.run,
            "edit": strictjson.dumps(edit),
            "before": before,
            "entry": entry_text(entry),
            "what": sent,
            "where": where,
            "budgets": " ".join(budgets),
            "ttl": self._run_ttl,
        }
        return str(self._do(Call("edit", keys, arguments)))

    def _look(self, runs: Sequence[str], whole: str = "") -> list[dict[str, str]]:
        calls = (Call("look", self._keys.around(run_id), {"whole": whole}) for run_id in runs)
        replies = scripts.run(self._redis, *calls)
        return [dict(zip(reply[::2], reply[1::2], strict=True)) for reply in replies]

    def _do(self, call: Call) -> Any:
        return scripts.run(self._redis, call)[0]


def _standing(reply: Any) -> dict[str, str]:
    """What every run has, as far as it is there; of what is no run, that."""
    if isinstance(reply, Exception):
        error = scripts.redis_error(reply)
        if not isinstance(error, Refused):
            raise error from reply
        return {Field.STATUS: UNCLEAR}
    return {name: value for name, value in zip(_STANDING, reply, strict=True) if value is not None}
