"""Lives: a run that has ended and is forgotten may be started anew under its key. That is another life of it, and has an id of its
own: whatever is still on its way from the one before, a delayed message, a timer, a letter, is none of it.

The same key finds the newest life, as long as that is known: as the same key finds the same run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from handoffs.contracts.envelope import life_of
from handoffs.coordinator.dispatch.requests import Asking
from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.runs.acceptance import accepting
from handoffs.coordinator.store.acceptance import Acceptance

T = TypeVar("T")

_log = logging.getLogger(__name__)


def alive(acceptance: Acceptance, first: str, accept: Callable[[str, int], Asking[T | None]]) -> Asking[T]:
    """What ``accept`` makes of the newest life of the run of the id ``first``, by its id and number; None where that life is over.

    Raises what that raises, and :class:`~handoffs.coordinator.errors.ServerError` where nothing was accepted.
    """
    life = 0
    while (found := (yield from accept(life_of(first, life), life))) is None:
        with accepting():
            life = max(life + 1, (yield from acceptance.newest_life(first)))
    if life:
        try:
            yield from acceptance.keep_lives([(first, life)])
        except ServerError as error:  # the coordinator process does it again, and until then lives are tried one after the other
            _log.warning(
                "run=%s is accepted; that it is another life of a run could not be noted: %s", first, error
            )
    return found
