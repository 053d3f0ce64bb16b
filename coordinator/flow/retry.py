"""Retry: when a failed attempt is made again. A value and a decision, nothing else."""

from __future__ import annotations

import random
from asyncio import CancelledError
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from handoffs.contracts.errors import InvalidData
from handoffs.contracts.text import named
from handoffs.coordinator.errors import AgentError, Permanent, Transient
from handoffs.coordinator.flow.duration import is_duration

_LONGEST_WAIT = timedelta(hours=12)
_LONGEST_ALLOWANCE = timedelta(days=31)
MOST_WAITS = 1_000
"""How often a step may ask to be tried later, whatever its allowance: each wait uses up so small a part of that at least."""
_ALLOWANCE_MS = _LONGEST_WAIT / timedelta(milliseconds=1)
_MOST_NAMES = 100
_LONGEST_NAME = 200

Errors = tuple[type[BaseException] | str, ...]
"""Exceptions by their class, or by its name (``"CardDeclined"``), which stands for its subclasses too."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a failed attempt.

    wait
        How long it is until the next one; None: the step is parked.
    counts
        Whether it has used up one of the policy's attempts. It has not where its error said itself when to come back.
    waited
        What such waits have used up of the allowance by then.
    spent
        Whether it is parked because they have used up all of it.
    """

    wait: timedelta | None
    counts: bool = True
    waited: timedelta = timedelta()
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Retry:
    """The retry policy of an agent, or of a step (:func:`~handoffs.coordinator.flow.step.retrying`).

    attempts
        How often the step is tried altogether, 1 to 100; after the last one it is parked.
    backoff
        The wait before the second attempt; each further one waits ``factor`` times as long, at most ``longest``.
    longest
        The maximum wait.
    jitter
        The share of the wait that is random, 0 to 1, so that many failures do not come back at once.
    never
        Exceptions that are never retried, besides :class:`~handoffs.coordinator.errors.Permanent`: classes, or their names as
        history and letters show them. The policy of a step travels with names, for the classes may be another build's.
    only
        The exceptions that are retried, in the same way. By default every ``Exception``, and ``CancelledError``; others, such as
        ``SystemExit``, park the step at once where they are not named.

    allowance
        How long the waits may take altogether that errors ask for themselves (``Transient(retry_after=...)``), above 0 and up to
        31 days. They use up no attempt; a step whose next wait would be more than that is parked. One wait is 12 hours at most,
        and there are at most 1,000 of them, however short. A replay begins anew.

    A group of exceptions is retried where all that is in it is, after the longest wait that one of them asks for. It uses up no
    attempt where all of them ask for one.

    Raises :class:`AgentError` for values that make no policy.
    """

    attempts: int = 3
    backoff: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=10)
    jitter: float = 0.2
    never: Errors = ()
    only: Errors = (Exception,)
    allowance: timedelta = _LONGEST_WAIT

    def __post_init__(self) -> None:
        attempts: Any = self.attempts
        if type(attempts) is not int or not 1 <= attempts <= 100:
            raise AgentError(
                f"a retry policy with attempts={named(self.attempts)}", remedy="attempts is 1 to 100"
            )
        if not is_duration(self.backoff, _LONGEST_WAIT) or not is_duration(self.longest, _LONGEST_WAIT):
            raise AgentError(
                f"a retry policy that waits {_said(self.backoff)} up to {_said(self.longest)}",
                remedy="a wait is above 0, up to 12 hours: backoff=timedelta(seconds=2)",
            )
        if not is_duration(self.allowance, _LONGEST_ALLOWANCE):
            raise AgentError(
                f"a retry policy with allowance={_said(self.allowance)}",
                remedy="an allowance is above 0, up to 31 days: allowance=timedelta(hours=1)",
            )
        if not _is_within(self.factor, 1, 10) or not _is_within(self.jitter, 0, 1):
            raise AgentError(
                f"a retry policy with factor={named(self.factor)} and jitter={named(self.jitter)}",
                remedy="factor is 1 to 10, jitter 0 to 1",
            )
        for word, errors in (("never", self.never), ("only", self.only)):
            if not _are_errors(errors):
                raise AgentError(
                    f"a retry policy whose {word!r} has something that is no exception",
                    remedy=f'{word} is a tuple of exception classes, or of their names: (OSError, "CardDeclined")',
                )

    def wait(self, attempt: int, error: BaseException, chance: float | None = None) -> timedelta | None:
        """How long to wait after ``attempt`` (from 1) failed with ``error``; None: do not try again. See :meth:`verdict`."""
        return self.verdict(attempt, error, chance=chance).wait

    def verdict(
        self,
        attempt: int,
        error: BaseException,
        waited: timedelta = timedelta(),
        chance: float | None = None,
    ) -> Verdict:
        """What becomes of ``attempt`` (from 1), which has failed with ``error`` after waits that used up ``waited`` of the allowance.

        ``chance`` (0 to 1) stands in for the random number.
        """
        asked = self._asked(error)
        if asked is None:
            return Verdict(None)
        longest = max(min(max(asked.waits, default=timedelta()), _LONGEST_WAIT), timedelta())
        if asked.by_all:
            used = waited + max(longest, self.allowance / MOST_WAITS)
            if used > self.allowance:
                return Verdict(None, counts=False, waited=waited, spent=True)
            return Verdict(longest, counts=False, waited=used)
        if attempt >= self.attempts:
            return Verdict(None)
        if asked.waits:
            return Verdict(longest, waited=waited)
        wait = min(self.backoff * min(self.factor ** (attempt - 1), 1e6), self.longest)
        spread = random.random() if chance is None else chance  # noqa: S311 - jitter, not a secret
        return Verdict(wait * (1 - self.jitter * spread), waited=waited)

    def _asked(self, error: BaseException) -> _Asked | None:
        """What ``error``, and all that is in it where it is a group, say themselves of when to come back; None where one of
        them is not to be tried again. One in a group is named in ``only`` where a group around it is."""
        waits: list[timedelta] = []
        by_all = True
        rest = [(error, False)]
        seen: set[tuple[int, bool]] = set()
        while rest:
            one, named = rest.pop()
            if (id(one), named) in seen:  # a group may have the same exceptions many times over
                continue
            seen.add((id(one), named))
            if isinstance(one, Permanent) or _is_one(one, self.never):
                return None
            named = named or _is_one(one, self.only)
            if isinstance(one, BaseExceptionGroup):
                rest += [(within, named) for within in one.exceptions]
            elif not named:
                return None
            elif isinstance(one, Transient) and isinstance(one.retry_after, timedelta):
                waits.append(one.retry_after)
            else:
                by_all = False
        return _Asked(waits, by_all)

    def range(self) -> tuple[timedelta, timedelta]:
        """The first wait and the longest one that its attempts come to, without jitter."""
        last = self.backoff * min(self.factor ** max(self.attempts - 2, 0), 1e6)
        return min(self.backoff, self.longest), min(last, self.longest)

    def to_json(self) -> dict[str, Any]:
        """As JSON values, which travel in messages: durations in milliseconds, exceptions by their names."""
        return {
            "attempts": self.attempts,
            "backoff_ms": self.backoff / timedelta(milliseconds=1),
            "factor": self.factor,
            "longest_ms": self.longest / timedelta(milliseconds=1),
            "jitter": self.jitter,
            "never": _names(self.never),
            "only": _names(self.only),
            "allowance_ms": self.allowance / timedelta(milliseconds=1),
        }

    @classmethod
    def from_json(cls, value: object) -> Retry:
        """The policy that :meth:`to_json` wrote. Raises :class:`~handoffs.contracts.errors.InvalidData` for anything else; what it
        does not know is left aside, and one of a release that knew no allowance has that of today."""
        given: Any = value.get("allowance_ms", _ALLOWANCE_MS) if isinstance(value, dict) else None
        try:
            match value:
                case {
                    "attempts": int(attempts),
                    "backoff_ms": int() | float() as backoff,
                    "factor": int() | float() as factor,
                    "longest_ms": int() | float() as longest,
                    "jitter": int() | float() as jitter,
                    "never": list(never),
                    "only": list(only),
                } if not any(
                    isinstance(number, bool) for number in (backoff, factor, longest, jitter, given)
                ):
                    waits = (timedelta(milliseconds=backoff), timedelta(milliseconds=longest))
                    errors, allowance = (tuple(never), tuple(only)), timedelta(milliseconds=given)
                    return cls(attempts, waits[0], factor, waits[1], jitter, *errors, allowance)
        except (AgentError, ArithmeticError, ValueError, TypeError):
            pass
        raise InvalidData("the retry policy in the message is malformed")


@dataclass(frozen=True, slots=True)
class _Asked:
    """The waits that exceptions ask for, and whether each of them asks for one."""

    waits: list[timedelta]
    by_all: bool


def _is_within(value: object, least: int, most: int) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def _is_one(error: BaseException, errors: Errors) -> bool:
    classes = type(error).__mro__
    if isinstance(error, CancelledError):  # a call that was cut short, as that of concurrent.futures
        classes = (*classes, Exception)
    names = {one.__name__ for one in classes}
    return any(one in names if isinstance(one, str) else one in classes for one in errors)


def _names(errors: Errors) -> list[str]:
    return [one if isinstance(one, str) else one.__name__ for one in errors]


def _are_errors(errors: Any) -> bool:
    return isinstance(errors, tuple) and len(errors) <= _MOST_NAMES and all(map(_is_error, errors))


def _is_error(one: Any) -> bool:
    if isinstance(one, str):
        return one.isidentifier() and len(one) <= _LONGEST_NAME
    return isinstance(one, type) and issubclass(one, BaseException) and one is not BaseException


ONCE = Retry(attempts=1)


def _said(wait: object) -> str:
    return str(wait) if isinstance(wait, timedelta) else named(wait)
