"""Signals: a step that waits until a person, or a system outside, sends one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from handoffs.config.delays import LONGEST_WAIT
from handoffs.contracts.contract import Contract, is_contract
from handoffs.contracts.text import named
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.budget import Constant
from handoffs.coordinator.flow.duration import is_duration
from handoffs.coordinator.flow.names import is_name
from handoffs.coordinator.flow.step import Step


@dataclass(frozen=True, eq=False)
class WaitFor(Step):
    """Until the signal ``name`` comes, with a payload of ``contract``; after ``timeout`` the payload of ``otherwise`` stands
    in. What follows gets the payload, and in the field ``keep`` what arrived here."""

    name: str
    contract: type[Contract]
    keep: str | None
    timeout: timedelta | None
    otherwise: Constant | None

    def title(self) -> str:
        return "wait_for"


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
    the signal its payload. An agent that accepts that contract comes next then: a condition cannot look at it, but at what that agent
    gives. Without a timeout the run waits until it comes, or the run is cancelled. In eager mode a timeout runs out at once, unless the test
    holds time before (:meth:`~handoffs.Coordinator.hold_time`).

    Raises :class:`FlowError` for a name that is none, a timeout of more than a hundred years, and a timeout without
    ``otherwise``.
    """
    for word, given in (("name", name), ("keep", keep)):
        if not (given is None and word == "keep") and not is_name(given):
            raise FlowError(f"wait_for() has {word}={named(given)}", remedy="name it like a Python variable")
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
    if not is_contract(contract):
        raise FlowError(
            f"wait_for() waits for {named(contract)}",
            remedy='name a contract: wait_for("approval", Approval)',
        )
    if otherwise is not None and not _is_constant(otherwise):
        raise FlowError(
            f"wait_for() has a {type(otherwise).__name__} as otherwise",
            remedy="write otherwise=constant(Approval(...))",
        )
    if timeout is not None and not is_duration(timeout):
        raise FlowError(
            f"wait_for() has timeout={named(timeout)}",
            remedy=f"a timeout is at most {LONGEST_WAIT.days} days: timeout=timedelta(hours=8)",
        )
    if otherwise is not None and type(otherwise.payload) is not contract:
        raise FlowError(
            f"wait_for() waits for {contract.ref()}, and otherwise gives {otherwise.payload.ref()}",
            remedy="let both be of one contract",
        )
    contract.ref()
    return WaitFor(name, contract, keep, timeout, otherwise)


def _is_constant(value: object) -> bool:
    return isinstance(value, Constant)
