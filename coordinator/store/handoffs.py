"""Handoffs: what a handoff asks of Redis, from its claim to its settlement.

An idempotency key is claimed, and at most one of its claimants settles it (``fence``). A step of a run is settled once
as well. Key and run live in different hash slots, so no script sees both; docs/decisions/0002 says why the two can
never disagree all the same.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Arguments, Asking, Call, RoundTrip
from handoffs.coordinator.store.claim import Claim, ClaimVerdict
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Entry, Record, StepRef, entry_text
from handoffs.coordinator.store.settlement import Advance, Settled, lines_of

_LOOK_AGAIN = timedelta(seconds=2)
_MOST_GONE = 1000
_GONE_AT_ONCE = 50

_LET_GO = "#"
"""Begins what a run has left of an outcome that it has let go."""


class Handoffs:
    """The claims and settlements of one installation. Each method gives what it asks of Redis (``asking.py``)."""

    worth_letting_go = 100
    """From how many characters on runs let outcomes go: what is left of one is about as long as a short one."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self.keys = keys
        self.gone: deque[Call] = deque(maxlen=_MOST_GONE)
        """The outcomes that runs are to let go with the next claim."""
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
    ) -> Asking[Claim]:
        """Claim a step: one round trip; more where a lease is taken over from a holder that fell silent.

        ``replays`` counts how often a person sent the message again; more of them forgive the crashes before. ``budgets``
        are the paths of those that the step is in. ``edit`` is the number of the edit that the input is, and
        ``supersedes`` the contents whose place it has taken: where the key stands for one of them and has no outcome, it
        stands for this one from now on.

        Many parameters because the scripts are asked for all of them at once, each by its name.
        """
        (status, settled), (answer, number, holders, record, before), *_ = yield RoundTrip.of(
            self._claim_run(ref, edit, budgets),
            Call(
                "claim_outcome",
                {"outcome": self.keys.outcome(agent, key)},
                {
                    "content": content,
                    "owner": owner,
                    "holder": f"{ref.run}|{ref.step}",
                    "lease": self._lease,
                    "ttl": self._outcome_ttl,
                    "replays": replays,
                    "crash_limit": self._crash_limit,
                    "token": uuid.uuid4().hex,
                    "supersedes": " ".join(supersedes),
                },
            ),
            *self._let_go_by_now(),
        )
        claim = _claim(ClaimVerdict(answer), int(number), record)
        if claim.verdict is ClaimVerdict.GRANTED and holders:
            claim = yield from self._taken_over(holders.split("\n"), agent, key, content, claim.fence, before)
        if status == "open":
            return claim
        if claim.verdict is ClaimVerdict.GRANTED:
            yield from self.release(agent, key, fence=claim.fence)
        return _stopped(ClaimVerdict(status), settled, claim.record)

    def _claim_run(self, ref: StepRef, edit: int, budgets: tuple[str, ...]) -> Call:
        arguments: Arguments = {
            "step": ref.step,
            "flow": ref.flow,
            "run_id": ref.run,
            "edit": edit,
            "budgets": " ".join(budgets),
            "now": clock.now(),
            "ttl": self._run_ttl,
        }
        return Call("claim_run", self.keys.around(ref.run, "outstanding"), arguments)

    def renew(self, leases: Sequence[tuple[str, str, int]]) -> Asking[list[bool]]:
        """Keep leases, given as (agent, key, fence); False for each that is another's by now."""
        calls = [
            Call("renew", {"outcome": self.keys.outcome(agent, key)}, {"fence": fence, "lease": self._lease})
            for agent, key, fence in leases
        ]
        replies = yield RoundTrip(tuple(calls))
        return [reply == 1 for reply in replies]

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
        late: Entry,
        onward: Advance,
        edit: int = 0,
        quiet: Entry | None = None,
        emits: bool = False,
    ) -> Asking[Settled]:
        """Record the outcome, the history and the run's advance: one round trip. First settler wins; an outcome of another
        input than that of the newest edit is late. ``quiet`` is recorded in the place of ``entry`` where the run was cancelled
        meanwhile, so that nothing is passed on. ``emits``: whether it sends events, which :meth:`emits_once` is to know.

        Many parameters because the scripts are asked for all of them at once, each by its name.
        """
        kept, settled, *_ = yield RoundTrip.of(
            self._settle_outcome(agent, key, fence, record.text(), content),
            self._settle_run(
                ref,
                _Settlement(
                    record=record, onward=onward, entry=entry, late=late, quiet=quiet, fence=fence, edit=edit
                ),
            ),
            *([self._emit_once(ref, agent, key)] if emits else []),
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
    ) -> Asking[Settled]:
        """Settle a step with an outcome that its key already has, or with a person's (``edit`` None: whatever its input)."""
        [settled] = yield RoundTrip.of(
            self._settle_run(
                ref, _Settlement(record=record, onward=onward, entry=entry, fence=fence, edit=edit)
            )
        )
        return Settled.read(settled)

    def follow(
        self, ref: StepRef, *, record: Record, onward: Advance, entry: Entry | None = None
    ) -> Asking[Settled]:
        """Find again what follows a step that is settled; ``entry`` is recorded where it is the first to arrive at a budget."""
        [settled] = yield RoundTrip.of(
            self._settle_run(ref, _Settlement(record=record, onward=onward, entry=entry, again=True))
        )
        return Settled.read(settled)

    def let_go(self, ref: StepRef, fence: int, record: Record) -> None:
        """The run needs the outcome of a step no more, because its idempotency key has it, and everything that follows is in
        the broker's hands: from then on it only knows which it was. The run learns of it with the next claim, and if this process dies
        before, it keeps the outcome."""
        if len(record.data) + len(record.events) >= self.worth_letting_go:
            arguments: Arguments = {"step": ref.step, "fence": fence, "digest": record.digest()}
            self.gone.append(Call("let_go", {"run": self.keys.run(ref.run)}, arguments))

    def emits_once(self, ref: StepRef, agent: str, key: str) -> Asking[bool]:
        """Whether it is for this step to send the events of an outcome which its key had already, and not for another step of
        the run that has the same."""
        [first] = yield RoundTrip.of(self._emit_once(ref, agent, key))
        return bool(first == ref.step)

    def _let_go_by_now(self) -> Iterator[Call]:
        for _ in range(_GONE_AT_ONCE):
            try:
                yield self.gone.popleft()
            except IndexError:
                return

    def _emit_once(self, ref: StepRef, agent: str, key: str) -> Call:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:24]
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
        made = next((text for text in replies if text), None)
        if made is None:
            return Claim(ClaimVerdict.GRANTED, fence=fence)
        yield RoundTrip.of(self._settle_outcome(agent, key, fence, made, before or content))
        if before:
            return Claim(ClaimVerdict.CONFLICT)
        return Claim(ClaimVerdict.DONE, fence=fence, record=Record.parse(made))

    def _settle_outcome(self, agent: str, key: str, fence: int, record: str, content: str) -> Call:
        arguments: Arguments = {
            "fence": fence,
            "record": record,
            "content": content,
            "ttl": self._outcome_ttl,
        }
        return Call("settle_outcome", {"outcome": self.keys.outcome(agent, key)}, arguments)

    def _settle_run(self, ref: StepRef, settlement: _Settlement) -> Call:
        onward, record = settlement.onward, settlement.record
        ends = not onward.sends if onward.ends is None else onward.ends
        return Call(
            "settle_run",
            self.keys.around(ref.run, "history", "outstanding"),
            {
                "step": ref.step,
                "run_id": ref.run,
                "fence": settlement.fence,
                "record": record.text(),
                "digest": record.digest(),
                "part": (onward.part or record).part(),
                "edit": "" if settlement.edit is None else settlement.edit,
                "undo": onward.undo,
                "joins": strictjson.dumps([asdict(join) for join in onward.joins]),
                "ends": "1" if ends else "",
                "again": "1" if settlement.again else "",
                "sends": lines_of(onward.sends),
                "entry": entry_text(settlement.entry),
                "late": entry_text(settlement.late),
                "quiet": entry_text(settlement.quiet),
                "now": clock.now(),
                "ttl": self._run_ttl,
                "result_ttl": self._result_ttl,
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settlement:
    """What the run records of an outcome. See :meth:`Handoffs.settle`; with ``again`` it only finds what follows."""

    record: Record
    onward: Advance
    entry: Entry | None
    late: Entry | None = None
    quiet: Entry | None = None
    fence: int = 0
    edit: int | None = None
    again: bool = False


def _claim(verdict: ClaimVerdict, number: int, record: str) -> Claim:
    """What is found of an idempotency key; ``number`` is the fence, or how long another holds it (ms)."""
    return Claim(
        verdict,
        fence=number if verdict in {ClaimVerdict.GRANTED, ClaimVerdict.DONE} else 0,
        record=Record.parse(record) if record else None,
        wait=timedelta(milliseconds=number if verdict is ClaimVerdict.BUSY else 0),
    )


def _stopped(verdict: ClaimVerdict, settled: str, known: Record | None) -> Claim:
    """The claim of a step that does not run: ``settled`` is what its run has for it, ``known`` what its key has."""
    if verdict is ClaimVerdict.EDITED:
        return Claim(verdict, edit=settled)
    if settled.startswith(_LET_GO):  # everything that follows is on its way; the key may have it still
        return Claim(verdict, record=known if known and settled == _LET_GO + known.digest() else None)
    held = _LOOK_AGAIN if verdict is ClaimVerdict.PAUSED else timedelta()
    return Claim(verdict, record=Record.parse(settled) if settled else None, wait=held)
