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
from redis.exceptions import NoScriptError, RedisClusterException

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.asking import Call, Command
from handoffs.coordinator.store.fields import FORGOTTEN_AT_END, Kind, SetKind

FAILURES = (RedisError, RedisClusterException)
"""What a client raises where Redis cannot be used; that of a cluster has errors of its own beside the others."""


_PARTS = {"settle_run": ("settle_run/settle", "settle_run/join", "settle_run/send", "settle_run/end")}
"""Scripts that are in several files: what comes before the one of their name."""

_HEAD = re.compile(r"^-- (KEYS|ARGV): (.*(?:\n--       .*)*)$", re.MULTILINE)
"""What a script says that it is given: names separated by commas, each with what it is in brackets, on several lines if need be."""

_EXPLANATION = re.compile(r"\([^)]*\)|\n--")
_NAME = re.compile(r"\b(key|arg)\.(\w+)")
_FUNCTION = re.compile(r"^local function (\w+)", re.MULTILINE)
_CONSTANTS = {
    **{kind.name: str(kind) for kind in (*Kind, *SetKind)},
    "FORGOTTEN_AT_END": "".join(FORGOTTEN_AT_END),
}
_CONSTANT = re.compile(rf"\b({'|'.join(_CONSTANTS)})\b")


class Script(NamedTuple):
    """A Lua script as Redis gets it, with the digest by which it knows it, and its keys and arguments in order."""

    text: str
    digest: str
    keys: tuple[str, ...]
    arguments: tuple[str, ...]


@cache
def script(name: str) -> Script:
    """The script ``lua/<name>.lua``, with its parts, and after what it uses of the prelude.

    It is written with names and sent with what they stand for, so that they cost nothing: ``key.run`` and ``arg.step`` are the keys
    and arguments that the comment it begins with names, ``SETTLED`` and so on the kinds of fields.
    """
    own = _file(name)
    given = {
        what: tuple(_EXPLANATION.sub("", names).replace(",", " ").split())
        for what, names in _HEAD.findall(own)
    }
    places = {"key": given["KEYS"], "arg": given["ARGV"]}
    text = _with_prelude("\n".join((*map(_file, _PARTS.get(name, ())), own)))
    text = _CONSTANT.sub(lambda found: f"'{_CONSTANTS[found[1]]}'", text)
    text = _NAME.sub(lambda found: _given(found[1], places[found[1]].index(found[2])), text)
    return Script(
        text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(), places["key"], places["arg"]
    )


def _file(name: str) -> str:
    return files("handoffs.coordinator.store").joinpath("lua", f"{name}.lua").read_text("utf-8")


def _with_prelude(text: str) -> str:
    """A script after the functions of the prelude that it uses; each of those uses only what stands before it."""
    for block in reversed(_file("prelude").split("\n\n")):
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
    try:
        replies = _send(redis, calls)
        refused = [number for number, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if refused:
            for call in calls:
                if isinstance(call, Call):
                    redis.script_load(script(call.script).text)
            for number, reply in zip(
                refused, _send(redis, [calls[number] for number in refused]), strict=True
            ):
                replies[number] = reply
    except FAILURES as error:
        raise redis_error(error) from error
    for reply in replies:
        if isinstance(reply, FAILURES):
            raise redis_error(reply) from reply
    return replies


@contextmanager
def redis_errors() -> Iterator[None]:
    """``with redis_errors():`` around commands: what the client raises becomes a :class:`ServerError`."""
    try:
        yield
    except FAILURES as error:
        raise redis_error(error) from error


def redis_error(error: Exception) -> ServerError:
    """The error for a Redis that cannot be used."""
    return ServerError(
        f"Redis cannot be used: {type(error).__name__}: {str(error)[:200]}",
        "nothing was recorded; the message will be tried again",
        "check COORDINATOR_REDIS_URL, and that the server is up and has memory left",
    )


def _send(redis: Redis, calls: Sequence[Call | Command]) -> list[Any]:
    pipeline: Any = redis.pipeline(transaction=False)
    for call in calls:
        pipeline.execute_command(*_command(call))
    replies: list[Any] = pipeline.execute(raise_on_error=False)
    return replies


def _command(call: Call | Command) -> Sequence[str | int]:
    if isinstance(call, Command):
        return call
    given = script(call.script)
    try:
        keys = [call.keys[name] for name in given.keys]
        arguments = [call.arguments[name] for name in given.arguments]
    except KeyError as missing:
        raise TypeError(f"{call.script}.lua is not given {missing}") from None
    if len(call.keys) > len(keys) or len(call.arguments) > len(arguments):
        raise TypeError(f"{call.script}.lua takes {given.keys} and {given.arguments}, and not {call}")
    return ("EVALSHA", given.digest, len(keys), *keys, *arguments)
