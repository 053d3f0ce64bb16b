"""Steps: what is asked of Redis about one step of a run, beside its claim and its settlement."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from handoffs.config.settings import Settings
from handoffs.contracts import strictjson
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Arguments, Asking, Call, Command, RoundTrip
from handoffs.coordinator.store.claim import Lease
from handoffs.coordinator.store.fields import Kind
from handoffs.coordinator.store.keys import Keys
from handoffs.coordinator.store.record import Entry, StepRef, entry_text


class Steps:
    """The steps of one installation. Each method gives what it asks of Redis (``asking.py``)."""

    def __init__(self, keys: Keys, settings: Settings) -> None:
        self.keys = keys
        self._run_ttl = clock.ms(settings.run_ttl)

    def lease_of(self, agent: str, key: str) -> Asking[Lease | None]:
        """What is known of an idempotency key."""
        [known] = yield RoundTrip.of(Call("lease", {"outcome": self.keys.outcome(agent, key)}, {}))
        if not known:
            return None
        state, content, held, holders = known
        return Lease(state, content, held == "1", tuple(holders.split("\n")))

    def settled(self, ref: StepRef) -> Asking[bool]:
        """Whether a step has its outcome."""
        [known] = yield RoundTrip.of(Command("HEXISTS", self.keys.run(ref.run), Kind.SETTLED.of(ref.step)))
        return bool(known)

    def park(
        self,
        ref: StepRef,
        reason: dict[str, Any],
        entry: Entry | None,
        *,
        marked: bool = False,
        settled: bool = False,
    ) -> Asking[str]:
        """Mark a step as parked; with ``settled`` also one that has its outcome, because what follows it cannot be sent. Gives ``parked``, or what it is instead: ``settled``, ``completed``, ``cancelled``; where it was
        ``marked`` with that reason before, and is not any more, ``gone``: it is on its way again."""
        [status] = yield RoundTrip.of(
            Call(
                "park",
                self.keys.around(ref.run, "ended", "history", "outstanding"),
                {
                    "step": ref.step,
                    "flow": ref.flow,
                    "run_id": ref.run,
                    "reason": strictjson.dumps(reason),
                    "entry": entry_text(entry),
                    "marked": "1" if marked else "",
                    "settled": "1" if settled else "",
                    "budgets": reason.get("budgets", ""),
                    "ttl": self._run_ttl,
                },
            )
        )
        return str(status)

    def edit_of(self, ref: StepRef) -> Asking[str]:
        """The input that a person gave to a step, as JSON text; empty where there is none."""
        [text] = yield RoundTrip.of(Command("HGET", self.keys.run(ref.run), Kind.EDIT.of(ref.step)))
        return str(text or "")

    def pass_over(self, ref: StepRef) -> Asking[None]:
        """A step that its agent does not want is not outstanding any more."""
        keys = self.keys.around(ref.run, "outstanding")
        yield RoundTrip.of(Call("pass_over", keys, {"step": ref.step, "run_id": ref.run}))

    def stopped(self, ref: StepRef, known: dict[str, Any]) -> Asking[None]:
        """A step does not begin because its run is paused; ``known`` is what there is to say of its message."""
        arguments: Arguments = {"step": ref.step, "known": strictjson.dumps(known), "ttl": self._run_ttl}
        yield RoundTrip.of(Call("stop", self.keys.around(ref.run), arguments))

    def delayed(self, ref: StepRef, wait: timedelta) -> Asking[None]:
        """A step is sent after ``wait``: so that people can see it."""
        arguments: Arguments = {"step": ref.step, "wait": clock.ms(wait), "ttl": self._run_ttl}
        yield RoundTrip.of(Call("delay", self.keys.around(ref.run), arguments))

    def note(self, run_id: str, entry: Entry) -> Asking[None]:
        """Append to the history."""
        history = self.keys.history(self.keys.shard(run_id))
        arguments: Arguments = {"entry": strictjson.dumps(entry), "ttl": self._run_ttl}
        yield RoundTrip.of(Call("note", {"history": history}, arguments))
