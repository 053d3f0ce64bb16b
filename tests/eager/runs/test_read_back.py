"""What can be written and not be read back is not accepted: a start, an event, a signal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from pydantic import Field, Json, PlainSerializer

from handoffs import Contract, Coordinator, Flow, agent, wait_for
from handoffs.contracts.errors import InvalidData


def _in_brackets(number: int) -> str:
    return f"<{number}>"


class Left(Contract, name="back.left", version=1):
    number: int = Field(exclude=True)


class Renamed(Contract, name="back.renamed", version=1):
    number: int = Field(serialization_alias="count")


class Text(Contract, name="back.text", version=1):
    number: Annotated[int, PlainSerializer(_in_brackets)]


class Parsed(Contract, name="back.parsed", version=1):
    number: Json[dict[str, int]]


class Pairs(Contract, name="back.pairs", version=1):
    number: dict[tuple[int, int], int]


class Raw(Contract, name="back.raw", version=1):
    number: bytes


class Whatever(Contract, name="back.whatever", version=1):
    number: Any


ODD = [
    (Left, 1),
    (Renamed, 1),
    (Text, 1),
    (Parsed, '{"a": 1}'),
    (Pairs, {(1, 2): 3}),
    (Raw, b"\xff\xfe"),
    (Whatever, object()),
    (Whatever, b"\xff"),
]
IDS = ["left out", "renamed", "another form", "parsed", "keys", "no UTF-8", "no JSON", "no UTF-8 somewhere"]


@pytest.mark.parametrize(("contract", "number"), ODD, ids=IDS)
def test_not_accepted(coordinator: Coordinator, contract: type[Any], number: Any) -> None:
    """Whoever sends it is told at once, in a typed error, and nothing is accepted."""

    def work(given: Any) -> Any:
        raise NotImplementedError

    work.__annotations__ = {"given": contract, "return": contract}
    worked: Any = agent("back.work")(work)
    payload = contract(number=number)
    sends: list[Callable[[], object]] = [
        lambda: coordinator.start(Flow("back.flow", worked), payload, idempotency_key="1"),
        lambda: coordinator.emit(payload, idempotency_key="2"),
    ]
    for send in sends:
        with pytest.raises(InvalidData):
            send()
    assert coordinator.engine.outstanding.counts() == {}
    assert list(coordinator.dead_letters(state=None)) == []


def test_signal(coordinator: Coordinator) -> None:
    """Nor is a signal: the run waits on for one that can be read."""
    flow = Flow("back.waits", wait_for("go", Renamed), input=Renamed)
    with pytest.raises(InvalidData):
        coordinator.start(flow, Renamed(number=1))

    @agent("back.number")
    def numbered(given: Whatever) -> Whatever:
        return given

    run = coordinator.start(
        Flow("back.then", wait_for("go", Whatever) >> numbered, input=Whatever), Whatever(number=1)
    )
    with pytest.raises(InvalidData):
        run.signal("go", Whatever(number=b"\xff"))
    assert run.status() == "running"
    run.signal("go", Whatever(number=2))
    assert run.result() == Whatever(number=2)
