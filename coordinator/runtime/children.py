"""Children: the processes that an agent starts by ``multiprocessing``, in a worker.

Celery's are in their way: the processes of its prefork pool are daemonic, which forbids children, and end without Python's own
end, which would end them; and handlers of signals that only a worker's main process has a use for are inherited. A child that has
them still when its parent ends it would never end, and its parent wait for it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable
from multiprocessing import process, util
from typing import Any

_LOOK_AGAIN = 1.0  # seconds
_END = 3.0  # seconds
_AT_ONCE = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_SIGNALS = (*_AT_ONCE, "SIGINT")  # which Celery ignores in its own children, as soon as they begin


class Children:
    """What a process of a worker does for the children that its agents start."""

    def __init__(self) -> None:
        self._watched = False
        self._forking = threading.local()
        around = _while_alive(self)
        os.register_at_fork(
            before=around(Children._hold_signals),
            after_in_parent=around(Children._let_signals_through),
            after_in_child=around(Children._begin),
        )
        util.register_after_fork(self, Children._as_usual)

    def allow(self) -> None:
        """Allow them, in a process of the prefork pool; they end with it, also where it is killed."""
        current: Any = process.current_process()
        kind: Any = vars(process)["AuthenticationString"]
        key = kind(bytes(current.authkey))  # Celery's own kind refuses to be handed on
        current._config.update(daemon=False, authkey=key)
        self._watched = True

    def end(self) -> None:
        """End those that are left: Python does that where a process ends, and those of the pool end otherwise."""
        left = multiprocessing.active_children()
        for child in left:
            child.terminate()
        until = time.monotonic() + _END
        for child in left:
            child.join(max(0.0, until - time.monotonic()))
            if child.is_alive():
                child.kill()

    def _hold_signals(self) -> None:
        """What comes for a child while it is made waits until it knows what to do with it, and whose child it is."""
        self._forking.parent = os.getpid()
        self._forking.held = signal.pthread_sigmask(signal.SIG_BLOCK, _numbers(_AT_ONCE))

    def _let_signals_through(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._forking.held)

    def _begin(self) -> None:
        """In a child, before it does anything else."""
        _by_default(_AT_ONCE)
        self._let_signals_through()

    def _as_usual(self) -> None:
        """In a child of ``multiprocessing``: signals do what they do by default."""
        _by_default(_SIGNALS)
        if self._watched:
            threading.Thread(
                target=_end_with, args=(self._forking.parent,), name="parent", daemon=True
            ).start()


def _while_alive(children: Children) -> Callable[[Callable[[Children], None]], Callable[[], None]]:
    """What is called around forks is called for good: what gives that, and keeps nothing alive."""
    known = weakref.ref(children)

    def around(method: Callable[[Children], None]) -> Callable[[], None]:
        def called() -> None:
            found = known()
            if found is not None:
                method(found)

        return called

    return around


def _by_default(names: tuple[str, ...]) -> None:
    for number in _numbers(names):
        if callable(signal.getsignal(number)):
            handler = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, handler)


def _numbers(names: tuple[str, ...]) -> list[signal.Signals]:
    """Those of them that this system has."""
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_AGAIN)
    os.kill(os.getpid(), signal.SIGKILL)
