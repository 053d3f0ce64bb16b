"""Migrations: an older version is read step by step, each checked against what was declared."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import Contract, ContractRef, upcast
from contracts.errors import ContractError, InvalidData, UnknownVersion
from contracts.migration import read, readable


class V1(Contract, name="test.size", version=1):
    inches: int


class V2(Contract, name="test.size", version=2):
    centimetres: int


class V3(Contract, name="test.size", version=3):
    millimetres: int
    exact: bool


@upcast(V1, V2)
def to_centimetres(data: dict[str, Any]) -> dict[str, Any]:
    return {"centimetres": data["inches"] * 3}


@upcast(V2, V3)
def to_millimetres(data: dict[str, Any]) -> dict[str, Any]:
    return {"millimetres": data["centimetres"] * 10, "exact": False}


@given(st.integers(-1000, 1000))
def test_chain(number: int) -> None:
    """Each version is read as the newest, through every step between."""
    assert read(V3, V3.ref(), {"millimetres": number, "exact": True}) == V3(millimetres=number, exact=True)
    assert read(V3, V2.ref(), {"centimetres": number}) == V3(millimetres=number * 10, exact=False)
    assert read(V3, V1.ref(), {"inches": number}) == V3(millimetres=number * 30, exact=False)
    assert read(V2, V1.ref(), {"inches": number}) == V2(centimetres=number * 3)


def test_readable() -> None:
    """A reader knows which versions it reads, newest first."""
    assert readable(V3) == (V3.ref(), V2.ref(), V1.ref())
    assert readable(V1) == (V1.ref(),)


def test_declared_version_is_checked_first() -> None:
    """Data that does not fit the version that it declares is refused as that version, before any step."""
    with pytest.raises(InvalidData, match=r"test\.size/1: inches"):
        read(V3, V1.ref(), {"inches": "3"})
    with pytest.raises(InvalidData, match=r"test\.size/2: centimetres: Field required"):
        read(V3, V2.ref(), {"inches": 3})


def test_step_sees_only_what_was_declared() -> None:
    """A step gets the fields of the declared version and no others."""
    assert read(V3, V1.ref(), {"inches": 1, "millimetres": 7, "exact": True}) == V3(
        millimetres=30, exact=False
    )


@pytest.mark.parametrize("ref", [ContractRef("test.size", 4), ContractRef("test.other", 1)], ids=str)
def test_unknown_version(ref: ContractRef) -> None:
    """A version from which no steps lead here is refused, and the error says what is read."""
    with pytest.raises(UnknownVersion, match=r"test\.size/3, test\.size/2, test\.size/1") as caught:
        read(V3, ref, {})
    assert str(ref) in str(caught.value)


def test_reader_of_an_older_version() -> None:
    """An older reader does not read a newer version."""
    with pytest.raises(UnknownVersion):
        read(V1, V2.ref(), {"centimetres": 1})


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (lambda data: data["nothing"], "KeyError"),
        (lambda data: 1 / 0, "ZeroDivisionError"),
        (lambda data: None, "NoneType, not an object"),
        (lambda data: {"b": "x"}, "b: Input should be a valid integer"),
        (lambda data: {}, "b: Field required"),
    ],
)
def test_failing_step_is_invalid_data(step: Any, reason: str) -> None:
    """A step that fails, or gives what the next version does not take, refuses the data and says so."""
    Old, New = declared(1), declared(2)  # noqa: N806
    upcast(Old, New)(step)
    with pytest.raises(InvalidData, match=reason):
        read(New, Old.ref(), {"a": 1})


def test_step_cannot_change_its_input() -> None:
    """A step that changes what it is given changes nothing for others."""
    Old, New = declared(1), declared(2)  # noqa: N806

    @upcast(Old, New)
    def greedy(data: dict[str, Any]) -> dict[str, Any]:
        return {"b": data.pop("a")}

    given = {"a": 1}
    for _ in range(2):
        assert read(New, Old.ref(), given).to_data() == {"b": 1}


def declared(version: int, name: str = "test.thing") -> type[Contract]:
    """A version of a contract, with the field ``a`` in version 1 and ``b`` later."""
    field = "a" if version == 1 else "b"
    made: type[Contract] = type(
        f"V{version}", (Contract,), {"__annotations__": {field: int}}, name=name, version=version
    )
    return made


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ((1, "test.thing"), (3, "test.thing")),
        ((2, "test.thing"), (1, "test.thing")),
        ((1, "test.a"), (2, "test.b")),
    ],
)
def test_only_adjacent_versions(older: tuple[int, str], newer: tuple[int, str]) -> None:
    """A step joins adjacent versions of one contract, upwards."""
    with pytest.raises(ContractError, match="upcast from"):
        upcast(declared(*older), declared(*newer))


def test_one_step_between_two() -> None:
    """There is one step between two versions."""
    Old, New = declared(1), declared(2)  # noqa: N806
    upcast(Old, New)(lambda data: data)
    with pytest.raises(ContractError, match="two upcasts"):
        upcast(Old, New)
