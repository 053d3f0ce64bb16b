"""Fit: what steps emit, and whether an agent accepts it: one contract, or what a join puts together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, get_args, get_origin

from pydantic import BaseModel

from handoffs.contracts.contract import Contract, ContractRef
from handoffs.contracts.event import Nothing
from handoffs.contracts.versions import meet
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.agent import Agent


@dataclass(frozen=True)
class Many:
    """A list of contracts, which what follows takes in one field: what :func:`~handoffs.coordinator.flow.step.each` makes."""

    into: str
    of: type[Contract]


@dataclass(frozen=True)
class _ListOf:
    """A field that holds a list of a contract."""

    of: type[Contract]


_EVENTS = "Out | None or list[Out]"

Shape: TypeAlias = "type[Contract] | Many | dict[str, Shape]"
"""What a step emits: a contract; for branches without a step that joins them, their shapes by name; or a list."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What comes to the step at ``path``, and what gives it, in words."""

    path: str
    shape: Shape
    giver: str


def shown(shape: Shape) -> str:
    """A shape in words."""
    if isinstance(shape, Many):
        return f"a list of {shape.of.ref()}"
    return str(shape.ref()) if isinstance(shape, type) else f"branches {', '.join(shape)}"


def item_of(hint: object) -> type[Contract] | None:
    """The contract of the items of a field with this annotation; None where it is no list of contracts."""
    [item] = get_args(hint) if get_origin(hint) is list else [None]
    return item if isinstance(item, type) and issubclass(item, Contract) else None


def check_accepts(flow: str, offer: Offer, taker: Agent) -> None:
    """Raises :class:`FlowError`, naming both sides, where ``taker`` does not accept what is offered to it."""
    where = f"flow {flow}: step {offer.path} ({taker.name}) accepts {taker.accepts.ref()}"
    offered, giver = offer.shape, offer.giver
    if not isinstance(offered, type):
        _check_join(where, giver, _fields(offered), taker.accepts)
    else:
        fault = meet(offered, taker.accepts)
        if fault:
            raise _misfit(where, f"{giver} gives {offered.ref()}", fault, offered.ref(), taker.accepts)


def _fields(shape: Many | dict[str, Shape]) -> dict[str, Shape | _ListOf]:
    """What a join puts together: a field for each branch, or the one with the list."""
    return {shape.into: _ListOf(shape.of)} if isinstance(shape, Many) else dict(shape)


def _check_join(
    where: str, giver: str, offered: Mapping[str, Shape | _ListOf], accepts: type[BaseModel]
) -> None:
    fields = {info.alias or name: info for name, info in accepts.model_fields.items()}
    missing = [name for name in offered if name not in fields]
    unfilled = [name for name, info in fields.items() if info.is_required() and name not in offered]
    if missing or unfilled:
        wrong = [f"branch {name!r} has no field" for name in missing]
        wrong += [f"field {name!r} has no branch" for name in unfilled]
        raise FlowError(
            f"{where}, but does not join {giver}: {'; '.join(wrong)}",
            remedy="give the joining contract one field for each branch",
        )
    for name, shape in offered.items():
        hint = fields[name].annotation
        if isinstance(shape, _ListOf):
            item = item_of(hint)
            if item is None or meet(shape.of, item):
                raise FlowError(
                    f"{where}, but its field {name!r} is no list that reads {shape.of.ref()}, which {giver} gives",
                    remedy=f"annotate the field as list[{shape.of.__name__}]",
                )
        elif not isinstance(shape, type):
            if not (isinstance(hint, type) and issubclass(hint, BaseModel)):
                raise FlowError(
                    f"{where}, but its field {name!r} joins branches and is no model with a field for each"
                )
            _check_join(f"{where}, field {name!r}", giver, _fields(shape), hint)
        elif not (isinstance(hint, type) and issubclass(hint, Contract)) or meet(shape, hint):
            raise FlowError(
                f"{where}, but its field {name!r} does not read {shape.ref()}, which that branch of {giver} gives",
                remedy=f"annotate the field as {shape.__name__}, or add the missing migration",
            )


def _misfit(where: str, offer: str, fault: str, ref: ContractRef, accepts: type[Contract]) -> FlowError:
    if ref == Nothing.ref():
        offer = f"{offer.partition(' gives ')[0]} gives nothing on: what is annotated as -> {_EVENTS} is emitted as events"
        remedy = "let it return one contract where a step follows it (-> Out), and choose with choice(...) or each(...)"
    elif ref == accepts.ref():
        offer, remedy = f"{offer}, and {fault}", "make the change a version of its own"
    elif ref.name == accepts.ref().name:
        word = "upcast" if ref.version < accepts.ref().version else "downcast"
        remedy = f"add the missing {word}"
    else:
        remedy = "put an agent between them, or change what one of them accepts or emits"
    return FlowError(f"{where}, but {offer}", "the handoff would fail", remedy)
