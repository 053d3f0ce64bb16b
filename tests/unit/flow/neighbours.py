"""Contracts and agents that stand side by side in flows."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from handoffs import Contract, upcast
from handoffs.coordinator.errors import FlowError
from handoffs.coordinator.flow.agent import Agent, agent
from handoffs.coordinator.flow.flow import Flow
from handoffs.coordinator.flow.step import Step


class A(Contract, name="test.a", version=1):
    text: str = ""


class B1(Contract, name="test.b", version=1):
    old: str


class B(Contract, name="test.b", version=2):
    new: str


@upcast(B, 1, 2)
def newer(data: dict[str, Any]) -> dict[str, Any]:
    return {"new": data["old"]}


class Both(Contract, name="test.both", version=1):
    left: A
    right: B


class Nested(Contract, name="test.nested", version=1):
    class Inner(Contract):
        up: A
        down: B

    left: Inner
    right: A


_number = count()


def step(accepts: type[Contract], emits: type[Contract], name: str = "") -> Agent:
    """An agent from one contract to another."""

    def run(payload: Any) -> Any:
        raise NotImplementedError

    run.__annotations__ = {"payload": accepts, "return": emits}
    return agent(name or f"test.n{next(_number)}")(run)


def refused(flow: Step, *said: str) -> None:
    """A flow is refused, and the error says each of these."""
    with pytest.raises(FlowError) as caught:
        Flow("test.flow", flow)
    for part in said:
        assert part in str(caught.value)
