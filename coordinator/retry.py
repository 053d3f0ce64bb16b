"""Retry: when a failed attempt is made again. A value and a decision, nothing else."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from coordinator.errors import AgentError, Permanent, Transient

_LONGEST_WAIT = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Retry:
    """The retry policy of an agent.

    attempts
        How often the step is tried altogether, 1 to 100; after the last one it is parked.
    backoff
        The wait before the second attempt; each further one waits ``factor`` times as long, at most ``longest``.
    jitter
        The share of the wait that is random, 0 to 1, so that many failures do not come back at once.
    never
        Exceptions that are never retried, besides :class:`~coordinator.errors.Permanent`.
    only
        The exceptions that are retried.

    Raises :class:`AgentError` for values that make no policy.
    """

    attempts: int = 3
    backoff: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(minutes=10)
    jitter: float = 0.2
    never: tuple[type[Exception], ...] = ()
    only: tuple[type[Exception], ...] = (Exception,)

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

    def wait(self, attempt: int, error: Exception, chance: float | None = None) -> timedelta | None:
        """How long to wait after ``attempt`` (from 1) failed with ``error``; None: do not try again.

        ``chance`` (0 to 1) stands in for the random number.
        """
        if (
            attempt >= self.attempts
            or isinstance(error, (Permanent, *self.never))
            or not isinstance(error, self.only)
        ):
            return None
        if isinstance(error, Transient) and error.retry_after is not None:
            return min(error.retry_after, _LONGEST_WAIT)
        wait = min(self.backoff * min(self.factor ** (attempt - 1), 1e6), self.longest)
        spread = random.random() if chance is None else chance  # noqa: S311 - jitter, not a secret
        return wait * (1 - self.jitter * spread)


ONCE = Retry(attempts=1)
