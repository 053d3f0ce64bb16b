"""Remote control: the commands that a worker takes from whoever may publish to its exchange, looked at before Celery obeys them.

What is no command is dropped with a line. Celery would close its channel and open another for each, and the answers to those that
came meanwhile would be lost; and a regular expression that names workers may run for ever.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from celery.worker.consumer.control import Control as CeleryControl
from celery.worker.pidbox import Pidbox as CeleryPidbox

from handoffs.contracts.errors import InvalidInput
from handoffs.contracts.text import is_plain, printable

_log = logging.getLogger(__name__)

_KNOWN = frozenset({"method", "arguments", "destination", "pattern", "matcher", "reply_to", "ticket"})
_OF_QUEUES = frozenset({"add_consumer", "cancel_consumer"})
_OF_A_QUEUE = frozenset(
    {"queue", "exchange", "exchange_type", "routing_key"}
)  # of one that is known these say nothing
_RATE = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?(/[smh])?")
_LONGEST = 255  # characters of a name
_LONGEST_LIMIT = 31_536_000  # seconds: a year
_LATEST = 2**53  # of a clock: one step before what cannot be sent any more would end every later answer


class Pidbox(CeleryPidbox):
    """Takes commands, and drops what is none."""

    def __init__(self, c: Any) -> None:
        super().__init__(c)
        self.node.handlers = {name: guarded(name, obey) for name, obey in self.node.handlers.items()}

    def on_message(self, body: Any, message: Any) -> None:
        """Celery calls this for whatever comes."""
        try:
            check_command(body, message.headers, self.node.mailbox.reply_exchange.name)
            if body["method"] not in self.node.handlers:
                raise InvalidInput("there is no such command")
        except InvalidInput as error:
            _log.warning("a message of remote control was dropped: %s", error)
            return
        super().on_message(body, message)


class Control(CeleryControl):
    """Celery's step, with this box."""

    name = "Control"

    def __init__(self, c: Any, **options: Any) -> None:
        super().__init__(c, **options)
        self.box = Pidbox(c)
        self.start, self.stop, self.shutdown = self.box.start, self.box.stop, self.box.shutdown


def check_command(body: Any, headers: Mapping[str, Any], reply_exchange: str) -> None:
    """Raise :class:`InvalidInput` for what is not a command as Celery sends it, with its answer to ``reply_exchange``."""
    if not isinstance(body, dict) or not _KNOWN.issuperset(body):
        raise InvalidInput("it is no command")
    if not _is_name(body.get("method")):
        raise InvalidInput("its method is no name")
    arguments, destination = body.get("arguments"), body.get("destination")
    if not (arguments is None or isinstance(arguments, dict)):
        raise InvalidInput("its arguments are no object")
    if not (destination is None or (isinstance(destination, list) and all(map(_is_name, destination)))):
        raise InvalidInput("its destination is no list of names")
    if body.get("pattern") is not None and not (
        _is_name(body["pattern"]) and body.get("matcher") in {None, "glob"}
    ):
        raise InvalidInput("its pattern is no glob: regular expressions are not taken from outside")
    clock = headers.get("clock")
    if not (clock is None or (type(clock) is int and 0 <= clock < _LATEST)):
        raise InvalidInput("its clock is no count")
    _check_reply(body.get("reply_to"), body.get("ticket"), reply_exchange)


def check_arguments(name: str, given: Mapping[str, Any], queues: Container[str]) -> None:
    """Raise :class:`InvalidInput` for arguments that Celery would take, and that would end or stop the worker later: queues other than
    the worker's own ``queues`` or declared otherwise, rates and time limits that are none."""
    if name in _OF_QUEUES:
        if not (_is_name(given.get("queue")) and given["queue"] in queues):
            raise InvalidInput("its queue is none of this worker's")
        if any(value is not None for word, value in given.items() if word not in _OF_A_QUEUE):
            raise InvalidInput("it says how a queue is to be declared")
    if name == "rate_limit" and not _RATE.fullmatch(str(given.get("rate_limit"))):
        raise InvalidInput("its rate is none: 10, 0.5/s, 5/m or 100/h")
    if name == "time_limit" and not all(_is_limit(given.get(which)) for which in ("soft", "hard")):
        raise InvalidInput("its time limits are no seconds")


def guarded(name: str, obey: Callable[..., Any]) -> Callable[..., Any]:
    """A command's function: where its arguments are wrong there is one line, and an answer that says so."""

    def obeyed(state: Any, /, **given: Any) -> Any:
        try:
            check_arguments(name, given, state.app.amqp.queues if name in _OF_QUEUES else ())
            return obey(state, **given)
        except Exception as error:  # noqa: BLE001 - a command must not end the worker, nor fill its log
            why = printable(f"{type(error).__name__}: {error}", 300)
            _log.warning("the command %s of remote control was not obeyed: %s", name, why)
            return {"error": why}

    return obeyed


def _check_reply(reply_to: Any, ticket: Any, exchange: str) -> None:
    if not (ticket is None or _is_name(ticket)):
        raise InvalidInput("its ticket is no name")
    if reply_to is None:
        return
    if not (
        isinstance(reply_to, dict)
        and reply_to.keys() == {"exchange", "routing_key"}
        and reply_to["exchange"] == exchange
        and _is_name(reply_to["routing_key"])
    ):
        raise InvalidInput("its answer is to go elsewhere than to the exchange for answers")


def _is_limit(value: object) -> bool:
    return value is None or (type(value) in {int, float} and 0 <= value <= _LONGEST_LIMIT)  # type: ignore[operator]


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and is_plain(value)
