"""Handoffs: what a handoff asks of Redis, from its claim to its settlement.

An idempotency key is claimed, and at most one of its claimants settles it (``fence``). A step of a run is settled once
as well. Key and run live in different hash slots, so no script sees both; docs/decisions/0002 says why the two can
never disagree all the same.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TypeVar

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Arguments, Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.claim import Claim, ClaimVerdict, Held, Renewed, found, stopped
from handoffs.coordinator.store.fields import Kind
from handoffs.coordinator.store.keys import Keys, digest_of
from handoffs.coordinator.store.record import Entry, Record, StepRef, entry_text
from handoffs.coordinator.store.settlement import Advance, Settled, lines_of
from handoffs.coordinator.store.undo import OutcomeRef
from handoffs.coordinator.store.usage import looking, spent

_MOST_GONE = 1000
_AT_ONCE = 50

T = TypeVar("T")

_CANCELLED = frozenset({"cancelled", "compensating"})


class Handoffs:
    """The claims and settlements of one installation. Each method gives what it asks of Redis (``asking.py``)."""

    worth_letting_go = 100
    """From how many characters on runs let outcomes go: what is left of one is about as long as a short one."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self.keys = keys
        self.gone: deque[Call | Command] = deque(maxlen=_MOST_GONE)
        """What runs are to let go with the next claim: outcomes, and what follows waits that are over."""
        self.lapsed: deque[Call] = deque(maxlen=_MOST_GONE)
        """The leases that lapse with the next claim: Redis was away when they were to be used or given back."""
        self._crash_limit = settings.crash_limit
        self._run_ttl = clock.ms(settings.run_ttl)
        self._result_ttl = clock.ms(settings.result_ttl)
        self._outcome_ttl = clock.ms(settings.outcome_ttl)
        self._lease = clock.ms(settings.lease)

    def claim(
        self,
        ref: StepRef,
        *,
        agent: str,
        key: str,
        content: str,
        owner: str,
        replays: int,
        budgets: tuple[str, ...] = (),
        edit: int = 0,
        supersedes: Sequence[str] = (),
        older: str = "",
        looks: int = 0,
    ) -> Asking[Claim]:
        """Claim a step: one round trip; more where a lease is taken over from a holder that fell silent, and where the message has
        come in vain before, ``looks`` times: then it is first asked whether its run is held still, for a lease would say that it runs.

        ``replays`` counts how often a person sent the message again; more of them forgive the crashes before. ``budgets``
        are the paths of those that the step is in. ``edit`` is the number of the edit that the input is, and
        ``supersedes`` the contents whose place it has taken: where the key stands for one of them and has no outcome, it
        stands for this one from now on. ``older`` is what the release before called the content.

        Many parameters because the scripts are asked for all of them at once, each by its name.
        """
        if looks and (yield from self._is_held(self._claim_run(ref, edit, budgets, replays))):
            return stopped(ClaimVerdict.PAUSED, "", None)
        token, lapsed = uuid.uuid4().hex, list(_taken(self.lapsed))
        arguments: Arguments = {
            "content": content, "older": older, "supersedes": " ".join(supersedes), "owner": owner, "holder": _holder(ref),
            "lease": self._lease, "ttl": self._outcome_ttl, "replays": replays, "crash_limit": self._crash_limit, "token": token,
        }  # fmt: skip
        try:
            replies = yield RoundTrip.of(
                *lapsed,
                self._claim_run(ref, edit, budgets, replays),
                Call("claim_outcome", {"outcome": self.keys.outcome(agent, key)}, arguments),
                looking(self.keys, ref.run),
                *_taken(self.gone),
            )
            (status, settled, *more), reply, used, *_ = replies[len(lapsed) :]
            answer, number, holders, record, before, generation, own = reply
            claim = found(ClaimVerdict(answer), int(number), record)
            if claim.verdict is ClaimVerdict.GRANTED and holders:
                shut_out = holders.split("\n")
                claim = yield from self._taken_over(shut_out, agent, key, content, claim.fence, before)
        except ServerError:
            self.lapsed.extend(lapsed)
            self.lapse(agent, key, token=token)  # it may have been granted
            raise
        claim = replace(claim, generation=int(generation), spent=spent(used))
        if status == "open" or (status == "lost" and claim.verdict is not ClaimVerdict.GRANTED):
            return replace(
                claim, at=int(more[0])
            )  # what its key has of a step that the run has lost, it has for good
        if own and more == ["1"] and status in _CANCELLED:  # done for this step, before its run was cancelled
            return claim
        if claim.verdict is ClaimVerdict.GRANTED:
            yield from self.release(agent, key, fence=claim.fence)
        return stopped(ClaimVerdict(status), settled, claim.record)

    def _is_held(self, claim_run: Call) -> Asking[bool]:
        [(status, *_)] = yield RoundTrip.of(claim_run)
        return bool(status == ClaimVerdict.PAUSED)

    def _claim_run(self, ref: StepRef, edit: int, budgets: tuple[str, ...], replays: int) -> Call:
        arguments: Arguments = {
            "step": ref.step,
            "flow": ref.flow,
            "run_id": ref.run,
            "edit": edit,
            "budgets": " ".join(budgets),
            "replays": replays,
            "ttl": self._run_ttl,
        }
        return Call("claim_run", self.keys.around(ref.run, "ended", "outstanding"), arguments)

    def renew(self, leases: Sequence[Held]) -> Asking[list[Renewed]]:
        """Keep leases, and see whether the runs that they are held for go on: one round trip for all of them."""
        keep = (
            Call(
                "renew",
                {"outcome": self.keys.outcome(held.agent, held.key)},
                {"fence": held.fence, "lease": self._lease},
            )
            for held in leases
        )
        look = (
            Call(
                "ended",
                self.keys.around(held.place.run),
                {"step": held.place.step, "flow": held.place.flow, "budgets": " ".join(held.budgets)},
            )
            for held in leases
        )
        replies = yield RoundTrip((*keep, *look))
        kept, ended = replies[: len(leases)], replies[len(leases) :]
        return [Renewed(one == 1, str(status)) for one, status in zip(kept, ended, strict=True)]

    def release(self, agent: str, key: str, *, fence: int = 0, owner: str = "") -> Asking[bool]:
        """Give a lease back: by its fence, or by its owner, which counts as a crash. False where it is not that."""
        keys = {"outcome": self.keys.outcome(agent, key)}
        [given] = yield RoundTrip.of(Call("release", keys, {"fence": fence, "owner": owner}))
        return bool(given == 1)

    def settle(
        self,
        ref: StepRef,
        *,
        agent: str,
        key: str,
        content: str,
        fence: int,
        record: Record,
        entry: Entry,
        onward: Advance,
        edit: int = 0,
        quiet: Entry | None = None,
        emits: bool = False,
    ) -> Asking[Settled]:
        """Record the outcome, the history and the run's advance: one round trip. First settler wins; an outcome of another
        input than that of the newest edit is late, and so is the kind of its entry. ``quiet`` is recorded in the place of ``entry``
        where nothing is passed on: the outcome is late, or the run was cancelled meanwhile. ``emits``: whether it sends events, which :meth:`emits_once` is to know.

        Many parameters because the scripts are asked for all of them at once, each by its name.
        """
        kept, settled, *_ = yield RoundTrip.of(
            self._settle_outcome(
                agent, key, fence, record.text(), content, _holder(ref) if onward.undo else ""
            ),
            self._settle_run(
                ref,
                _Settlement(
                    record=record, onward=onward, entry=entry, late=True, quiet=quiet, fence=fence, edit=edit
                ),
            ),
            *([self._emit_once(ref, agent, key)] if emits else []),
            *self._undone(onward),
        )
        return Settled.read(settled, kept=kept == "settled")

    def settle_known(
        self,
        ref: StepRef,
        *,
        fence: int,
        record: Record,
        entry: Entry,
        onward: Advance,
        edit: int | None = None,
        by_key: bool = False,
    ) -> Asking[Settled]:
        """Settle a step with an outcome that its key already has (``by_key``), or with a person's (``edit`` None: whatever its
        input). What its key has is the outcome, whoever recorded it here before and under which fence: it is passed on.

        Many parameters because the script is asked for all of them at once, each by its name.
        """
        settlement = _Settlement(
            record=record, onward=onward, entry=entry, fence=fence, edit=edit, by_key=by_key
        )
        settled, *_ = yield RoundTrip.of(self._settle_run(ref, settlement), *self._undone(onward))
        return Settled.read(settled)

    def follow(
        self, ref: StepRef, *, record: Record, onward: Advance, entry: Entry | None = None
    ) -> Asking[Settled]:
        """Find again what follows a step that is settled; ``entry`` is recorded where it is the first to arrive at a budget."""
        settled, *_ = yield RoundTrip.of(
            self._settle_run(ref, _Settlement(record=record, onward=onward, entry=entry, again=True)),
            *self._undone(onward),
        )
        return Settled.read(settled)

    def withdraw(self, agent: str, key: str, fence: int) -> Asking[bool]:
        """Take back the outcome of a settlement that its run refused. False where somebody has been told of it, or it is none: then
        it stands, and is passed on once that is possible."""
        keys = {"outcome": self.keys.outcome(agent, key)}
        [taken] = yield RoundTrip.of(Call("withdraw", keys, {"fence": fence}))
        return bool(taken == 1)

    def let_go(self, ref: StepRef, fence: int, record: Record) -> None:
        """The run needs the outcome of a step no more, because its idempotency key has it, and everything that follows is in
        the broker's hands: from then on it only knows which it was. The run learns of it with the next claim, and if this process dies
        before, it keeps the outcome."""
        if len(record.data) + len(record.events) >= self.worth_letting_go:
            arguments: Arguments = {"step": ref.step, "fence": fence, "digest": record.digest()}
            self.gone.append(Call("let_go", {"run": self.keys.run(ref.run)}, arguments))

    def let_wait_go(self, ref: StepRef, path: str) -> None:
        """What follows the wait at ``path`` is sent by the message that has reached it, also where that comes again: a signal that is
        sent again needs to send nothing. The run learns of it with the next claim."""
        self.gone.append(Command("HDEL", self.keys.run(ref.run), Kind.FOLLOWED.of(path)))

    def emits_once(self, ref: StepRef, agent: str, key: str) -> Asking[bool]:
        """Whether it is for this step to send the events of an outcome which its key had already, and not for another step of
        the run that has the same."""
        [first] = yield RoundTrip.of(self._emit_once(ref, agent, key))
        return bool(first == ref.step)

    def lapse(self, agent: str, key: str, *, fence: int = 0, token: str = "") -> None:
        """A lease whose holder lives and does not use it, because a server was away: it lapses with the next claim of this
        process, which is no crash. It is named by its fence, or by the ``token`` of a claim whose answer has not come."""
        arguments: Arguments = {"fence": fence, "token": token}
        self.lapsed.append(Call("lapse", {"outcome": self.keys.outcome(agent, key)}, arguments))

    def _emit_once(self, ref: StepRef, agent: str, key: str) -> Call:
        digest = digest_of(key)[:24]
        arguments: Arguments = {"emitter": f"{agent}|{digest}", "step": ref.step}
        return Call("emit_once", {"run": self.keys.run(ref.run)}, arguments)

    def _taken_over(
        self, holders: list[str], agent: str, key: str, content: str, fence: int, before: str
    ) -> Asking[Claim]:
        """Shut the earlier holders out. One that has settled at its run meanwhile has made the outcome: of the content
        ``before``, where the key stood for that."""
        calls = []
        for holder in holders:
            run, _, step = holder.partition("|")
            calls.append(Call("fence", {"run": self.keys.run(run)}, {"step": step, "fence": fence}))
        replies = yield RoundTrip(tuple(calls))
        made = next(
            ((reply, holder) for reply, holder in zip(replies, holders, strict=True) if reply and reply[0]),
            None,
        )
        if made is None:
            return Claim(ClaimVerdict.GRANTED, fence=fence)
        (record, by), maker = made
        known_as = (
            int(by) if by and int(by) < fence else fence
        )  # by that its run knows it; a person's has no lease's
        yield RoundTrip.of(
            self._settle_outcome(agent, key, fence, record, before or content, maker, known_as=known_as)
        )
        if before:
            return Claim(ClaimVerdict.CONFLICT)
        return Claim(ClaimVerdict.DONE, fence=known_as, record=Record.parse(record))

    def _settle_outcome(
        self,
        agent: str,
        key: str,
        fence: int,
        record: str,
        content: str,
        maker: str = "",
        *,
        known_as: int | None = None,
    ) -> Call:
        """Many parameters because the script is asked for all of them at once."""
        arguments: Arguments = {
            "fence": fence,
            "known_as": fence if known_as is None else known_as,
            "record": record,
            "content": content,
            "maker": maker,
            "ttl": self._outcome_ttl,
        }
        return Call("settle_outcome", {"outcome": self.keys.outcome(agent, key)}, arguments)

    def _undone(self, onward: Advance) -> list[Call]:
        """With what undoes an outcome the outcome goes: it answers for its key no more."""
        return [self.undo_outcome(onward.undoes, undone=True)] if onward.undoes else []

    def undo_outcome(self, outcome: OutcomeRef, *, undone: bool = False) -> Call:
        """An outcome is to be undone, or was: its key does not stand for it any more. Doing it again changes nothing."""
        arguments: Arguments = {
            "fence": outcome.fence,
            "undone": "1" if undone else "",
            "ttl": max(self._run_ttl, self._outcome_ttl),
        }
        return Call("undo_outcome", {"outcome": self.keys.outcome_of(outcome.agent, outcome.key)}, arguments)

    def _settle_run(self, ref: StepRef, settlement: _Settlement) -> Call:
        onward, record = settlement.onward, settlement.record
        ends = not onward.sends if onward.ends is None else onward.ends
        return Call(
            "settle_run",
            self.keys.around(ref.run, "ended", "history", "outstanding"),
            {
                "step": ref.step,
                "flow": ref.flow,
                "run_id": ref.run,
                "fence": settlement.fence,
                "record": record.text(),
                "digest": record.digest(),
                "part": onward.part.part() if onward.part else record.part() if record.events else "",
                "edit": "" if settlement.edit is None else settlement.edit,
                "known": "1" if settlement.by_key else "",
                "undo": onward.undo,
                "joins": strictjson.dumps([asdict(join) for join in onward.joins]),
                "most": onward.most,
                "body": onward.body,
                "ends": "1" if ends else "",
                "left": "" if onward.left is None else onward.left,
                "again": "1" if settlement.again else "",
                "sends": lines_of(onward.sends),
                "span": onward.span if onward.joins else "",
                "entry": entry_text(settlement.entry),
                "late": "1" if settlement.late else "",
                "quiet": entry_text(settlement.quiet),
                "ttl": self._run_ttl,
                "result_ttl": self._result_ttl,
            },
        )


def _taken(calls: deque[T]) -> Iterator[T]:
    """The first of these, which are not there any more."""
    for _ in range(_AT_ONCE):
        try:
            yield calls.popleft()
        except IndexError:
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settlement:
    """What the run records of an outcome. See :meth:`Handoffs.settle`; with ``again`` it only finds what follows."""

    record: Record
    onward: Advance
    entry: Entry | None
    late: bool = False
    quiet: Entry | None = None
    fence: int = 0
    edit: int | None = None
    again: bool = False
    by_key: bool = False


def _holder(ref: StepRef) -> str:
    """Who holds a lease, or has made an outcome."""
    return f"{ref.run}|{ref.step}"
