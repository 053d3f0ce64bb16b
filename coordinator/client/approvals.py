"""Approvals: the signals for which runs wait, over all runs, each with what its contract asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from handoffs.contracts.contract import Contract
from handoffs.contracts.schema import generated
from handoffs.coordinator.client.loaded import Loaded
from handoffs.coordinator.docs.fields import fields_of
from handoffs.coordinator.docs.model import FieldEntry
from handoffs.coordinator.observe.listing import Listing
from handoffs.coordinator.observe.run_query import RunQuery
from handoffs.coordinator.observe.run_summary import told_at


@dataclass(frozen=True, slots=True)
class Approval:
    """A signal that a run waits for: of which ``flow`` and under which ``key`` the run is (sensitive values masked; empty where that is
    not known), ``since`` when it waits (UTC; None where that is not known), at which ``step``, and of which ``contract``
    (``name/version``) the signal is. ``asks`` are the contract's fields; None where the flow is not loaded here."""

    run: str
    flow: str
    key: str
    signal: str
    contract: str
    since: datetime | None
    step: str
    asks: tuple[FieldEntry, ...] | None

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
                    asks = self._asks(run.flow, wait.signal)
                    yield Approval(
                        run.id, run.flow, run.key, wait.signal, wait.contract, wait.since, wait.step, asks
                    )

    def _asks(self, flow: str, signal: str) -> tuple[FieldEntry, ...] | None:
        found = self._loaded.flow(flow)
        contract = found.signals.get(signal) if found else None
        return asked_by(contract) if contract else None


def asked_by(contract: type[Contract]) -> tuple[FieldEntry, ...]:
    """The fields of a contract, as its documents have them."""
    return fields_of(generated(contract), contract, keys=contract.__keys__)
