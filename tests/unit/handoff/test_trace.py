"""What was raised and where, as people are told of it: own frames first, bounded, and without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError, field_validator

from handoffs import Contract, Key, Sensitive
from handoffs.contracts.text import is_plain
from handoffs.coordinator.handoff.failure import Failure, FailureKind
from handoffs.coordinator.handoff.interruption import Escaped
from handoffs.coordinator.handoff.secrets import masked, secrets_of
from handoffs.coordinator.handoff.trace import LONGEST, Account, account_of

SECRET = "correct horse 'battery' \"staple\"\n\u00e9\u2028"


class Card(Contract, name="trace.card", version=1):
    """A card, and others."""

    number: str = Key()
    pin: Sensitive
    others: list[Sensitive] = Field(default_factory=list)


class Inner(BaseModel):
    """What an agent may validate by itself."""

    amount: dict[str, int]


class Talkative(BaseModel):
    """What quotes in its errors what it was given."""

    amounts: list[str]

    @field_validator("amounts")
    @classmethod
    def refused(cls, amounts: list[str]) -> list[str]:
        """Quotes them."""
        raise ValueError(f"there are no such amounts: {', '.join(amounts)}")


def _validated(amount: str) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Talkative(amounts=[amount])
    return caught.value


def raised(function: Callable[[], object], **how: Any) -> Account:
    """What is told of what ``function`` raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011
        function()
    return account_of(caught.value, own=__name__, **how)


def deep_inside() -> object:
    return json.loads("{")


def again(times: int) -> object:
    return again(times - 1) if times else deep_inside()


def wrapped() -> object:
    try:
        return deep_inside()
    except ValueError as error:
        error.add_note("it was the second try")
        raise RuntimeError("no price") from error


def grouped() -> object:
    errors = [ValueError("left"), KeyError("right")]
    raise ExceptionGroup("both", errors)


def endless() -> object:
    error = ValueError("round")
    error.__cause__ = RuntimeError("and round")
    error.__cause__.__cause__ = error
    raise error


def from_a_package() -> object:
    names: dict[str, Any] = {"__name__": "shop.agents"}
    code = "def work():\n    raise KeyError('x')\n"
    exec(compile(code, "/venv/lib/python3.11/site-packages/shop/agents.py", "exec"), names)
    return names["work"]()


def test_own_frames_come_first_and_others_are_counted() -> None:
    """The innermost line of the agent's own code is the first after what was raised; a library's frames are a number."""
    told = raised(deep_inside)
    first, second, *rest = told.trace.splitlines()
    assert told.name == "JSONDecodeError"
    assert first == f"JSONDecodeError: {told.text}"
    assert "in deep_inside: return json.loads(" in second
    assert "test_trace.py:" in second
    assert any("json 3" in line for line in rest)
    assert not any("decoder.py" in line for line in rest)


def test_what_it_was_raised_from_is_told_too() -> None:
    """With its notes and its own place."""
    told = raised(wrapped)
    assert told.trace.startswith("RuntimeError: no price\n")
    assert "caused by JSONDecodeError: " in told.trace
    assert "  note: it was the second try" in told.trace
    assert "in deep_inside" in told.trace


def test_a_group_is_told_with_what_is_in_it() -> None:
    """Each of its exceptions is named."""
    told = raised(grouped)
    assert "in the group: ValueError: left" in told.trace
    assert "in the group: KeyError: 'right'" in told.trace


def test_what_calls_itself_is_told_once() -> None:
    """And how often it did."""
    told = raised(lambda: again(500))
    assert "in again: return again(times - 1) if times else deep_inside()  (and 500 times more)" in told.trace
    assert len(told.trace) < 1_000


def test_causes_in_a_circle_end() -> None:
    """Each is told once."""
    told = raised(endless)
    assert (told.trace.count("ValueError: round"), told.trace.count("RuntimeError: and round")) == (1, 1)


def test_an_agent_that_is_installed_is_no_library() -> None:
    """Own is what is of the agent's package, wherever that is."""
    with pytest.raises(KeyError) as caught:
        from_a_package()
    assert "agents.py:2 in work" in account_of(caught.value, own="shop.agents").trace
    assert "agents.py:2 in work" not in account_of(caught.value, own="market.agents").trace


