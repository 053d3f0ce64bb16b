"""Retry: when a failed attempt is made again. A value and a decision, nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from handoffs.contracts.errors import InvalidData
from handoffs.coordinator.errors import AgentError, Permanent, Transient

_LONGEST_WAIT = timedelta(hours=12)
_MOST_NAMES = 100
_LONGEST_NAME = 200

Errors = tuple[type[Exception] | str, ...]
"""Exceptions by their class, or by its name (``"CardDeclined"``), which stands for its subclasses too."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The retry policy of an agent, or of a step (:func:`~handoffs.coordinator.flow.step.retrying`).

    attempts
        How often the step is tried altogether, 1 to 100; after the last one it is parked.
    backoff
        The wait before the second attempt; each further one waits ``factor`` times as long, at most ``longest``.
    longest
        The maximum wait. An error's own ``retry_after`` goes before it, up to 12 hours.
    jitter
        The share of the wait that is random, 0 to 1, so that many failures do not come back at once.
    never
        Exceptions that are never retried, besides :class:`~handoffs.coordinator.errors.Permanent`: classes, or their names as
        history and letters show them. The policy of a step travels with names, for the classes may be another build's.
    only
        The exceptions that are retried, in the same way.

    Raises :class:`AgentError` for values that make no policy.
    """

    attempts: int = 3
    backoff: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=10)
    jitter: float = 0.2
    never: Errors = ()
    only: Errors = (Exception,)

    def __post_init__(self) -> None:
        attempts: Any = self.attempts
        if type(attempts) is not int or not 1 <= attempts <= 100:
            raise AgentError(f"a retry policy with attempts={self.attempts!r}", remedy="attempts is 1 to 100")
        if not timedelta() < self.backoff <= _LONGEST_WAIT or not timedelta() < self.longest <= _LONGEST_WAIT:
            raise AgentError(
                f"a retry policy that waits {self.backoff} up to {self.longest}",
                remedy="a wait is above 0, up to 12 hours",
            )
        if not 1 <= self.factor <= 10 or not 0 <= self.jitter <= 1:
            raise AgentError(
                f"a retry policy with factor={self.factor!r} and jitter={self.jitter!r}",
                remedy="factor is 1 to 10, jitter 0 to 1",
            )
        for word, errors in (("never", self.never), ("only", self.only)):
            if not _are_errors(errors):
                raise AgentError(
                    f"a retry policy whose {word!r} has something that is no exception",
                    remedy=f'{word} is a tuple of exception classes, or of their names: (OSError, "CardDeclined")',
                )

    def wait(self, attempt: int, error: Exception, chance: float | None = None) -> timedelta | None:
        """How long to wait after ``attempt`` (from 1) failed with ``error``; None: do not try again.

        ``chance`` (0 to 1) stands in for the random number.
        """
        if (
            attempt >= self.attempts
            or isinstance(error, Permanent)
            or _is_one(error, self.never)
            or not _is_one(error, self.only)
        ):
            return None
        after = error.retry_after if isinstance(error, Transient) else None
        if isinstance(after, timedelta):
            return max(min(after, _LONGEST_WAIT), timedelta())
        wait = min(self.backoff * min(self.factor ** (attempt - 1), 1e6), self.longest)
        spread = random.random() if chance is None else chance  # noqa: S311 - jitter, not a secret
        return wait * (1 - self.jitter * spread)

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
        }

    @classmethod
    def from_json(cls, value: object) -> Retry:
        """The policy that :meth:`to_json` wrote. Raises :class:`~handoffs.contracts.errors.InvalidData` for anything else; what it
        does not know is left aside."""
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
                } if not any(isinstance(number, bool) for number in (backoff, factor, longest, jitter)):
                    waits = (timedelta(milliseconds=backoff), timedelta(milliseconds=longest))
                    return cls(attempts, waits[0], factor, waits[1], jitter, tuple(never), tuple(only))
        except (AgentError, ArithmeticError, ValueError):
            pass
        raise InvalidData("the retry policy in the message is malformed")


def _is_one(error: Exception, errors: Errors) -> bool:
    names = {one.__name__ for one in type(error).__mro__}
    return any(one in names if isinstance(one, str) else isinstance(error, one) for one in errors)


def _names(errors: Errors) -> list[str]:
    return [one if isinstance(one, str) else one.__name__ for one in errors]


def _are_errors(errors: Any) -> bool:
    return isinstance(errors, tuple) and len(errors) <= _MOST_NAMES and all(map(_is_error, errors))


def _is_error(one: Any) -> bool:
    if isinstance(one, str):
        return one.isidentifier() and len(one) <= _LONGEST_NAME
    return isinstance(one, type) and issubclass(one, Exception)


ONCE = Retry(attempts=1)
