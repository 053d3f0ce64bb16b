"""Manifests: as values, as JSON, and made from code."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from handoffs import Contract, Key, agent, upcast
from handoffs.contracts.contract import ContractRef
from handoffs.contracts.errors import InvalidManifest
from handoffs.contracts.manifest import Manifest, reference
from handoffs.contracts.schema import fingerprint, reads, writes
from handoffs.contracts.versions import Known, Versions
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.manifest import manifest_of
from tests.builds import manifest

PLAIN = manifest("shop.price", accepts={"shop.order": [2, 1]}, emits={"shop.priced": [1]})


class OrderV1(Contract, name="shop.order", version=1):
    order: str = Key()


class Order(Contract, name="shop.order", version=2):
    number: str = Key()


class Stock(Contract, name="shop.stock", version=1):
    left: int


class Side(Contract):
    stock: Stock


class Offer(Contract, name="shop.offer", version=1):
    order: Order
    other: Side
    more: list[Stock] | None = None


class Mixed(Contract, name="shop.mixed", version=1):
    old: OrderV1
    new: Order


class Priced(Contract, name="shop.priced", version=3):
    price: int


@upcast(Order, 1, 2)
def number_from_order(data: dict[str, Any]) -> dict[str, Any]:
    return {"number": data["order"]}


@agent("shop.price")
def price(order: Order) -> Priced:
    return Priced(price=len(order.number))


@agent("shop.join")
def join(offer: Offer) -> Priced:
    return Priced(price=offer.other.stock.left)


@agent("shop.mix")
def mix(mixed: Mixed) -> Priced:
    return Priced(price=len(mixed.new.number))


def known(contract: type[Contract]) -> Known:
    return Known(contract.ref(), writes(contract), reads(contract), fingerprint(contract))


# As a value


def test_a_manifest_survives_json_and_pickling() -> None:
    """What is written is read as the same value."""
    assert Manifest.from_json(json.loads(json.dumps(PLAIN.to_json()))) == PLAIN
    assert pickle.loads(pickle.dumps(PLAIN)) == PLAIN


def test_a_build_is_named_by_what_it_says() -> None:
    """Without a name a build has one of 12 hexadecimal digits, which any change changes, and the order of names does not."""
    assert len(PLAIN.build) == 12
    assert int(PLAIN.build, 16) >= 0
    same = manifest("shop.price", accepts={"shop.order": [2, 1]}, emits={"shop.priced": [1]})
    other = manifest("shop.price", accepts={"shop.order": [2]}, emits={"shop.priced": [1]})
    assert same.build == PLAIN.build != other.build
    pair = [manifest("a", accepts={"a": [1], "b": [1]}), manifest("a", accepts={"b": [1], "a": [1]})]
    assert pair[0].build == pair[1].build
    assert Manifest.from_json({**PLAIN.to_json(), "build": "v1.2"}).digest() == PLAIN.digest()


def test_a_build_that_is_not_named_in_the_file_is_derived() -> None:
    """A manifest that was written by hand needs no digest."""
    value = PLAIN.to_json()
    del value["build"]
    assert Manifest.from_json(value) == PLAIN


def test_what_a_later_release_adds_is_ignored() -> None:
    """Workers of different releases read each other's manifests."""
    assert Manifest.from_json({**PLAIN.to_json(), "migrations": []}) == PLAIN