def test_what_the_engine_raises_has_no_trace() -> None:
    """Its text says it all: there is no code to mend."""
    with pytest.raises(ValueError, match="nothing") as caught:
        exec("raise ValueError('nothing')", {"__name__": "handoffs.coordinator.close"})
    caught.value.__traceback__ = caught.value.__traceback__.tb_next if caught.value.__traceback__ else None
    assert account_of(caught.value).trace == ""


def test_what_no_exception_could_be_is_told_as_it_was() -> None:
    """An agent may raise what is no ``Exception``."""
    with pytest.raises(SystemExit) as caught:
        raise SystemExit("3")
    assert account_of(Escaped(caught.value)).name == "SystemExit"


@given(st.text(max_size=50), st.integers(1, 400))
def test_a_trace_is_bounded_and_plain(text: str, times: int) -> None:
    """Whatever is raised, however large and however strange: a trace has lines, and nothing that could forge one."""
    error: BaseException = ValueError(text * times)
    for number in range(12):
        outer = RuntimeError(f"{number}: {text * times}")
        outer.__cause__ = error
        error = outer

    def fails() -> object:
        raise error

    told = raised(fails)
    assert len(told.trace) <= LONGEST
    assert all(is_plain(line) for line in told.trace.split("\n"))


LEAKS: dict[str, Callable[[str], object]] = {
    "as it is": lambda secret: _raise(ValueError(f"bad card {secret}")),
    "as repr": lambda secret: _raise(KeyError(secret)),
    "as JSON": lambda secret: _raise(ValueError(json.dumps({"pin": secret}))),
    "in the middle": lambda secret: _raise(ValueError(f"x{secret}y" * 50)),
    "cut off": lambda secret: _raise(ValueError("x" * 495 + secret)),
    "in a group": lambda secret: _raise(ExceptionGroup(secret, [ValueError(secret)])),
    "in a cause": lambda secret: _from(ValueError(secret)),
    "in a note": lambda secret: _raise(_noted(secret)),
    "validated": lambda secret: Inner.model_validate({"amount": secret}),
    "as a name": lambda secret: Inner.model_validate({"amount": {secret: "x"}}),
    "by a validator": lambda secret: Talkative.model_validate({"amounts": [secret]}),
    "by validators, cut off": lambda secret: Talkative.model_validate({"amounts": ["x" * 495 + secret] * 3}),
    "in a group of validations": lambda secret: _raise(
        ExceptionGroup("both", [_validated(secret), ValueError("x")])
    ),
    "as its type": lambda secret: _raise(UnicodeEncodeError("ascii", secret, 0, 1, "no")),
}


@pytest.mark.parametrize("leak", LEAKS)
@pytest.mark.parametrize("secret", [SECRET, "4711", "q" * 5_000], ids=["text", "pin", "long"])
def test_what_the_input_keeps_secret_is_in_no_trace(leak: str, secret: str) -> None:
    """However it gets into an exception."""
    card = Card(number="17", pin=secret, others=[f"{secret}!"])  # type: ignore[arg-type, list-item]
    told = raised(lambda: LEAKS[leak](secret), secrets=secrets_of(card))
    for shown in (told.text, told.trace):
        assert secret not in shown
        assert repr(secret)[1:-1] not in shown
        assert json.dumps(secret)[1:-1] not in shown
        assert secret[:8] not in shown


def test_a_short_secret_is_masked_where_it_stands_alone() -> None:
    """A number that has its digits is no secret."""
    card = Card(number="17", pin="12")  # type: ignore[arg-type]
    assert masked("pin 12, line 4123, (12)", secrets_of(card)) == "pin **********, line 4123, (**********)"
    assert secrets_of(Card(number="17", pin="")) == ()  # type: ignore[arg-type]


def test_a_failure_is_read_by_a_newer_and_by_an_older_release() -> None:
    """What a newer one adds is left out, and what an older one does not know is not written where there is none."""
    failure = Failure(FailureKind.ERROR, "E", "no", "m", "a", 1, "now")
    assert "trace" not in failure.fields()
    assert Failure.read({**failure.fields(), "later": 1}) == failure


def _raise(error: BaseException) -> object:
    raise error


def _from(cause: BaseException) -> object:
    raise RuntimeError("no") from cause


def _noted(text: str) -> Exception:
    error = ValueError("no")
    error.add_note(text)
    return error
