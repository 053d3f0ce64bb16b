"""Losses: what an earlier state of Redis has forgotten. After a failover, a restored snapshot or a flush the journal is compared with
the runs that live: what is safe goes on, and what is not is parked with the reason.

To publish a message again is always safe, since its id is derived and its step is settled once. So a run is taken up from its first
messages; what is settled is passed on, step by step, to where it stood. An outcome that the journal has whole is put back before.
Of one that it has masked, the step is not done again until a person says so.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from handoffs.config import clock
from handoffs.contracts import strictjson
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.errors import ContractError
from handoffs.contracts.text import printable
from handoffs.coordinator.continuation.path import is_story, is_undo
from handoffs.coordinator.errors import Refused, passes
from handoffs.coordinator.handoff.failure import NOWHERE, Failure, FailureKind, parked_entry
from handoffs.coordinator.history import ENGINE, EntryKind, now
from handoffs.coordinator.journal.journal import Journal
from handoffs.coordinator.journal.run_filter import LIVE, LOST
from handoffs.coordinator.journal.runs import RunRow
from handoffs.coordinator.letters.unfit import bare_letter, unfit_letter
from handoffs.coordinator.runs.control import Controls
from handoffs.coordinator.runs.outbox import Outbox
from handoffs.coordinator.runtime.in_hand import runs_in_hand
from handoffs.coordinator.runtime.standstills import TOLD, Standstills
from handoffs.coordinator.services import Services
from handoffs.coordinator.store.record import Record, StepRef
from handoffs.coordinator.store.recovery import Recovery
from handoffs.coordinator.store.run_state import ENDED, RunRecord, RunState

_log = logging.getLogger(__name__)

_AT_ONCE = 50
"""How many runs are compared in one pass: each asks the journal and Redis a few times."""

_COMPARED_EVERY = 600.0  # seconds
_SHORTEST_GRACE = 10.0  # seconds
_MOST_CHECKS = 20

_BEFORE = timedelta(minutes=10)
"""How long before the moment to which Redis has gone back a run may have ended that lives again: clocks differ, and drains wait."""

_OUTCOME = (EntryKind.SETTLED, EntryKind.DEDUPLICATED, EntryKind.SKIPPED)
_ENDING = (EntryKind.CANCELLED, EntryKind.GIVEN_UP)
_HOLDING = (EntryKind.PAUSED, EntryKind.RESUMED)


class Losses:
    """Finds what Redis has lost, and mends it. One run that cannot be mended keeps no other from it.

    Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis, the broker or the journal cannot be used; what was not done
    then is done in a later pass.
    """

    def __init__(self, services: Services, journal: Journal, outbox: Outbox) -> None:
        self._services = services
        self._journal = journal
        self._outbox = outbox
        self._recovery = Recovery(services.store.redis, services.settings)
        self._controls = Controls(services, journal, lambda: None)
        self._grace = max(services.settings.lease.total_seconds(), _SHORTEST_GRACE)
        self._incarnation = ""
        self._walking: int | None = None  # after which of the runs that live
        self._ending: tuple[str, tuple[str, int]] | None = (
            None  # since when, after which of the runs that have ended
        )
        self._once_more: tuple[float, str] | None = (
            None  # when, since when: what was written down too late for the first time
        )
        self._looked = clock.now()
        self._standstills = Standstills(services, self._grace, runs_in_hand)
        self._moved: set[str] = set()
        self._compared: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        self._checks: dict[str, tuple[float, int]] = {}

    def look(self, living: Iterable[tuple[RunRow, RunState | None]]) -> None:
        """Compare a few of the runs that live, and all of them, some a pass, once Redis has gone back to an earlier state."""
        self._begin()
        self._walk()
        self._looked = clock.now()
        at, left = time.monotonic(), _AT_ONCE
        for row, record in living:
            if record is None:
                self._gone.setdefault(row.run, at)
                due = at - self._gone[row.run] >= self._grace and row.state != LOST
            else:
                self._gone.pop(row.run, None)
                due = at >= self._compared.setdefault(row.run, at + _COMPARED_EVERY / 10)
                checked, _ = self._checks.get(row.run, (at + 1, 0))
                due = due or at >= checked
            if due and left > 0:
                left -= 1
                self._safely(row)
        if len(self._compared) > 100_000:
            self._compared.clear()

    def _begin(self) -> None:
        """Begin to compare all runs, where Redis has gone back, or where its server is another than before."""
        incarnation, before = self._recovery.incarnation(), self._incarnation
        self._incarnation = incarnation
        to = self._services.entries.gone_back()
        if to is None and (not before or incarnation == before):
            if self._once_more is not None and time.monotonic() >= self._once_more[0]:
                self._walking, self._ending, self._once_more = 0, (self._once_more[1], ("", 0)), None
            return
        since = self._looked - _BEFORE
        if to:
            since = min(since, datetime.fromtimestamp(to, UTC) - _BEFORE)
        _log.warning(
            "Redis has gone back to an earlier state, or has begun anew: the runs that live are compared"
        )
        told = since.isoformat(timespec="milliseconds")
        self._walking, self._ending = 0, (told, ("", 0))
        self._once_more = (time.monotonic() + self._grace, told)

    def _walk(self) -> None:
        """Compare some more: of the runs that live, and of those that have ended since, which may live again in Redis."""
        if self._ending is not None:
            since, after = self._ending
            found = self._journal.runs.ended(since, after, _AT_ONCE)
            records = self._services.runs.states([row.run for _, row in found]) if found else []
            for (_, row), record in zip(found, records, strict=True):
                if record is not None and record.status not in ENDED:
                    self._journal.runs.mark(row.run, LIVE)
                    self._safely(row, again=True)
            last = (found[-1][0], found[-1][1].number) if len(found) == _AT_ONCE else None
            self._ending = (since, last) if last else None
        if self._walking is not None:
            rows = self._journal.runs.living(self._walking, _AT_ONCE)
            for row in rows:
                self._safely(row, again=True)
            self._walking = rows[-1].number if len(rows) == _AT_ONCE else None

    def _safely(self, row: RunRow, *, again: bool = False) -> None:
        try:
            self._mend(row, again=again)
        except Refused as error:
            self._give_up(row, error)
        except Exception as error:  # it must keep no other run from being mended, and must be seen
            if passes(error):
                raise
            _log.exception("run=%s cannot be compared with the journal", row.run)

    def _give_up(self, row: RunRow, error: Refused) -> None:
        """Redis holds something else in the place of a run: a letter says so, once, and it is not compared any more."""
        _log.warning("run=%s cannot be compared with the journal: %s", printable(row.run, 200), error)
        if row.state != LOST:
            name = hashlib.sha256(row.run.encode("utf-8", "surrogatepass")).hexdigest()[:40]
            said = f"Redis holds something else in the place of the run: {error.cause}"
            self._journal.letters.add(unfit_letter(f"garbled:{name}", said, {}, run=row.run, flow=row.flow))
            self._journal.runs.mark(row.run, LOST)

    def _mend(self, row: RunRow, *, again: bool) -> None:
        at = time.monotonic()
        self._compared[row.run] = at + _COMPARED_EVERY
        told = self._journal.history.outcomes(row.run, [*_OUTCOME, *_ENDING, *_HOLDING])
        record = self._services.runs.get(row.run)
        if record is None and not (at - self._gone.get(row.run, at) >= self._grace):
            return  # a message that is on its way may begin it anew
        if record is not None and record.status not in {"running", "parked"}:
            self._checks.pop(row.run, None)
            if record.status == "compensating" and self._stands_still(row, record):
                self._controls.give_up(row.run, ENGINE)  # goes on where undoing is
            return
        lost = self._restore(row, told, record)
        if record is None and self._letters_again(row, None):
            return
        if record is None:
            self._park(row, NOWHERE, "Redis has lost the run, and no message of it has come since")
            self._journal.runs.mark(row.run, LOST)
            return
        if self._as_told(row, told, record):
            return
        if lost or again:
            self._letters_again(row, record)
            self._take_up(row, told, record)
            self._checks.setdefault(row.run, (at + self._grace, 0))
        elif row.run in self._checks:
            self._check(row, record)
        elif self._stands_still(row, record):
            self._move(row, told, record)

    def _restore(self, row: RunRow, told: list[dict[str, Any]], record: RunRecord | None) -> bool:
        """Put back the outcomes that the run does not know; gives whether there were any."""
        known = set(record.settled) | set(record.lost) if record else set()
        found = False
        for entry in told:
            step = entry.get("step", "")
            if entry["kind"] not in _OUTCOME or not step or step in known:
                continue
            reason = f"it had an outcome at {entry.get('at', '')}, which Redis has lost"
            place = StepRef(row.run, row.flow, step)
            said = self._recovery.restore(place, _outcome(entry), reason)
            if said in {"restored", "lost"}:
                found = True
                _log.warning("run=%s step=%s: %s (%s)", row.run, step, reason, said)
        return found

    def _letters_again(self, row: RunRow, record: RunRecord | None) -> bool:
        """Mark as parked what waits as a letter, where the run does not know of it any more; gives whether anything was."""
        known = {*record.parked, *record.settled} if record else set()
        found = False
        for one in self._journal.letters.waiting([row.run]):
            if one.step and one.step not in known and one.step != NOWHERE:
                failure = Failure(
                    kind=FailureKind(one.kind), error=one.error, text=one.text, message=one.id, agent=one.agent,
                    attempt=one.attempt, at=one.last_failed_at, contract=one.contract, worker=one.worker, replays=one.replays,
                )  # fmt: skip
                place = StepRef(row.run, row.flow, one.step)
                found |= (
                    self._services.store.park(place, failure.fields(), None, settled=failure.settled)
                    == "parked"
                )
        return found

    def _as_told(self, row: RunRow, told: list[dict[str, Any]], record: RunRecord) -> bool:
        """Do again what people did to the run, where Redis has lost that; gives whether it has ended by it."""
        kinds = [entry["kind"] for entry in told]
        if any(kind in _ENDING for kind in kinds):
            if not any(self._services.runs.to_undo(row.run)) and self._is_undone_by_letter(row, record):
                return True  # what there was to undo is lost but for that, which is in the open
            end = self._controls.give_up if EntryKind.GIVEN_UP in kinds else self._controls.cancel
            end(row.run, ENGINE)
            return True
        held = [kind for kind in kinds if kind in _HOLDING]
        if held and held[-1] == EntryKind.PAUSED and not record.paused:
            self._controls.pause(row.run, ENGINE)
        return False

    def _is_undone_by_letter(self, row: RunRow, record: RunRecord) -> bool:
        """Whether a step that undoes waits as a letter; where the run does not know of it any more, it is marked there."""
        if any(map(is_undo, record.parked)):
            return True
        waits = any(is_undo(one.step) for one in self._journal.letters.waiting([row.run]))
        return waits and self._letters_again(row, record)

    def _take_up(self, row: RunRow, told: list[dict[str, Any]], record: RunRecord) -> bool:
        """Send the run's first messages once more, from which it comes to where it stood; gives whether they are known. What it has
        settled on the way it has itself from now on: the keys may have lost that."""
        origin = self._recovery.origin(row.run)
        if not origin:
            return False
        for entry in told:
            if entry["kind"] in _OUTCOME and entry.get("step") in record.settled and (had := _outcome(entry)):
                self._recovery.restore(StepRef(row.run, row.flow, entry["step"]), had, "")
        self._outbox.again(row.run, record.flow or row.flow, origin)
        _log.warning("run=%s is taken up from its beginning", row.run)
        return True

    def _stands_still(self, row: RunRow, record: RunRecord) -> bool:
        """Whether nothing of a run is on its way any more; where that may be, it is looked at again soon."""
        tried = self._journal.history.outcomes(row.run, TOLD)
        found = self._standstills.is_one(record, tried)
        if found is not False:
            self._compared[row.run] = time.monotonic() + self._grace
        else:
            self._moved.discard(row.run)
        return bool(found)

    def _move(self, row: RunRow, told: list[dict[str, Any]], record: RunRecord) -> None:
        """Take up a run that stands still, for nobody knows what was lost of it; park it where that cannot be, or has not helped."""
        if row.run not in self._moved and self._take_up(row, told, record):
            self._moved.add(row.run)
            return
        self._moved.discard(row.run)
        if not self._letters_again(row, record):
            self._park_lost(row, record)

    def _park_lost(self, row: RunRow, record: RunRecord) -> None:
        """Park a run that nothing brings on: at the steps whose outcomes are lost, or where it is not even known what was to come.
        While anything else is in the open, those wait for their messages, which follow."""
        lost = {step: reason for step, reason in record.lost.items() if step not in record.settled}
        for step, reason in lost.items():
            self._park(row, step, reason)
        if not lost:
            self._park(
                row, NOWHERE, "Redis has lost what was to come next, and nothing of the run is on its way"
            )

    def _check(self, row: RunRow, record: RunRecord) -> None:
        """Of a run that was mended: whether it goes on. What does not is parked."""
        at = time.monotonic()
        due, count = self._checks[row.run]
        if at < due:
            return
        on_its_way = (
            set(self._services.outstanding.sent(row.run)) - set(record.settled)
            or record.waits
            or record.paused
            or record.parked
            or self._standstills.begins(record)
            or self._standstills.comes_back(record)
        )
        if not on_its_way and not is_story(record.flow):
            self._park_lost(row, record)
        if not on_its_way or count >= _MOST_CHECKS:
            del self._checks[row.run]
        else:
            self._checks[row.run] = (at + self._grace, count + 1)

    def _park(self, row: RunRow, step: str, text: str) -> None:
        """Park a run without a message: there is none that could be sent again."""
        number = hashlib.sha256(f"{row.run}\n{step}".encode("utf-8", "surrogatepass")).hexdigest()[:40]
        failure = Failure(
            kind=FailureKind.LOST,
            error="Lost",
            text=text,
            message=f"lost:{number}",
            agent="",
            attempt=0,
            at=now(),
        )
        place = StepRef(row.run, row.flow, step)
        self._journal.letters.add(bare_letter(place, failure))
        self._services.store.park(place, failure.fields(), parked_entry(place, failure))


def _outcome(entry: dict[str, Any]) -> Record | None:
    """The outcome that an entry tells of, where it is all there; proven by its digest."""
    name, _, version = str(entry.get("wrote", "")).rpartition("/")
    if not entry.get("digest") or not version.isdigit():
        return None
    try:
        record = Record(ContractRef(name, int(version)).uri, strictjson.dumps(entry.get("output", {})))
    except (ContractError, ValueError, TypeError):
        return None
    return record if record.digest() == entry["digest"] else None
