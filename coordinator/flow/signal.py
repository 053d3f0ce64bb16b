"""Signals: a step that waits until a person, or a system outside, sends one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from handoffs.config.delays import LONGEST_DELAY
from handoffs.contracts.contract import Contract
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.budget import Constant
from handoffs.coordinator.flow.step import Step

_LONGEST_NAME = 64


@dataclass(frozen=True, eq=False)
class WaitFor(Step):
    """Until the signal ``name`` comes, with a payload of ``contract``; after ``timeout`` the payload of ``otherwise`` stands
    in. What follows gets the payload, and in the field ``keep`` what arrived here."""

    name: str
    contract: type[Contract]
    keep: str | None
    timeout: timedelta | None
    otherwise: Constant | None


def wait_for(
    name: str,
    contract: type[Contract],
    *,
    keep: str | None = None,
    timeout: timedelta | None = None,
    otherwise: Constant | None = None,
) -> WaitFor:
    """Wait for a signal: a person who approves, a system that calls back::

        check >> wait_for("approval", Approval, keep="order", timeout=timedelta(hours=8), otherwise=constant(rejected)) >> ship

    ``run.signal("approval", Approval(...))`` sends it; it may come before the run waits. What follows gets the signal's
    payload; with ``keep`` it gets one contract with two fields: ``keep`` has what arrived here, and the field called like
    the signal its payload. Without a timeout the run waits as long as it lives (``COORDINATOR_RUN_TTL``).

    Raises :class:`FlowError` for a name that is none, a timeout of more than 19 hours, and a timeout without
    ``otherwise``.
    """
    for word, given in (("name", name), ("keep", keep)):
        if given is not None and (not given.isidentifier() or len(given) > _LONGEST_NAME):
            raise FlowError(f"wait_for() has {word}={given!r}", remedy="name it like a Python variable")
    if keep == name:
        raise FlowError(
            f"wait_for() keeps what arrived in {keep!r}, like the signal", remedy="use another name"
        )
    if (timeout is None) != (otherwise is None):
        raise FlowError(
            "wait_for() has a timeout and does not say what then"
            if otherwise is None
            else "wait_for() has otherwise and no timeout",
            remedy="give both: timeout=timedelta(...), otherwise=constant(...)",
        )
    if timeout is not None and not timedelta() < timeout <= LONGEST_DELAY:
        raise FlowError(f"wait_for() has timeout={timeout!r}", remedy=f"a timeout is at most {LONGEST_DELAY}")
    if otherwise is not None and type(otherwise.payload) is not contract:
        raise FlowError(
            f"wait_for() waits for {contract.ref()}, and otherwise gives {otherwise.payload.ref()}",
            remedy="let both be of one contract",
        )
    contract.ref()
    return WaitFor(name, contract, keep, timeout, otherwise)
