"""Secrets: whichever of Pydantic's types declares one, wherever it is: it travels whole, and people see a mask."""

from __future__ import annotations

import dataclasses
import json
from datetime import date
from ipaddress import IPv4Address
from typing import Annotated, Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    computed_field,
    field_validator,
    model_validator,
)  # fmt: skip
from typing_extensions import TypeAliasType

from handoffs import Contract, Key, Sensitive
from handoffs.contracts.errors import ContractError, InvalidData
from handoffs.contracts.event import Event
from handoffs.contracts.fields import masked, sensitive_of
from handoffs.contracts.schema import generated
from handoffs.contracts.text import MASK
from handoffs.contracts.versions import Versions, known
from tests.examples import examples

HUSH = "hush-hush"
Pin = TypeAliasType("Pin", Annotated[SecretStr, Field(min_length=1)])


class Login(BaseModel):
    model_config = ConfigDict(frozen=True)

    user: str = "ann"
    token: SecretStr


class Pair(NamedTuple):
    user: str
    token: SecretStr


@dataclasses.dataclass(frozen=True)
class Held:
    token: SecretStr


class Tree(BaseModel):
    code: Secret[int]
    below: list[Tree] = []


class Locked(SecretStr):
    """A type of one's own."""


class Shut(Secret[date]):
    def _display(self) -> str:
        return "****/**/**"


PLACES: dict[str, tuple[Any, Any]] = {
    "text": (SecretStr, SecretStr(HUSH)),
    "sensitive": (Sensitive, SecretStr(HUSH)),
    "own type": (Locked, Locked(HUSH)),
    "empty": (SecretStr, SecretStr("")),
    "the mask itself": (SecretStr, SecretStr(MASK)),
    "bytes": (SecretBytes, SecretBytes(HUSH.encode())),
    "number": (Secret[int], Secret[int](815_4711)),
    "date": (Secret[date], Secret[date](date(2026, 2, 3))),
    "displayed": (Shut, Shut(date(2026, 2, 3))),
    "bounded": (Annotated[SecretStr, Field(min_length=3)], SecretStr(HUSH)),
    "alias": (Pin, SecretStr(HUSH)),
    "list": (list[SecretStr], [SecretStr(HUSH), SecretStr("b")]),
    "tuple": (tuple[str, SecretBytes], ("a", SecretBytes(HUSH.encode()))),
    "set": (frozenset[SecretStr], frozenset({SecretStr(HUSH), SecretStr("b")})),
    "values": (dict[str, dict[str, SecretStr]], {"a": {"b": SecretStr(HUSH)}}),
    "optional": (Sensitive | None, SecretStr(HUSH)),
    "or a number": (SecretStr | int, SecretStr(HUSH)),
    "part": (Login, Login(token=SecretStr(HUSH))),
    "parts": (list[Login] | None, [Login(token=SecretStr(HUSH))]),
    "set of parts": (frozenset[Login], frozenset({Login(token=SecretStr(HUSH)), Login(token=SecretStr("b"))})),
    "one of two": (Login | int | str, Login(token=SecretStr(HUSH))),
    "named tuple": (Pair, Pair("ann", SecretStr(HUSH))),
    "dataclass": (Held, Held(SecretStr(HUSH))),
    "tree": (Tree, Tree(code=Secret[int](815_4711), below=[Tree(code=Secret[int](815_4711))])),
}  # fmt: skip


def _made(hint: Any) -> type[Contract]:
    namespace = {"__annotations__": {"number": str, "hidden": hint}, "number": Key(), "__module__": __name__}
    return type("Made", (Contract,), namespace, name="test.secretive", version=1)


@pytest.mark.parametrize("place", PLACES)
def test_a_secret_travels_and_is_not_shown(place: str) -> None:
    """What a reader gets is what the writer had; people see masks, in data, in text, and where only the published pointers are known;
    the schema says of each that it is sensitive."""
    hint, value = PLACES[place]
    contract = _made(hint)
    made = contract(number="1", hidden=value)
    data = json.loads(json.dumps(made.to_data()))
    read = contract.from_data(data)
    assert read == made
    assert read.to_data() == data
    shown = [
        json.dumps(made.redacted()),
        repr(made),
        str(made),
        json.dumps(masked(data, sensitive_of(contract))),
    ]
    for text in shown:
        assert HUSH not in text
        assert "8154711" not in text
        assert "2026" not in text
    assert MASK in shown[0]
    assert made.to_comparable() == read.to_comparable()


