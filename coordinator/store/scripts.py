"""Scripts: the Lua files, and plain commands beside them, sent together in one pipeline and so in one round trip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from redis import Redis, RedisError
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,  # noqa: A004
    DataError,
    NoScriptError,
    RedisClusterException,
    ResponseError,
    TimeoutError,  # noqa: A004
)

from handoffs.config import clock as host
from handoffs.config.delays import AFTER_ANY_DELAY
from handoffs.contracts.text import printable
from handoffs.coordinator.errors import Refused, ServerError
from handoffs.coordinator.store import clock
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.direct import DirectRedis
from handoffs.coordinator.store.fields import FORGOTTEN_AT_END, Kind, SetKind

FAILURES = (RedisError, RedisClusterException, UnicodeEncodeError)
"""What a client raises where Redis cannot be used, or not with what it is given; that of a cluster has errors of its own beside the
others."""


MAY_BE_RECORDED = "what was asked may have been recorded or not: to ask it again does no harm"
"""What follows where a connection was lost while something was asked."""

_PASSES = re.compile(
    r"\b(MISCONF|NOREPLICAS|BUSY|UNKILLABLE|NOAUTH|NOPERM|WRONGPASS|CLUSTERDOWN|TRYAGAIN|LOADING|OOM|READONLY|MASTERDOWN)\b"
)
"""What a server says that refuses now and may not refuse later: it has no memory left, a script at work, another master."""

_PARTS = {
    "settle_run": tuple(f"settle_run/{part}" for part in ("parts", "excess", "settle", "join", "send", "end"))
}
"""Scripts that are in several files: what comes before the one of their name."""

_PRELUDE = ("prelude", "prelude/ended")
"""What scripts share. Each function uses only those before it."""

_HEAD = re.compile(r"^-- (KEYS|ARGV): (.*(?:\n--       .*)*)$", re.MULTILINE)
"""What a script says that it is given: names separated by commas, each with what it is in brackets, on several lines if need be."""

_EXPLANATION = re.compile(r"\([^)]*\)|\n--")
_NAME = re.compile(r"\b(key|arg)\.(\w+)")
_FUNCTION = re.compile(r"^local function (\w+)", re.MULTILINE)
_CONSTANTS = {
    **{kind.name: str(kind) for kind in (*Kind, *SetKind)},
    "FORGOTTEN_AT_END": "".join(FORGOTTEN_AT_END),
    "AFTER_ANY_DELAY": str(clock.ms(AFTER_ANY_DELAY)),
}
_CONSTANT = re.compile(rf"\b({'|'.join(_CONSTANTS)}|MOVED)\b")


class Script(NamedTuple):
    """A Lua script as Redis gets it, with the digest by which it knows it, and its keys and arguments in order."""

    text: str
    digest: str
    keys: tuple[str, ...]
    arguments: tuple[str, ...]


@cache
def script(name: str, *, moved: bool = False) -> Script:
    """The script ``lua/<name>.lua``, with its parts, and after what it uses of the prelude.

    It is written with names and sent with what they stand for, so that they cost nothing: ``key.run`` and ``arg.step`` are the keys
    and arguments that the comment it begins with names, ``SETTLED`` and so on the kinds of fields. ``moved`` is whether time may not
    be what Redis takes it to be, as a test has moved it (:mod:`handoffs.config.clock`).
    """
    constants = {**_CONSTANTS, "MOVED": clock.MOVED if moved else ""}
    own = _file(name)
    given = {
        what: tuple(_EXPLANATION.sub("", names).replace(",", " ").split())
        for what, names in _HEAD.findall(own)
    }
    places = {"key": given["KEYS"], "arg": given["ARGV"]}
    text = _with_prelude("\n".join((*map(_file, _PARTS.get(name, ())), own)))
    text = _CONSTANT.sub(lambda found: f"'{constants[found[1]]}'", text)
    text = _NAME.sub(lambda found: _given(found[1], places[found[1]].index(found[2])), text)
    return Script(
        text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), places["key"], places["arg"]
    )


def _file(name: str) -> str:
    return files("handoffs.coordinator.store").joinpath("lua", f"{name}.lua").read_text("utf-8")


def _with_prelude(text: str) -> str:
    """A script after the functions of the prelude that it uses; each of those uses only what stands before it."""
    blocks = "\n\n".join(map(_file, _PRELUDE)).split("\n\n")
    for block in reversed(blocks):
        function = _FUNCTION.search(block)
        if function and f"{function[1]}(" in text:
            text = f"{block}\n\n{text}"
    return text


def _given(what: str, at: int) -> str:
    return f"{'KEYS' if what == 'key' else 'ARGV'}[{at + 1}]"


def run(redis: Redis, *calls: Call | Command) -> list[Any]:
    """Run scripts and commands in order, in one round trip, and give their replies.

    A server that does not know a script yet is given it, and the calls that it refused are sent again. The client may
    also send everything again when a connection breaks, so each script may be repeated.
    Raises :class:`ServerError` where Redis cannot be reached or refuses.
    """
    [found] = run_together(redis, [calls])
    if isinstance(found, ServerError):
        raise found from found.__cause__
    return found


def run_together(redis: Redis, asked: Sequence[Sequence[Call | Command]]) -> list[list[Any] | ServerError]:
    """The same for several who ask, in one round trip for all: what each is answered, or the error that it would have got alone."""
    try:
        replies = _replies(redis, [call for calls in asked for call in calls])
    except FAILURES as error:
        # it may be about one of them, and nothing was sent
        if len(asked) > 1 and _is_about_what_was_asked(error):
            return [found for calls in asked for found in run_together(redis, [calls])]
        return [_caused(error) for _ in asked]
    found, at = list[list[Any] | ServerError](), 0
    for calls in asked:
        own = replies[at : at + len(calls)]
        at += len(calls)
        refusal = next((reply for reply in own if isinstance(reply, FAILURES)), None)
        found.append(own if refusal is None else _caused(refusal))
    return found


def _caused(error: Exception) -> ServerError:
    failed = redis_error(error)
    failed.__cause__ = error
    return failed


def _replies(redis: Redis, calls: Sequence[Call | Command]) -> list[Any]:
    replies = _send(redis, calls)
    refused = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
    if refused:
        for name in dict.fromkeys(call.script for call in calls if isinstance(call, Call)):
            redis.script_load(script(name, moved=host.is_moved()).text)
        for number, reply in zip(refused, _send(redis, [calls[number] for number in refused]), strict=True):
            replies[number] = reply
    return replies


def time(redis: Redis, near: str) -> int:
    """What time it is where the key ``near`` is, in milliseconds since 1970. Raises :class:`ServerError` like :func:`run`."""
    [digits] = run(redis, clock.asked(near))
    return int(digits)


@contextmanager
def redis_errors() -> Iterator[None]:
    """``with redis_errors():`` around commands: what the client raises becomes a :class:`ServerError`."""
    try:
        yield
    except FAILURES as error:
        raise redis_error(error) from error


def redis_error(error: Exception) -> ServerError:
    """The error for a Redis that cannot be used."""
    if _is_about_what_was_asked(error):
        return Refused(
            f"Redis cannot be used: {type(error).__name__}: {printable(error, 200)}",
            "asked again, it refuses again: what was asked, or what Redis holds there, is none of ours",
            "look at the key in Redis: it may have been changed by hand",
        )
    if isinstance(error, AuthenticationError):
        return ServerError(
            f"Redis cannot be used: it refuses the user or the password: {str(error)[:200]}",
            "nothing was asked of it",
            "set the user and the password that it has in COORDINATOR_REDIS_URL",
        )
    unsure = isinstance(error, ConnectionError | TimeoutError)
    return ServerError(
        f"Redis cannot be used: {type(error).__name__}: {str(error)[:200]}",
        MAY_BE_RECORDED if unsure else "nothing was recorded; the message will be tried again",
        "check COORDINATOR_REDIS_URL, and that the server is up and has memory left",
    )


def _is_about_what_was_asked(error: Exception) -> bool:
    """Whether a server that works refuses a command, for what it says or for what is there: a key of another type, a field that is no
    number."""
    return isinstance(error, DataError | UnicodeEncodeError) or (
        type(error) is ResponseError and not _PASSES.search(str(error))
    )


def unsure(error: ServerError) -> bool:
    """Whether what was asked may have been done all the same: the connection failed before there was an answer."""
    return isinstance(error.__cause__, ConnectionError | TimeoutError)


def _send(redis: Redis, calls: Sequence[Call | Command]) -> list[Any]:
    if isinstance(redis, DirectRedis):
        return redis.together([_command(call) for call in calls])
    pipeline: Any = redis.pipeline(transaction=False)
    for call in calls:
        pipeline.execute_command(*_command(call))
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


def _command(call: Call | Command) -> Sequence[str | int]:
    if isinstance(call, Command):
        return call
    given = script(call.script, moved=host.is_moved())
    try:
        keys = [call.keys[name] for name in given.keys]
        arguments = [call.arguments[name] for name in given.arguments]
    except KeyError as missing:
        raise TypeError(f"{call.script}.lua is not given {missing}") from None
    if len(call.keys) > len(keys) or len(call.arguments) > len(arguments):
        raise TypeError(f"{call.script}.lua takes {given.keys} and {given.arguments}, and not {call}")
    return ("EVALSHA", given.digest, len(keys), *keys, *arguments)
