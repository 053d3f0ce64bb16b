"""Store: what a handoff needs of Redis, one method a script. Every key has a time to live.

An idempotency key is claimed, and at most one of its claimants settles it (``fence``). A step of a run is settled once
as well. Key and run live in different hash slots, so no script sees both; docs/decisions/0002 says why the two can
never disagree all the same.

Whoever is no handoff has modules of its own beside this one: runs, outstanding, announcements, entries, later, ticked.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any, cast

from redis import Redis

from handoffs.config.settings import Settings
from handoffs.coordinator.store import clock, scripts
from handoffs.coordinator.store.claim import Claim, Lease
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Entry, Place, Record
from handoffs.coordinator.store.scripts import Call, as_json
from handoffs.coordinator.store.settlement import Advance, Settled, named

_LOOK_AGAIN = timedelta(seconds=2)
_MOST_GONE = 1000
_GONE_AT_ONCE = 50


_LET_GO = "#"
"""Begins what a run has left of an outcome that it has let go."""


class Store:
    """The store of one installation. Raises :class:`~handoffs.coordinator.errors.ServerError` from every method when Redis cannot be
    used."""

    worth_letting_go = 100
    """From how many characters on runs let outcomes go: what is left of one is about as long as a short one."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self.redis = redis
        self.keys = Keys(settings.prefix, settings.shards)
        self._settings = settings
        self._run_ttl = clock.ms(settings.run_ttl)
        self._result_ttl = clock.ms(settings.result_ttl)
        self._outcome_ttl = clock.ms(settings.outcome_ttl)
        self._lease = clock.ms(settings.lease)
        self._gone: deque[Call] = deque(maxlen=_MOST_GONE)

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
        (status, settled), (verdict, number, holders, record, before), *_ = self._do(
            Call(
                "claim_run",
                [self.keys.run(place.run), self.keys.outstanding(self.keys.shard(place.run))],
                [place.step, place.flow, clock.now(), self._run_ttl, place.run, edit, *scopes],
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
            *self._let_go_by_now(),
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
        if settled.startswith(_LET_GO):  # everything that follows is on its way; the key may have it still
            known = claim.record
            return Claim(status, record=known if known and settled == _LET_GO + known.digest() else None)
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

    def lease_of(self, agent: str, key: str) -> Lease | None:
        """What is known of an idempotency key."""
        with scripts.usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hmget(self.keys.outcome(agent, key), "state", "content", "until", "holders")
            [[state, content, until, holders]] = pipeline.execute()
        if state is None:
            return None
        held = state == "leased" and float(until or 0) > clock.now()
        return Lease(state, content or "", held, tuple((holders or "").split("\n")))

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
        quiet: Entry | None = None,
        emits: bool = False,
    ) -> Settled:
        """Record the outcome, the history and the run's advance: one round trip. First settler wins; an outcome of another
        input than that of the newest edit is late. ``quiet`` is told in the place of ``entry`` where the run was cancelled
        meanwhile, so that nothing is passed on. ``emits``: whether it sends events, which :meth:`emits_once` is to know."""
        kept, settled, *_ = self._do(
            Call(
                "settle_outcome",
                [self.keys.outcome(agent, key)],
                [fence, record.text(), self._outcome_ttl, content],
            ),
            self._settle_run(place, fence, record, entry, late, onward, again=False, edit=edit, quiet=quiet),
            *([self._emit_once(place, agent, key)] if emits else []),
        )
        return Settled.read(settled, kept=kept == "settled")

    def let_go(self, place: Place, fence: int, record: Record) -> None:
        """The run needs the outcome of a step no more, because its idempotency key has it, and everything that follows is in
        the broker's hands: from then on it only knows which it was. It is told with the next claim, and if this process dies
        before, it keeps the outcome."""
        if len(record.data) + len(record.events) >= self.worth_letting_go:
            arguments: list[str | int] = [place.step, fence, record.digest()]
            self._gone.append(Call("let_go", [self.keys.run(place.run)], arguments))

    def _let_go_by_now(self) -> Iterator[Call]:
        for _ in range(_GONE_AT_ONCE):
            try:
                yield self._gone.popleft()
            except IndexError:
                return

    def emits_once(self, place: Place, agent: str, key: str) -> bool:
        """Whether it is for this step to send the events of an outcome which its key had already, and not for another step of
        the run that has the same."""
        return bool(self._do(self._emit_once(place, agent, key))[0] == place.step)

    def _emit_once(self, place: Place, agent: str, key: str) -> Call:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24]
        return Call("emit_once", [self.keys.run(place.run)], [f"{agent}|{digest}", place.step])

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
        return Settled.read(settled)

    def follow(self, place: Place, *, record: Record, onward: Advance, entry: Entry | None = None) -> Settled:
        """Find again what follows a step that is settled; ``entry`` is told where it is the first to arrive at a budget."""
        [settled] = self._do(self._settle_run(place, 0, record, entry or {}, {}, onward, again=True))
        return Settled.read(settled)

    def settled(self, place: Place) -> bool:
        """Whether a step has its outcome."""
        with scripts.usable():
            return bool(self.redis.hexists(self.keys.run(place.run), f"s:{place.step}"))

    def park(self, place: Place, reason: dict[str, Any], entry: Entry | None, *, marked: bool = False) -> str:
        """Mark a step as parked. Gives ``parked``, or what it is instead: ``settled``, ``completed``, ``cancelled``; where it was
        ``marked`` with that reason before, and is not any more, ``gone``: it is on its way again."""
        shard = self.keys.shard(place.run)
        [status] = self._do(
            Call(
                "park",
                [self.keys.run(place.run), self.keys.history(shard), self.keys.outstanding(shard)],
                [
                    place.step,
                    as_json(reason),
                    as_json(entry) if entry else "",
                    place.flow,
                    clock.now(),
                    self._run_ttl,
                    self._run_ttl,
                    place.run,
                    "1" if marked else "",
                    *reason.get("budgets", "").split(),
                ],
            )
        )
        return str(status)

    def edit_of(self, place: Place) -> str:
        """The input that a person gave to a step, as JSON text; empty where nobody did."""
        with scripts.usable():
            return str(self.redis.hget(self.keys.run(place.run), f"i:{place.step}") or "")

    def pass_over(self, place: Place) -> None:
        """A step that was sent to somebody who does not want it is not outstanding any more."""
        keys = [self.keys.run(place.run), self.keys.outstanding(self.keys.shard(place.run))]
        self._do(Call("pass_over", keys, [place.step, place.run]))

    def stopped(self, place: Place, known: dict[str, Any]) -> None:
        """A step does not begin because its run is paused; ``known`` is what there is to say of its message."""
        call = Call("stop", [self.keys.run(place.run)], [place.step, as_json(known), self._run_ttl])
        self._do(call)

    def delayed(self, place: Place, wait: timedelta) -> None:
        """A step is sent after ``wait``: so people can be told."""
        key = self.keys.run(place.run)
        with scripts.usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hsetnx(key, f"d:{place.step}", str(clock.now() + clock.ms(wait)))
            pipeline.pexpire(key, self._run_ttl)
            pipeline.execute()

    def closed(self, place: Place, *paths: str) -> bool:
        """Whether something has come back from one of the budgets at ``paths``, or the run does not go on."""
        with scripts.usable():
            fields = ["status", *(f"j:{path}.one" for path in paths)]
            status, *arrived = cast("list[Any]", self.redis.hmget(self.keys.run(place.run), fields))
            return status not in ("running", None) or any(one is not None for one in arrived)

    def stood_in(self, place: Place, path: str) -> tuple[Record, str] | None:
        """What has come out of the budget at ``path``, and which fallback it is, empty where it is none; None where nothing
        has."""
        with scripts.usable():
            text, mark = cast(
                "list[Any]", self.redis.hmget(self.keys.run(place.run), [f"j:{path}.one", f"m:{path}"])
            )
        return (Record.parse(text), str(mark or "")) if text else None

    def hold(self, place: Place, path: str, items: Mapping[int, Any]) -> None:
        """Keep the items of an each until their turn."""
        fields: Any = {f"e:{path}.{number}": as_json(item) for number, item in items.items()}
        with scripts.usable():
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hset(self.keys.run(place.run), mapping=fields)
            pipeline.pexpire(self.keys.run(place.run), self._run_ttl)
            pipeline.execute()

    def held(self, place: Place, path: str, number: int) -> Any:
        """An item that was kept; None where there is none any more, because the run has ended."""
        with scripts.usable():
            text: Any = self.redis.hget(self.keys.run(place.run), f"e:{path}.{number}")
            return json.loads(text) if text else None

    def wait(
        self, place: Place, path: str, name: str, follows: dict[str, Any], scopes: Sequence[str] = ()
    ) -> Record | None:
        """Wait at ``path`` for the signal ``name``; ``follows`` is what is needed to go on. Gives the signal if it came before.

        ``scopes`` are the budgets that it is in: where one of them is spent it does not wait any more.
        """
        arguments: list[str | int] = [
            path,
            name,
            as_json({**follows, "scopes": list(scopes)}),
            self._run_ttl,
            *scopes,
        ]
        call = Call("wait", [self.keys.run(place.run)], arguments)
        text = self._do(call)[0]
        return Record.parse(text) if text else None

    def keep(self, key: str, record: Record, max_age_ms: int) -> None:
        """Keep a good outcome, for whoever falls back to it."""
        kept = json.dumps({"at": clock.now(), "record": record.text()})
        with scripts.usable():
            self.redis.set(self.keys.kept(key), kept, px=max_age_ms)

    def kept(self, key: str) -> tuple[Record, int] | None:
        """The last good outcome that was kept under ``key``, and its age in milliseconds."""
        with scripts.usable():
            text: Any = self.redis.get(self.keys.kept(key))
        if not text:
            return None
        found = json.loads(text)
        return Record.parse(found["record"]), max(clock.now() - int(found["at"]), 0)

    def note(self, run: str, entry: Entry) -> None:
        """Append to the history."""
        self._do(Call("note", [self.keys.history(self.keys.shard(run))], [as_json(entry), self._run_ttl]))

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
        quiet: Entry | None = None,
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
                as_json(entry) if entry else "",
                json.dumps([asdict(join) for join in onward.joins]),
                "1" if (not onward.sends if onward.ends is None else onward.ends) else "",
                "1" if again else "",
                self._run_ttl,
                self._result_ttl,
                self._run_ttl,
                as_json(late) if late else "",
                (onward.part or record).part(),
                place.run,
                clock.now(),
                onward.undo,
                "" if edit is None else edit,
                record.digest(),
                as_json(quiet) if quiet else "",
                *named(onward.sends),
            ],
        )

    def _do(self, *calls: Call) -> list[Any]:
        return scripts.run(self.redis, *calls)
