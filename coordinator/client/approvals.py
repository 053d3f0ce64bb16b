"""Approvals: the signals for which runs wait, over all runs, each with what its contract asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.fields import sensitive_of, shown
from handoffs.contracts.schema import generated
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.docs.fields import fields_of
from handoffs.coordinator.docs.model import FieldEntry
from handoffs.coordinator.flow.places import wait_at
from handoffs.coordinator.observe.listing import Listing
from handoffs.coordinator.observe.run_query import RunQuery
from handoffs.coordinator.observe.run_summary import RunSummary, SignalWait, told_at


@dataclass(frozen=True, slots=True)
class Approval:
    """A signal that a run waits for: of which ``flow`` and under which ``key`` the run is (sensitive values masked; empty where that is
    not known), ``since`` when it waits (UTC; None where that is not known), at which ``step``, and of which ``contract``
    (``name/version``) the signal is. ``asks`` are the contract's fields; None where the flow is not loaded here.

    due, otherwise
        Until when it is waited for, and what stands in then (``name/version`` and data, sensitive values masked), as the flow is loaded
        here; None where it waits until the signal comes.
    """

    run: str
    flow: str
    key: str
    signal: str
    contract: str
    since: datetime | None
    step: str
    asks: tuple[FieldEntry, ...] | None
    due: datetime | None = None
    otherwise: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON values; ``asks`` with the name, the kind and whether it is required of each field."""
        return {
            "run": self.run,
            "flow": self.flow,
            "key": self.key or None,
            "signal": self.signal,
            "contract": self.contract,
            "since": told_at(self.since),
            "step": self.step,
            "due": told_at(self.due),
            "otherwise": self.otherwise,
            "asks": None
            if self.asks is None
            else [
                {
                    "field": one.name,
                    "kind": one.kind,
                    "required": one.required,
                    "bounds": list(one.bounds),
                    "description": one.description,
                }
                for one in self.asks
            ],
        }


class Approvals:
    """Finds what waits for a person, or for a system outside. Raises :class:`~handoffs.coordinator.errors.ServerError` where Redis or the
    journal cannot be used."""

    def __init__(self, listing: Listing, loaded: Loaded) -> None:
        self._listing = listing
        self._loaded = loaded

    def each(self, *, flow: str = "", signal: str = "", key: str = "") -> Iterator[Approval]:
        """The signals that runs wait for, those of the newest run first; an empty filter lets everything pass."""
        for run in self._listing.each(RunQuery(flow=flow, key=key, waiting=True)):
            for wait in run.waiting:
                if signal in ("", wait.signal):
                    yield self._approval(run, wait)

    def of(self, run: RunSummary) -> list[Approval]:
        """The signals that one run waits for."""
        return [self._approval(run, wait) for wait in run.waiting]

    def _approval(self, run: RunSummary, wait: SignalWait) -> Approval:
        flow = self._loaded.flow(run.flow)
        contract = flow.signals.get(wait.signal) if flow else None
        asks = asked_by(contract) if contract else None
        place = wait_at(flow.step, wait.step) if flow else None
        due = wait.since + place.timeout if place and place.timeout and wait.since else None
        otherwise = _constant(place.otherwise.payload) if place and place.otherwise else None
        return Approval(
            run.id, run.flow, run.key, wait.signal, wait.contract, wait.since, wait.step, asks, due, otherwise
        )


def asked_by(contract: type[Contract]) -> tuple[FieldEntry, ...]:
    """The fields of a contract, as its documents have them."""
    return fields_of(generated(contract), contract, keys=contract.__keys__)


def _constant(payload: Contract) -> dict[str, Any]:
    """What stands in for a signal, as people may see it."""
    data = shown(payload.to_data(), sensitive_of(type(payload)))
    return {"contract": str(payload.ref()), "data": data}
