"""Trace: an exception as people are told of it: what it says, and where it was raised, the agent's own code first."""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from handoffs.contracts.text import printable
from handoffs.coordinator.handoff.failure import describe
from handoffs.coordinator.handoff.interruption import Escaped
from handoffs.coordinator.handoff.secrets import masked

LONGEST = 8_000
"""Of how many characters a trace is at most."""

_MOST_OWN = 20  # frames of one exception
_MOST_FOREIGN = 3  # that are shown where no frame is own
_MOST_CHAINED = 8  # exceptions, with those of groups
_LONGEST_LINE = 200
_REMEMBERED = 4_096  # files
_ENGINE = "handoffs"
_TASKS = "handoffs.tasks"


@dataclass(frozen=True, slots=True)
class Account:
    """An exception as the name of its type, its text and its trace: bounded, escaped, and without the secrets that were known."""

    name: str
    text: str
    trace: str


def account_of(error: BaseException, *, own: str = "", secrets: tuple[str, ...] = ()) -> Account:
    """Say what was raised and where. ``own`` is the module of the agent: frames of its package are told each, those of others are
    counted. The trace is empty where no code outside the engine was reached."""
    if isinstance(error, Escaped):
        error = error.error
    name, text = describe(error, secrets)
    told = _told(error, _package(own), secrets) if _reached(error) else ""
    return Account(name, text, told)


def _told(error: BaseException, own: str, secrets: tuple[str, ...]) -> str:
    lines: list[str] = []
    size = 0
    for line in _lines(error, own, secrets):
        size += len(line) + 1
        if size > LONGEST - 10:
            return "\n".join([*lines, "…"])
        lines.append(line)
    return "\n".join(lines)


def _lines(error: BaseException, own: str, secrets: tuple[str, ...]) -> Iterator[str]:
    """What was raised, then what it was raised from or while that was handled, and what groups have in them."""
    rest: list[tuple[str, BaseException]] = [("", error)]
    seen: set[int] = set()
    while rest and len(seen) < _MOST_CHAINED:
        how, one = rest.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        name, text = describe(one, secrets)
        yield f"{how}{name}: {text}"
        yield from _frames(one.__traceback__, own, secrets)
        for note in getattr(one, "__notes__", ()):
            yield f"  note: {printable(masked(str(note), secrets), _LONGEST_LINE)}"
        if isinstance(one, BaseExceptionGroup):
            rest += [("in the group: ", inner) for inner in one.exceptions]
        if one.__cause__ is not None:
            rest.append(("caused by ", one.__cause__))
        elif one.__context__ is not None and not one.__suppress_context__:
            rest.append(("while handling ", one.__context__))


def _frames(trace: TracebackType | None, own: str, secrets: tuple[str, ...]) -> Iterator[str]:
    """Own frames, the innermost first; how many there are of others, by their packages."""
    frames = list(_walked(trace))[::-1]
    of_own = [(frame, line) for frame, line in frames if _is_own(frame, own)]
    if not of_own:
        of_own = [(frame, line) for frame, line in frames if not _of_engine(frame)][:_MOST_FOREIGN]
    told = {id(frame) for frame, _ in of_own}
    shown = _once(of_own)
    for (code, line), times in shown[:_MOST_OWN]:
        again = f"  (and {times - 1} times more)" if times > 1 else ""
        source = linecache.getline(code.co_filename, line).strip()
        text = f"{_short(code.co_filename)}:{line} in {code.co_name}" + (f": {source}" if source else "")
        yield f"  {printable(masked(text, secrets), _LONGEST_LINE)}{again}"
    if len(shown) > _MOST_OWN:
        yield f"  and {len(shown) - _MOST_OWN} more"
    others = Counter(_top(frame) for frame, _ in frames if id(frame) not in told)
    if others:
        counted = ", ".join(f"{printable(name, 80)} {count}" for name, count in others.most_common(5))
        yield f"  (frames of others: {counted})"


def _once(frames: list[tuple[FrameType, int]]) -> list[tuple[tuple[CodeType, int], int]]:
    """The places of frames in their order, each once, and how often it comes: what calls itself does so a thousand times."""
    return list(Counter((frame.f_code, line) for frame, line in frames).items())


def _walked(trace: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno
        trace = trace.tb_next


def _reached(error: BaseException) -> bool:
    """Whether code outside the engine raised it, or what it was raised from."""
    seen: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if any(_is_users(frame) for frame, _ in _walked(one.__traceback__)):
            return True
        rest += [one.__cause__, one.__context__]
        rest += one.exceptions if isinstance(one, BaseExceptionGroup) else ()
    return False


def _is_users(frame: FrameType) -> bool:
    """Whether it is code that somebody has written for his agents: no library's, and not ours."""
    return not _of_engine(frame) and not _of_library(frame.f_code.co_filename)


def _is_own(frame: FrameType, own: str) -> bool:
    """Whether it is code of the agent's package, or of no package that is installed."""
    module = str(frame.f_globals.get("__name__", ""))
    if own and (module == own or module.startswith(f"{own}.")):
        return True
    return _is_users(frame)


def _of_engine(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] == _ENGINE and not f"{module}.".startswith(f"{_TASKS}.")


@lru_cache(_REMEMBERED)
def _of_library(file: str) -> bool:
    """Whether a file is of an installed package, of Python itself, or none."""
    if file.startswith("<"):
        return file.startswith("<frozen")
    path = Path(file)
    return any(part in {"site-packages", "dist-packages"} for part in path.parts) or any(
        path.is_relative_to(folder) for folder in _PYTHON
    )


def _package(module: str) -> str:
    """The package of a module that is told frame by frame."""
    top = module.partition(".")[0]
    if top == _ENGINE:
        return ".".join(module.split(".")[:3]) if module.startswith(f"{_TASKS}.") else _TASKS
    return "" if top in {"", "__main__"} else top


def _top(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?")).partition(".")[0]


def _short(file: str) -> str:
    """A file as it is imported: below the longest folder of ``sys.path`` that it is in; of one that is in none, only its name."""
    return _below(file, tuple(sys.path))


@lru_cache(_REMEMBERED)
def _below(file: str, path: tuple[str, ...]) -> str:
    folders = [f"{Path(folder)}/" for folder in path if folder]
    within = max((folder for folder in folders if file.startswith(folder)), key=len, default="")
    return file.removeprefix(within) if within else Path(file).name


_PYTHON = tuple({Path(module.__file__).parent for module in (linecache,) if module.__file__})
"""Where Python's own modules are."""
