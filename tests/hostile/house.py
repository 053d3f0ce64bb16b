"""Two agents in a flow and one that hears an event: what is to go on working whatever is published."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.numbers import ExactDecimal
from handoffs.contracts.text import Hygiene, UntrustedText
from handoffs.coordinator.flow.agent import agent
from handoffs.coordinator.flow.context import Context
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.subscribe import on


class Left(BaseModel):
    """One side of what may be nested without a discriminator."""

    kind: Literal["left"]
    of: Left | Right | None = None


class Right(BaseModel):
    """The other."""

    kind: Literal["right"]
    of: Left | Right | None = None


class Parcel(Contract, name="hostile.parcel", version=1):
    """Something on its way, with all that could be made to take long or to hide something."""

    number: str = Key()
    stamps: int = 0
    numbers: set[int] = Field(default_factory=set)
    ids: set[UUID] = Field(default_factory=set)
    by_number: dict[int, int] = Field(default_factory=dict)
    rows: set[tuple[int, ...]] = Field(default_factory=set)
    nest: Left | Right | None = None
    exact: ExactDecimal | None = None
    code: Annotated[str, Field(pattern=r"(?i)^([a-z]+\s?)*$")] = ""
    note: Annotated[UntrustedText, Hygiene(suspected=("prompt token", "blank"))] | None = None
    anything: Any = None


class Stamped(Contract, name="hostile.stamped", version=1):
    """An event: a parcel was stamped."""

    number: str = Key()


class Unheard(Contract, name="hostile.unheard", version=1):
    """An event that nobody hears."""

    number: str = Key()


@agent("hostile.processes")
def first(parcel: Parcel) -> Parcel:
    """Stamp it, in a process of a pool."""
    return parcel.model_copy(update={"stamps": parcel.stamps + 1})


@agent("hostile.threads", events=(Stamped,))
def second(parcel: Parcel, context: Context) -> Parcel:
    """Stamp it once more, in a thread of a pool, and tell."""
    context.emit(Stamped(number=parcel.number))
    return parcel.model_copy(update={"stamps": parcel.stamps + 1})


@on(Stamped)
@agent("hostile.ear")
def ear(event: Stamped) -> None:
    """Hear it."""


flow = Flow("hostile.way", first >> second)

PROCESSES, THREADS, EAR = "hostile.processes", "hostile.threads", "hostile.ear"
