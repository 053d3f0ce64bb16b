"""Interruption: a signal to this process, told apart from what the code of users raises by itself.

Whatever an agent raises is its failure: ``SystemExit``, ``KeyboardInterrupt`` and ``CancelledError`` too. Only what the handler of a
signal raises, in the main thread and at any line, is meant for the process: Ctrl-C in a script that runs a flow in eager
mode, the end of a child of the prefork pool.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found] # its getsignal takes a tenth of the time of signal's
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import Any, NoReturn

_SIGNALS = tuple(map(int, signal.valid_signals()))
_MOST_CAUSES = 100


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, and no ``KeyboardInterrupt`` of an agent's."""


class Escaped(Exception):
    """What code of a user raised that is no ``Exception``, as one that is: so it ends nothing but its step."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.error = error


class UsersCode:
    """Whatever is raised in the block, and not by a signal, leaves it as an ``Exception``: as it is, or in :class:`Escaped`."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not isinstance(error, Exception) and interruption_of(error) is None:
            raise Escaped(error) from error


class _Handlers:
    """The handlers of signals as they were when the main thread began with such a block, and what they run; ``within``: it is
    in one now."""

    known: tuple[Any, ...] = ()
    codes: frozenset[CodeType] = frozenset()
    within = False


@contextmanager
def signals_told_apart() -> Iterator[None]:
    """Have :func:`interruption_of` know, within the block, what a signal has raised. Costs some microseconds, in the main thread."""
    if threading.current_thread() is not threading.main_thread() or _Handlers.within:
        yield
        return
    handlers = tuple(map(_signal.getsignal, _SIGNALS))
    if handlers != _Handlers.known:
        _Handlers.known, _Handlers.codes = handlers, _codes(handlers)
    _Handlers.within = True
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if own:
        signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    finally:
        _Handlers.within = False
        if own and signal.getsignal(signal.SIGINT) is _interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def interruption_of(error: BaseException) -> BaseException | None:
    """What a signal to this process has raised: ``error`` itself, or what was under way when ``error`` was raised. None where
    no signal has to do with it."""
    if threading.current_thread() is not threading.main_thread():
        return None
    codes = _codes(map(_signal.getsignal, _SIGNALS)) | _Handlers.codes
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            break
        if isinstance(cause, Interrupted) or (not _Handlers.within and isinstance(cause, KeyboardInterrupt)):
            return cause
        if not isinstance(cause, Exception) and _runs(cause.__traceback__, codes):
            return cause
        cause = cause.__context__
    return None


def end_of_a_child(pid: int, error: BaseException | None = None) -> None:
    """End this process where it is not ``pid``: an agent has forked it, and it came back from the agent's function, with
    ``error`` where that is not None. What follows is for the one that called the agent."""
    if os.getpid() == pid:
        return
    code = error.code if isinstance(error, SystemExit) else 1 if error else 0
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code & 0xFF if isinstance(code, int) else 1 if code else 0)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Interrupted


def _codes(handlers: Iterable[Any]) -> frozenset[CodeType]:
    functions = (getattr(handler, "__func__", handler) for handler in handlers)
    return frozenset(
        code for function in functions if isinstance(code := getattr(function, "__code__", None), CodeType)
    )


def _runs(trace: TracebackType | None, codes: frozenset[CodeType]) -> bool:
    while trace is not None:
        if trace.tb_frame.f_code in codes:
            return True
        trace = trace.tb_next
    return False