def _instead(whole: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda _: whole


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda value: {at: inner for at, inner in value.items() if at != name}


def _with(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda value: {**value, **changes}


SIDES: dict[str, Any] = {"writes": {}, "reads": {}}


NO_MANIFESTS: list[Any] = [None, [], "text", 5, True, 1.5]
FAULTS: dict[str, list[Any]] = {
    "agent": ["", "Shop Price", 5, None, "a" * 121, "shop\nprice"],
    "queue": ["", 5, None, "a b", "q" * 300],
    "build": [5, None, False, ["x"], "a b", "x" * 65, "\x1b[2J", "-x"],
    "accepts": [
        None, [], {"Not A Name": [1]}, {"shop.order": []}, {"shop.order": 1}, {"shop.order": [0]},
        {"shop.order": [True]}, {"shop.order": ["1"]}, {"shop.order": [1, 1]}, {"shop.order": [1.0]},
        {"shop.order": [10**9]}, {"shop.order": [-1]}, {"": [1]}, {f"c{number}": [1] for number in range(1001)},
    ],
    "emits": [{"shop.priced": "12"}, {"shop.priced": {"1": 2}}, {"shop.priced": [[1]]}],
    "fingerprints": [
        None, {}, {"shop.order": "x"}, {"shop.order/2": 5}, {"shop.order/0": "sha256:" + "0" * 64},
        {"shop.order/2": "sha256:12"}, {"shop.order/2": "sha256:" + "0" * 64},
    ],
    "schemas": [
        None, {}, {"shop.order/2": SIDES}, {"shop.order/2": None}, {"shop.order/2": {"writes": {}}},
        {"shop.order/2": {"writes": {}, "reads": 5}}, {"/2": SIDES}, {"x/2/3": SIDES},
        {"shop.order/2": {"writes": {"minimum": float("nan")}, "reads": {}}},
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "named"),
    [
        *((_instead(value), "manifest is") for value in NO_MANIFESTS),
        *((_without(name), name) for name in FAULTS if name != "build"),
        *((_with(**{name: value}), name) for name, values in FAULTS.items() for value in values),
    ],
)
def test_what_is_no_manifest_names_the_field(change: Callable[[dict[str, Any]], Any], named: str) -> None:
    """Malformed in any way it is an InvalidManifest that says where, in plain characters."""
    with pytest.raises(InvalidManifest) as caught:
        Manifest.from_json(change(PLAIN.to_json()))
    assert named in str(caught.value)
    assert str(caught.value).isprintable()
    assert caught.value.remedy


def test_a_manifest_knows_its_own_versions() -> None:
    """They are the first of each list."""
    assert PLAIN.own() == (ContractRef("shop.order", 2), ContractRef("shop.priced", 1))


@pytest.mark.parametrize(
    "text", ["", "shop.order", "shop.order/", "/1", "shop.order/01", "shop.order/x", "A/1", None, 5]
)
def test_what_names_no_version(text: object) -> None:
    """Only name/version does."""
    assert reference("shop.order/12") == ContractRef("shop.order", 12)
    with pytest.raises(InvalidManifest):
        reference(text)


# From code


def test_the_manifest_of_an_agent() -> None:
    """It reads its own version and those with an upcast, and says what its classes are."""
    made = manifest_of(price, Versions([known(OrderV1)]), queue="x.shop.price")
    assert (made.agent, made.queue) == ("shop.price", "x.shop.price")
    assert made.accepts == {"shop.order": (2, 1)}
    assert made.emits == {"shop.priced": (3,)}
    assert made.fingerprints == {
        "shop.order/1": fingerprint(OrderV1), "shop.order/2": fingerprint(Order), "shop.priced/3": fingerprint(Priced),
    }  # fmt: skip
    assert made.schemas["shop.order/2"] == {"writes": writes(Order), "reads": reads(Order)}
    assert Manifest.from_json(json.loads(json.dumps(made.to_json()))) == made


def test_what_is_not_published_is_not_read() -> None:
    """An upcast from a version that nobody knows is of no use."""
    assert manifest_of(price, Versions(), queue="q").accepts == {"shop.order": (2,)}


def test_parts_of_a_join_are_accepted_too() -> None:
    """Contracts in fields, in models within, in lists and in unions: they were written by others, each in its version."""
    made = manifest_of(join, Versions([known(OrderV1)]), queue="q")
    assert made.accepts == {"shop.offer": (1,), "shop.order": (2, 1), "shop.stock": (1,)}
    assert "shop.stock/1" in made.schemas


def test_two_fields_of_one_contract_read_what_both_can() -> None:
    """The version to send suits whichever field it is for."""
    made = manifest_of(mix, Versions([known(OrderV1)]), queue="q")
    assert made.accepts == {"shop.mixed": (1,), "shop.order": (1,)}


def test_two_fields_of_one_contract_that_have_nothing_in_common() -> None:
    """Nobody could say what to send."""

    class New(Contract, name="shop.order", version=5):
        number: str

    class Odd(Contract, name="shop.odd", version=1):
        old: OrderV1
        new: New

    @agent("shop.odd")
    def odd(value: Odd) -> Priced:
        return Priced(price=len(value.new.number))

    with pytest.raises(AgentError, match=r"shop\.order in several fields"):
        manifest_of(odd, Versions(), queue="q")


def test_a_changed_class_does_not_hide_behind_what_is_published() -> None:
    """The manifest says what the code is, not what the registry says that it should be."""
    stale = Known(Order.ref(), writes(OrderV1), reads(OrderV1), fingerprint(OrderV1))
    made = manifest_of(price, Versions([stale]), queue="q")
    assert made.fingerprints["shop.order/2"] == fingerprint(Order)
    assert made.schemas["shop.order/2"]["reads"] == reads(Order)


def test_a_build_can_be_named() -> None:
    """A malformed name is refused."""
    assert manifest_of(price, Versions(), queue="q", build="2026.1+3").build == "2026.1+3"
    with pytest.raises(InvalidManifest, match="build"):
        manifest_of(price, Versions(), queue="q", build="a b")
