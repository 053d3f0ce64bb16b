"""The errors of AMQP that the embedded broker raises, worded as RabbitMQ words them."""

from __future__ import annotations

from amqp.exceptions import NotFound, PreconditionFailed

Method = tuple[tuple[int, int], str]
"""A method of AMQP: class and method number, and its name."""

EXCHANGE_DECLARE: Method = ((40, 10), "Exchange.declare")
EXCHANGE_DELETE: Method = ((40, 20), "Exchange.delete")
QUEUE_DECLARE: Method = ((50, 10), "Queue.declare")
QUEUE_DELETE: Method = ((50, 40), "Queue.delete")
BASIC_CONSUME: Method = ((60, 20), "Basic.consume")
BASIC_ACK: Method = ((60, 80), "Basic.ack")


def failed(reason: str, method: Method) -> PreconditionFailed:
    """The error for a method that cannot be carried out on what is there."""
    return PreconditionFailed(f"PRECONDITION_FAILED - {reason}", *method)


def missing(kind: str, name: str, broker: str, method: Method) -> NotFound:
    """The error for a method on an exchange or queue that was never declared."""
    return NotFound(f"NOT_FOUND - no {kind} {name!r} in vhost {broker!r}", *method)
