"""Scripts: the Lua files, and plain commands beside them, sent together in one pipeline and so in one round trip."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis, RedisError
from redis.exceptions import NoScriptError, RedisClusterException

from handoffs.coordinator.errors import ServerError
from handoffs.coordinator.store.asking import Call, Command

FAILURES = (RedisError, RedisClusterException)
"""What a client raises where Redis cannot be used; that of a cluster has errors of its own beside the others."""


@cache
def _source(script: str) -> tuple[str, str]:
    text = files("handoffs.coordinator.store").joinpath("lua", f"{script}.lua").read_text("utf-8")
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


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
                    redis.script_load(_source(call.script)[0])
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
    return ("EVALSHA", _source(call.script)[1], len(call.keys), *call.keys, *call.arguments)
