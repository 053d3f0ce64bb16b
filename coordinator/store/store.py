"""Store: what Redis keeps, one method a script. Every key has a time to live.

An idempotency key is claimed, and at most one of its claimants settles it (``fence``). A step of a run is settled once
as well. Key and run live in different hash slots, so no script sees both; docs/decisions/0002 says why the two can
never disagree all the same.
"""

from __future__ import annotations

import json
import logging
import math
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Literal, cast

from redis import Redis, RedisCluster

from config.settings import Settings
from contracts.text import printable
from coordinator.course import Join
from coordinator.errors import Conflict
from coordinator.store import scripts
from coordinator.store.keys import Keys
from coordinator.store.scripts import Call

_log = logging.getLogger(__name__)

Manifest = dict[str, Any]
"""What a build of an agent reads and writes, as JSON values. See contracts/manifest.py."""

_ANNOUNCED = ("agent", "build", "queue", "accepts", "emits", "subscribes")
"""What producers need of a manifest, again and again; the rest of it is kept beside."""

_LOOK_AGAIN = timedelta(seconds=2)

STORY = "on:"
"""Begins what stands for a flow where an event has begun a run: ``on:media.title-uploaded``."""

_REMEMBERED = 86_400_000  # milliseconds

Entry = dict[str, Any]
"""A history entry: JSON values, redacted. See coordinator/history.py."""


@dataclass(frozen=True, slots=True)
class Record:
    """An outcome as it is kept: the URI of its contract version, and its data as JSON text.

    For a join, ``schema`` has ``branch=uri`` for each part, joined by spaces. ``events`` are those that were emitted with
    it, as JSON text: a list of (URI, data).
    """

    schema: str
    data: str
    events: str = ""

    def text(self) -> str:
        return f"{self.schema}\n{self.data}\n{self.events}" if self.events else self.part()

    def part(self) -> str:
        """Without the events: what goes on."""
        return f"{self.schema}\n{self.data}"

    @classmethod
    def parse(cls, text: str) -> Record:
        schema, _, rest = text.partition("\n")
        return cls(schema, *rest.split("\n", 1))


@dataclass(frozen=True, slots=True)
class Advance:
    """How a settlement moves the run on.

    ``joins`` it arrives at, innermost first, with ``part`` (None: the record itself); ``sends``, once those are complete,
    as (step, agent, ``contract/version``). ``ends``: then the run ends; by default where nothing is sent.
    """

    joins: tuple[Join, ...] = ()
    sends: tuple[tuple[str, str, str], ...] = ()
    part: Record | None = None
    ends: bool | None = None
    undo: str = ""
    """What undoes the step, as JSON, where anything does."""


