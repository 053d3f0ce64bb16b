"""What a schedule says, and what is refused where it is declared."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from handoffs import Flow, agent, schedule
from handoffs.contracts.contract import Contract, Key
from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import LoadError, ScheduleError
from handoffs.coordinator.flow.loading import load_modules

DUE = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


class Night(Contract, name="dusk.night", version=1):
    """A night."""

    day: str


class Keyed(Night, name="dusk.keyed", version=1):
    """A night that has a key."""

    day: str = Key()


class Other(Contract, name="dusk.other", version=1):
    """Something else."""


@agent("dusk.count")
def count(night: Night) -> Night:
    return night


nightly = Flow("dusk.nightly", count)
NIGHT = Night(day="monday")


def _made(**given: Any) -> Any:
    name = given.pop("name", "dusk.schedule")
    return schedule(name, given.pop("flow", nightly), **{"every": "0 3 * * *", "payload": NIGHT, **given})


def test_the_key_is_made_of_name_and_time() -> None:
    """Whoever starts the run of a time gives it the same key."""
    assert _made().key(DUE) == "dusk.schedule@2026-03-29T01:30:00Z"


def test_the_payload() -> None:
    """It is a contract, or made of the time that is due, as people know it where the schedule is."""
    assert _made().made(DUE) is NIGHT
    local = _made(payload=lambda due: Night(day=due.isoformat()), timezone="Europe/Berlin")
    assert local.made(DUE) == Night(day="2026-03-29T03:30:00+02:00")


def test_a_payload_that_cannot_be_made() -> None:
    """What goes wrong is told without what it says, for that may be data; errors of ours are told as they are."""

    def broken(_: datetime) -> Contract:
        raise KeyError("a secret")

    with pytest.raises(ScheduleError, match="KeyError") as failed:
        _made(payload=broken).made(DUE)
    assert "secret" not in str(failed.value)
    with pytest.raises(
        ScheduleError, match=r"has dusk\.other/1 for flow dusk\.nightly, which starts with dusk\.night/1"
    ):
        _made(payload=lambda _: Other()).made(DUE)
    with pytest.raises(InvalidData):
        _made(payload=lambda _: Night.from_data({})).made(DUE)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "Not A Name"}, "is called 'Not A Name'"),
        ({"name": ""}, "is called ''"),
        ({"name": "a" * 121}, "at most 120"),
        ({"flow": count}, "starts Agent"),
        ({"payload": Other()}, "has dusk.other/1"),
        ({"payload": Keyed(day="monday")}, "which has a key"),
        ({"payload": {"day": "monday"}}, "has dict"),
        ({"payload": None}, "has NoneType"),
        ({"every": 60}, "every int"),
        ({"every": timedelta()}, "whole seconds"),
        ({"every": "often"}, "is no crontab line"),
        ({"timezone": "Nowhere"}, "is no time zone"),
        ({"every": timedelta(hours=1), "timezone": "Europe/Berlin"}, "an interval and a time zone"),
    ],
)
def test_what_cannot_work_is_refused_where_it_is_declared(given: dict[str, Any], said: str) -> None:
    """A wrong name, flow, payload or time is told at once, not when it is due."""
    with pytest.raises(ScheduleError) as refused:
        _made(**given)
    assert said in str(refused.value)


def _module(monkeypatch: pytest.MonkeyPatch, **attributes: Any) -> str:
    module = ModuleType("dusk_of_the_test")
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def test_a_module_is_loaded_with_its_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule is found like agents and flows, and brings its flow along."""
    made = _made()
    definitions = load_modules([_module(monkeypatch, made=made)])
    assert definitions.schedules == {"dusk.schedule": made}
    assert definitions.flows == {"dusk.nightly": nightly}
    assert definitions.agents == {"dusk.count": count}


def test_two_of_one_name_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name means one schedule: its times are known by it."""
    with pytest.raises(LoadError, match=r"two schedules are called dusk\.schedule"):
        load_modules([_module(monkeypatch, one=_made(), two=_made(every="0 4 * * *"))])
