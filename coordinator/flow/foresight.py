"""Foresight: what a flow asks at once of what no agent makes: constants, and the payloads of signals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

from handoffs.contracts.contract import Contract
from handoffs.coordinator.errors import FlowError, Unanswerable
from handoffs.coordinator.flow.budget import Budget, Constant
from handoffs.coordinator.flow.signal import WaitFor
from handoffs.coordinator.flow.step import Choice, Delay, Each, Emit, Repeat, Step, parts

Giver: TypeAlias = Constant | WaitFor


def check_constants(flow: str, step: Step) -> None:
    """Raises :class:`FlowError` where a condition of the flow cannot be answered for a constant that may come to it."""
    for giver, control in _asked(step, ()):
        constant = giver.otherwise if isinstance(giver, WaitFor) else giver
        if constant is None:
            continue
        try:
            _ask(control, constant.payload.to_data())
        except Unanswerable as error:
            raise FlowError(
                f"flow {flow}: of the constant {constant.payload.ref()}, {error.cause}",
                "its runs would be parked there",
                "give it a value that can be compared",
            ) from None


def check_signal(step: Step, name: str, payload: Contract) -> None:
    """Raises :class:`~handoffs.coordinator.errors.Unanswerable` where a condition of the flow cannot be answered for the
    payload of a signal."""
    asking = [
        control for giver, control in _asked(step, ()) if isinstance(giver, WaitFor) and giver.name == name
    ]
    data = payload.to_data() if asking else {}
    for control in asking:
        _ask(control, data)


def _ask(control: Choice | Repeat, data: dict[str, Any]) -> None:
    conditions = [case for case, _ in control.cases] if isinstance(control, Choice) else [control.until]
    for condition in conditions:
        if condition.holds(data):
            return


def _asked(step: Step, arriving: Sequence[Giver]) -> Iterator[tuple[Giver, Choice | Repeat]]:
    """What gives something, with the control that looks at it next; ``arriving`` is what gives what the step gets."""
    for part in parts(step):
        if isinstance(part, Choice):
            yield from ((giver, part) for giver in arriving)
        for _, inner in part.inner():
            yield from _asked(inner, () if isinstance(part, Each) else arriving)
        if isinstance(part, Repeat):
            again = _given(part.step)
            yield from ((giver, part) for giver in again)
            yield from _asked(part.step, again)
        if not isinstance(part, (Delay, Emit)):
            arriving = _given(part)


def _given(step: Step) -> list[Giver]:
    """What gives what comes out of a step, where no agent does."""
    last = next((part for part in reversed(parts(step)) if not isinstance(part, (Delay, Emit))), None)
    if isinstance(last, WaitFor):
        return [last] if last.keep is None else []
    if last is None or isinstance(last, Each):
        return []
    own = [last.last_resort] if isinstance(last, Budget) and isinstance(last.last_resort, Constant) else []
    return [*own, *(giver for _, inner in last.inner() for giver in _given(inner))]