@dataclass(frozen=True, slots=True)
class Place:
    """A step of a run."""

    run: str
    flow: str
    step: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim found.

    ``granted``: run it, with ``fence``. ``done``: the key has an outcome, ``record``. ``settled``: this step has one.
    ``busy``: another holds the lease for ``wait``. ``conflict``: the key has another content. ``poison``: the step has
    lost its worker too often. ``completed``, ``cancelled``: the run has ended. ``closed``: the budget that it is in is spent.
    ``paused``: the run is held, look again after ``wait``. ``edited``: a person has given the step another input than the
    message has, ``edit``.
    """

    verdict: Literal[
        "granted",
        "done",
        "settled",
        "busy",
        "conflict",
        "poison",
        "completed",
        "cancelled",
        "closed",
        "compensating",
        "paused",
        "edited",
    ]
    fence: int = 0
    record: Record | None = None
    wait: timedelta = timedelta()
    edit: str = ""


@dataclass(frozen=True, slots=True)
class Lease:
    """What is known of an idempotency key: ``state`` is ``leased``, ``released`` or ``done``; ``held``: somebody works under it
    now, for one of ``holders`` (``run|step``)."""

    state: str
    content: str
    held: bool
    holders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a settlement.

    ``verdict`` is ``settled``, ``undo`` (its run is being compensated: this step is to be undone too), ``again`` (it was settled before, and this finds what follows), ``late`` (another outcome
    stands, or is about to: ``fenced`` says that another holder of the key shut this one out, and that the step itself
    has no outcome yet) or ``cancelled``. ``waiting`` says that a join still waits for other branches, the one at
    ``level`` (from 1) of those that it arrived at; ``joined`` is the join's data when all are complete, and ``mark`` says
    which fallback it is, if it is one.
    """

    verdict: str
    fenced: bool = False
    waiting: bool = False
    joined: Record | None = None
    level: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A live run as Redis knows it. ``parked`` has the reasons by step. A run of which all of them are in budgets that are
    not spent yet is still running: it goes on by itself. ``paused``: nothing further begins."""

    id: str
    flow: str
    key: str
    status: str
    started: float
    parked: dict[str, dict[str, Any]]
    settled: tuple[str, ...]
    result: Record | None
    paused: bool = False
    waits: tuple[str, ...] = ()
    """The signals that it waits for, as ``path name``."""
    due: float | None = None
    """When it begins, or was to begin, where that was not at once: seconds since 1970."""
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The steps that do not begin while it is paused, with what is known of their messages (:meth:`Store.stopped`)."""
    began: dict[str, float] = field(default_factory=dict)
    """When the steps that are not settled or parked were begun the last time, in seconds since 1970."""
    delayed: dict[str, float] = field(default_factory=dict)
    """Until when steps that are not settled are, or were, held back by a delay, in seconds since 1970."""
    awaited: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is known of the signals that it waits for, by path: ``signal``, ``schema``, ``since`` (ms)."""
    spent: tuple[str, ...] = ()
    """The paths of the budgets from which something has come back."""


class Store:
    """The store of one installation. Raises :class:`ServerError` from every method when Redis cannot be used."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.redis = redis
        self.keys = Keys(settings.prefix, settings.shards)
        self._settings = settings
        self._run_ttl = _ms(settings.run_ttl)
        self._result_ttl = _ms(settings.result_ttl)
        self._outcome_ttl = _ms(settings.outcome_ttl)
        self._lease = _ms(settings.lease)

    def start(
        self,
        place: Place,
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
        of it is to be published before :class:`~coordinator.store.later.Later` begins it.

        Raises :class:`Conflict` where the run exists with another content.
        """
        shard = self.keys.shard(place.run)
        [[verdict, unpublished]] = self._do(
            Call(
                "start",
                [
                    self.keys.run(place.run),
                    self.keys.starting(shard),
                    self.keys.history(shard),
                    self.keys.outstanding(shard),
                    self.keys.scheduled(shard),
                    self.keys.later(shard),
                ],
                [
                    content,
                    place.flow,
                    key,
                    first,
                    place.run,
                    _now(),
                    self._run_ttl,
                    _json(entry) if entry else "",
                    _due(due),
                    *_named(sends),
                ],
            )
        )
        if verdict == "conflict":
            raise Conflict(
                f"a run of {place.flow} was started under the key {key!r} with another input",
                "that run stands and this input was not taken",
                "use another idempotency key for other work",
            )
        if verdict in {"created", "scheduled", "waiting"}:
            return cast('Literal["created", "scheduled", "waiting"]', verdict)
        return "unpublished" if unpublished == "1" else "existing"

    def published(self, *runs: str) -> None:
        """The first messages of ``runs`` are in the broker's hands."""
        keys = ((run, [self.keys.run(run), self.keys.starting(self.keys.shard(run))]) for run in runs)
        self._do(*(Call("published", both, [run]) for run, both in keys))

    def unpublished(self, *, older_than: timedelta, limit: int = 100) -> Iterator[tuple[str, str]]:
        """Runs that were accepted but whose first messages were not published, as (run, first messages)."""
        latest = _now() - _ms(older_than)
        for shard in range(self.keys.shards):
            with _usable():
                runs: Any = self.redis.zrangebyscore(self.keys.starting(shard), 0, latest, start=0, num=limit)
                for run in runs:
                    first = self.redis.hget(self.keys.run(run), "first")
                    if first:
                        yield run, str(first)
                    else:
                        self.redis.zrem(self.keys.starting(shard), run)

    def claim(
        self,
        place: Place,
        *,
        agent: str,
        key: str,
        content: str,
        owner: str,
        epoch: int,
        scopes: Sequence[str] = (),
        edit: int = 0,
        supersedes: Sequence[str] = (),
    ) -> Claim:
        """Claim a step: one round trip; more where a lease is taken over from a holder that fell silent.

        ``epoch`` grows with each replay, and forgives the crashes before it. ``scopes`` are the budgets that the step is in.
        ``edit`` is the number of the edit that the input is, and ``supersedes`` the contents whose place it has taken: where
        the key stands for one of them and has no outcome, it stands for this one from now on.
        """
        outcome = self.keys.outcome(agent, key)
        here, token = f"{place.run}|{place.step}", uuid.uuid4().hex
        (status, settled), (verdict, number, holders, record, before) = self._do(
            Call(
                "claim_run",
                [self.keys.run(place.run), self.keys.outstanding(self.keys.shard(place.run))],
                [place.step, place.flow, _now(), self._run_ttl, place.run, edit, *scopes],
            ),
            Call(
                "claim_outcome",
                [outcome],
                [
                    content,
                    owner,
                    here,
                    self._lease,
                    self._outcome_ttl,
                    epoch,
                    self._settings.crash_limit,
                    token,
                    " ".join(supersedes),
                ],
            ),
        )
        claim = Claim(
            verdict,
            fence=int(number) if verdict in {"granted", "done"} else 0,
            record=Record.parse(record) if record else None,
            wait=timedelta(milliseconds=int(number)) if verdict == "busy" else timedelta(),
        )
        if verdict == "granted" and holders:
            claim = self._taken_over(holders.split("\n"), agent, key, content, claim.fence, before)
        if status == "open":
            return claim
        if claim.verdict == "granted":
            self.release(agent, key, fence=claim.fence)
        if status == "edited":
            return Claim("edited", edit=settled)
        held = _LOOK_AGAIN if status == "paused" else timedelta()
        return Claim(status, record=Record.parse(settled) if settled else None, wait=held)

    def renew(self, leases: Sequence[tuple[str, str, int]]) -> list[bool]:
        """Keep leases, given as (agent, key, fence); False for each that is another's by now."""
        calls = [
            Call("renew", [self.keys.outcome(agent, key)], [fence, self._lease])
            for agent, key, fence in leases
        ]
        return [reply == 1 for reply in self._do(*calls)]

    def release(self, agent: str, key: str, *, fence: int = 0, owner: str = "") -> bool:
        """Give a lease back: by its fence, or by its owner, which counts as a crash. False where it is not that."""
        return bool(self._do(Call("release", [self.keys.outcome(agent, key)], [fence, owner]))[0] == 1)

    def settle(
        self,
        place: Place,
        *,
        agent: str,
        key: str,
        content: str,
        fence: int,
        record: Record,
        entry: Entry,
        late: Entry,
        onward: Advance,
        edit: int = 0,
    ) -> Settled:
        """Record the outcome, the history and the run's advance: one round trip. First settler wins; an outcome of another
        input than that of the newest edit is late."""
        _, settled = self._do(
            Call(
                "settle_outcome",
                [self.keys.outcome(agent, key)],
                [fence, record.text(), self._outcome_ttl, content],
            ),
            self._settle_run(place, fence, record, entry, late, onward, again=False, edit=edit),
        )
        return _settled(settled)

    def settle_known(
        self,
        place: Place,
        *,
        fence: int,
        record: Record,
        entry: Entry,
        onward: Advance,
        edit: int | None = None,
    ) -> Settled:
        """Settle a step with an outcome that its key already has, or with a person's (``edit`` None: whatever its input)."""
        [settled] = self._do(
            self._settle_run(place, fence, record, entry, {}, onward, again=False, edit=edit)
        )
        return _settled(settled)

    def follow(self, place: Place, *, record: Record, onward: Advance, entry: Entry | None = None) -> Settled:
        """Find again what follows a step that is settled; ``entry`` is told where it is the first to arrive at a budget."""
        [settled] = self._do(self._settle_run(place, 0, record, entry or {}, {}, onward, again=True))
        return _settled(settled)

    def wait(
        self, place: Place, path: str, name: str, follows: dict[str, Any], scopes: Sequence[str] = ()
    ) -> Record | None:
        """Wait at ``path`` for the signal ``name``; ``follows`` is what is needed to go on. Gives the signal if it came before.

        ``scopes`` are the budgets that it is in: where one of them is spent it does not wait any more.
        """
        arguments: list[str | int] = [
            path,
            name,
            _json({**follows, "scopes": list(scopes)}),
            self._run_ttl,
            *scopes,
        ]
        call = Call("wait", [self.keys.run(place.run)], arguments)
        text = self._do(call)[0]
        return Record.parse(text) if text else None

    def signal(self, run: str, name: str, record: Record, entry: Entry) -> tuple[str, dict[str, Any] | None]:
        """A signal for a run. Gives what became of it (``accepted``, ``again``, ``conflict``, the status of a run that has
        ended, or nothing where Redis knows no such run), and what follows the step that waits for it, if one does."""
        keys = [self.keys.run(run), self.keys.history(self.keys.shard(run))]
        call = Call("signal", keys, [name, record.text(), _json(entry), self._run_ttl, self._run_ttl])
        [[verdict, follows]] = self._do(call)
        return str(verdict), json.loads(follows) if follows else None

    def pass_over(self, place: Place) -> None:
        """A step that was sent to somebody who does not want it is not outstanding any more."""
        keys = [self.keys.run(place.run), self.keys.outstanding(self.keys.shard(place.run))]
        self._do(Call("pass_over", keys, [place.step, place.run]))

    def closed(self, place: Place, *paths: str) -> bool:
        """Whether something has come back from one of the budgets at ``paths``, or the run does not go on."""
        with _usable():
            fields = ["status", *(f"j:{path}.one" for path in paths)]
            status, *arrived = cast("list[Any]", self.redis.hmget(self.keys.run(place.run), fields))
            return status not in ("running", None) or any(one is not None for one in arrived)

    def keep(self, key: str, record: Record, max_age_ms: int) -> None:
        """Keep a good outcome, for whoever falls back to it."""
        kept = json.dumps({"at": _now(), "record": record.text()})
        with _usable():
            self.redis.set(self.keys.kept(key), kept, px=max_age_ms)

    def kept(self, key: str) -> tuple[Record, int] | None:
        """The last good outcome that was kept under ``key``, and its age in milliseconds."""
        with _usable():
            text: Any = self.redis.get(self.keys.kept(key))
        if not text:
            return None
        found = json.loads(text)
        return Record.parse(found["record"]), max(_now() - int(found["at"]), 0)

    def hold(self, place: Place, path: str, items: Mapping[int, Any]) -> None:
        """Keep the items of an each until their turn."""
        fields: Any = {f"e:{path}.{number}": _json(item) for number, item in items.items()}
        with _usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hset(self.keys.run(place.run), mapping=fields)
            pipeline.pexpire(self.keys.run(place.run), self._run_ttl)
            pipeline.execute()

    def held(self, place: Place, path: str, number: int) -> Any:
        """An item that was kept; None where there is none any more, because the run has ended."""
        with _usable():
            text: Any = self.redis.hget(self.keys.run(place.run), f"e:{path}.{number}")
            return json.loads(text) if text else None

    def park(self, place: Place, reason: dict[str, Any], entry: Entry | None) -> str:
        """Mark a step as parked. Gives ``parked``, or what it is instead: ``settled``, ``completed``, ``cancelled``."""
        [status] = self._do(
            Call(
                "park",
                [self.keys.run(place.run), self.keys.history(self.keys.shard(place.run))],
                [
                    place.step,
                    _json(reason),
                    _json(entry) if entry else "",
                    place.flow,
                    _now(),
                    self._run_ttl,
                    self._run_ttl,
                    *reason.get("budgets", "").split(),
                ],
            )
        )
        return str(status)

    def unpark(self, place: Place, entry: Entry) -> str:
        """A parked step is on its way again. Gives the run's status, empty where Redis knows no such run."""
        keys = [self.keys.run(place.run), self.keys.history(self.keys.shard(place.run))]
        return str(
            self._do(Call("unpark", keys, [place.step, _json(entry), self._run_ttl, self._run_ttl]))[0]
        )

    def note(self, run: str, entry: Entry) -> None:
        """Append to the history."""
        self._do(Call("note", [self.keys.history(self.keys.shard(run))], [_json(entry), self._run_ttl]))

    def cancel(self, run: str, entry: Entry, *, compensate: bool = False) -> tuple[str, list[dict[str, Any]]]:
        """Cancel a run that has not ended. Gives its status after that, empty where Redis knows no such run.

        With ``compensate`` also what undoes its steps, in the order in which they were settled: for each ``step``,
        ``agent``, ``accepts``, and the outcome's ``schema`` and ``data``. There is nothing where the status is not
        ``compensating``.
        """
        shard = self.keys.shard(run)
        keys = [
            self.keys.run(run),
            self.keys.history(shard),
            self.keys.starting(shard),
            self.keys.outstanding(shard),
            self.keys.scheduled(shard),
            self.keys.later(shard),
        ]
        arguments: list[str | int] = [
            _json(entry),
            self._result_ttl,
            self._run_ttl,
            run,
            "1" if compensate else "",
        ]
        [[status, *texts]] = self._do(Call("cancel", keys, arguments))
        undo = [json.loads(text) for text in texts]
        for one in undo:
            with _usable():
                outcome: Any = self.redis.hget(self.keys.run(run), f"s:{one['step']}")
            record = Record.parse(outcome)
            one |= {"schema": record.schema, "data": json.loads(record.data)}
        return str(status), undo

    def pause(self, run: str, entry: Entry, *, resume: bool = False) -> str:
        """Hold a run, or let it go on. Gives its status, empty where Redis knows no such run."""
        keys = [self.keys.run(run), self.keys.history(self.keys.shard(run))]
        call = Call("pause", keys, ["0" if resume else "1", _json(entry), self._run_ttl, self._run_ttl])
        return str(self._do(call)[0])

    def stopped(self, place: Place, known: dict[str, Any]) -> None:
        """A step does not begin because its run is paused; ``known`` is what there is to say of its message."""
        call = Call("stop", [self.keys.run(place.run)], [place.step, _json(known), self._run_ttl])
        self._do(call)

    def delayed(self, place: Place, wait: timedelta) -> None:
        """A step is sent after ``wait``: so people can be told."""
        key = self.keys.run(place.run)
        with _usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hsetnx(key, f"d:{place.step}", str(_now() + _ms(wait)))
            pipeline.pexpire(key, self._run_ttl)
            pipeline.execute()

    def sent(self, run: str) -> dict[str, tuple[float, str, str]]:
        """The steps of a run that were sent and are not settled: when, in seconds since 1970, the agent, ``contract/version``."""
        key, prefix = self.keys.outstanding(self.keys.shard(run)), f"{run}|"
        pattern = re.sub(r"[^\w|.:-]", "?", prefix) + "*"
        found = {}
        with _usable():
            for name, text in self.redis.hscan_iter(key, match=pattern, count=1000):
                step = str(name).removeprefix(prefix)
                if str(name).startswith(prefix) and not step.startswith(
                    "j:"
                ):  # which is a part that waits for others
                    at, agent, refs = str(text).split(" ", 2)
                    found[step] = (float(at) / 1000, agent, refs.partition(",")[0])
        return found

    def edit(
        self,
        place: Place,
        edit: dict[str, Any],
        *,
        before: int,
        entry: Entry,
        sent: str,
        where: Literal["parked", "held"],
        scopes: Sequence[str] = (),
    ) -> str:
        """Give a step that is parked, or held with its run, another input: JSON values, with their ``number``, in place of those
        with the number ``before`` (0: those of its message). ``sent`` is ``agent contract/version``.

        Gives ``edited``, or why it was not: ``settled``, ``closed``, ``running``, ``gone``, ``changed``, or the run's status.
        """
        shard = self.keys.shard(place.run)
        keys = [self.keys.run(place.run), self.keys.history(shard), self.keys.outstanding(shard)]
        arguments: list[str | int] = [
            place.step, _json(edit), before, _json(entry), place.flow, _now(), self._run_ttl, self._run_ttl, place.run,
            sent, where, *scopes,
        ]  # fmt: skip
        return str(self._do(Call("edit", keys, arguments))[0])

    def edit_of(self, place: Place) -> str:
        """The input that a person gave to a step, as JSON text; empty where nobody did."""
        with _usable():
            return str(self.redis.hget(self.keys.run(place.run), f"i:{place.step}") or "")

    def lease_of(self, agent: str, key: str) -> Lease | None:
        """What is known of an idempotency key."""
        with _usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hmget(self.keys.outcome(agent, key), "state", "content", "until", "holders")
            [[state, content, until, holders]] = pipeline.execute()
        if state is None:
            return None
        held = state == "leased" and float(until or 0) > _now()
        return Lease(state, content or "", held, tuple((holders or "").split("\n")))

    def touch(self, runs: Iterable[str]) -> None:
        """Keep live runs from expiring: those that wait for a person."""
        with _usable():
            pipeline = self.redis.pipeline(transaction=False)
            for run in runs:
                pipeline.pexpire(self.keys.run(run), self._run_ttl)
            pipeline.execute()

    def run(self, run: str) -> RunRecord | None:
        """A run, or None where Redis knows none of that id."""
        return self.runs([run])[0]

    def runs(self, runs: Sequence[str]) -> list[RunRecord | None]:
        """Several runs, in one round trip."""
        with _usable():
            pipeline = self.redis.pipeline(transaction=False)
            for run in runs:
                pipeline.hgetall(self.keys.run(run))
            found: list[dict[str, str]] = pipeline.execute()
        return [_run_record(run, fields) if fields else None for run, fields in zip(runs, found, strict=True)]

    def history(self, shard: int, *, count: int = 500) -> list[tuple[str, str]]:
        """The oldest entries of a shard that are not in the journal yet, as (stream id, JSON)."""
        with _usable():
            entries: Any = self.redis.xrange(self.keys.history(shard), count=count)
            return [(str(number), str(fields["entry"])) for number, fields in entries]

    def forget_history(self, shard: int, numbers: Sequence[str]) -> None:
        """Drop entries that are in the journal."""
        with _usable():
            self.redis.xdel(self.keys.history(shard), *numbers)

    def outstanding(self) -> dict[tuple[str, str], int]:
        """How many steps were sent and are not settled, by agent and ``contract/version``: they are queued, delayed,
        running or dead-lettered, or will be sent when their run begins."""
        oldest = _now() - self._run_ttl
        calls = (
            Call("outstanding", [self.keys.outstanding(shard), self.keys.later(shard)], [oldest])
            for shard in range(self.keys.shards)
        )
        counts: Counter[tuple[str, str]] = Counter()
        for reply in self._do(*calls):
            for what, count in zip(reply[::2], reply[1::2], strict=True):
                agent, _, ref = what.partition(" ")
                counts[agent, ref] += int(count)
        return dict(counts)

    def outstanding_of(self, run: str) -> dict[str, str] | None:
        """The steps of a run that were sent and are not settled, with the agent of each; None where Redis knows no such
        run."""
        key, pattern = self.keys.outstanding(self.keys.shard(run)), _literally(f"{run}|") + "*"
        with _usable():
            if not self.redis.exists(self.keys.run(run)):
                return None
            found: Any = dict(self.redis.hscan_iter(key, match=pattern, count=5_000))
        agents = ((field[len(run) + 1 :], text.split(" ")) for field, text in found.items())
        return {step: words[1] if len(words) > 1 else "" for step, words in agents}

    def announce(self, manifest: Manifest, instance: str, ttl: timedelta) -> None:
        """Say that a worker is alive and what it reads and writes, for ``ttl``; none ends that. It is remembered for a
        day."""
        agent, until = str(manifest["agent"]), _now() + _ms(ttl)
        light = {name: manifest[name] for name in _ANNOUNCED if name in manifest}
        said = json.dumps({"instance": instance, "until": until, "manifest": light})
        whole = self.keys.build(agent, str(manifest.get("build", "")))
        with _usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.set(whole, json.dumps(manifest), px=_REMEMBERED)
            pipeline.hset(self.keys.consumers(agent), instance, said)
            pipeline.pexpire(self.keys.consumers(agent), _REMEMBERED)
            pipeline.zadd(self.keys.announced(), {agent: until}, gt=True)  # one that goes hides no other
            pipeline.pexpire(self.keys.announced(), _REMEMBERED)
            pipeline.execute()

    def announcements(self, agent: str) -> list[dict[str, Any]]:
        """The workers of an agent that were alive in the last day, as ``{"instance", "until" (ms), "manifest", "live"}``.

        The manifest has no schemas; :meth:`live` gives it whole.
        """
        with _usable():
            found: Any = self.redis.hgetall(self.keys.consumers(agent))
            said = {instance: _announced(instance, text) for instance, text in found.items()}
            gone = [instance for instance, one in said.items() if one["until"] < _now() - _REMEMBERED]
            if gone:
                self.redis.hdel(self.keys.consumers(agent), *gone)
        return [
            {**one, "live": one["until"] > _now()} for instance, one in said.items() if instance not in gone
        ]

    def live(self) -> list[dict[str, Any]]:
        """The workers of all agents that are alive, as :meth:`announcements` gives them, with their whole manifests."""
        found = []
        with _usable():
            agents: Any = self.redis.zrangebyscore(self.keys.announced(), _now(), "+inf")
            for one in (one for agent in agents for one in self.announcements(agent) if one["live"]):
                light = one["manifest"]
                whole: Any = self.redis.get(
                    self.keys.build(str(light.get("agent")), str(light.get("build", "")))
                )
                found.append({**one, "manifest": (_parsed(whole) if whole else None) or light})
        return found

    def agents(self) -> list[str]:
        """The agents that were seen in the last day or are recorded as deployed."""
        with _usable():
            found: Any = self.redis.zrange(self.keys.announced(), 0, -1)
        return [str(agent) for agent in found]

    def deploy(self, agent: str, manifests: Sequence[Manifest]) -> None:
        """Tell producers which builds of an agent are deployed: those that come back when none is alive."""
        with _usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.set(self.keys.deployed(agent), json.dumps(list(manifests)), px=self._run_ttl)
            pipeline.zadd(
                self.keys.announced(), {agent: 0}, nx=True
            )  # so that it is found though it never lived
            pipeline.pexpire(self.keys.announced(), _REMEMBERED)
            pipeline.execute()

    def subscriptions(self) -> dict[str, tuple[str, ...]]:
        """The names and patterns of events that each agent hears, as far as it was seen in the last day or is recorded as
        deployed: two round trips."""
        with _usable():
            agents: Any = self.redis.zrange(self.keys.announced(), 0, -1)
            pipeline = self.redis.pipeline(transaction=False)
            for agent in agents:
                pipeline.hvals(self.keys.consumers(agent))
                pipeline.get(self.keys.deployed(agent))
            replies: list[Any] = pipeline.execute()
        found = {}
        for agent, said, deployed in zip(agents, replies[::2], replies[1::2], strict=True):
            builds = [_announced("", text)["manifest"] for text in said]
            listed = _parsed(deployed) if deployed else None
            builds += (
                [build for build in listed if isinstance(build, dict)] if isinstance(listed, list) else []
            )
            patterns = dict.fromkeys(text for build in builds for text in _texts(build.get("subscribes")))
            if patterns:
                found[str(agent)] = tuple(patterns)
        return found

    def deployed(self, agent: str) -> list[Manifest]:
        """The builds of an agent that are recorded as deployed."""
        with _usable():
            text: Any = self.redis.get(self.keys.deployed(agent))
        builds = _parsed(text) if text else None
        return [build for build in builds if isinstance(build, dict)] if isinstance(builds, list) else []

    def consumers(self, agent: str) -> list[Manifest]:
        """Who reads what is sent to an agent: the workers alive; else the builds deployed; else the workers seen last."""
        seen = self.announcements(agent)
        alive = [one["manifest"] for one in seen if one["live"]]
        return alive or self.deployed(agent) or [one["manifest"] for one in seen]

    def ping(self) -> str:
        """Name and version of the server. Raises :class:`ServerError` where there is none."""
        with _usable():
            return f"Redis {self.redis.info('server')['redis_version']}"

    def durability(self) -> tuple[str, bool]:
        """The server's ``maxmemory-policy`` (empty where it tells none), and whether it is append-only."""
        with _usable():
            said = self.redis.info()
            return str(said.get("maxmemory_policy", "")), bool(said.get("aof_enabled", 1))

    def _taken_over(
        self, holders: list[str], agent: str, key: str, content: str, fence: int, before: str
    ) -> Claim:
        """Shut the earlier holders out. One that has settled at its run meanwhile has made the outcome: of the content
        ``before``, where the key stood for that."""
        calls = []
        for holder in holders:
            run, _, step = holder.partition("|")
            calls.append(Call("fence", [self.keys.run(run)], [step, fence, self._run_ttl]))
        made = next((text for text in self._do(*calls) if text), None)
        if made is None:
            return Claim("granted", fence=fence)
        outcome = self.keys.outcome(agent, key)
        self._do(Call("settle_outcome", [outcome], [fence, made, self._outcome_ttl, before or content]))
        if before:
            return Claim("conflict")
        return Claim("done", fence=fence, record=Record.parse(made))

    def _settle_run(
        self,
        place: Place,
        fence: int,
        record: Record,
        entry: Entry,
        late: Entry,
        onward: Advance,
        *,
        again: bool,
        edit: int | None = None,
    ) -> Call:
        return Call(
            "settle_run",
            [
                self.keys.run(place.run),
                self.keys.history(self.keys.shard(place.run)),
                self.keys.outstanding(self.keys.shard(place.run)),
            ],
            [
                place.step,
                fence,
                record.text(),
                _json(entry) if entry else "",
                json.dumps([asdict(join) for join in onward.joins]),
                "1" if (not onward.sends if onward.ends is None else onward.ends) else "",
                "1" if again else "",
                self._run_ttl,
                self._result_ttl,
                self._run_ttl,
                _json(late) if late else "",
                (onward.part or record).part(),
                place.run,
                _now(),
                onward.undo,
                "" if edit is None else edit,
                *_named(onward.sends),
            ],
        )

    def _do(self, *calls: Call) -> list[Any]:
        return scripts.run(self.redis, *calls)


def connect(url: str) -> Redis:
    """A client for ``url``; connects at its first command. Its texts are ``str``.

    ``redis+cluster://`` and ``rediss+cluster://`` name one node of a Redis Cluster; the client finds the others.
    """
    options: Any = {"decode_responses": True, "socket_timeout": 10, "socket_connect_timeout": 5}
    scheme, _, place = url.partition("://")
    if scheme.endswith("+cluster"):
        cluster: Any = _Cluster(f"{scheme.removesuffix('+cluster')}://{place}", options)
        return cast("Redis", cluster)  # the commands that the store uses are the same
    return Redis.from_url(url, health_check_interval=30, **options)


class _Cluster:
    """A client of a Redis Cluster that connects at its first command, as that of a single server does."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._url = url
        self._options = options

    @cached_property
    def client(self) -> RedisCluster:
        return RedisCluster.from_url(self._url, **self._options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def close(self) -> None:
        if "client" in self.__dict__:
            nodes: list[Any] = self.client.get_nodes()  # type: ignore[no-untyped-call]
            for node in nodes:  # the cluster's close() leaves theirs open
                if node.redis_connection is not None:
                    node.redis_connection.close()
            self.client.close()


class _usable:  # noqa: N801 - reads as a statement
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, scripts.FAILURES):
            raise scripts.unusable(error) from error


def _settled(reply: list[str]) -> Settled:
    verdict, data, schemas, complete, *level = reply
    joined = Record(schemas, data) if data else None
    return Settled(
        verdict,
        fenced=complete == "fenced",
        waiting=complete == "waiting",
        joined=joined,
        level=int(level[0]) if level else 0,
        mark=level[1] if len(level) > 1 else "",
    )


def _run_record(run: str, fields: dict[str, str]) -> RunRecord:
    parked = {name[2:]: json.loads(text) for name, text in fields.items() if name.startswith("p:")}
    flow, status = fields.get("flow", ""), fields.get("status", "running")
    story = flow.startswith(STORY)
    waits = any(
        waits_for_somebody(step, reason) and (story or "@" not in step) for step, reason in parked.items()
    )
    if story and status == "running" and not waits and int(fields.get("open", 1)) <= 0:
        status = "completed"
    waiting = {name: json.loads(text) for name, text in fields.items() if name.startswith("w:")}
    return RunRecord(
        id=run,
        flow=flow,
        key=fields.get("key", ""),
        status="parked" if status in {"running", "compensating"} and waits else status,
        started=float(fields.get("started", 0)) / 1000,
        parked=parked,
        settled=tuple(sorted(name[2:] for name in fields if name.startswith("s:"))),
        result=Record.parse(fields["result"]) if "result" in fields else None,
        paused="paused" in fields,
        waits=tuple(
            sorted(
                f"{name[2:]} {follows['signal']}"
                for name, follows in waiting.items()
                if status == "running"
                and not any(f"j:{path}.one" in fields for path in follows.get("scopes") or ())
            )
        ),
        due=float(fields["due"]) / 1000 if "due" in fields else None,
        held={name[2:]: json.loads(text) for name, text in fields.items() if name.startswith("h:")},
        began=_times(fields, "r:"),
        delayed=_times(fields, "d:"),
        awaited={name[2:]: json.loads(text) for name, text in fields.items() if name.startswith("w:")},
        spent=tuple(name[2:-4] for name in fields if name.startswith("j:") and name.endswith(".one")),
    )


def _times(fields: dict[str, str], kind: str) -> dict[str, float]:
    return {name[2:]: float(text) / 1000 for name, text in fields.items() if name.startswith(kind)}


def waits_for_somebody(step: str, reason: Mapping[str, Any]) -> bool:
    """Whether nothing but a person will end what is parked: no budget that it is in, other than as a fallback."""
    budgets: list[str] = reason.get("budgets", "").split()
    return not any(step.startswith(f"{path}.b.") for path in budgets)


def _literally(text: str) -> str:
    """A text as a pattern of Redis that fits nothing else."""
    return "".join(f"\\{sign}" if sign in "*?[]^-\\" else sign for sign in text)


def _announced(instance: str, text: str) -> dict[str, Any]:
    """What a worker said. One that does not say until when it lives is gone; one without a manifest has an empty one."""
    parsed = _parsed(text)
    said = parsed if isinstance(parsed, dict) else {}
    until, manifest = said.get("until"), said.get("manifest")
    if type(until) is not int:
        _log.warning("what the worker %s announces cannot be read: it is forgotten", printable(instance, 120))
        until = 0
    return {"instance": instance, "until": until, "manifest": manifest if isinstance(manifest, dict) else {}}


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _parsed(text: str) -> Any:
    """JSON text that somebody put there; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _named(sends: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    for step, agent, ref in sends:
        yield step
        yield f"{agent} {ref}"


def _due(due: datetime | timedelta | None) -> str:
    if isinstance(due, timedelta):
        return f"+{max(_ms(due), 0)}"
    return str(math.ceil(due.timestamp() * 1000)) if due else ""  # never before


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ms(duration: timedelta) -> int:
    return int(duration / timedelta(milliseconds=1))


def _now() -> int:
    return int(time.time() * 1000)
