"""Secrets on their way: agents get them whole, and nothing that people read has one; in eager and in embedded mode."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from handoffs import Contract, Coordinator, ExactDecimal, Flow, Key, Permanent, Sensitive, agent, on
from handoffs.contracts.event import Event
from handoffs.coordinator.errors import Conflict
from handoffs.coordinator.flow.agent import Agent
from handoffs.coordinator.flow.budget import Cached, budget, cached, constant
from tests.waiting import wait_until

HUSH = "hush-hush"
_number = count()


class Account(BaseModel):
    owner: str
    pin: Secret[int]


class Login(Contract, name="secrets.login", version=1):
    user: str = Key()
    fails: bool = False
    token: SecretStr = SecretStr(HUSH)
    code: Sensitive = SecretStr(HUSH)
    raw: SecretBytes | None = SecretBytes(HUSH.encode())
    accounts: list[Account]


class Told(Contract, name="secrets.told", version=1):
    number: str = Key()
    token: SecretStr = SecretStr(HUSH)


def login(**values: Any) -> Login:
    accounts = [Account(owner="a", pin=Secret[int](815_4711))]
    return Login(**{"user": f"u-{next(_number)}", "accounts": accounts, **values})


def shown_of(run: Any) -> str:
    """All that people can read of a run."""
    letters = [
        {one.name: getattr(letter, one.name) for one in fields(letter) if one.name != "message"}
        for letter in run.letters()
    ]
    return json.dumps([run.history().to_json(), letters], default=repr)


def _hidden(text: str) -> bool:
    return HUSH not in text and "8154711" not in text


def _agent(got: list[Login]) -> Agent:
    @agent(f"secrets.step-{next(_number)}")
    def step(login: Login) -> Login:
        got.append(login)
        if login.fails:
            raise Permanent("the door is shut")
        return login

    return step


def test_an_agent_gets_what_was_given(anywhere: Coordinator) -> None:
    """Each step of a flow gets every secret whole, of every type and at every depth; history and dead letters have masks."""
    got: list[Login] = []
    made = Flow(f"secrets.flow-{next(_number)}", _agent(got) >> _agent(got))
    given = login()
    run = anywhere.start(made, given)
    assert run.result(timeout=20) == given
    assert got == [given, given]
    assert _hidden(shown_of(run))
    parked = anywhere.start(made, login(fails=True))
    assert parked.wait(timeout=20) == "parked"
    wait_until(parked.letters, description="the letter is there")
    assert _hidden(shown_of(parked))


def test_fallbacks_are_masked(anywhere: Coordinator) -> None:
    """The history of a fallback that was kept from an earlier run, and of a constant, has masks; what follows gets the secret."""
    for fallback in (
        constant(login()),
        cached("accounts", max_age=timedelta(minutes=5), otherwise=constant(login()), shared=True),
    ):
        got: list[Login] = []
        made = Flow(
            f"secrets.flow-{next(_number)}",
            budget(_agent([]), within=timedelta(seconds=1), fallback=fallback) >> _agent(got),
        )
        if isinstance(fallback, Cached):
            anywhere.start(made, login()).result(timeout=20)
        run = anywhere.start(made, login(fails=True))
        assert run.result(timeout=20).token.get_secret_value() == HUSH
        [entry] = [entry for entry in run.history() if entry["kind"] == "fallback"]
        assert entry["output"]["token"] == entry["output"]["accounts"][0]["pin"] == "**********"
        assert _hidden(shown_of(run))
        assert got[-1].accounts[0].pin.get_secret_value() == 815_4711


def test_what_is_heard_by_a_pattern(anywhere: Coordinator) -> None:
    """Who subscribes to any event gets its secrets whole, and its history has masks, and what is no secret."""
    got: list[Event] = []

    @on(Told)
    @agent(f"secrets.ear-{next(_number)}")
    def hear(told: Told) -> None: ...

    @on("secrets.*")
    @agent(f"secrets.ear-{next(_number)}")
    def hear_all(event: Event) -> None:
        got.append(event)

    anywhere.work([hear, hear_all])
    story = anywhere.emit(Told(number=f"n-{next(_number)}"))
    wait_until(lambda: story.status() == "completed", description="both have heard it")
    assert got[0].data["token"] == HUSH
    told = [entry for entry in story.history() if entry.get("agent") == hear_all.name]
    assert told[-1]["input"]["data"] == {"number": got[0].data["number"], "token": "**********"}
    assert _hidden(shown_of(story))


class Parcel(Contract, name="secrets.parcel", version=1):
    """What can be spelt in several ways."""

    number: str = Key()
    price: ExactDecimal
    sent: datetime
    tags: frozenset[str]


def test_equal_values_are_the_same_work(anywhere: Coordinator) -> None:
    """A run that is started with an equal input is the same run, and a step under a key that is known gives the outcome that is known;
    another value is a conflict."""
    seen: list[Parcel] = []

    @agent(f"secrets.post-{next(_number)}")
    def post(parcel: Parcel) -> Parcel:
        seen.append(parcel)
        return parcel

    number, made = f"p-{next(_number)}", Flow(f"secrets.flow-{next(_number)}", post)
    spellings: list[dict[str, Any]] = [
        {"price": Decimal("1.5"), "sent": datetime(2026, 1, 1, 10, tzinfo=UTC), "tags": frozenset("abcdef")},
        {"price": Decimal("1.500"), "sent": datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))), "tags": frozenset("fedcba")},
    ]  # fmt: skip
    runs = [anywhere.start(made, Parcel(number=number, **spelt)) for spelt in spellings]
    assert runs[0].id == runs[1].id
    other = Flow(f"secrets.flow-{next(_number)}", post)  # another run, and the same key of the same agent
    assert anywhere.start(other, Parcel(number=number, **spellings[1])).result(timeout=20) == seen[0]
    assert len(seen) == 1
    with pytest.raises(Conflict):
        anywhere.start(made, Parcel(number=number, **{**spellings[0], "price": Decimal("1.51")}))
