"""Context: what an agent is told besides its input."""

from __future__ import annotations

import asyncio
import logging
import typing
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from handoffs.contracts.contract import Contract
from handoffs.contracts.text import is_plain, named
from handoffs.coordinator.errors import AgentError
from handoffs.coordinator.flow.calls import Calls, Untraced, check_call
from handoffs.coordinator.flow.once import InMemory, Subresults, check_name, once, once_async
from handoffs.coordinator.flow.progress import Signs, Unseen, progress_of
from handoffs.coordinator.flow.usage import Amounts, Meter, Unmetered, amounts_of

if typing.TYPE_CHECKING:
    from handoffs.config.settings import Settings

T = typing.TypeVar("T")

_LONGEST_MODEL = 200  # characters


@dataclass(frozen=True, slots=True)
class Context:
    """What an agent may know besides its input.

    idempotency_key
        Hand this to outside systems, ``charge(..., idempotency_key=context.idempotency_key)``: it names this effect and no
        other. It is the same in every attempt, replay and redelivery of the same work, and another one for each agent, each
        time the agent stands in its flow, each round and each item, and for work that is done again after it was undone. A UUID
        as text: 36 characters.
    key
        The key under which this agent takes its effect once, as history has it: the input's own (an order's number), and
        what tells one place or round from another. Other agents have the same one: it is nothing for systems outside.
    attempt
        From 1.
    deadline
        When the work is no longer wanted; None: always wanted.
    fallback
        Which fallback the input is, ``cache age=1.2s``, or by branch which parts of it are one, ``eta: constant``; empty:
        none of it.
    given_up
        Whether the budget of this step is spent by now, and a fallback has taken its place: what it makes counts for
        nothing. Ask it after an effect that would have to be undone then. Raises
        :class:`~handoffs.coordinator.errors.ServerError`.
    cancelled
        Whether to stop: nobody wants any more what it makes, or its worker is to end. Asking costs nothing. It is known a
        second or two after it happened, and at once where the worker is to end.
    ending
        Why: ``cancelled``, ``compensating`` or ``completed`` where its run has ended so, ``closed`` where the budget of
        its step is spent, ``stopping`` where its worker is to end, ``stalled`` where its idle limit is exceeded; empty: it is to go
        on. Who was told so by either of the two, and raises, has not failed, but where it stalled. Where its worker is to end, the step is left to another one, and what it returned
        does not count.
    trace_headers
        The trace in which this attempt is made, as headers: ``traceparent``, ``tracestate``, ``baggage``. They are the same for the whole
        attempt: for what is no call, a process that is begun for example. A call has headers of its own: :meth:`calling`.
    event
        The message id of the event that it was called by; empty in a flow.
    emit
        Emit an event besides what is returned: one that the agent declares. It is sent once the step has its outcome, so
        an attempt that fails emits nothing. Raises :class:`AgentError` for any other.
    subresults
        What :meth:`once` and :meth:`aonce` have recorded.
    signs
        Who hears of :meth:`progress`.
    meter
        Who hears of :meth:`usage` and :meth:`ausage`.
    calls
        Who makes the headers of :meth:`calling`.
    """

    run_id: str
    flow: str
    step: str
    agent: str
    idempotency_key: str
    attempt: int
    deadline: datetime | None
    settings: Settings
    logger: logging.LoggerAdapter[logging.Logger]
    fallback: str = ""
    given_up: Callable[[], bool] = lambda: False
    event: str = ""
    emit: Callable[[Contract], None] = lambda event: None  # noqa: ARG005 - a test of the function alone hears nothing
    key: str = ""
    ending: Callable[[], str] = lambda: ""
    trace_headers: Mapping[str, str] = field(default_factory=dict)
    subresults: Subresults = field(default_factory=InMemory)
    signs: Signs = field(default_factory=Unseen)
    meter: Meter = field(default_factory=Unmetered)
    calls: Calls = field(default_factory=Untraced)

    @property
    def cancelled(self) -> bool:
        """Whether to stop: see above."""
        return bool(self.ending())

    def calling(self, name: str) -> AbstractContextManager[dict[str, str]]:
        """The headers of one call of a system outside, for as long as it takes, in async agents too::

            with context.calling("POST /score") as headers:
                found = client.post(url, json=order, headers=headers)

        They hand the trace on, as W3C Trace Context says: ``traceparent``, with an id that no other call has, ``tracestate``,
        ``baggage``. Where spans are recorded, the call is one, of the kind CLIENT, named ``name`` and current meanwhile, and fails with what
        is raised in it. Where the client of HTTP is instrumented itself, nobody needs this. It may be used in threads that the agent
        has begun, and for several calls at once. A function that is called without an engine, in a test for example, is given no
        headers.

        ``name`` is of 1 to 200 plain characters, without what is secret or differs from call to call: not the whole URL.

        Raises :class:`AgentError` for a name that is none.
        """
        check_call(name)
        return self.calls.calling(name)

    def progress(self, text: str, share: float | None = None) -> None:
        """Say how far the work is: in a line of 200 characters at most, and as the share that is done, 0 to 1, where that is known.

        It is a sign of life: an agent with an idle limit (``@agent(idle=...)``) gives one at least that often. ``runs show`` and
        :meth:`Run.current <handoffs.coordinator.client.run.Run.current>` show the newest within a second or two, the log has one
        a second at most; the history has none. It takes no time, however often it is called, in async agents too.

        Raises :class:`AgentError` for what is no text or no share, and :class:`~handoffs.coordinator.errors.Stalled` where the
        idle limit was exceeded before, so that the attempt ends: nobody believed that it would go on.
        """
        self.signs.tell(progress_of(text, share))

    def usage(
        self,
        tokens: int | None = None,
        cost: Decimal | float | None = None,
        *,
        of: str = "",
        model: str = "",
        **counters: int,
    ) -> None:
        """Say what was used up since it was said last: ``tokens``, the ``cost`` in the one unit that all agents count in, and
        ``counters`` of your own (``searches=1``), nothing below 0. It is summed for the run and for its flow, with what failed attempts
        have used up; an attempt that is delivered once more counts where it comes further than before.

        ``of`` is the name of the call under which :meth:`once` has recorded it: then it counts once, however many attempts are given that
        result and say this of it. Say it within the call instead, and only who makes the call says it.

        ``model`` is the name of the model, for the spans of OpenTelemetry: it is told there with the tokens, the cost, and the counters
        ``input_tokens`` and ``output_tokens``, and counts for nothing.

        In a thread it is counted when this returns. In an async agent it is counted a little later: ``await context.ausage(...)`` waits.

        Raises :class:`AgentError` for what is no amount, :class:`~handoffs.coordinator.errors.OverBudget` where the run has used up
        more than its flow allows it (within a call of :meth:`once` it is raised behind that, when the result is recorded),
        :class:`~handoffs.coordinator.errors.Stalled` as :meth:`progress`, and :class:`~handoffs.coordinator.errors.ServerError`.
        """
        self.meter.use(_amounts(tokens, cost, of, counters), of, _model(model))

    async def ausage(
        self,
        tokens: int | None = None,
        cost: Decimal | float | None = None,
        *,
        of: str = "",
        model: str = "",
        **counters: int,
    ) -> None:
        """The same for an async agent, counted when it returns."""
        await asyncio.to_thread(self.meter.use, _amounts(tokens, cost, of, counters), of, _model(model))

    def once(self, name: str, call: Callable[[], T]) -> T:
        """What ``call`` gave when it returned for the first time in this step: it is recorded under ``name`` before it is returned, and
        no later attempt, redelivery or replay makes that call again, whoever died in between.

        It is for what is paid for: a call of a model, a tool, a search. ``name`` is the call's own within the step
        (``f"page {number}"`` in a loop), 1 to 200 characters. What the call gives has to have a form in JSON, and is given back as it is
        read from that: a tuple as a list, in the first attempt too. What it raises is raised, and nothing is recorded. It is made
        again where it was at work when its process died: hand ``idempotency_key`` to what it calls. Another input, by an edit, and
        work that was undone have subresults of their own. Where Redis is away it is waited for, unless the agent is to end.

        Raises :class:`AgentError` for a name that is none, :class:`~handoffs.coordinator.flow.once.Unrecordable` for a value that JSON has no
        form for or that is larger than a message may be (the step is parked: each further attempt would pay again), and
        :class:`~handoffs.coordinator.errors.ServerError`.
        """
        self.signs.give()
        found = once(self.subresults, name, lambda: self._paid(call))
        self.signs.give()
        self.meter.check()
        return found

    async def aonce(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """The same for an async agent: ``await context.aonce("draft", lambda: model.complete(prompt))``."""
        self.signs.give()
        found = await once_async(self.subresults, name, lambda: self._apaid(call), asyncio.to_thread)
        self.signs.give()
        await asyncio.to_thread(self.meter.check)
        return found

    def _paid(self, call: Callable[[], T]) -> T:
        """Make a call, if the run may go on spending. What it uses up ends nothing before its result is recorded."""
        self.meter.check(asked=True)
        self.meter.begin()
        try:
            return call()
        finally:
            self.meter.end()

    async def _apaid(self, call: Callable[[], Awaitable[T]]) -> T:
        await asyncio.to_thread(self.meter.check, asked=True)
        self.meter.begin()
        try:
            return await call()
        finally:
            self.meter.end()


def _model(name: object) -> str:
    """The name of a model. Raises :class:`AgentError` for what is none."""
    if not isinstance(name, str) or len(name) > _LONGEST_MODEL or not is_plain(name):
        raise AgentError(
            f"usage() is said to be of the model {named(name)}",
            "it is not counted",
            f"name the model by at most {_LONGEST_MODEL} plain characters",
        )
    return name


def _amounts(tokens: object, cost: object, of: str, counters: Mapping[str, object]) -> Amounts:
    """What is said to be used up. Raises :class:`AgentError` for what is none, or a call that has no such name."""
    if of:
        check_name(of, "usage() is said to be of", "it is not counted")
    return amounts_of({**counters, "tokens": tokens, "cost": cost})
