"""Runs: the live runs, from their start to their end, as those have them that start, watch and control them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.asking import Arguments, Call
from handoffs.coordinator.store.fields import Field, Kind, first_of
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Entry, Record, StepRef, entry_text
from handoffs.coordinator.store.run_state import RunRecord, RunState
from handoffs.coordinator.store.settlement import lines_of

_STANDING = (
    Field.FLOW, Field.KEY, Field.STATUS, Field.STARTED, Field.PAUSED, Field.DUE, Field.OPEN, Field.PARKED,
)  # fmt: skip


class Runs:
    """The runs of one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._redis = redis
        self._keys = Keys(settings.prefix, settings.shards)
        self._run_ttl = clock.ms(settings.run_ttl)
        self._result_ttl = clock.ms(settings.result_ttl)

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
    ) -> Literal["created", "scheduled", "unpublished", "existing", "waiting"]:
        """Accept a run, with its ``first`` messages until they are published, and the history entry of that.

        ``sends`` names those messages as (step, agent, ``contract/version``). With ``due``, a moment or how long from
        now, that is to come by Redis' clock, the run is ``scheduled``, and ``waiting`` when it is asked for again: nothing
        of it is to be published before :class:`~handoffs.coordinator.store.scheduled.ScheduledRuns` begins it.

        Raises :class:`Conflict` where the run exists with another content.

        Many parameters because the script is asked for all of them at once, each by its name.
        """
        keys = self._keys.around(ref.run, "starting", "history", "outstanding", "scheduled", "later")
        arguments: Arguments = {
            "content": content,
            "flow": ref.flow,
            "key": key,
            "first": first,
            "run_id": ref.run,
            "entry": entry_text(entry),
            "due": _due(due),
            "sends": lines_of(sends),
            "now": clock.now(),
            "ttl": self._run_ttl,
        }
        verdict, unpublished = self._do(Call("start", keys, arguments))
        if verdict == "conflict":
            raise Conflict(
                f"a run of {ref.flow} was started under the key {key!r} with another input",
                "that run stands and this input was not taken",
                "use another idempotency key for other work",
            )
        if verdict in {"created", "scheduled", "waiting"}:
            return cast('Literal["created", "scheduled", "waiting"]', verdict)
        return "unpublished" if unpublished == "1" else "existing"

    def published(self, *runs: str) -> None:
        """The first messages of ``runs`` are in the broker's hands."""
        calls = (
            Call("published", self._keys.around(run_id, "starting"), {"run_id": run_id}) for run_id in runs
        )
        scripts.run(self._redis, *calls)

    def unpublished(self, *, older_than: timedelta, limit: int = 100) -> Iterator[tuple[str, str]]:
        """Runs that were accepted but whose first messages were not published, as (run, first messages)."""
        latest = clock.now() - clock.ms(older_than)
        for shard in range(self._keys.shards):
            with scripts.redis_errors():
                runs: Any = self._redis.zrangebyscore(
                    self._keys.starting(shard), 0, latest, start=0, num=limit
                )
                for run_id in runs:
                    first = self._redis.hget(self._keys.run(run_id), Field.FIRST)
                    if first:
                        yield run_id, str(first)
                    else:
                        self._redis.zrem(self._keys.starting(shard), run_id)

    def state(self, run_id: str) -> RunState | None:
        """How a run stands, or None where Redis knows none of that id."""
        return self.states([run_id])[0]

    def states(self, runs: Sequence[str]) -> list[RunState | None]:
        """How several runs stand, in one round trip; two where something is parked. Little is read, whatever the runs have
        made so far: it may be asked often."""
        with scripts.redis_errors():
            pipeline = self._redis.pipeline(transaction=False)
            for run_id in runs:
                pipeline.hmget(self._keys.run(run_id), _STANDING)
            read = [dict(zip(_STANDING, values, strict=True)) for values in pipeline.execute()]
        found = {run_id: _present(values) for run_id, values in zip(runs, read, strict=True)}
        unclear = [
            run_id
            for run_id, fields in found.items()
            if Field.STATUS not in fields or int(fields.get(Field.PARKED, 0)) > 0
        ]
        found |= zip(unclear, self._look(unclear), strict=True)
        return [RunState.read(run_id, found[run_id]) if found[run_id] else None for run_id in runs]

    def get(self, run_id: str) -> RunRecord | None:
        """What a run does, or None where Redis knows none of that id."""
        [fields] = self._look([run_id], "1")
        return RunRecord.read(run_id, fields) if fields else None

    def result(self, run_id: str) -> Record | None:
        """The outcome of a run that is completed; None where it is not, or is forgotten."""
        with scripts.redis_errors():
            text: Any = self._redis.hget(self._keys.run(run_id), Field.RESULT)
        return Record.parse(text) if text else None

    def parked(self, ref: StepRef) -> dict[str, Any] | None:
        """Why a step is parked; None where it is not."""
        with scripts.redis_errors():
            text: Any = self._redis.hget(self._keys.run(ref.run), Kind.PARKED.of(ref.step))
        return dict(json.loads(text)) if text else None

    def taken(self, run_id: str, budget: str) -> bool:
        """Whether something has come out of a budget of a run: within it, or its fallback."""
        with scripts.redis_errors():
            known: Any = self._redis.hmget(self._keys.run(run_id), [Field.STATUS, first_of(budget)])
        return bool(known[0] == "completed" or known[1])

    def touch(self, runs: Iterable[str]) -> None:
        """Keep live runs from expiring: those that wait for a person."""
        with scripts.redis_errors():
            pipeline = self._redis.pipeline(transaction=False)
            for run_id in runs:
                pipeline.pexpire(self._keys.run(run_id), self._run_ttl)
            pipeline.execute()

    def signal(
        self, run_id: str, name: str, record: Record, entry: Entry
    ) -> tuple[str, dict[str, Any] | None]:
        """A signal for a run. Gives what became of it (``accepted``, ``again``, ``conflict``, the status of a run that has
        ended, or nothing where Redis knows no such run), and what follows the step that waits for it, if one does."""
        arguments: Arguments = {
            "name": name,
            "record": record.text(),
            "entry": entry_text(entry),
            "ttl": self._run_ttl,
        }
        call = Call("signal", self._keys.around(run_id, "history"), arguments)
        verdict, follows = self._do(call)
        return str(verdict), json.loads(follows) if follows else None

    def pause(self, run_id: str, entry: Entry, *, resume: bool = False) -> str:
        """Hold a run, or let it go on. Gives its status, empty where Redis knows no such run."""
        hold = "0" if resume else "1"
        arguments: Arguments = {"hold": hold, "entry": entry_text(entry), "ttl": self._run_ttl}
        call = Call("pause", self._keys.around(run_id, "history"), arguments)
        return str(self._do(call))

    def cancel(
        self, run_id: str, entry: Entry, *, compensate: bool = False
    ) -> tuple[str, list[dict[str, Any]]]:
        """Cancel a run that has not ended. Gives its status after that, empty where Redis knows no such run.

        With ``compensate`` also what undoes its steps, in the order in which they were settled: for each ``step``,
        ``agent``, ``accepts``, and the outcome's ``schema`` and ``data``. There is nothing where the status is not
        ``compensating``.
        """
        keys = self._keys.around(run_id, "history", "starting", "outstanding", "scheduled", "later")
        arguments: Arguments = {
            "run_id": run_id,
            "entry": entry_text(entry),
            "compensate": "1" if compensate else "",
            "ttl": self._run_ttl,
            "result_ttl": self._result_ttl,
        }
        status, *texts = self._do(Call("cancel", keys, arguments))
        undo = [json.loads(text) for text in texts]
        for one in undo:
            with scripts.redis_errors():
                outcome: Any = self._redis.hget(self._keys.run(run_id), Kind.SETTLED.of(one["step"]))
            record = Record.parse(outcome)
            one |= {"schema": record.schema, "data": json.loads(record.data)}
        return str(status), undo

    def unpark(self, ref: StepRef, entry: Entry) -> str:
        """A parked step is on its way again. Gives the run's status, empty where Redis knows no such run."""
        arguments: Arguments = {
            "step": ref.step,
            "entry": entry_text(entry),
            "ttl": self._run_ttl,
        }
        return str(self._do(Call("unpark", self._keys.around(ref.run, "history"), arguments)))

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
        keys = self._keys.around(ref.run, "history", "outstanding")
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
            "now": clock.now(),
            "ttl": self._run_ttl,
        }
        return str(self._do(Call("edit", keys, arguments)))

    def _look(self, runs: Sequence[str], whole: str = "") -> list[dict[str, str]]:
        calls = (Call("look", self._keys.around(run_id), {"whole": whole}) for run_id in runs)
        replies = scripts.run(self._redis, *calls)
        return [dict(zip(reply[::2], reply[1::2], strict=True)) for reply in replies]

    def _do(self, call: Call) -> Any:
        return scripts.run(self._redis, call)[0]


def _present(values: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}


def _due(due: datetime | timedelta | None) -> str:
    if isinstance(due, timedelta):
        return f"+{max(clock.ms(due), 0)}"
    return str(math.ceil(due.timestamp() * 1000)) if due else ""  # never before
