"""Without: what of the product's guarantees a worker of a benchmark leaves out, so that each has a price. Only here: no setting of
the product does this."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.coordinator.handoff.lease import Kept, LeaseKeeper
from handoffs.coordinator.messaging.confirms import Confirms, Parcel
from handoffs.coordinator.store import handoffs
from handoffs.coordinator.store.asking import Asking, RoundTrip
from handoffs.coordinator.store.claim import Claim, ClaimVerdict, Held
from handoffs.coordinator.store.handoffs import Handoffs
from handoffs.coordinator.store.record import Entry, StepRef
from handoffs.coordinator.store.settlement import Settled

WITHOUT = "BENCH_WITHOUT"
"""The variable that names what a worker leaves out."""


def _history() -> None:
    """No handoff writes an entry."""

    def nothing(entry: Entry | None) -> str:  # noqa: ARG001 - it stands in for what has one
        return ""

    handoffs.entry_text = nothing  # type: ignore[attr-defined]


def _dedupe() -> None:
    """A key has neither a lease nor an outcome; what is left of a claim is a look at the run, and the run settles each step once."""
    fences = itertools.count(int(time.time() * 1000))

    def claim(self: Handoffs, ref: StepRef, **given: Any) -> Asking[Claim]:
        [[status, settled, *more]] = yield RoundTrip.of(
            self._claim_run(ref, given.get("edit", 0), given.get("budgets", ()), given["replays"])
        )
        assert status == "open", (status, settled)
        return Claim(ClaimVerdict.GRANTED, fence=next(fences), at=int(more[0]))

    def settle(self: Handoffs, ref: StepRef, **given: Any) -> Asking[Settled]:
        wanted = ("record", "onward", "entry", "late", "quiet", "fence", "edit")
        settlement = handoffs._Settlement(**{name: given[name] for name in wanted if name in given})
        [settled] = yield RoundTrip.of(self._settle_run(ref, settlement))
        return Settled.read(settled, kept=False)

    Handoffs.claim = claim  # type: ignore[method-assign]
    Handoffs.settle = settle  # type: ignore[method-assign]
    _leases()


def _leases() -> None:
    """No lease is renewed, and nobody is told that a run has ended."""

    @contextmanager
    def keep(_self: LeaseKeeper, *given: Any) -> Iterator[Kept]:
        yield Kept(Held(*given))

    LeaseKeeper.keep = keep  # type: ignore[method-assign,assignment]


def _validation() -> None:
    """Data is taken for what it should be, on its way in and on its way out."""
    Contract.from_data = classmethod(lambda cls, data: cls.model_construct(**data))  # type: ignore[method-assign,assignment]


def _confirms() -> None:
    """A message counts as published when it is written to the socket."""

    def post(self: Confirms[Any], parcel: Parcel, owner: Any) -> None:
        self._publish(parcel)
        self._answers.append((owner, True))

    Confirms.post = post  # type: ignore[method-assign]


LEFT_OUT: dict[str, Callable[[], None]] = {
    "history": _history,
    "dedupe": _dedupe,
    "leases": _leases,
    "validation": _validation,
    "confirms": _confirms,
}


def leave_out(names: str) -> None:
    """Leave out what ``names`` names, separated by commas, in this process. Raises :class:`KeyError` for what is no guarantee."""
    for name in filter(None, names.split(",")):
        LEFT_OUT[name]()
