"""Patience: how long is waited for what may never come back, such as a name server."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from handoffs.config.forks import after_fork

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


class Looks(Generic[T]):
    """Looks at several things, side by side and by a deadline. Safe for threads.

    One that does not end in time is left to itself, and not begun again before it has ended: whoever asks for it meanwhile waits for
    that one. So a server that is silent costs one thread, however often it is looked at.
    """

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        """In a child that was forked none of them goes on."""
        self._lock, self._under_way = threading.Lock(), dict[str, _Attempt[T]]()
        after_fork(self, Looks._renew)

    def look(self, works: Mapping[str, Callable[[], T]], seconds: float) -> dict[str, T | Exception]:
        """What each of ``works`` found, or raised, by its name; :class:`TimeoutError` of one that had no answer within ``seconds``."""
        until = time.monotonic() + seconds
        attempts = {name: self._begin(name, work) for name, work in works.items()}
        found: dict[str, T | Exception] = {}
        for name, attempt in attempts.items():
            if not attempt.done.wait(max(until - time.monotonic(), 0)):
                found[name] = TimeoutError(f"there was no answer within {seconds:.3g} s")
            elif attempt.error is None:
                found[name] = attempt.found[0]
            elif isinstance(attempt.error, Exception):
                found[name] = attempt.error
            else:  # what would end a thread, and not the process
                found[name] = RuntimeError(f"it ended with {type(attempt.error).__name__}")
        return found

    def _begin(self, name: str, work: Callable[[], T]) -> _Attempt[T]:
        with self._lock:
            attempt = self._under_way.get(name)
            if attempt is not None and not attempt.done.is_set():
                return attempt
            attempt = self._under_way[name] = _Attempt(work, lambda _: None)
        threading.Thread(target=attempt.run, name=f"look-{name}", daemon=True).start()
        return attempt
