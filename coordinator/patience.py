"""Patience: how long is waited for what may never come back, such as a name server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Attempt(Generic[T]):
    """Work in a thread of its own, which is left to itself where nobody waits for it any more."""

    def __init__(self, work: Callable[[], T], leave: Callable[[T], object]) -> None:
        self._work = work
        self._leave = leave
        self._lock = threading.Lock()
        self._left = False
        self.found: list[T] = []
        self.error: BaseException | None = None
        self.done = threading.Event()

    def run(self) -> None:
        try:
            found = self._work()
        except BaseException as error:  # noqa: BLE001 - it is raised where somebody waits
            self.error = error
        else:
            with self._lock:
                if not self._left:
                    self.found.append(found)
            if not self.found:
                self._leave(found)
        finally:
            self.done.set()

    def abandon(self) -> bool:
        """Leave it to itself; gives whether it was done all the same."""
        with self._lock:
            self._left = not self.found and self.error is None
            return not self._left


def within(seconds: float, work: Callable[[], T], leave: Callable[[T], object] = lambda _: None) -> T:
    """Do ``work``, and give what it found. What is found later than that is given to ``leave``, which closes it.

    Raises :class:`TimeoutError` after ``seconds``, and what ``work`` raises.
    """
    attempt = _Attempt(work, leave)
    threading.Thread(target=attempt.run, name="patience", daemon=True).start()
    if not attempt.done.wait(max(seconds, 0)) and not attempt.abandon():
        raise TimeoutError(f"there was no answer within {max(seconds, 0):.3g} s")
    if attempt.error is not None:
        raise attempt.error
    return attempt.found[0]