@examples(50)
@given(st.text(max_size=20), st.integers(), st.binary(max_size=20))
def test_any_value_travels(text: str, number: int, octets: bytes) -> None:
    """Any text, number, or bytes in the encoding that the model names."""

    class Made(Contract, name="test.any-secret", version=1):
        model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
        text: SecretStr
        number: Secret[int]
        octets: SecretBytes

    made = Made(text=SecretStr(text), number=Secret[int](number), octets=SecretBytes(octets))
    assert Made.from_data(json.loads(json.dumps(made.to_data()))) == made
    assert made.redacted() == {"text": MASK, "number": MASK, "octets": MASK}


def test_bytes_that_json_cannot_say() -> None:
    """Bytes that are no UTF-8, in a model that names no encoding for them, are refused with what to do, and not shown."""
    made = _made(SecretBytes)(number="1", hidden=SecretBytes(b"\xff" + HUSH.encode()))
    with pytest.raises(InvalidData, match=r"hidden: its bytes are no UTF-8.*base64") as refused:
        made.to_data()
    assert HUSH not in str(refused.value)


class Counting(BaseModel):
    token: SecretStr

    @computed_field  # type: ignore[prop-decorator]
    @property
    def length(self) -> int:
        return len(self.token.get_secret_value())


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        (dict[SecretStr, int], "/hidden has secrets as keys"),
        (list[dict[Sensitive, int]], r"/hidden/\* has secrets as keys"),
        (SecretStr | str, "a reader could not tell"),
        (Sensitive | date | None, "a reader could not tell"),
        (SecretStr | SecretBytes, "a reader could not tell"),
        (Secret[int] | int, "a reader could not tell"),
        (Pin | bytes, "a reader could not tell"),
        (list[Counting], "Counting computes length"),
        (Annotated[str, Sensitive], "/hidden has the type of a secret beside its own"),
        (list[Annotated[str, SecretStr] | None], r"/hidden/\* has the type of a secret beside its own"),
        (dict[str, Annotated[int, Field(ge=0), Secret[int]]], "has the type of a secret beside its own"),
    ],
)
def test_what_could_not_be_kept_is_refused(hint: Any, why: str) -> None:
    """A secret that would be shown, or that a reader would take for something else, is refused where it is declared, in a line."""
    with pytest.raises(ContractError, match=why) as refused:
        _made(hint)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "hint",
    [SecretStr, SecretBytes, Secret[int], Sensitive | None, Login, list[Login], Pin, Held, tuple[Pair, ...]],
)
def test_no_secret_is_a_key(hint: Any) -> None:
    """A key is shown everywhere: no field in which there is a secret, at any depth, can be one."""
    namespace = {"__annotations__": {"number": hint}, "number": Key(), "__module__": __name__}
    with pytest.raises(ContractError, match="key field 'number' of Made is sensitive"):
        type("Made", (Contract,), namespace, name="test.secret-key", version=1)


def test_under_each_name() -> None:
    """A field that is read under several names and written under another is sensitive under each."""

    class Made(Contract, name="test.secret-names", version=1):
        token: SecretStr = Field(
            validation_alias=AliasChoices("first", "second"), serialization_alias="second"
        )

    made = Made.from_data({"second": HUSH})
    assert made.to_data() == {"second": HUSH}
    assert made.redacted() == {"second": MASK}
    assert masked(made.to_data(), sensitive_of(Made)) == {"second": MASK}


def test_a_serializer_of_ones_own() -> None:
    """People see a mask also where a serializer of the author's shows the secret; the reader gets what it writes."""
    tail = Annotated[SecretStr, TypeAdapter]  # any annotation beside it
    assert _made(tail)(number="1", hidden=SecretStr(HUSH)).redacted()["hidden"] == MASK
    assert _made(Any)(number="1", hidden=[SecretStr(HUSH)]).redacted()["hidden"] == [MASK]


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Any, SecretStr(HUSH)),
        (list[Any], [{"a": Secret[int](1)}]),
        (dict[str, Any], {"a": SecretBytes(b"x")}),
        (Open, Open(token=SecretStr(HUSH))),
        (list[Open | Login], [Login(token=SecretStr(HUSH)), Open(token=SecretStr(HUSH))]),
    ],
)
def test_a_secret_where_none_is_declared(hint: Any, value: Any) -> None:
    """A reader would take it for plain text and show it: it is not sent, with what is wrong and without the secret."""
    made = _made(hint)(number="1", hidden=value)
    for way in (made.to_data, made.to_comparable):
        with pytest.raises(InvalidData, match=r"hidden.*: a secret is where none is declared") as refused:
            way()
        assert HUSH not in str(refused.value)
    assert HUSH not in json.dumps(made.redacted())


class Careless(Contract, name="test.careless", version=1):
    """Validators that quote what they refuse."""

    user: str = ""
    login: Login | None = None
    token: SecretStr = Field(default=SecretStr(""), alias="Token")

    @field_validator("user")
    @classmethod
    def _known(cls, user: str) -> str:
        if user == "bob":
            raise ValueError(f"{user} is not known")
        return user

    @field_validator("token", "login")
    @classmethod
    def _good(cls, value: Any) -> Any:
        secret = value.token if isinstance(value, Login) else value
        text = secret.get_secret_value() if secret else ""
        assert not text.startswith("x"), f"{text} begins with x"
        if text.startswith("y"):
            raise ValueError(f"{text} begins with y")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Careless:
        if self.token.get_secret_value().startswith("z"):
            raise ValueError(f"{self.token.get_secret_value()} begins with z")
        return self


@pytest.mark.parametrize(
    "data",
    [
        {"Token": f"x{HUSH}"},
        {"Token": f"y{HUSH}"},
        {"Token": f"z{HUSH}"},
        {"login": {"token": f"y{HUSH}"}},
        {"login": {"token": [HUSH]}},
    ],
)
def test_no_error_quotes_a_secret(data: dict[str, Any]) -> None:
    """What a validator says of a secret, or of what holds one, is not passed on; the field is named. Of others it is."""
    with pytest.raises(InvalidData) as refused:
        Careless.from_data(data)
    assert HUSH not in str(refused.value)
    assert any(f"{place}: " in str(refused.value) for place in ("Token", "login", "login.token", "(whole)"))
    with pytest.raises(InvalidData, match="user: Value error, bob is not known"):
        Careless.from_data({"user": "bob"})


def test_events_of_whatever_contract() -> None:
    """What is heard by a pattern shows what its own contract lets people see; where that is not known, nothing. It is equal to the
    same event, and travels whole."""
    contract = _made(Login)
    data = contract(number="1", hidden=Login(token=SecretStr(HUSH))).to_data()
    event = Event(contract="test.secretive", version=1, data=data)
    assert event.redacted()["data"] == {"number": MASK, "hidden": MASK}
    versions = Versions([known(contract)])
    read = versions.read(Event, Event.ref(), event.to_data())
    assert read == event
    assert read.to_data() == event.to_data()
    assert read.redacted()["data"] == {"number": "1", "hidden": {"user": "ann", "token": MASK}}
    assert versions.shown(contract.ref(), data) == read.redacted()["data"]
    assert Versions().shown(contract.ref(), data) == {"number": MASK, "hidden": MASK}


@pytest.mark.parametrize("place", [place for place in PLACES if place != "the mask itself"])
@pytest.mark.parametrize("described", [False, True])
def test_a_secret_as_a_default(place: str, described: bool) -> None:
    """A secret that is a default is there where data leaves its field out, and so is a default of another type that JSON has only a text
    for."""
    hint, value = PLACES[place]
    namespace = {
        "__annotations__": {"number": str, "hidden": hint, "host": IPv4Address},
        "number": Key(),
        "__module__": __name__,
    }
    namespace["hidden"] = Field(default=value, description="a secret") if described else value
    namespace["host"] = IPv4Address("192.0.2.1")
    contract: Any = type("Made", (Contract,), namespace, name="test.default-secret", version=1)
    made = contract.from_data({"number": "1"})
    assert (made.hidden, made.host) == (value, namespace["host"])
    assert contract.from_data(json.loads(json.dumps(made.to_data()))) == made
    assert HUSH not in json.dumps([made.redacted(), generated(contract)])
